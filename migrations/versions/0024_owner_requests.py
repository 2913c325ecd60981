"""Requests of account owners that match no account yet, who authorized an account, digests of what was deleted.

A request that was finished the moment it came had matched no account: nothing was deleted for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("accounts", sa.Column("owner_id", sa.String(64), nullable=True))
    op.add_column("runs", sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("deletions", sa.Column("kind", sa.String(32), nullable=False, server_default="deletion"))
    op.add_column("deletions", sa.Column("user_id", sa.String(64), nullable=True))
    op.add_column("deletions", sa.Column("outcome", sa.String(32), nullable=True))
    op.execute("UPDATE deletions SET outcome = 'done' WHERE done_at > asked_at")
    op.execute("UPDATE deletions SET outcome = 'nothing_found' WHERE done_at <= asked_at")
    op.add_column("tombstones", sa.Column("until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "deleted_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_deleted_events_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_events")),
        sa.UniqueConstraint("digest", "account_id", name=op.f("uq_deleted_events_digest_account_id")),
    )
    op.create_index("ix_deleted_events_at", "deleted_events", ["at"])


def downgrade() -> None:
    op.drop_table("deleted_events")
    op.drop_column("tombstones", "until")
    op.drop_column("deletions", "outcome")
    op.drop_column("deletions", "user_id")
    op.drop_column("deletions", "kind")
    op.drop_column("runs", "waiting_since")
    op.drop_column("accounts", "owner_id")
