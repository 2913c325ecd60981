"""Let the duties of the scheduler remember their results, and whether they are switched off."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db.types import UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS: dict[str, Any] = {
    "last_at": UTCDateTime(),
    "result": sa.JSON(),
    "skipped_at": UTCDateTime(),
    "skipped_why": sa.String(200),
    "off_at": UTCDateTime(),
    "off_by": sa.String(120),
    "running_since": UTCDateTime(),
    "requested_at": UTCDateTime(),
}


def upgrade() -> None:
    for name, type_ in COLUMNS.items():
        op.add_column("scheduler_duties", sa.Column(name, type_))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("scheduler_duties", name)
