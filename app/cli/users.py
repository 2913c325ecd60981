"""The door to people who sign in: `nametag user …`. Passwords come from standard input only."""

import click

from app.cli import output
from app.errors import Invalid
from app.users import people
from app.users.people import Person
from app.viewer import OPERATOR, Role

password_stdin = click.option(
    "--password-stdin", is_flag=True, required=True, help="Read the password from standard input."
)


@click.group()
def user() -> None:
    """Add people who sign in, list them, change passwords, switch people off."""


@user.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@password_stdin
@output.in_app
def add(email: str, role: str, password_stdin: bool) -> None:  # noqa: ARG001 - the option says where it comes from
    """Let EMAIL sign in."""
    person = people.add(OPERATOR, email, role=Role(role), password=_password())
    output.say(f"{person.email} may sign in as {person.role}.")


@user.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List everyone."""
    found = people.everyone(OPERATOR)
    if as_json:
        output.show(found)
        return
    heads = ("EMAIL", "ROLE", "STATE", "LAST SIGN-IN")
    rows = ((person.email, person.role, _state(person), person.last_sign_in_at) for person in found)
    output.table(heads, rows, empty="Nobody may sign in yet.")


@user.command("passwd")
@click.argument("email")
@password_stdin
@output.in_app
def passwd(email: str, password_stdin: bool) -> None:  # noqa: ARG001 - the option says where it comes from
    """Set a new password for EMAIL and end their sessions."""
    people.change_password(OPERATOR, email, password=_password())
    output.say("The password is changed; every session has ended.")


@user.command("disable")
@click.argument("email")
@output.in_app
def disable(email: str) -> None:
    """Keep EMAIL out from now on and end their sessions."""
    people.disable(OPERATOR, email)
    output.say(f"{email} may not sign in any more.")


def _password() -> str:
    try:
        return output.secret_from_stdin("Password")
    except UnicodeDecodeError:
        raise Invalid({"password": "The password should be UTF-8 text."}) from None


def _state(person: Person) -> str:
    return "disabled" if person.disabled_at else "active"
