"""Whether Meta delivers an account's webhooks: what was found when it was last asked."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("subscription_checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("missing_subscriptions", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("accounts", "missing_subscriptions")
    op.drop_column("accounts", "subscription_checked_at")
