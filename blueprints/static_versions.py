"""Addresses of static files that change with their content, so that no browser shows last version's script."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask


def register(app: Flask) -> None:
    """Adds ?v=… to every url_for('static', …)."""
    folder = Path(app.static_folder or "static")

    @lru_cache
    def version(filename: str) -> str | None:
        file = folder / filename
        return hashlib.sha256(file.read_bytes()).hexdigest()[:8] if file.is_file() else None

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and "filename" in values and (found := version(values["filename"])):
            values["v"] = found
