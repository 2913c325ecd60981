"""Jobs can be paused and keep their counts, items have the seconds spent, and plans of large accounts are stored.

The indexes of items serve each filter of a job's page in the order of its rows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
BEFORE = "state IN ('queued', 'running', 'waiting', 'canceling')"
ACTIVE = "state IN ('queued', 'running', 'waiting', 'paused', 'canceling')"


def upgrade() -> None:
    """Add the columns, the plans and the indexes."""
    for column in (
        sa.Column("scope", sa.String(length=32), server_default="all", nullable=False),
        sa.Column("paused_at", TIME),
        sa.Column("paused_by", sa.String(length=120)),
        sa.Column("kept_counts", sa.JSON()),
    ):
        op.add_column("runs", column)
    op.add_column("run_items", sa.Column("seconds", sa.Double(), server_default=sa.text("0"), nullable=False))
    _index_active_runs(ACTIVE)
    op.drop_index("ix_run_items_failed", "run_items")
    op.drop_index("ix_run_items_open", "run_items")
    op.create_index("ix_run_items_position", "run_items", ["run_id", "position"])
    op.create_index("ix_run_items_state", "run_items", ["run_id", "state", "position"])
    with_reason = sa.text("reason IS NOT NULL")
    op.create_index(
        "ix_run_items_reason",
        "run_items",
        ["run_id", "reason", "position", "state"],
        sqlite_where=with_reason,
        postgresql_where=with_reason,
    )
    op.create_index("ix_audit_log_subject_id", "audit_log", ["subject", "id"])
    op.create_table(
        "run_plans",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("counted_at", TIME, nullable=False),
        sa.Column("contacts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_run_plans_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "kind", name="pk_run_plans"),
    )


def downgrade() -> None:
    """Remove them; a paused job continues."""
    op.drop_table("run_plans")
    op.drop_index("ix_audit_log_subject_id", "audit_log")
    op.drop_index("ix_run_items_reason", "run_items")
    op.drop_index("ix_run_items_state", "run_items")
    op.drop_index("ix_run_items_position", "run_items")
    for state in ("failed", "todo"):
        where = sa.text(f"state = '{state}'")
        name = "ix_run_items_open" if state == "todo" else "ix_run_items_failed"
        op.create_index(name, "run_items", ["run_id", "position"], sqlite_where=where, postgresql_where=where)
    op.execute("UPDATE runs SET state = 'queued' WHERE state = 'paused'")
    _index_active_runs(BEFORE)
    op.drop_column("run_items", "seconds")
    for name in ("kept_counts", "paused_by", "paused_at", "scope"):
        op.drop_column("runs", name)


def _index_active_runs(states: str) -> None:
    op.drop_index("ix_runs_active", "runs")
    op.drop_index("uq_runs_active", "runs")
    where = sa.text(states)
    op.create_index("ix_runs_active", "runs", ["state"], sqlite_where=where, postgresql_where=where)
    op.create_index(
        "uq_runs_active", "runs", ["account_id", "kind"], unique=True, sqlite_where=where, postgresql_where=where
    )
