"""Refusals of one kind of call of an account; placeholders that were stored as usernames or names are cleared.

What is cleared stays cleared on the way back: it was no name.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

PLACEHOLDERS = ("unknown", "none", "null", "instagram user", "@unknown", "@none", "@null", "@", "")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "call_refusals",
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call", sa.String(16), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("wave", sa.Boolean(), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("retry_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("account_id", "call"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
    )
    _clear_placeholders()


def downgrade() -> None:
    op.drop_table("call_refusals")


def _clear_placeholders() -> None:
    names = ("username", "name")
    columns: list[sa.ColumnClause[object]] = [
        sa.column(f"{name}{suffix}") for name in names for suffix in ("", "_at", "_source")
    ]
    identities = sa.table(
        "identities",
        *columns,
        *map(sa.column, ("account_id", "ig_participant_id", "look", "last_error", "last_error_code", "failure_count")),
        *(sa.column(each, TIME) for each in ("last_success_at", "last_failure_at", "next_try_at")),
        sa.column("next_purpose"),
    )
    conversations = sa.table("conversations", *map(sa.column, ("account_id", "ig_participant_id")))
    conversations.append_column(sa.Column("known", sa.Boolean()))
    bind, stored = op.get_bind(), identities.c
    for name in names:
        words = sa.func.lower(sa.func.trim(stored[name]))
        placeholder = sa.or_(words.in_(PLACEHOLDERS), words.like(r"unknown\_%", escape="\\"))
        gone = {name: None, f"{name}_at": None, f"{name}_source": None, "look": None}
        bind.execute(identities.update().where(placeholder).values(**gone))
    nameless = sa.and_(stored.username.is_(None), stored.name.is_(None))
    failed = {"last_error": "placeholder", "last_error_code": "placeholder", "failure_count": 1}
    failed |= {"last_failure_at": stored.last_success_at, "last_success_at": None}
    failed |= {"next_try_at": datetime.now(UTC), "next_purpose": "backfill"}
    bind.execute(identities.update().where(nameless, stored.last_success_at.is_not(None)).values(**failed))
    unknown = sa.select(sa.literal(1)).where(
        stored.account_id == conversations.c.account_id,
        stored.ig_participant_id == conversations.c.ig_participant_id,
        stored.last_error == "placeholder",
    )
    bind.execute(conversations.update().where(unknown.exists()).values(known=sa.false()))
