"""The commands about accounts: `flask create-account`, `flask create-token`, `flask setup-link`."""

import sys

import click
from flask import Flask, current_app

from daybook import accounts, api_tokens, first_admin
from daybook.command_line import with_database
from daybook.config import Settings
from daybook.models import ROLES


def register(app: Flask) -> None:
    """Adds the commands to the app."""
    for command in (create_account, create_token, setup_link):
        app.cli.add_command(command)


@click.command("create-account")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What the account may do.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@with_database
def create_account(name: str, role: str, password_stdin: bool) -> None:
    """Makes the account NAME; asks for its password twice."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt="Password again", err=True)
    try:
        account = accounts.create_account(name, password, role)
    except accounts.AccountError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f'Made the account "{account.username}", {account.role}.')


@click.command("create-token")
@click.argument("name")
@click.option("--label", required=True, help="What uses the token, for the list on the page /account.")
@with_database
def create_token(name: str, label: str) -> None:
    """Makes an API token for the account NAME, and prints nothing but the token."""
    account = accounts.find_account(name)
    if account is None:
        raise click.ClickException(f'There is no account "{name}"; make it with `flask create-account {name}`.')
    if not account.is_active:
        raise click.ClickException(f'The account "{name}" is disabled, so its tokens would be refused.')
    try:
        click.echo(api_tokens.create_token(account, label))
    except accounts.AccountError as error:
        raise click.ClickException(str(error)) from None


@click.command("setup-link")
@click.option("--quiet", is_flag=True, help="Say nothing where there is an account already.")
@with_database
def setup_link(quiet: bool) -> None:
    """Prints the link that makes the first admin; nothing on standard output once there is an account."""
    if not first_admin.no_account_yet():
        if not quiet:
            click.echo("There is an account already; no link is needed.", err=True)
        return
    click.echo("There is no account yet. Open this link within 24 hours to make the first one, an admin:")
    click.echo(setup_url(current_app.config["DAYBOOK"]))


def setup_url(settings: Settings) -> str:
    """The link that makes the first admin of this Daybook."""
    base = settings.public_url or f"http://127.0.0.1:{settings.port}"
    return f"{base}/setup?token={first_admin.setup_token(settings.secret_key)}"
