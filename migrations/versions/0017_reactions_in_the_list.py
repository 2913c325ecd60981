"""The newest reaction of a person to a message of the account's, for the list."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("last_reaction", sa.String(80), nullable=True))
    op.add_column("conversations", sa.Column("last_reaction_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("conversations", "last_reaction_at")
    op.drop_column("conversations", "last_reaction")
