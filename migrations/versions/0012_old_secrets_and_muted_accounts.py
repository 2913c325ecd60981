"""Alert receivers keep their old secret for a day after a rotation. Accounts can be muted."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def _columns() -> dict[str, tuple[sa.Column[Any], ...]]:
    return {
        "alert_receivers": (sa.Column("old_secret", sa.Text()), sa.Column("old_secret_until", TIME)),
        "accounts": (sa.Column("alerts_muted_at", TIME), sa.Column("alerts_muted_by", sa.String(length=120))),
    }


def upgrade() -> None:
    """Add the columns."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)


def downgrade() -> None:
    """Remove them."""
    for table, columns in reversed(_columns().items()):
        for column in reversed(columns):
            op.drop_column(table, column.name)
