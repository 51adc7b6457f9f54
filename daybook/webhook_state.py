"""What Telegram says of the webhook, and which settings the bot still lacks."""

from dataclasses import dataclass
from datetime import UTC, datetime

from daybook import bot_api
from daybook.config import Settings

_PATIENCE = 4.0


@dataclass(frozen=True)
class WebhookState:
    """url: "" where none is set. problem: why Telegram could not be asked; then the rest means nothing."""

    url: str = ""
    pending: int = 0
    last_error: str = ""
    last_error_at: datetime | None = None
    problem: str = ""


def missing(settings: Settings) -> list[str]:
    """The settings without which no bot can work here, in the order in which to set them."""
    wanted = {
        "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token,
        "TELEGRAM_WEBHOOK_SECRET": settings.telegram_webhook_secret,
        "PUBLIC_URL": settings.public_url,
    }
    return [name for name, value in wanted.items() if not value]


def ask(settings: Settings) -> WebhookState:
    """Asks Telegram, which may take some seconds."""
    if not settings.telegram_bot_token:
        return WebhookState(problem="TELEGRAM_BOT_TOKEN is not set, so there is no bot.")
    try:
        about = bot_api.client(settings).call("getWebhookInfo", {}, timeout=_PATIENCE)
    except bot_api.BotApiError as error:
        return WebhookState(problem=f"Telegram could not be asked: {error}")
    about = about if isinstance(about, dict) else {}
    at, pending = about.get("last_error_date"), about.get("pending_update_count")
    return WebhookState(
        url=bot_api.redacted(str(about.get("url") or "")),
        pending=pending if isinstance(pending, int) else 0,
        last_error=bot_api.redacted(str(about.get("last_error_message") or "")),
        last_error_at=datetime.fromtimestamp(at, UTC) if isinstance(at, int) and 0 < at < 2**37 else None,
    )
