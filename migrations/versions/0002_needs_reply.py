"""Whether a conversation needs a reply, computed from its messages: app/reply_state.py.

Existing rows are filled in batches, each with one statement, before the indexes are created. Echoes stored so far name
no app, and none of their messages was on standby.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BATCH = 10_000  # conversations
TIMES = ("last_incoming_at", "last_outgoing_at", "needs_reply_since", "no_reply_needed_through")
FLAGS = (("conversations", "last_message_automatic"), ("messages", "standby"))
INDEXES = {"ix_conversations_window": "last_incoming_at", "ix_conversations_needs_reply": "needs_reply_since"}
NEEDS_REPLY = sa.text("needs_reply_since IS NOT NULL")

_WRITTEN = (
    "SELECT {} FROM messages WHERE conversation_id = conversations.id"
    " AND kind NOT IN ('referral', 'optin', 'handover', 'unsent')"
)
_NEWEST = f"({_WRITTEN.format('sent_at')} AND {{}} ORDER BY sent_at DESC, id DESC LIMIT 1)"
_INCOMING, _OUTGOING = _NEWEST.format("NOT outgoing"), _NEWEST.format("outgoing")
FILL = (
    f"UPDATE conversations SET last_incoming_at = {_INCOMING}, last_outgoing_at = {_OUTGOING}, needs_reply_since = "
    f"({_WRITTEN.format('min(sent_at)')} AND arrival IS NOT NULL AND sent_at > coalesce({_OUTGOING}, '0001-01-01'))"
    " WHERE id BETWEEN :first AND :last"
)


def upgrade() -> None:
    for name in TIMES:
        op.add_column("conversations", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversations", sa.Column("no_reply_needed_by", sa.String(length=120), nullable=True))
    for table, flag in FLAGS:
        added: sa.Column[bool] = sa.Column(flag, sa.Boolean(), server_default=sa.false(), nullable=False)
        op.add_column(table, added)
    op.add_column("messages", sa.Column("app_id", sa.String(length=64), nullable=True))
    _fill()
    for name, column in INDEXES.items():
        op.create_index(
            name,
            "conversations",
            ["account_id", column, "id"],
            sqlite_where=NEEDS_REPLY,
            postgresql_where=NEEDS_REPLY,
        )


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, table_name="conversations")
    for table, name in FLAGS:
        op.drop_column(table, name)
    op.drop_column("messages", "app_id")
    for name in ("no_reply_needed_by", *TIMES):
        op.drop_column("conversations", name)


def _fill() -> None:
    connection = op.get_bind()
    first, last = connection.execute(sa.text("SELECT min(id), max(id) FROM conversations")).one()
    if first is None:
        return
    for begin in range(first, last + 1, BATCH):
        connection.execute(sa.text(FILL), {"first": begin, "last": begin + BATCH - 1})
