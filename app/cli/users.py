"""Users: `nametag user …`. Passwords are read from standard input only."""

from collections.abc import Sequence

import click

from app.accounts import listing
from app.cli import output
from app.errors import Invalid
from app.users import users
from app.users.users import StaffUser
from app.viewer import OPERATOR, Role

role_of = click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
accounts_of = click.option(
    "--account-id",
    "ig_account_ids",
    multiple=True,
    help="Limit the user to this account. Repeatable. Default: all accounts.",
)
password_stdin = click.option(
    "--password-stdin", is_flag=True, required=True, help="Read the password from standard input."
)


@click.group()
def user() -> None:
    """Manage users: add, list, set password, set role, disable, enable."""


@user.command("add")
@click.argument("email")
@role_of
@accounts_of
@password_stdin
@output.in_app
def add(email: str, role: str, ig_account_ids: Sequence[str], password_stdin: bool) -> None:  # noqa: ARG001 - a required flag: passwords are read from standard input only
    """Add the user EMAIL."""
    account_ids = _account_ids(ig_account_ids)
    added = users.add_user(OPERATOR, email, role=Role(role), password=_password(), account_ids=account_ids)
    output.say(f"Added {added.email} with the role {added.role}.")


@user.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List users."""
    found = users.list_users(OPERATOR)
    names = {account.id: account.ig_account_id for account in listing.accounts(OPERATOR)}
    if as_json:
        output.show([_facts(each, names) for each in found])
        return
    heads = ("EMAIL", "ROLE", "ACCOUNTS", "STATE", "LAST SIGN-IN")
    rows = (
        (each.email, each.role, _access(_limits(each, names)), _state(each), each.last_sign_in_at) for each in found
    )
    output.table(heads, rows, empty="No users.")


@user.command("role")
@click.argument("email")
@role_of
@accounts_of
@output.in_app
def role_(email: str, role: str, ig_account_ids: Sequence[str]) -> None:
    """Set the role and account access of EMAIL. Without --account-id: all accounts. Signs the user out."""
    users.change_access(OPERATOR, email, role=Role(role), account_ids=_account_ids(ig_account_ids))
    output.say(f"Updated the role of {email} and signed them out.")


@user.command("passwd")
@click.argument("email")
@password_stdin
@output.in_app
def passwd(email: str, password_stdin: bool) -> None:  # noqa: ARG001 - a required flag: passwords are read from standard input only
    """Set a new password for EMAIL. Signs the user out."""
    users.change_password(OPERATOR, email, password=_password())
    output.say(f"Changed the password of {email} and signed them out.")


@user.command("disable")
@click.argument("email")
@output.in_app
def disable(email: str) -> None:
    """Disable the user EMAIL and sign them out."""
    users.disable(OPERATOR, email)
    output.say(f"Disabled {email}.")


@user.command("enable")
@click.argument("email")
@output.in_app
def enable(email: str) -> None:
    """Enable the user EMAIL again."""
    users.enable(OPERATOR, email)
    output.say(f"Enabled {email}.")


def _account_ids(ig_account_ids: Sequence[str]) -> list[int] | None:
    return [listing.by_ig_id(OPERATOR, each).id for each in ig_account_ids] or None


def _password() -> str:
    try:
        return output.secret_from_stdin("Password")
    except UnicodeDecodeError:
        raise Invalid({"password": "The password must be UTF-8 text."}) from None


def _facts(user: StaffUser, names: dict[int, str]) -> dict[str, object]:
    facts: dict[str, object] = output.plain(user)
    return facts | {"accountIds": _limits(user, names)}


def _limits(user: StaffUser, names: dict[int, str]) -> list[str] | None:
    """Return the professional account IDs that a user is limited to, None for all accounts."""
    return None if user.account_ids is None else [names.get(each, str(each)) for each in sorted(user.account_ids)]


def _access(limits: list[str] | None) -> str:
    return "all" if limits is None else ",".join(limits) or "none"


def _state(user: StaffUser) -> str:
    return "disabled" if user.disabled_at else "active"
