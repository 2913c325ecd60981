"""Searches that a user pinned, and the own pictures of accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pins",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("filter", sa.String(length=32), nullable=False),
        sa.Column("q", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_pins_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_pins"),
        sa.UniqueConstraint("user_id", "name", name="uq_pins_user_id_name"),
    )
    op.create_table(
        "account_pictures",
        sa.Column("account_id", ID, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.Column("version", sa.String(length=16)),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_account_pictures_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_account_pictures"),
    )


def downgrade() -> None:
    op.drop_table("account_pictures")
    op.drop_table("pins")
