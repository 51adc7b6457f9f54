"""The commands of `flask`."""

from flask import Flask

from daybook import account_commands, import_commands, telegram_commands


def register_commands(app: Flask) -> None:
    """Adds Daybook's commands to the app."""
    account_commands.register(app)
    import_commands.register(app)
    telegram_commands.register(app)
