"""Switch schedules off for single accounts, with a reason."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("scheduler_duties", sa.Column("off_reason", sa.String(length=200)))
    op.create_table(
        "schedules_off",
        sa.Column("account_id", ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("off_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("off_by", sa.String(length=120), nullable=False),
        sa.Column("off_reason", sa.String(length=200)),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_schedules_off_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_schedules_off"),
    )


def downgrade() -> None:
    op.drop_table("schedules_off")
    op.drop_column("scheduler_duties", "off_reason")
