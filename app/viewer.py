"""Viewer: who is asking, with which role and for which accounts."""

from dataclasses import dataclass
from enum import StrEnum

from app.errors import Forbidden


class Role(StrEnum):
    """What a person may do, each role including those before it."""

    AGENT = "agent"
    OPS = "ops"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever asks, from a session, a token or the command line; `account_ids` None means every account."""

    user_id: int | None
    name: str
    role: Role
    account_ids: frozenset[int] | None = None
    token_id: int | None = None

    @property
    def actor(self) -> str:
        """Who this is in the audit log, without a name: user 3, token 2, command line, schedule, stranger, meta."""
        if self.user_id is not None:
            return f"user {self.user_id}"
        return self.name.lower() if self.token_id is None else f"token {self.token_id}"

    def may(self, role: Role) -> bool:
        """Return whether the viewer holds at least `role`; a role that only a newer release knows allows nothing."""
        order = list(Role)
        return self.role in order[order.index(role) :]

    @property
    def sees_queues(self) -> bool:
        """Whether the queues may be shown, which name the jobs of every account."""
        return self.may(Role.OPS) and self.account_ids is None

    def require(self, role: Role) -> None:
        """Raise Forbidden unless the viewer holds at least `role`."""
        if not self.may(role):
            raise Forbidden(f"This needs the role {role}; yours is {self.role}.")


OPERATOR = Viewer(user_id=None, name="Command line", role=Role.ADMIN)
SCHEDULE = Viewer(user_id=None, name="Schedule", role=Role.ADMIN)
META = Viewer(user_id=None, name="Meta", role=Role.AGENT, account_ids=frozenset())  # its signed callbacks
STRANGER = Viewer(user_id=None, name="Stranger", role=Role.AGENT, account_ids=frozenset())  # nobody signed in
