"""Alert receivers: URLs and email addresses that alerts are sent to. Admins add, change, test and remove them."""

import base64
import ipaddress
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete, func, or_, select, update

from app import audit, clock, settings, text
from app.clock import rfc3339
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import Secret, member
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.instagram import media_urls
from app.models.account import Account, AccountState
from app.models.alert import AlertDelivery, AlertReceiver
from app.models.alert import AlertEvent as AlertEvent  # these three for web, API and CLI, which import no models
from app.models.alert import DeliveryState as DeliveryState
from app.models.alert import ReceiverKind as ReceiverKind
from app.models.audit import Action
from app.viewer import Role, Viewer

SECRET_BYTES = 32
OLD_SECRET = timedelta(hours=24)  # in which an old secret signs, too
SECRET_PREFIX = "whsec_"  # noqa: S105 - of Standard Webhooks
ADDRESS_CHARACTERS = 500
CHOICES = (AlertEvent.OPENED, AlertEvent.RECOVERED, AlertEvent.JOB_FINISHED, AlertEvent.JOB_PAUSED)
ALL: Final = "all"  # accounts: also those connected later, and the installation
_EMAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,255}", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)  # a host that ends in one is an IPv4 address, as in 2130706433
_TIME = re.compile(r"([01]?\d|2[0-3])(?::([0-5]\d))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The part of each day in which a receiver is sent nothing, in minutes after midnight in `zone`."""

    start: int
    end: int
    zone: str

    def until(self, at: datetime) -> datetime:
        """Return the end of the quiet hours that `at` is in, else `at` (aware UTC)."""
        local = at.astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        inside = self.start <= minute < self.end if self.start < self.end else not self.end <= minute < self.start
        if not inside:
            return at
        end = local.replace(hour=self.end // 60, minute=self.end % 60, second=0, microsecond=0)
        if end <= local:
            end += timedelta(days=1)  # on the clock of the zone
        return end.astimezone(UTC)

    @property
    def says(self) -> str:
        """The quiet hours in words: 22:00 to 07:00, Europe/Paris."""
        return f"{_clock(self.start)} to {_clock(self.end)}, {self.zone}"

    @property
    def times(self) -> str:
        """The quiet hours as `parse_quiet` reads them, without their zone: 22:00-07:00."""
        return f"{_clock(self.start)}-{_clock(self.end)}"


@dataclass(frozen=True, slots=True)
class ListedReceiver:
    """An alert receiver without its secret, and its newest delivery that was tried or is due. Times are aware UTC."""

    id: int
    kind: ReceiverKind
    address: str
    events: tuple[AlertEvent, ...]
    ig_account_ids: tuple[str, ...] | None
    quiet: QuietHours | None
    created_at: datetime
    disabled_at: datetime | None
    last_state: DeliveryState | None
    last_at: datetime | None
    last_error: str | None
    old_secret_until: datetime | None


@dataclass(frozen=True, slots=True)
class AddedReceiver:
    """A new alert receiver, and the secret that signs what it is sent; None for an email address."""

    id: int
    secret: str | None


def add(
    viewer: Viewer,
    address: str,
    *,
    events: Collection[str],
    account_ids: Collection[int] | None = None,
    quiet: str = "",
    zone: str = "UTC",
) -> AddedReceiver:
    """Add a URL or an email address, for admins. Without `account_ids`, it gets the alerts of all accounts.

    `quiet` are the quiet hours as text, "22:00-07:00", or empty. The secret can't be shown again. Raises Invalid.
    """
    _require(viewer)
    kind, address = _valid_address(address.strip())
    secret = _new_secret() if kind is ReceiverKind.URL else None
    values = {
        "kind": kind,
        "address": address,
        "secret": secret and Secret.hide(secret),
        "created_at": clock.now(),
        "account_ids": None if account_ids is None else sorted(account_ids),
        **_events(events),
        **_quiet(quiet, zone),
    }
    with transaction.write() as tx:
        receiver_id = tx.execute(tx.insert(AlertReceiver).values(**values).returning(AlertReceiver.id)).scalar_one()
        audit.note(tx, viewer, Action.RECEIVER_ADDED, f"alert receiver {receiver_id}")
    return AddedReceiver(receiver_id, secret)


def change(
    viewer: Viewer,
    receiver_id: int,
    *,
    address: str | None = None,
    events: Collection[str] | None = None,
    account_ids: Collection[int] | Literal["all"] | None = None,
    quiet: str | None = None,
    zone: str | None = None,
) -> None:
    """Change an alert receiver, for admins; what is None stays. Raises NotFound and Invalid.

    An empty `quiet` ends the quiet hours. The secret of a URL stays the same, also for another address. What is queued
    is sent to the new address.
    """
    _require(viewer)
    row = require(receiver_id)
    values = dict[str, Any]()
    if address is not None and address.strip() != row.address:
        kind, values["address"] = _valid_address(address.strip())
        if kind is not row.kind:
            raise Invalid({"address": "A URL can’t become an email address, nor the reverse. Add an alert receiver."})
    if events is not None:
        values |= _events(events)
    if account_ids is not None:
        values["account_ids"] = None if account_ids == ALL else sorted(map(int, account_ids))
    if quiet is not None or zone is not None:
        before = quiet_hours(row)
        values |= _quiet(before.times if quiet is None and before else quiet or "", zone or row.zone)
    with transaction.write() as tx:
        if values:
            tx.execute(update(AlertReceiver).where(AlertReceiver.id == receiver_id).values(**values))
        audit.note(tx, viewer, Action.RECEIVER_CHANGED, f"alert receiver {receiver_id}")


def rotate_secret(viewer: Viewer, receiver_id: int) -> str:
    """Give a URL a new secret, for admins, and return it; it can't be shown again.

    For OLD_SECRET, the secret before it signs, too. Raises NotFound, and Conflict for an email address.
    """
    _require(viewer)
    require(receiver_id)
    made, until = _new_secret(), clock.now() + OLD_SECRET
    with transaction.write() as tx:
        url = update(AlertReceiver).where(AlertReceiver.id == receiver_id, AlertReceiver.kind == ReceiverKind.URL)
        new = {"secret": Secret.hide(made), "old_secret": AlertReceiver.secret, "old_secret_until": until}
        if not tx.execute(url.values(**new)).rowcount:
            raise Conflict("An email address has no secret. Nothing was changed.")
        audit.note(tx, viewer, Action.SECRET_ROTATED, f"alert receiver {receiver_id}")
    return made


def remove(viewer: Viewer, receiver_id: int) -> None:
    """Remove an alert receiver and its deliveries, for admins. Raises NotFound."""
    _require(viewer)
    with transaction.write() as tx:
        if not tx.execute(delete(AlertReceiver).where(AlertReceiver.id == receiver_id)).rowcount:
            raise NotFound("alert receiver")
        audit.note(tx, viewer, Action.RECEIVER_REMOVED, f"alert receiver {receiver_id}")


def enable(viewer: Viewer, receiver_id: int) -> None:
    """Switch an alert receiver on again that answered 410, for admins. Raises NotFound and Conflict."""
    _require(viewer)
    require(receiver_id)
    with transaction.write() as tx:
        off = update(AlertReceiver).where(AlertReceiver.id == receiver_id, AlertReceiver.disabled_at.is_not(None))
        if not tx.execute(off.values(disabled_at=None)).rowcount:
            raise Conflict("This alert receiver is on already. Nothing was changed.")
        audit.note(tx, viewer, Action.RECEIVER_ENABLED, f"alert receiver {receiver_id}")


def list_receivers(viewer: Viewer) -> list[ListedReceiver]:
    """Return all alert receivers, oldest first; for admins."""
    _require(viewer)
    names = {row.id: row.ig_account_id for row in db.session.execute(select(Account.id, Account.ig_account_id))}
    newest = {row.receiver_id: row for row in db.session.scalars(_newest())}
    found = []
    for row in db.session.scalars(select(AlertReceiver).order_by(AlertReceiver.id)):
        last = newest.get(row.id)
        ids = None if row.account_ids is None else tuple(names[each] for each in row.account_ids if each in names)
        events = tuple(member(AlertEvent, name) for name in row.events)
        found.append(
            ListedReceiver(
                *(row.id, row.kind, row.address, events, ids, quiet_hours(row)),
                *(row.created_at, row.disabled_at, last and last.state, last and (last.ended_at or last.created_at)),
                *(last and last.error, old_secret_until(row)),
            )
        )
    return found


def get_receiver(viewer: Viewer, receiver_id: int) -> ListedReceiver:
    """Return one alert receiver, for admins. Raises NotFound."""
    for each in list_receivers(viewer):
        if each.id == receiver_id:
            return each
    raise NotFound("alert receiver")


def find_accounts(viewer: Viewer, ig_account_ids: Collection[str]) -> list[int]:
    """Return the internal IDs of accounts, for admins. Raises Invalid without any, and for an unknown one."""
    _require(viewer)
    found = select(Account.id).where(Account.ig_account_id.in_(ig_account_ids), Account.state != AccountState.DELETING)
    ids = db.session.scalars(found).all()
    if not ids or len(ids) != len(set(ig_account_ids)):
        raise Invalid({"accountIds": "Choose all accounts, or at least one that is connected."})
    return list(ids)


def troubled() -> Sequence[tuple[int, str]]:
    """Return the ID of each alert receiver that gets nothing, and why: switched off, or the last one given up."""
    newest = {row.receiver_id: row for row in db.session.scalars(_newest())}
    found = list[tuple[int, str]]()
    for row in db.session.scalars(select(AlertReceiver).order_by(AlertReceiver.id)):
        last = newest.get(row.id)
        if row.disabled_at:
            found.append((row.id, "switched off, because it answered 410 Gone"))
        elif last is not None and last.state is DeliveryState.GIVEN_UP:
            found.append((row.id, f"not reached, its newest delivery was given up: {last.error}"))
    return found


def require(receiver_id: int) -> AlertReceiver:
    """Return the row of an alert receiver; raises NotFound."""
    row = db.session.get(AlertReceiver, receiver_id)
    if row is None:
        raise NotFound("alert receiver")
    return row


def old_secret_until(row: Any) -> datetime | None:
    """Return until when the old secret of a row of AlertReceiver signs, too, None once it does not."""
    at: datetime | None = row.old_secret_until
    return at if at is not None and at > clock.now() else None


def purge(tx: Tx, now: datetime) -> int:
    """Delete old secrets that no longer sign. Return their number."""
    expired = update(AlertReceiver).where(AlertReceiver.old_secret_until <= now)
    return int(tx.execute(expired.values(old_secret=None, old_secret_until=None)).rowcount)


def quiet_hours(row: Any) -> QuietHours | None:
    """Return the quiet hours of a row of AlertReceiver, None without."""
    return None if row.quiet_from is None else QuietHours(row.quiet_from, row.quiet_until, row.zone)


def parse_quiet(quiet: str, zone: str) -> QuietHours | None:
    """Return quiet hours from text like "22:00-07:00" or "22-7", None for an empty one. Raises Invalid."""
    if not quiet.strip():
        return None
    times = [_TIME.fullmatch(each.strip()) for each in quiet.split("-")]
    minutes = [int(each[1]) * 60 + int(each[2] or 0) for each in times if each]
    if len(minutes) != 2 or len(times) != 2 or minutes[0] == minutes[1]:
        raise Invalid({"quietHours": "Quiet hours must be two different times, such as 22:00-07:00."})
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid({"zone": "The time zone must be a name such as Europe/Paris."}) from None
    return QuietHours(minutes[0], minutes[1], zone)


def as_dict(each: ListedReceiver) -> dict[str, Any]:
    """Return an alert receiver with field names as in the API; never its secret."""
    return {
        "id": str(each.id),
        "kind": each.kind.value,
        "address": each.address,
        "events": list(each.events),
        "accountIds": None if each.ig_account_ids is None else list(each.ig_account_ids),
        "quietHours": each.quiet and each.quiet.times,
        "zone": each.quiet and each.quiet.zone,
        "createdAt": rfc3339(each.created_at),
        "disabledAt": rfc3339(each.disabled_at),
        "lastState": each.last_state and each.last_state.value,
        "lastAt": rfc3339(each.last_at),
        "lastError": each.last_error,
        "oldSecretUntil": rfc3339(each.old_secret_until),
    }


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _require(viewer: Viewer) -> None:
    viewer.require(Role.ADMIN)
    if not viewer.sees_all:
        raise Forbidden("Alert receivers concern every account, and you see only some.")


def _events(events: Collection[str]) -> dict[str, Any]:
    if not events or not set(events) <= set(CHOICES):
        raise Invalid({"events": f"Choose at least one event: {', '.join(CHOICES)}."})
    return {"events": [each for each in CHOICES if each in events]}


def _quiet(quiet: str, zone: str) -> dict[str, Any]:
    hours = parse_quiet(quiet, zone)
    return {
        "quiet_from": hours and hours.start,
        "quiet_until": hours and hours.end,
        "zone": hours.zone if hours else "UTC",
    }


def _valid_address(address: str) -> tuple[ReceiverKind, str]:
    if len(address) > ADDRESS_CHARACTERS:
        raise Invalid({"address": f"The address must have at most {ADDRESS_CHARACTERS} characters."})
    if "://" not in address:
        return ReceiverKind.EMAIL, _valid_email(address)
    private = settings.current().alert_private_addresses
    parts = text.split_url(text.web_url(address) or "")
    if parts is None or not parts.hostname or not address.isascii() or parts.fragment:
        raise Invalid({"address": "The address must be a URL without a user name, such as https://example.com/alerts."})
    if parts.scheme == "http" and not private:
        raise Invalid({"address": "The URL must begin with https://."})
    if not private and not _may_be_public(parts.hostname):
        raise Invalid({"address": "The URL must have a public address. ALERT_PRIVATE_ADDRESSES allows private ones."})
    return ReceiverKind.URL, address


def _valid_email(address: str) -> str:
    if not _EMAIL.fullmatch(address):
        raise Invalid({"address": "Enter a URL that begins with https://, or an email address."})
    if not settings.current().smtp_url:
        raise Invalid({"address": "Email is not set up. Set SMTP_URL and MAIL_FROM, and restart Nametag."})
    return address


def _may_be_public(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")  # names are resolved for each delivery
        return labels[-1] != "localhost" and not _NUMBER.fullmatch(labels[-1])
    return media_urls.is_public_address(host)


def _newest() -> Any:
    """Select the newest delivery of each receiver that was attempted or is due: not one that quiet hours hold."""
    tried = or_(AlertDelivery.tries > 0, AlertDelivery.next_try_at <= clock.now())
    newest = select(func.max(AlertDelivery.id)).where(AlertDelivery.state != DeliveryState.OBSOLETE, tried)
    return select(AlertDelivery).where(AlertDelivery.id.in_(newest.group_by(AlertDelivery.receiver_id)))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
