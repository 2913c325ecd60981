"""Commands for connected accounts: `nametag account …`. Access tokens are read from standard input and never shown."""

import sys

import click

from app.accounts import connect, health, listing
from app.accounts.connect import AccountCheck
from app.accounts.health import Health
from app.accounts.listing import ListedAccount
from app.cli import output
from app.erasure import accounts, owner_requests
from app.viewer import OPERATOR

CODES = {"ignore_unknown_options": True}  # a code may begin with a hyphen


@click.group()
def account() -> None:
    """Connect, list, check and remove Instagram accounts."""


@account.command("add")
@click.option("--ig-account-id", required=True, help="The professional account ID, as in a webhook's entry.id.")
@click.option(
    "--login",
    type=click.Choice(["instagram", "facebook", "unified"]),
    required=True,
    help="Login type the access token was issued for.",
)
@click.option("--location-id", help="The location this account belongs to in your systems.")
@click.option("--username", help="The account's username. Default: as reported by Meta.")
@click.option("--page-id", help="The ID of the Facebook Page, for Facebook Login.")
@click.option("--own-id", "own_ids", multiple=True, help="Another ID that Meta uses for the account. Repeatable.")
@click.option("--token-stdin", is_flag=True, required=True, help="Read the access token from standard input.")
@click.option("--no-check", is_flag=True, help="Skip verifying the access token with Meta.")
@output.in_app
def add(
    ig_account_id: str,
    login: str,
    location_id: str | None,
    username: str | None,
    page_id: str | None,
    own_ids: tuple[str, ...],
    token_stdin: bool,  # noqa: ARG001 - a required flag: tokens are read from standard input only
    no_check: bool,
) -> None:
    """Connect an account, or replace the access token of a connected one."""
    added = connect.add(
        OPERATOR,
        ig_account_id,
        login=login,
        token=output.secret_from_stdin("Access token").strip(),
        page_id=page_id,
        own_ids=own_ids,
        username=username,
        location_id=location_id,
        check=not no_check,
    )
    output.say(f"Connected {added.name}.")
    if not no_check:
        _say(connect.subscription_of(added))


@account.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List connected accounts."""
    if as_json:
        output.show([health.as_dict(each) for each in health.list_health(OPERATOR)])
        return
    heads = ("ID", "USERNAME", "LOGIN", "STATE", "LOCATION", "LAST WEBHOOK", "TOKEN", "SUBSCRIPTION", "LOOKUPS")
    rows = (
        (*_row(found.account), found.token.says, _subscription(found), found.account.lookup_problem or "Work")
        for found in health.list_health(OPERATOR)
    )
    output.table(heads, rows, empty="No accounts. Connect one: nametag account add --help")


@account.command("check")
@click.argument("ig_account_id", metavar="ID")
@output.as_json
@output.in_app
def check(ig_account_id: str, as_json: bool) -> None:
    """Check the access token and webhook subscription of account ID with Meta. Exit status 1 if a check fails."""
    found = connect.check(OPERATOR, ig_account_id)
    if as_json:
        output.show(found.as_dict(ig_account_id))
    else:
        if not found.problem:
            output.say("The access token works.")
        _say(found)
    if found.problem:
        sys.exit(output.FAILED)


@account.command("remove")
@click.argument("ig_account_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
@output.in_app
def remove(ig_account_id: str, yes: bool) -> None:
    """Remove account ID and permanently delete its data."""
    name = listing.by_ig_id(OPERATOR, ig_account_id).name
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove {name} and permanently delete its conversations and identities?", abort=True)
    connect.remove(OPERATOR, ig_account_id)
    accounts.delete_pending()
    output.say(f"Removed {name}.")


@account.group("requests")
def requests() -> None:
    """List, assign and close requests of account owners that match no account."""


@requests.command("list")
@output.as_json
@output.in_app
def list_requests(as_json: bool) -> None:
    """List open requests: Meta passed them on, but no connected account has the ID."""
    found = owner_requests.open_requests(OPERATOR)
    if as_json:
        output.show(
            [
                {"code": each.code, "kind": each.kind, "userId": each.user_id, "receivedAt": each.requested_at}
                for each in found
            ]
        )
        return
    rows = ((each.code, each.kind, each.user_id, each.requested_at) for each in found)
    output.table(("CODE", "KIND", "USER ID", "RECEIVED"), rows, empty="No open requests.")


@requests.command("assign", context_settings=CODES)
@click.argument("code", metavar="CODE")
@click.argument("ig_account_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
@output.in_app
def assign_request(code: str, ig_account_id: str, yes: bool) -> None:
    """Carry out request CODE on account ID: delete its data, or disconnect it."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Carry out request {code} on account {ig_account_id}? This cannot be undone.", abort=True)
    owner_requests.assign(OPERATOR, code, ig_account_id)
    accounts.delete_pending()
    output.say(f"Carried out request {code} on account {ig_account_id}.")


@requests.command("close", context_settings=CODES)
@click.argument("code", metavar="CODE")
@output.in_app
def close_request(code: str) -> None:
    """Close request CODE: nothing is stored for its account owner."""
    owner_requests.close(OPERATOR, code)
    output.say(f"Closed request {code}.")


def _say(found: AccountCheck) -> None:
    for line in (found.problem, found.warning):
        if line:
            output.say(line)


def _subscription(found: Health) -> str:
    known = found.subscription
    return known.error or known.warning or ("Complete" if found.checked_at else "Not checked yet")


def _row(each: ListedAccount) -> tuple[object, ...]:
    return each.ig_account_id, each.username, each.login, each.state, each.location_id, each.last_webhook_at
