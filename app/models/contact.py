"""The key of a contact, in every table that has it: the account and the contact's Instagram ID."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_
from sqlalchemy.orm import Mapped


class ContactKey:
    """Mixin of tables with the columns `account_id` and `ig_participant_id`, which together identify a contact.

    Why there is no foreign key to the identity instead: docs/decisions.md.
    """

    if TYPE_CHECKING:
        account_id: Mapped[int]
        ig_participant_id: Mapped[str | None]

    @classmethod
    def is_contact(
        cls, account_id: int | SQLColumnExpression[int], ig_participant_id: str | SQLColumnExpression[str]
    ) -> ColumnElement[bool]:
        """Select the rows of one contact."""
        return and_(cls.account_id == account_id, cls.ig_participant_id == ig_participant_id)

    @classmethod
    def is_one_of(cls, account_id: int, ig_participant_ids: Collection[str] | Select[Any]) -> ColumnElement[bool]:
        """Select the rows of several contacts of one account."""
        return and_(cls.account_id == account_id, cls.ig_participant_id.in_(ig_participant_ids))


def same_contact(table: type[ContactKey], other: type[ContactKey]) -> ColumnElement[bool]:
    """Join two tables by the contact."""
    return and_(table.account_id == other.account_id, table.ig_participant_id == other.ig_participant_id)
