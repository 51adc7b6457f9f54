"""Words and numbers as templates show them."""

from flask import Flask


def register(app: Flask) -> None:
    """Adds the filters that more than one template uses."""
    app.add_template_filter(sentence_case)


def sentence_case(text: str) -> str:
    """The text with its first letter large and a full stop at its end."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
