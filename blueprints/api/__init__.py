"""The API under /api/v1: see docs/api.md."""

from flask import Blueprint

from daybook.extensions import csrf

bp = Blueprint("api", __name__, url_prefix="/api/v1")
# No cookie opens the API (guard asks for a token), so there is nothing that another site could ride on.
csrf.exempt(bp)

from blueprints.api import file_types, readings, uploads  # noqa: E402, F401
