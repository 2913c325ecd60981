"""What people's names look like, so that those who look the same are told apart; filled as names are seen again."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identities", sa.Column("look", sa.String(80), nullable=True))
    op.add_column("identities", sa.Column("alike", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_identities_look",
        "identities",
        ["account_id", "look"],
        sqlite_where=sa.text("look IS NOT NULL"),
        postgresql_where=sa.text("look IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_identities_look", table_name="identities")
    op.drop_column("identities", "alike")
    op.drop_column("identities", "look")
