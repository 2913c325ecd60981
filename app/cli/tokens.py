"""API tokens: `nametag token …`."""

import click

from app.accounts import listing
from app.cli import output
from app.users import api_tokens
from app.users.api_tokens import Token
from app.viewer import OPERATOR


@click.group()
def token() -> None:
    """Manage API tokens."""


@token.command("create")
@click.argument("name")
@click.option("--scopes", required=True, help="Comma-separated scopes: read, jobs, privacy, admin.")
@click.option(
    "--account-id",
    "ig_account_ids",
    multiple=True,
    help="Limit the token to this account. Repeatable. Default: all accounts.",
)
@output.in_app
def create(name: str, scopes: str, ig_account_ids: tuple[str, ...]) -> None:
    """Create the API token NAME. It is printed once and can't be shown again."""
    account_ids = [listing.by_ig_id(OPERATOR, each).id for each in ig_account_ids] or None
    click.echo(api_tokens.create(OPERATOR, name, [each.strip() for each in scopes.split(",")], account_ids))


@token.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List API tokens, without their secrets."""
    names = {account.id: account.ig_account_id for account in listing.accounts(OPERATOR)}
    found = [
        (each, None if each.account_ids is None else [names.get(one, str(one)) for one in each.account_ids])
        for each in api_tokens.list_tokens(OPERATOR)
    ]
    if as_json:
        output.show([_facts(each, limited) for each, limited in found])
        return
    heads = ("NAME", "SCOPES", "ACCOUNTS", "CREATED", "LAST USED", "REVOKED")
    rows = (
        (
            *(each.name, ",".join(each.scopes), ",".join(limited or ["all"])),
            *(each.created_at, each.last_used_at, each.revoked_at),
        )
        for each, limited in found
    )
    output.table(heads, rows, empty="No API tokens.")


@token.command("revoke")
@click.argument("name")
@output.in_app
def revoke(name: str) -> None:
    """Revoke the API token NAME."""
    api_tokens.revoke(OPERATOR, name)
    output.say(f"Revoked {name}.")


def _facts(one: Token, accounts: list[str] | None) -> dict[str, object]:
    return {
        "name": one.name,
        "scopes": list(one.scopes),
        "accountIds": accounts,
        "createdAt": one.created_at,
        "lastUsedAt": one.last_used_at,
        "revokedAt": one.revoked_at,
    }
