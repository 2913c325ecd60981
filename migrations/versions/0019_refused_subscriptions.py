"""What Meta said when it refused an account's webhook subscription, or single fields of it."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("refused_subscriptions", sa.JSON(), nullable=True))
    op.add_column("accounts", sa.Column("subscription_problem", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("accounts", "subscription_problem")
    op.drop_column("accounts", "refused_subscriptions")
