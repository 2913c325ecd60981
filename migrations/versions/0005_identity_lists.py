"""Add an index for each filter of the list of identities.

The expressions are those of `identities/listing.py`: databases use such an index for the very same expression only.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HAS_NAME = "username IS NOT NULL OR name IS NOT NULL"
FRESH_FROM = "coalesce(CASE WHEN (last_error IS NULL) THEN last_success_at END, {never})"
NEVER = {"sqlite": "'1970-01-01 00:00:00.000000'", "postgresql": "'1970-01-01 00:00:00+00'::timestamptz"}
INDEXES = {
    "list_identities_fresh": (f"account_id, ({FRESH_FROM}), id", HAS_NAME),
    "list_identities_unknown": ("account_id, id", f"NOT ({HAS_NAME})"),
    "list_identities_failed": (f"account_id, last_error, ({HAS_NAME}), id", "last_error IS NOT NULL"),
    "list_identities_untried": (
        f"account_id, ({HAS_NAME}), id",
        "last_success_at IS NULL AND last_failure_at IS NULL",
    ),
    "list_identities_stopped": (f"account_id, ({HAS_NAME}), id", "failure_count >= 5 AND next_try_at IS NULL"),
}


def upgrade() -> None:
    op.create_index("ix_identities_newest", "identities", ["account_id", "id"])
    never = NEVER[op.get_bind().dialect.name]
    for name, (columns, where) in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON identities ({columns.format(never=never)}) WHERE {where}")


def downgrade() -> None:
    for name in (*INDEXES, "ix_identities_newest"):
        op.drop_index(name, "identities")
