"""Settings, read once from the environment."""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class ConfigError(ValueError):
    """A setting cannot be used; the message names the variable, its value and what to write instead."""


@dataclass(frozen=True)
class Settings:
    """What the environment says, checked and with defaults filled in (sizes in bytes, durations in seconds)."""

    # What is secret is not shown where settings are, such as in an error.
    database_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    instance_path: Path
    port: int = 8000
    public_url: str = ""
    telegram_bot_token: str = field(default="", repr=False)
    telegram_webhook_secret: str = field(default="", repr=False)
    telegram_api_url: str = "https://api.telegram.org"
    upload_max_bytes: int = 10 * 1024**3
    unpacked_max_bytes: int = 20 * 1024**3
    keep_uploads: bool = True
    chunk_interval: str = "90 days"


def database_url(text: str) -> str:
    """The SQLAlchemy URL for what a person writes: `postgres://` and `postgresql://` both mean psycopg2."""
    return re.sub(r"^postgres(ql)?(\+psycopg2)?://", "postgresql+psycopg2://", text)


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Reads and checks every variable; raises ConfigError. Makes the instance folder and the secret key if absent."""
    instance_path = Path(environ.get("INSTANCE_PATH") or ROOT / "instance").resolve()
    instance_path.mkdir(parents=True, exist_ok=True, mode=0o750)
    default_url = f"sqlite:///{instance_path / 'daybook.sqlite3'}"
    url = database_url(environ.get("DATABASE_URL") or default_url)
    if not url.startswith(("sqlite:", "postgresql+psycopg2:")):
        raise ConfigError(f'DATABASE_URL is "{url.split(":")[0]}:…"; Daybook knows sqlite:///FILE and postgresql://…')
    return Settings(
        database_url=url,
        secret_key=environ.get("SECRET_KEY") or _kept_secret(instance_path / "secret_key"),
        instance_path=instance_path,
        port=_whole_number(environ, "PORT", 8000),
        public_url=environ.get("PUBLIC_URL", "").rstrip("/"),
        telegram_bot_token=environ.get("TELEGRAM_BOT_TOKEN", "").strip(),
        telegram_webhook_secret=_webhook_secret(environ.get("TELEGRAM_WEBHOOK_SECRET", "").strip()),
        telegram_api_url=_address(environ, "TELEGRAM_API_URL", "https://api.telegram.org"),
        upload_max_bytes=_whole_number(environ, "UPLOAD_MAX_BYTES", 10 * 1024**3),
        unpacked_max_bytes=_whole_number(environ, "UNPACKED_MAX_BYTES", 20 * 1024**3),
        keep_uploads=_yes_or_no(environ, "KEEP_UPLOADS", True),
        chunk_interval=_interval(environ.get("CHUNK_INTERVAL") or "90 days"),
    )


def _whole_number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f'{name} is "{text}"; it must be a whole number above zero, such as {default}')
    return int(text)


def _yes_or_no(environ: Mapping[str, str], name: str, default: bool) -> bool:
    text = environ.get(name, "").strip().lower()
    if text in ("", "1", "yes", "true", "on"):
        return default if text == "" else True
    if text in ("0", "no", "false", "off"):
        return False
    raise ConfigError(f'{name} is "{text}"; write yes or no')


def _address(environ: Mapping[str, str], name: str, default: str) -> str:
    text = (environ.get(name) or default).strip().rstrip("/")
    if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#]*)?", text):
        raise ConfigError(f'{name} is "{text}"; it must be an address such as {default}')
    return text


def _webhook_secret(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", text):
        raise ConfigError(
            "TELEGRAM_WEBHOOK_SECRET holds something else than letters, digits, _ and -, or more than 256 of them; "
            "Telegram takes no other"
        )
    return text


def _interval(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d* (hour|day|week)s?", text.strip()):
        raise ConfigError(f'CHUNK_INTERVAL is "{text}"; write a number and hours, days or weeks, such as "90 days"')
    return text.strip()


def _kept_secret(path: Path) -> str:
    """The secret key of this installation, made on the first call; only the owner can read the file."""
    if not path.exists():
        # Written aside and linked into place, so that two processes starting at once end up with one whole key.
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    secret = path.read_text().strip()
    if len(secret) < 32:
        raise ConfigError(f"{path} holds no usable key; delete it and a new one is made")
    return secret
