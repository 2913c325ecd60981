"""One contact: `nametag contact show|lookups|refresh|export|erase|receipt`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.accounts import listing as accounts
from app.cli import output
from app.erasure import contact_data, contact_export, contacts, receipts
from app.identities import contact_reference, explanation, manual_refresh
from app.identities.listing import ListedIdentity
from app.viewer import OPERATOR

contact_argument = click.argument("reference", metavar="CONTACT")


def account_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that limits the search for a contact to one account."""
    return click.option("--account-id", help="The professional account ID. Default: all accounts.")(command)


@click.group()
def contact() -> None:
    """Show, look up, export and erase one contact.

    CONTACT is @username, an earlier username, or the contact's ID.
    """


@contact.command("show")
@contact_argument
@account_option
@output.as_json
@output.in_app
def show(reference: str, account_id: str | None, as_json: bool) -> None:
    """Show what is stored about CONTACT."""
    stored = contact_data.get_stored_data(OPERATOR, find(reference, account_id).id)
    if as_json:
        output.show(contact_data.as_dict(stored))
        return
    one = stored.identity
    output.facts((("Contact", one.display.text), ("ID", one.ig_participant_id), ("Account", one.ig_account_id)))
    output.table(("DATA", "COUNT"), ((part.title, number) for part, number in stored.counts), empty="")


@contact.command("lookups")
@contact_argument
@account_option
@output.as_json
@output.in_app
def lookups(reference: str, account_id: str | None, as_json: bool) -> None:
    """List the newest 50 API calls about CONTACT."""
    found = [
        explanation.lookup_as_dict(each) for each in explanation.list_lookups(OPERATOR, find(reference, account_id).id)
    ]
    if as_json:
        output.show(found)
        return
    heads = ("TIME", "TRIGGERED BY", "HTTP", "CODE", "RESULT", "MS")
    output.table(heads, (tuple(each.values()) for each in found), empty="No individual lookup yet.")


@contact.command("refresh")
@contact_argument
@account_option
@output.in_app
def refresh(reference: str, account_id: str | None) -> None:
    """Look CONTACT up again. A worker does it within seconds."""
    one = find(reference, account_id)
    looked_up_at = manual_refresh.refresh(OPERATOR, one.id)
    if looked_up_at is None:
        output.say(f"Refresh of {one.display.text} queued.")
    else:
        output.say(f"{one.display.text} was looked up at {looked_up_at:%H:%M:%S} UTC. Try again in 30 seconds.")


@contact.command("export")
@contact_argument
@account_option
@click.option(
    "--output", "file", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Write to this zip file."
)
@output.in_app
def export(reference: str, account_id: str | None, file: Path) -> None:
    """Export the data of CONTACT as a zip file: contact.json, messages.html and the picture."""
    parts = contact_export.archive(OPERATOR, find(reference, account_id).id)
    try:
        with file.open("wb") as written:
            written.writelines(parts)
    except OSError as error:
        raise click.ClickException(f"Can't write {file}: {error.strerror}. The export is not complete.") from error
    output.say(f"Exported to {file}.")


@contact.command("erase")
@contact_argument
@account_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@output.as_json
@output.in_app
def erase(reference: str, account_id: str | None, yes: bool, as_json: bool) -> None:
    """Delete all data of CONTACT for good. Asks for the username, or the ID of an unknown contact."""
    one = find(reference, account_id)
    name = one.username or one.ig_participant_id
    if not yes:
        click.echo(f"This permanently deletes all data of {name} on account {one.ig_account_id}.", err=True)
        if click.prompt(f"To confirm, enter {name}", err=True).strip().removeprefix("@") != name:
            raise click.ClickException("The names differ. Nothing was deleted.")
    receipt = receipts.get_receipt(OPERATOR, contacts.delete_identity(OPERATOR, one.id))
    if as_json:
        output.show(receipts.as_dict(receipt))
    else:
        output.say(f"Deleted: {', '.join(receipt.deleted)}. Receipt {receipt.id}.")


@contact.command("receipt")
@click.argument("receipt_id", metavar="ID", type=output.ROW_ID)
@output.as_json
@output.in_app
def receipt(receipt_id: int, as_json: bool) -> None:
    """Show the receipt ID of a deleted contact."""
    found = receipts.as_dict(receipts.get_receipt(OPERATOR, receipt_id))
    if as_json:
        output.show(found)
    else:
        output.facts((name, ", ".join(value) if isinstance(value, list) else value) for name, value in found.items())


def find(reference: str, ig_account_id: str | None) -> ListedIdentity:
    """Return the contact with this username, earlier username or ID, of one account or all."""
    account_id = accounts.by_ig_id(OPERATOR, ig_account_id).id if ig_account_id else None
    return contact_reference.by_reference(OPERATOR, reference, account_id)
