"""Read conversation pages one after another, skipping conversations that Meta cannot return.

One unreadable conversation makes its whole page fail, and large pages can take too long. Smaller pages isolate it. Meta
still returns its ID, with the cursor of the next conversation.
"""

from collections.abc import Callable
from dataclasses import dataclass

from app.calls import gateway, unreadable_conversations
from app.instagram.errors import GraphAPIError, Reason, Scope, bad_response
from app.instagram.responses import ConversationListPage, Skipped
from app.models.call import Purpose

SIZES = (50, 10, 3, 1)
_OF_ONE_CONVERSATION = (Reason.TEMPORARY, Reason.TIMEOUT)  # other failures at size 1 are network failures


@dataclass(slots=True)
class ConversationReader:
    """Read an account's conversations, newest first.

    `messages` is the number of newest messages per conversation, `after` the cursor and `size` the size of the next
    page, `calls` the number of calls made. `before_call` is called before each of them.
    """

    account_id: int
    purpose: Purpose
    messages: int = 0
    run_id: str | None = None
    after: str | None = None
    size: int = SIZES[0]
    calls: int = 0
    before_call: Callable[[], None] | None = None
    _unreadable_follows: bool = False
    _listed: ConversationListPage | None = None  # the next conversation, with its ID alone, once the page size is 1

    def next(self, most: int | None = None) -> ConversationListPage:
        """Return the next page, of at most `most` conversations; raises as `gateway.conversations` does.

        The page of an unreadable conversation has only this conversation, in `skipped`.
        """
        page = None
        while page is None:
            limit = self.size if most is None else min(self.size, most)
            page = self._skipped_known() if limit == 1 else None
            page = page or self._read(limit)
        if page.after is not None and page.after == self.after:
            raise bad_response("paging")  # else the same page would repeat for ever
        self.after = page.after
        return page

    def _read(self, limit: int) -> ConversationListPage | None:
        try:
            page = self._ask(limit)
        except GraphAPIError as failure:
            if failure.scope is not Scope.NETWORK:
                raise
            if limit > 1:
                self._shrink(limit)
                return None
            if failure.reason not in _OF_ONE_CONVERSATION:
                raise
            return self._skip(self._listed or self._ask(1, ids_only=True), failure.sentence)
        if self._unreadable_follows:
            self.size, self._unreadable_follows = 1, False
        self._listed = None
        return page

    def _shrink(self, limit: int) -> None:
        """Make the next page smaller, or end it before the first conversation known to be unreadable."""
        known = unreadable_conversations.get(self.account_id)
        listed = self._ask(limit, ids_only=True).threads if known else ()
        ahead = next((place for place, each in enumerate(listed) if each.ig_conversation_id in known), None)
        self.size = next(size for size in SIZES if size < limit) if ahead is None else max(ahead, 1)
        self._unreadable_follows = bool(ahead)
        if ahead is None and self.size == 1:
            # Get the cursor before one more page fails: five failures in a row open the circuit breaker.
            self._listed = self._ask(1, ids_only=True)

    def _skipped_known(self) -> ConversationListPage | None:
        known = unreadable_conversations.get(self.account_id)
        listed = self._ask(1, ids_only=True) if known else None
        if listed is None or not {each.ig_conversation_id for each in listed.threads} & known:
            return None
        return self._skip(listed, "Meta could not return it recently")

    def _skip(self, listed: ConversationListPage, reason: str) -> ConversationListPage:
        skipped = [
            Skipped("conversation", each.ig_conversation_id, each.ig_conversation_id, reason) for each in listed.threads
        ]
        for each in listed.threads:
            unreadable_conversations.remember(self.account_id, each.ig_conversation_id)
        self.size, self._listed = SIZES[0], None
        return ConversationListPage((), listed.after, listed.usage, tuple(skipped))

    def _ask(self, limit: int, *, ids_only: bool = False) -> ConversationListPage:
        if self.before_call:
            self.before_call()
        self.calls += 1
        return gateway.conversations(
            self.account_id,
            purpose=self.purpose,
            limit=limit,
            after=self.after,
            messages=self.messages,
            ids_only=ids_only,
            run_id=self.run_id,
        )
