"""Conversation pages, one after another; in smaller pieces where Meta cannot give a page whole."""

from dataclasses import dataclass

from app.calls import gate
from app.instagram.answers import ConversationPage
from app.instagram.errors import CallFailed, Scope
from app.models.identity import Purpose

SIZES = (50, 10, 3, 1)  # one conversation can spoil a page, and large ones take too long (instagram-platform.md 8)
_SHRINK = ("1", "timeout")


@dataclass(slots=True)
class Reader:
    """Reads an account's conversations, newest first; `calls` are those made, `after` says where the next page begins.

    With `messages` each conversation tells that many of its newest.
    """

    account_id: int
    purpose: Purpose
    messages: int = 0
    run_id: str | None = None
    after: str | None = None
    calls: int = 0
    size: int = SIZES[0]

    def next(self, most: int | None = None) -> ConversationPage:
        """Return the next page, of at most `most` conversations; raises CallFailed and Exhausted as the gate does."""
        while True:
            try:
                page = self._ask(self.size if most is None else min(self.size, most))
            except CallFailed as failure:
                smaller = next((size for size in SIZES if size < self.size), None)
                if smaller is None or not (failure.scope is Scope.NETWORK or failure.code in _SHRINK):
                    raise
                self.size = smaller
            else:
                self.after = page.after
                return page

    def _ask(self, limit: int) -> ConversationPage:
        self.calls += 1
        return gate.conversations(
            self.account_id,
            purpose=self.purpose,
            limit=limit,
            after=self.after,
            messages=self.messages,
            run_id=self.run_id,
        )
