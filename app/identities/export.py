"""Export of identities: CSV for spreadsheets, JSONL for API clients. Streamed in chunks of whole lines."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice

from app import audit, clock
from app.errors import Invalid
from app.identities import listing
from app.identities.listing import IdentityFilter, ListedIdentity
from app.models.audit import Action
from app.text import for_csv
from app.viewer import Role, Viewer

BYTE_ORDER_MARK = "\ufeff"  # without it, Excel reads a CSV file in the encoding of the user's country
LINES = 200  # per chunk
FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson; charset=utf-8"}
FIELDS = (
    *("accountId", "participantPlatformId", "displayName", "username", "name", "identityState", "source"),
    *("lastSuccessAt", "lastFailureAt", "failureCount", "reason", "nextTryAt"),
)


def lines(viewer: Viewer, want: IdentityFilter, *, format_: str) -> Iterator[str]:
    """Return an export in chunks of whole lines, for ops and admins; rows are read while the caller iterates.

    Raises Forbidden for other roles and Invalid for an unknown format, before any row is read.
    """
    viewer.require(Role.OPS)
    if format_ not in FORMATS:
        raise Invalid({"format": "The format must be csv or jsonl."})
    audit.record(viewer, Action.IDENTITIES_EXPORTED)
    rows = map(_facts, listing.iter_identities(viewer, want))
    return _chunks(_csv(rows) if format_ == "csv" else (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def csv_line(values: Iterable[str | float | None]) -> str:
    """Return one line of a CSV file whose texts no spreadsheet reads as formulas."""
    written = io.StringIO()
    csv.writer(written).writerow(for_csv(value) if isinstance(value, str) else value for value in values)
    return written.getvalue()


def _chunks(written: Iterator[str]) -> Iterator[str]:
    while some := list(islice(written, LINES)):
        yield "".join(some)


def _csv(rows: Iterator[dict[str, str | int | None]]) -> Iterator[str]:
    yield BYTE_ORDER_MARK + csv_line(FIELDS)
    for row in rows:
        yield csv_line(row.values())


def _facts(one: ListedIdentity) -> dict[str, str | int | None]:
    values = (
        *(one.ig_account_id, one.ig_participant_id, one.display.text, one.username, one.name, one.state.value),
        *(one.source, clock.rfc3339(one.last_success_at), clock.rfc3339(one.last_failure_at)),
        *(one.failure_count, one.reason, clock.rfc3339(one.next_try_at)),
    )
    return dict(zip(FIELDS, values, strict=True))
