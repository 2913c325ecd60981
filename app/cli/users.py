"""The door to people who sign in: `nametag user …`. Passwords come from standard input only."""

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
    "--account-id", "ig_account_ids", multiple=True, help="Only this account; may be given several times."
)
password_stdin = click.option(
    "--password-stdin", is_flag=True, required=True, help="Read the password from standard input."
)


@click.group()
def user() -> None:
    """Add people who sign in, list them, change passwords and rights, switch people off and on."""


@user.command("add")
@click.argument("email")
@role_of
@accounts_of
@password_stdin
@output.in_app
def add(email: str, role: str, ig_account_ids: Sequence[str], password_stdin: bool) -> None:  # noqa: ARG001 - the option says where it comes from
    """Let EMAIL sign in."""
    limited = _ours(ig_account_ids)
    person = users.add_user(OPERATOR, email, role=Role(role), password=_password(), account_ids=limited)
    output.say(f"{person.email} may sign in as {person.role}.")


@user.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List everyone."""
    found = users.list_users(OPERATOR)
    if as_json:
        output.show(found)
        return
    names = {account.id: account.ig_account_id for account in listing.accounts(OPERATOR)}
    heads = ("EMAIL", "ROLE", "ACCOUNTS", "STATE", "LAST SIGN-IN")
    rows = (
        (person.email, person.role, _accounts(person, names), _state(person), person.last_sign_in_at)
        for person in found
    )
    output.table(heads, rows, empty="Nobody may sign in yet.")


@user.command("role")
@click.argument("email")
@role_of
@accounts_of
@output.in_app
def role_(email: str, role: str, ig_account_ids: Sequence[str]) -> None:
    """Set what EMAIL may do, and in which accounts (all unless given); their sessions end."""
    users.change_access(OPERATOR, email, role=Role(role), account_ids=_ours(ig_account_ids))
    output.say("The rights are changed; every session has ended.")


@user.command("passwd")
@click.argument("email")
@password_stdin
@output.in_app
def passwd(email: str, password_stdin: bool) -> None:  # noqa: ARG001 - the option says where it comes from
    """Set a new password for EMAIL and end their sessions."""
    users.change_password(OPERATOR, email, password=_password())
    output.say("The password is changed; every session has ended.")


@user.command("disable")
@click.argument("email")
@output.in_app
def disable(email: str) -> None:
    """Keep EMAIL out from now on and end their sessions."""
    users.disable(OPERATOR, email)
    output.say(f"{email} may not sign in any more.")


@user.command("enable")
@click.argument("email")
@output.in_app
def enable(email: str) -> None:
    """Let EMAIL sign in again."""
    users.enable(OPERATOR, email)
    output.say(f"{email} may sign in again.")


def _ours(ig_account_ids: Sequence[str]) -> list[int] | None:
    return [listing.by_ig_id(OPERATOR, each).id for each in ig_account_ids] or None


def _password() -> str:
    try:
        return output.secret_from_stdin("Password")
    except UnicodeDecodeError:
        raise Invalid({"password": "The password should be UTF-8 text."}) from None


def _accounts(person: StaffUser, names: dict[int, str]) -> str:
    if person.account_ids is None:
        return "all"
    return ",".join(names.get(each, str(each)) for each in sorted(person.account_ids)) or "none"


def _state(person: StaffUser) -> str:
    return "disabled" if person.disabled_at else "active"
