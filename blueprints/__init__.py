"""HTTP only: read the request, call daybook, render. A blueprint imports no other blueprint."""

from flask import Flask

from blueprints import (
    account,
    admin,
    api,
    auth,
    errors,
    file_types,
    guard,
    health,
    home,
    previews,
    sensors,
    static_versions,
    telegram,
    template_filters,
    uploads,
)


def register_blueprints(app: Flask) -> None:
    """Hangs every blueprint into the app; `guard` and `errors` work on all of them."""
    guard.register(app)
    errors.register(app)
    template_filters.register(app)
    static_versions.register(app)
    for module in (home, auth, account, admin, health, uploads, previews, file_types, sensors, api, telegram):
        app.register_blueprint(module.bp)
