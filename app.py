"""create_app: settings, extensions, blueprints, commands. No logic."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from whitenoise import WhiteNoise

from blueprints import register_blueprints
from daybook import sql
from daybook.cli import register_commands
from daybook.config import ROOT, ConfigError, Settings, read_settings
from daybook.extensions import csrf, db, login_manager, migrate


def create_app(settings: Settings | None = None) -> Flask:
    """The whole of Daybook for these settings (the environment's when none are given)."""
    try:
        settings = settings or read_settings()
    except ConfigError as error:
        raise SystemExit(f"Daybook cannot start: {error}.") from None
    app = Flask("daybook", root_path=str(ROOT), instance_path=str(settings.instance_path))
    app.config.update(
        DAYBOOK=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=sql.engine_options(settings.database_url),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a page left open all day still works
        # Forms are small; the routes that stream files read the socket themselves and count the bytes.
        MAX_CONTENT_LENGTH=1024 * 1024,
    )
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"), compare_type=True)
    login_manager.init_app(app)
    csrf.init_app(app)
    with app.app_context():
        sql.prepare(db.engine)
    register_blueprints(app)
    register_commands(app)
    if settings.public_url:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    app.wsgi_app = WhiteNoise(app.wsgi_app, root=ROOT / "static", prefix="static/", max_age=3600)  # type: ignore[method-assign]
    return app
