"""Conversation syncs can be jobs, with the new and the missing messages of each conversation.

Messages say whether only the sync brought them, accounts until when nothing is missing.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db.types import UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _columns() -> dict[str, tuple[sa.Column[Any], ...]]:
    return {
        "runs": (
            sa.Column("since", UTCDateTime()),
            sa.Column("most", sa.Integer()),
            sa.Column("found", sa.Integer(), server_default=sa.text("0"), nullable=False),
            sa.Column("lost", sa.JSON()),
            sa.Column("unreadable", sa.JSON()),
        ),
        "run_items": (
            sa.Column("found", sa.Integer(), server_default=sa.text("0"), nullable=False),
            sa.Column("lost", sa.JSON()),
        ),
        "accounts": (sa.Column("covered_until", UTCDateTime()),),
        "messages": (sa.Column("from_sync", sa.Boolean(), server_default=sa.false(), nullable=False),),
    }


def upgrade() -> None:
    """Add the columns."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)


def downgrade() -> None:
    """Remove them. Earlier releases know no jobs that sync, so these are deleted."""
    op.execute("DELETE FROM runs WHERE kind = 'sync'")
    for table, columns in reversed(_columns().items()):
        for column in reversed(columns):
            op.drop_column(table, column.name)
