"""When the scheduler last ran its hourly and daily duties: a row each, so that a restart does not forget it."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scheduler_duties",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_scheduler_duties")),
    )


def downgrade() -> None:
    op.drop_table("scheduler_duties")
