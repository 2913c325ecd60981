"""Store the counts of service levels with each snapshot; add indexes for pages that read more as an account grows."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    (
        "ix_api_calls_without_username",
        "api_calls",
        ["account_id", "call", "at", "code"],
        "code IS NOT NULL OR answer LIKE 'name%'",
    ),
    ("ix_api_calls_conversations", "api_calls", ["account_id", "at"], "call = 'conversations'"),
    (
        "ix_api_calls_contact",
        "api_calls",
        ["account_id", "ig_participant_id", "at"],
        "ig_participant_id IS NOT NULL",
    ),
    ("ix_identities_username", "identities", ["account_id", "username"], None),
    ("ix_gaps_undismissed", "gaps", ["account_id", "closed_at"], "dismissed_at IS NULL"),
)


def upgrade() -> None:
    op.add_column("hourly_stats", sa.Column("naming", sa.JSON()))
    for name, table, columns, condition in INDEXES:
        where = sa.text(condition) if condition else None
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table)
    op.drop_column("hourly_stats", "naming")
