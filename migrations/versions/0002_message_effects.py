"""What happens to messages: edits, reactions, seen; effects that come too early; dead letters of one message."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Digest = sa.LargeBinary(length=16)
At = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "waiting_effects",
        sa.Column("id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("mid_digest", Digest, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("effect", sa.JSON(), nullable=False),
        sa.Column("digest", Digest, nullable=False),
        sa.Column("received_at", At, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_waiting_effects_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_waiting_effects"),
        sa.UniqueConstraint("digest", name="uq_waiting_effects_digest"),
    )
    op.create_index("ix_waiting_effects_message", "waiting_effects", ["account_id", "mid_digest"])
    op.create_index("ix_waiting_effects_received_at", "waiting_effects", ["received_at"])
    op.add_column("accounts", sa.Column("passed_events", sa.Integer(), server_default=sa.text("0"), nullable=False))
    for name in ("seen_until", "seen_at"):
        op.add_column("conversations", sa.Column(name, At, nullable=True))
    op.add_column("messages", sa.Column("edit_number", sa.Integer(), nullable=True))
    op.add_column("messages", sa.Column("edited_at", At, nullable=True))
    op.add_column("messages", sa.Column("reactions", sa.JSON(), nullable=True))
    op.add_column("dead_letters", sa.Column("mid_digest", Digest, nullable=True))
    op.create_index("ix_dead_letters_message", "dead_letters", ["mid_digest"])


def downgrade() -> None:
    op.drop_index("ix_dead_letters_message", "dead_letters")
    op.drop_column("dead_letters", "mid_digest")
    for name in ("reactions", "edited_at", "edit_number"):
        op.drop_column("messages", name)
    for name in ("seen_at", "seen_until"):
        op.drop_column("conversations", name)
    op.drop_column("accounts", "passed_events")
    op.drop_table("waiting_effects")
