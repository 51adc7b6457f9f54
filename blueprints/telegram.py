"""Where Telegram delivers what people write. It shows the secret that `flask telegram set-webhook` has told it."""

import hmac

from flask import Blueprint, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from daybook import updates
from daybook.extensions import csrf, db

bp = Blueprint("telegram", __name__, url_prefix="/telegram")

_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name


@bp.post("/webhook")
@csrf.exempt  # no form, and no cookie would open it
def webhook() -> ResponseReturnValue:
    """Keeps the update and acts on it. Answers 200 for whatever could be kept: anything else is delivered again, and
    holds up that chat meanwhile."""
    settings = current_app.config["DAYBOOK"]
    if not settings.telegram_webhook_secret:
        message = "TELEGRAM_WEBHOOK_SECRET is not set, so nothing can be delivered here."
        return refuse(404, "not_configured", message)
    sent = request.headers.get(_SECRET_HEADER, "")
    if not hmac.compare_digest(sent.encode(), settings.telegram_webhook_secret.encode()):
        return refuse(403, "wrong_secret", f"The header {_SECRET_HEADER} does not hold this Daybook's secret.")
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return refuse(413, "too_large", f"An update has at most {updates.MAX_BYTES:,} bytes.")
    try:
        update = updates.read(body)
    except updates.BadUpdate as error:
        return refuse(400, "bad_json", f"{error}")
    updates.take(db.engine, settings, update)
    return jsonify(ok=True)


def refuse(status: int, code: str, message: str) -> ResponseReturnValue:
    """The error as JSON: this address is for a program, though it is none of the API's."""
    return jsonify(error={"code": code, "message": message}), status
