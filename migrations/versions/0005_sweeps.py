"""How far a run has named people by reading conversation pages, and of how many days it is."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COUNTERS = ("sweep_pages", "sweep_people", "swept_pages", "swept_people")


def upgrade() -> None:
    op.add_column("runs", sa.Column("days", sa.Integer(), nullable=True))
    for name in COUNTERS:
        op.add_column("runs", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("runs", sa.Column("sweep_after", sa.Text(), nullable=True))


def downgrade() -> None:
    for name in ("sweep_after", *reversed(COUNTERS), "days"):
        op.drop_column("runs", name)
