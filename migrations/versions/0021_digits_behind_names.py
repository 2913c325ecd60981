"""How many digits of their ID tell contacts with confusable names apart: six, or more where those are the same."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identities", sa.Column("alike_digits", sa.SmallInteger(), server_default="0", nullable=False))
    op.execute("UPDATE identities SET alike_digits = 6 WHERE alike")
    op.drop_column("identities", "alike")


def downgrade() -> None:
    op.add_column("identities", sa.Column("alike", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE identities SET alike = true WHERE alike_digits > 0")
    op.drop_column("identities", "alike_digits")
