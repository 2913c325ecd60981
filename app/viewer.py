"""The viewer of a request, command or task: its role and the accounts it may see."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from app.errors import Forbidden

if TYPE_CHECKING:
    from sqlalchemy import Select, SQLColumnExpression

S = TypeVar("S", bound="Select[*tuple[Any, ...]]")


class Role(StrEnum):
    """Role of a user or API token. Each role includes those before it."""

    AGENT = "agent"
    OPS = "ops"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user, an API token, the command line, the scheduler or Meta. `account_ids` None means all accounts."""

    user_id: int | None
    name: str
    role: Role
    account_ids: frozenset[int] | None = None
    token_id: int | None = None

    @property
    def actor(self) -> str:
        """ID in the audit log, without a name: user 3, token 2, command line, schedule, stranger, meta."""
        if self.user_id is not None:
            return f"user {self.user_id}"
        return self.name.lower() if self.token_id is None else f"token {self.token_id}"

    def may(self, role: Role) -> bool:
        """Return whether the viewer has at least `role`. A role that a newer release stored allows nothing."""
        order = list(Role)
        return self.role in order[order.index(role) :]

    @property
    def sees_all(self) -> bool:
        """Whether the viewer sees every account, also those connected later."""
        return self.account_ids is None

    def sees(self, account_id: int | None) -> bool:
        """Return whether the viewer sees an account; only a viewer of every account sees what belongs to none."""
        return self.account_ids is None or account_id in self.account_ids

    def visible(self, found: S, column: "SQLColumnExpression[Any]") -> S:
        """Return the query limited to the accounts that the viewer sees; `column` holds our ID of the account."""
        return found if self.account_ids is None else found.where(column.in_(self.account_ids))

    @property
    def sees_queues(self) -> bool:
        """Whether the viewer may see the queue dashboard, which shows the tasks of all accounts."""
        return self.may(Role.OPS) and self.sees_all

    def require(self, role: Role) -> None:
        """Raise Forbidden unless the viewer has at least `role`."""
        if not self.may(role):
            raise Forbidden(f"You need the {role} role to do this. You have the {self.role} role.")


@dataclass(frozen=True, slots=True)
class VisibleAccount:
    """An account that a user may select; `reconnect` if it has no valid access token."""

    id: int
    ig_account_id: str
    name: str
    reconnect: bool
    picture_version: str | None = None


OPERATOR = Viewer(user_id=None, name="Command line", role=Role.ADMIN)
SCHEDULE = Viewer(user_id=None, name="Schedule", role=Role.ADMIN)
META = Viewer(user_id=None, name="Meta", role=Role.AGENT, account_ids=frozenset())  # of signed callbacks
STRANGER = Viewer(user_id=None, name="Stranger", role=Role.AGENT, account_ids=frozenset())  # not signed in
