"""The admin area: its pages are made of what daybook/admin/tables says of each table."""

from blueprints.admin import actions, chats, index, lists, rows  # noqa: F401 - they hang their views into bp
from blueprints.admin.pages import bp

__all__ = ["bp"]
