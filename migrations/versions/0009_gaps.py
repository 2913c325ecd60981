"""Conversation syncs can be jobs, with the new and the missing messages of each conversation.

Messages say whether only the sync brought them, accounts until when nothing is missing. Periods without webhooks are
recorded as gaps, messages counted by day.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db.types import UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


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
    op.create_table(
        "gaps",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("began_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime()),
        sa.Column("causes", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=12)),
        sa.Column("conversations", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("found", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("history", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lost", sa.JSON()),
        sa.Column("closed_at", UTCDateTime()),
        sa.Column("dismissed_at", UTCDateTime()),
        sa.Column("dismissed_by", sa.String(length=120)),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_gaps_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_gaps"),
    )
    op.create_index("ix_gaps_account_id_began_at", "gaps", ["account_id", "began_at"])
    op.create_table(
        "daily_arrivals",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("day", UTCDateTime(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("synced", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_daily_arrivals_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "day", name="pk_daily_arrivals"),
    )
    unclosed = sa.text("state IN ('open', 'reading')")
    op.create_index("ix_gaps_unclosed", "gaps", ["state"], sqlite_where=unclosed, postgresql_where=unclosed)


def downgrade() -> None:
    """Remove them. Earlier releases know no jobs that sync, so these are deleted."""
    op.drop_table("daily_arrivals")
    op.drop_table("gaps")
    op.execute("DELETE FROM runs WHERE kind = 'sync'")
    for table, columns in reversed(_columns().items()):
        for column in reversed(columns):
            op.drop_column(table, column.name)
