"""All tables, and the indexes of search.

SQLite: three FTS5 tables, which triggers keep in step with `messages` and `identities`. A rowid of theirs is the
account's ID and, in its lower 40 bits, the row's own, so that the newest hits of one account are neighbors in the
index, however common a word is elsewhere.

PostgreSQL: GIN indexes on expressions. Their pending list is short: every search reads all of it, and the statement
that fills it waits while it is merged.

Later migrations: rebuilding `messages` or `identities` on SQLite (`op.batch_alter_table`) drops their triggers.
Prefer `op.add_column`; after a rebuild, create the triggers again as `_add_triggers` does. An index that needs other
words must be dropped, created and filled again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
ACTIVE = sa.text("state IN ('queued', 'running', 'waiting', 'canceling')")
TABLES = (
    "accounts",
    "identities",
    "username_history",
    "avatars",
    "conversations",
    "messages",
    "pending_message_updates",
    "dead_letters",
    "api_calls",
    "call_refusals",
    "runs",
    "run_items",
    "hourly_stats",
    "tombstones",
    "deleted_events",
    "owner_requests",
    "users",
    "ended_sessions",
    "api_tokens",
    "audit_log",
    "heartbeats",
    "scheduler_duties",
)

WORDS = "content='', columnsize=0, tokenize='unicode61 remove_diacritics 2'"
SEARCH_TABLES = {
    "search_messages": f"words, prefix='3', {WORDS}",
    "search_contacts": f"words, prefix='1 2 3', {WORDS}",
    "search_usernames": "words, content='', columnsize=0, tokenize='trigram'",
}
ROWID = "({0}.account_id << 40) | {0}.id"
CONTACT = (
    "coalesce({0}.username, '') || ' ' || coalesce({0}.name, '')"
    " || ' ' || {0}.ig_participant_id || ' ' || substr({0}.ig_participant_id, -6)"
)
# Search table: the table it follows, the columns whose change matters, the indexed words, the rows that have any.
INDEXED = {
    "search_messages": ("messages", "text", "{0}.text", "{0}.text IS NOT NULL"),
    "search_contacts": ("identities", "username, name", CONTACT, "true"),
    "search_usernames": ("identities", "username", "{0}.username", "{0}.username IS NOT NULL"),
}
PENDING_KB = 256
GIN = f"WITH (gin_pending_list_limit = {PENDING_KB})"
# The account is a word of its own. It begins with a blank, which no other word does: a prefix never matches it.
POSTGRESQL = (
    "CREATE FUNCTION search_message(account_id bigint, words text) RETURNS tsvector"
    " LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT to_tsvector('simple'::regconfig, words)"
    " || array_to_tsvector(ARRAY[' ' || account_id::text]) $$",
    "CREATE FUNCTION search_contact(account_id bigint, username text, name text, ig_participant_id text)"
    " RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT to_tsvector('simple'::regconfig,"
    " translate(coalesce(username, '') || ' ' || coalesce(name, ''), '._', '  ')"
    " || ' ' || ig_participant_id || ' ' || right(ig_participant_id, 6))"
    " || array_to_tsvector(ARRAY[' ' || account_id::text]) $$",
    f"CREATE INDEX search_messages ON messages USING gin (search_message(account_id, text)) {GIN}"
    " WHERE text IS NOT NULL",
    "CREATE INDEX search_contacts ON identities"
    f" USING gin (search_contact(account_id, username, name, ig_participant_id)) {GIN}",
)
USERNAMES = f"CREATE INDEX search_usernames ON identities USING gin (lower(username) gin_trgm_ops) {GIN}"


def upgrade() -> None:
    _create_tables()
    if op.get_bind().dialect.name == "postgresql":
        _create_postgresql_search()
    else:
        _create_sqlite_search()


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if not is_postgresql:
        for name in SEARCH_TABLES:
            op.execute(f"DROP TABLE {name}")
    for name in reversed(TABLES):  # with their indexes and triggers
        op.drop_table(name)
    if is_postgresql:
        op.execute("DROP FUNCTION search_message")
        op.execute("DROP FUNCTION search_contact")


def _create_postgresql_search() -> None:
    for statement in POSTGRESQL:
        op.execute(statement)
    # Without permission to create the extension there is no index: parts of usernames are then searched row by row.
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            op.execute(USERNAMES)
    except DBAPIError:
        return


def _create_sqlite_search() -> None:
    for name, columns in SEARCH_TABLES.items():
        op.execute(f"CREATE VIRTUAL TABLE {name} USING fts5({columns})")
        _add_triggers(name, *INDEXED[name])


def _add_triggers(name: str, table: str, changing: str, words: str, condition: str) -> None:
    def row(alias: str) -> str:
        return f"{ROWID.format(alias)}, {words.format(alias)} WHERE {condition.format(alias)}"

    add = f"INSERT INTO {name} (rowid, words) SELECT {row('new')};"
    remove = f"INSERT INTO {name} ({name}, rowid, words) SELECT 'delete', {row('old')};"
    op.execute(f"CREATE TRIGGER {name}_added AFTER INSERT ON {table} BEGIN {add} END")
    op.execute(f"CREATE TRIGGER {name}_changed AFTER UPDATE OF {changing} ON {table} BEGIN {remove} {add} END")
    op.execute(f"CREATE TRIGGER {name}_removed AFTER DELETE ON {table} BEGIN {remove} END")


def _create_tables() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", ID, nullable=False),
        sa.Column("ig_account_id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=64)),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("location_id", sa.String(length=64)),
        sa.Column("ig_page_id", sa.String(length=64)),
        sa.Column("ig_app_scoped_id", sa.String(length=64)),
        sa.Column("own_ids", sa.JSON(), nullable=False),
        sa.Column("owner_id", sa.String(length=64)),
        sa.Column("token", sa.Text()),
        sa.Column("token_at", TIME),
        sa.Column("token_expires_at", TIME),
        sa.Column("token_tried_at", TIME),
        sa.Column("token_problem", sa.Text()),
        sa.Column("permissions", sa.JSON()),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("state_reason", sa.Text()),
        sa.Column("connected_at", TIME, nullable=False),
        sa.Column("last_webhook_at", TIME),
        sa.Column("subscription_checked_at", TIME),
        sa.Column("missing_subscriptions", sa.JSON()),
        sa.Column("refused_subscriptions", sa.JSON()),
        sa.Column("subscription_problem", sa.Text()),
        sa.Column("ignored_events", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_synced_at", TIME),
        sa.Column("last_sync_result", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("ig_account_id", name="uq_accounts_ig_account_id"),
    )
    op.create_table(
        "identities",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("ig_participant_id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=80)),
        sa.Column("username_at", TIME),
        sa.Column("username_source", sa.String(length=32)),
        sa.Column("name", sa.String(length=80)),
        sa.Column("name_at", TIME),
        sa.Column("name_source", sa.String(length=32)),
        sa.Column("picture_url", sa.Text()),
        sa.Column("picture_at", TIME),
        sa.Column("picture_source", sa.String(length=32)),
        sa.Column("skeleton", sa.String(length=80)),
        sa.Column("confusable_digits", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("picture_expires_at", TIME),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_success_at", TIME),
        sa.Column("last_failure_at", TIME),
        sa.Column("failure_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.String(length=32)),
        sa.Column("last_error_code", sa.String(length=32)),
        sa.Column("next_try_at", TIME),
        sa.Column("next_purpose", sa.String(length=32)),
        sa.Column("claimed_until", TIME),
        sa.Column("raw_answer", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_identities_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_identities"),
        sa.UniqueConstraint("account_id", "ig_participant_id", name="uq_identities_account_id_ig_participant_id"),
    )
    op.create_index(
        "ix_identities_due",
        "identities",
        ["next_try_at"],
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_index(
        "ix_identities_skeleton",
        "identities",
        ["account_id", "skeleton"],
        sqlite_where=sa.text("skeleton IS NOT NULL"),
        postgresql_where=sa.text("skeleton IS NOT NULL"),
    )
    op.create_table(
        "username_history",
        sa.Column("id", ID, nullable=False),
        sa.Column("identity_id", ID, nullable=False),
        sa.Column("old_username", sa.String(length=80), nullable=False),
        sa.Column("new_username", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name="fk_username_history_identity_id_identities", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_username_history"),
    )
    op.create_index("ix_username_history_identity", "username_history", ["identity_id", "at"])
    op.create_table(
        "avatars",
        sa.Column("identity_id", ID, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.Column("version", sa.String(length=16)),
        sa.Column("tried_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name="fk_avatars_identity_id_identities", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("identity_id", name="pk_avatars"),
    )
    op.create_table(
        "conversations",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("ig_participant_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="open", nullable=False),
        sa.Column("known", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("unread_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_message_at", TIME, nullable=False),
        sa.Column("last_message_at", TIME, nullable=False),
        sa.Column("last_message_mid", sa.Text(), nullable=False),
        sa.Column("last_message_kind", sa.String(length=32), nullable=False),
        sa.Column("last_message_preview", sa.String(length=160)),
        sa.Column("last_message_outgoing", sa.Boolean(), nullable=False),
        sa.Column("last_reaction", sa.String(length=80)),
        sa.Column("last_reaction_at", TIME),
        sa.Column("arrival_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("read_through", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seen_until", TIME),
        sa.Column("seen_at", TIME),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_conversations_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.UniqueConstraint("account_id", "ig_participant_id", name="uq_conversations_account_id_ig_participant_id"),
    )
    op.create_index("ix_conversations_newest", "conversations", ["account_id", "last_message_at", "id"])
    op.create_index(
        "ix_conversations_unknown",
        "conversations",
        ["account_id", "last_message_at", "id"],
        sqlite_where=sa.text("known = 0"),
        postgresql_where=sa.text("NOT known"),
    )
    op.create_index(
        "ix_conversations_unread",
        "conversations",
        ["account_id", "last_message_at", "id"],
        sqlite_where=sa.text("unread_count > 0"),
        postgresql_where=sa.text("unread_count > 0"),
    )
    op.create_table(
        "messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("mid_digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("mid", sa.Text(), nullable=False),
        sa.Column("ig_sender_id", sa.String(length=64), nullable=False),
        sa.Column("outgoing", sa.Boolean(), nullable=False),
        sa.Column("arrival", sa.Integer()),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("attachments", sa.JSON()),
        sa.Column("context", sa.JSON()),
        sa.Column("sent_at", TIME, nullable=False),
        sa.Column("edit_number", sa.Integer()),
        sa.Column("edited_at", TIME),
        sa.Column("reactions", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_messages_account_id_accounts", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_messages_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("account_id", "mid_digest", name="uq_messages_account_id_mid_digest"),
    )
    op.create_index("ix_messages_thread", "messages", ["conversation_id", "sent_at", "id"])
    op.create_table(
        "pending_message_updates",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("mid_digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", TIME),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_pending_message_updates_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pending_message_updates"),
        sa.UniqueConstraint("digest", name="uq_pending_message_updates_digest"),
    )
    op.create_index(
        "ix_pending_message_updates_due",
        "pending_message_updates",
        ["next_try_at"],
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_index("ix_pending_message_updates_message", "pending_message_updates", ["account_id", "mid_digest"])
    op.create_index("ix_pending_message_updates_received_at", "pending_message_updates", ["received_at"])
    op.create_table(
        "dead_letters",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("ig_account_id", sa.String(length=64)),
        sa.Column("mid_digest", sa.LargeBinary(length=16)),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_dead_letters_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
        sa.UniqueConstraint("digest", name="uq_dead_letters_digest"),
    )
    op.create_index("ix_dead_letters_message", "dead_letters", ["mid_digest"])
    op.create_index("ix_dead_letters_received_at", "dead_letters", ["received_at"])
    op.create_table(
        "api_calls",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("call", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("ig_participant_id", sa.String(length=64)),
        sa.Column("run_id", sa.String(length=12)),
        sa.Column("at", TIME, nullable=False),
        sa.Column("http_status", sa.Integer()),
        sa.Column("code", sa.String(length=32)),
        sa.Column("answer", sa.String(length=200)),
        sa.Column("took_ms", sa.Integer()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_api_calls_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_calls"),
    )
    op.create_index("ix_api_calls_account_at", "api_calls", ["account_id", "at"])
    op.create_table(
        "call_refusals",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("call", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("wave", sa.Boolean(), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("retry_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_call_refusals_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "call", name="pk_call_refusals"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("started_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("resume_at", TIME),
        sa.Column("waiting_since", TIME),
        sa.Column("lease_by", sa.String(length=64)),
        sa.Column("lease_until", TIME),
        sa.Column("fence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("resolved", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("fresh", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cache_hits", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("days", sa.Integer()),
        sa.Column("scan_pages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("scan_contacts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("scanned_pages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("scanned_contacts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worked_seconds", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_runs_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_active", "runs", ["state"], sqlite_where=ACTIVE, postgresql_where=ACTIVE)
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    op.create_index(
        "uq_runs_active", "runs", ["account_id", "kind"], unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE
    )
    op.create_table(
        "run_items",
        sa.Column("run_id", sa.String(length=12), nullable=False),
        sa.Column("ig_participant_id", sa.String(length=64), nullable=False),
        sa.Column("position", ID, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", TIME),
        sa.Column("reason", sa.String(length=32)),
        sa.Column("code", sa.String(length=32)),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_at", TIME),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_items_run_id_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "ig_participant_id", name="pk_run_items"),
    )
    op.create_index(
        "ix_run_items_failed",
        "run_items",
        ["run_id", "position"],
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "ix_run_items_open",
        "run_items",
        ["run_id", "position"],
        sqlite_where=sa.text("state = 'todo'"),
        postgresql_where=sa.text("state = 'todo'"),
    )
    op.create_table(
        "hourly_stats",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("username", sa.Integer(), nullable=False),
        sa.Column("name", sa.Integer(), nullable=False),
        sa.Column("short_id", sa.Integer(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("lookups", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_hourly_stats_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "at", name="pk_hourly_stats"),
    )
    op.create_table(
        "tombstones",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("contact_digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("until", TIME),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_tombstones_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tombstones"),
        sa.UniqueConstraint("account_id", "contact_digest", name="uq_tombstones_account_id_contact_digest"),
    )
    op.create_table(
        "deleted_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_deleted_events_account_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deleted_events"),
        sa.UniqueConstraint("digest", "account_id", name="uq_deleted_events_digest_account_id"),
    )
    op.create_index("ix_deleted_events_at", "deleted_events", ["at"])
    op.create_table(
        "owner_requests",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=32), server_default="deletion", nullable=False),
        sa.Column("user_id", sa.String(length=64)),
        sa.Column("account_id", ID),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("done_at", TIME),
        sa.Column("outcome", sa.String(length=32)),
        sa.PrimaryKeyConstraint("code", name="pk_owner_requests"),
        sa.UniqueConstraint("digest", name="uq_owner_requests_digest"),
    )
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("account_ids", sa.JSON()),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("session_key", sa.String(length=64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_sign_in_at", TIME),
        sa.Column("disabled_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.UniqueConstraint("session_key", name="uq_users_session_key"),
    )
    op.create_table(
        "ended_sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("ended_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ended_sessions"),
    )
    op.create_index("ix_ended_sessions_ended_at", "ended_sessions", ["ended_at"])
    op.create_table(
        "api_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("account_ids", sa.JSON()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME),
        sa.Column("revoked_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("digest", name="uq_api_tokens_digest"),
        sa.UniqueConstraint("name", name="uq_api_tokens_name"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=80)),
        sa.Column("detail", sa.String(length=200)),
        sa.Column("ig_account_id", sa.String(length=64)),
        sa.Column("address", sa.String(length=45)),
        sa.Column("route", sa.String(length=120)),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_action_id", "audit_log", ["action", "id"])
    op.create_index("ix_audit_log_actor_id", "audit_log", ["actor", "id"])
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_table(
        "heartbeats",
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("part", name="pk_heartbeats"),
    )
    op.create_table(
        "scheduler_duties",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("last_run_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_scheduler_duties"),
    )
