"""What the last conversation sync of an account brought, and the tries to find a message that was only announced."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

DUE = sa.text("next_try_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("accounts", sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("synced", sa.JSON(), nullable=True))
    op.add_column("waiting_effects", sa.Column("tries", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("waiting_effects", sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_waiting_effects_due", "waiting_effects", ["next_try_at"], sqlite_where=DUE, postgresql_where=DUE
    )
    # Announced messages that still wait were never listed anywhere: they are tried once more.
    op.execute("UPDATE waiting_effects SET next_try_at = received_at WHERE kind = 'MessageAnnounced'")


def downgrade() -> None:
    op.drop_index("ix_waiting_effects_due", "waiting_effects")
    op.drop_column("waiting_effects", "next_try_at")
    op.drop_column("waiting_effects", "tries")
    op.drop_column("accounts", "synced")
    op.drop_column("accounts", "synced_at")
