"""How long an account's token lives, and what its owner allowed."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("token_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("token_expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("token_tried_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("token_problem", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("permissions", sa.JSON(), nullable=True))
    op.execute("UPDATE accounts SET token_at = connected_at")


def downgrade() -> None:
    op.drop_column("accounts", "permissions")
    op.drop_column("accounts", "token_problem")
    op.drop_column("accounts", "token_tried_at")
    op.drop_column("accounts", "token_expires_at")
    op.drop_column("accounts", "token_at")
