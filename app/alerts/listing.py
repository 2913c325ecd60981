"""Lists of alerts for the Alerts page, the API and `nametag alert`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, select

from app.clock import rfc3339
from app.db.engine import db
from app.errors import NotFound
from app.labels import label
from app.models.account import Account
from app.models.alert import Alert
from app.models.alert import AlertKind as AlertKind  # for the API, which describes its members
from app.models.process import Level
from app.viewer import Role, Viewer

RECOVERED = 100
State = Literal["open", "recovered"]
_NAMES = (
    *("id", "kind", "level", "text", "fix", "opened_at", "since", "seen_at", "recovered_at", "times"),
    *("acknowledged_at", "acknowledged_by"),
)
_ALERTS: Select[Any] = select(
    *(getattr(Alert, name) for name in _NAMES),
    *(Account.ig_account_id, Account.alerts_muted_at.is_not(None).label("muted")),
).outerjoin(Account, Account.id == Alert.account_id)
# Every page of ops reads them, and building a statement takes longer than executing it.
_UNACKNOWLEDGED = _ALERTS.where(
    Alert.recovered_at.is_(None), Alert.acknowledged_at.is_(None), Account.alerts_muted_at.is_(None)
).order_by(Alert.since.desc(), Alert.id.desc())


@dataclass(frozen=True, slots=True)
class ListedAlert:
    """An alert; times are aware UTC. Without `ig_account_id` it concerns the installation."""

    id: int
    kind: AlertKind
    level: Level
    text: str
    fix: str | None
    opened_at: datetime
    since: datetime
    seen_at: datetime
    recovered_at: datetime | None
    times: int
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    ig_account_id: str | None
    muted: bool

    @property
    def state(self) -> State:
        """Whether it is open or recovered."""
        return "recovered" if self.recovered_at else "open"

    @property
    def title(self) -> str:
        """The kind in words."""
        return label(self.kind)


def list_alerts(viewer: Viewer, state: State | None = None) -> Sequence[ListedAlert]:
    """Return all open alerts, and the newest RECOVERED that recovered; for ops and API tokens."""
    if viewer.token_id is None:  # a token with the scope "read" has no role that allows changes
        viewer.require(Role.OPS)
    found = list[ListedAlert]()
    if state != "recovered":
        found += _read(viewer, Alert.recovered_at.is_(None), order=Alert.opened_at)
    if state != "open":
        found += _read(viewer, Alert.recovered_at.is_not(None), order=Alert.recovered_at, most=RECOVERED)
    return found


def get_alert(viewer: Viewer, alert_id: int) -> ListedAlert:
    """Return one alert; raises NotFound, also for one the viewer may not see."""
    found = _read(viewer, Alert.id == alert_id, order=Alert.id)
    if not found:
        raise NotFound("alert")
    return found[0]


def list_unacknowledged(viewer: Viewer) -> tuple[ListedAlert, ...]:
    """Return the open alerts that the viewer may see and no user has acknowledged or muted, newest first."""
    return tuple(_listed(viewer, _UNACKNOWLEDGED))


def as_dict(alert: ListedAlert) -> dict[str, Any]:
    """Return an alert with the field names of the API."""
    return {
        "id": str(alert.id),
        "kind": alert.kind.value,
        "title": alert.title,
        "level": alert.level.value,
        "state": alert.state,
        "accountId": alert.ig_account_id,
        "text": alert.text,
        "fix": alert.fix,
        "openedAt": rfc3339(alert.opened_at),
        "seenAt": rfc3339(alert.seen_at),
        "recoveredAt": rfc3339(alert.recovered_at),
        "times": alert.times,
        "acknowledgedAt": rfc3339(alert.acknowledged_at),
        "acknowledgedBy": alert.acknowledged_by,
        "muted": alert.muted,
    }


def _read(viewer: Viewer, condition: Any, *, order: Any, most: int | None = None) -> list[ListedAlert]:
    return _listed(viewer, _ALERTS.where(condition).order_by(order.desc(), Alert.id.desc()).limit(most))


def _listed(viewer: Viewer, found: Select[Any]) -> list[ListedAlert]:
    return [ListedAlert(**row._mapping) for row in db.session.execute(viewer.visible(found, Alert.account_id))]
