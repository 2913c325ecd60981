"""When a picture's address ends; a place among conversation pages is no longer kept."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identities", sa.Column("picture_expires_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("runs", "sweep_after")


def downgrade() -> None:
    op.add_column("runs", sa.Column("sweep_after", sa.Text(), nullable=True))
    op.drop_column("identities", "picture_expires_at")
