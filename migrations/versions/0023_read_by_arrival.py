"""Read and unread follow the order of arrival, no longer the messages' own times.

What is unread now stays unread: the newest incoming messages of such a conversation get the numbers that messages get
from now on as they arrive. What was read needs no number. Counts that are too high, from a message that two processes
stored at the same time, are corrected.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

NUMBERED = """
    SELECT id, conversation_id, row_number() OVER (PARTITION BY conversation_id ORDER BY id) AS arrival
    FROM (
        SELECT m.id, m.conversation_id, c.unread_count,
            row_number() OVER (PARTITION BY m.conversation_id ORDER BY m.sent_at DESC, m.id DESC) AS place
        FROM messages m JOIN conversations c ON c.id = m.conversation_id
        WHERE c.unread_count > 0 AND NOT m.outgoing AND m.kind NOT IN ('handover', 'unsent')
    ) AS newest
    WHERE place <= unread_count
"""
NUMBER = f"UPDATE messages SET arrival = numbered.arrival FROM ({NUMBERED}) AS numbered WHERE messages.id = numbered.id"
COUNT = """
    UPDATE conversations SET arrival_count = (
        SELECT count(*) FROM messages m WHERE m.conversation_id = conversations.id AND m.arrival IS NOT NULL
    ) WHERE unread_count > 0
"""
TOO_MANY = (
    "UPDATE conversations SET unread_count = arrival_count WHERE arrival_count > 0 AND arrival_count < unread_count"
)


def upgrade() -> None:
    for name in ("arrival_count", "read_through"):
        op.add_column("conversations", sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("messages", sa.Column("arrival", sa.Integer(), nullable=True))
    op.execute(NUMBER)
    op.execute(COUNT)
    op.execute(TOO_MANY)
    op.drop_column("conversations", "read_until")


def downgrade() -> None:
    op.add_column("conversations", sa.Column("read_until", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE conversations SET read_until = last_message_at WHERE unread_count = 0")
    op.drop_column("messages", "arrival")
    for name in ("read_through", "arrival_count"):
        op.drop_column("conversations", name)
