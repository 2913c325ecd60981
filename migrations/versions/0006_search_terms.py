"""Search: words that Python folded, and facts of messages, in one index per table on both databases.

`terms` holds the words of a row, which `app/search_words.py` makes. Rows from before this migration have none: the
scheduler adds them in batches, newest first, and indexes what an older release writes. IDs are found meanwhile.

SQLite: FTS5 without texts and positions, which triggers keep in step. A rowid is the account's ID and, in its lower 40
bits, the row's own. Facts begin with five FACT characters, so that the prefix index holds them only once per row.

PostgreSQL: GIN indexes on an expression. The account, beginnings of words, and three sizes of blocks of row IDs are
words of their own: blocks let a search read the newest rows first, without sorting all of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FACT = "\u00a4"
FTS = "content='', columnsize=0, detail=none, tokenize=\"ascii tokenchars '._'\""
ROWID = "({0}.account_id << 40) | {0}.id"
DATES = (
    " || ' {fact}y' || strftime('%Y', {{0}}.sent_at) || ' {fact}m' || strftime('%Y%m', {{0}}.sent_at)"
    " || ' {fact}d' || strftime('%Y%m%d', {{0}}.sent_at)"
).format(fact=FACT * 5)
CONTACT_IDS = "' ' || {0}.ig_participant_id || ' ' || substr({0}.ig_participant_id, -6)"
# Search table: its beginnings of words, the table it follows, the columns whose change matters, the words, which rows.
SQLITE = {
    "search_messages": (
        "3 5",
        "messages",
        "terms, sent_at, conversation_id",
        f"replace({{0}}.terms, '{FACT}', '{FACT * 5}') || ' {FACT * 5}c' || {{0}}.conversation_id{DATES}",
        "{0}.terms IS NOT NULL",
    ),
    "search_contacts": ("1 2 3 4 5 6 7 8", "identities", "terms", f"coalesce({{0}}.terms, '') || {CONTACT_IDS}", "1"),
}
GIN = "WITH (gin_pending_list_limit = 128)"
BLOCKS = f"ARRAY['{FACT}A' || (id >> 12), '{FACT}B' || (id >> 16), '{FACT}C' || (id >> 20), '{FACT}a' || account_id]"
BEGINNINGS = (
    "ARRAY(SELECT '^' || left(word, size) FROM unnest(string_to_array({0}, ' ')) AS word, unnest(ARRAY[{1}]) AS size"
    f" WHERE char_length(word) >= size AND NOT starts_with(word, '{FACT}'))"
)
DAY = "(extract(year from {0}) * 10000 + extract(month from {0}) * 100 + extract(day from {0}))::int".format(
    "(sent_at AT TIME ZONE 'UTC')"
)
POSTGRESQL = (
    "CREATE FUNCTION search_message"
    "(account_id bigint, id bigint, conversation_id bigint, sent_at timestamptz, terms text)"
    " RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT array_to_tsvector(array_remove("
    f"string_to_array(terms, ' ') || {BEGINNINGS.format('terms', '3, 5')} || {BLOCKS} || ARRAY["
    f"'{FACT}c' || conversation_id, '{FACT}d' || {DAY}, '{FACT}m' || {DAY} / 100, '{FACT}y' || {DAY} / 10000], '')) $$",
    "CREATE FUNCTION search_contact(account_id bigint, id bigint, ig_participant_id text, terms text)"
    " RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT array_to_tsvector(array_remove("
    "string_to_array(words, ' ') || "
    f"{BEGINNINGS.format('words', '1, 2, 3, 4, 5, 6, 7, 8')} || {BLOCKS}, '')) FROM (SELECT coalesce(terms, '')"
    " || ' ' || ig_participant_id || ' ' || right(ig_participant_id, 6) AS words) AS folded $$",
    "CREATE INDEX search_messages ON messages USING gin"
    f" (search_message(account_id, id, conversation_id, sent_at, terms)) {GIN} WHERE terms IS NOT NULL",
    "CREATE INDEX search_contacts ON identities"
    f" USING gin (search_contact(account_id, id, ig_participant_id, terms)) {GIN}",
)
UNINDEXED = {
    "messages": "terms IS NULL",
    "identities": "terms IS NULL AND (username IS NOT NULL OR name IS NOT NULL)",
}

# What migration 0001 created, for the way back.
FORMER_WORDS = "content='', columnsize=0, tokenize='unicode61 remove_diacritics 2'"
FORMER_CONTACT = (
    "coalesce({0}.username, '') || ' ' || coalesce({0}.name, '')"
    " || ' ' || {0}.ig_participant_id || ' ' || substr({0}.ig_participant_id, -6)"
)
FORMER_SQLITE = {
    "search_messages": (f"prefix='3', {FORMER_WORDS}", "messages", "text", "{0}.text", "{0}.text IS NOT NULL"),
    "search_contacts": (f"prefix='1 2 3', {FORMER_WORDS}", "identities", "username, name", FORMER_CONTACT, "true"),
}
FORMER_GIN = "WITH (gin_pending_list_limit = 256)"
FORMER_POSTGRESQL = (
    "CREATE FUNCTION search_message(account_id bigint, words text) RETURNS tsvector"
    " LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT to_tsvector('simple'::regconfig, words)"
    " || array_to_tsvector(ARRAY[' ' || account_id::text]) $$",
    "CREATE FUNCTION search_contact(account_id bigint, username text, name text, ig_participant_id text)"
    " RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT to_tsvector('simple'::regconfig,"
    " translate(coalesce(username, '') || ' ' || coalesce(name, ''), '._', '  ')"
    " || ' ' || ig_participant_id || ' ' || right(ig_participant_id, 6))"
    " || array_to_tsvector(ARRAY[' ' || account_id::text]) $$",
    f"CREATE INDEX search_messages ON messages USING gin (search_message(account_id, text)) {FORMER_GIN}"
    " WHERE text IS NOT NULL",
    "CREATE INDEX search_contacts ON identities"
    f" USING gin (search_contact(account_id, username, name, ig_participant_id)) {FORMER_GIN}",
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    _drop(is_postgresql=is_postgresql)
    for table, condition in UNINDEXED.items():
        op.add_column(table, sa.Column("terms", sa.Text()))
        where = sa.text(condition)
        op.create_index(f"ix_{table}_unindexed", table, ["id"], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_username_history_old_username", "username_history", ["old_username"])
    if is_postgresql:
        for statement in POSTGRESQL:
            op.execute(statement)
        return
    for name, (beginnings, table, changing, words, condition) in SQLITE.items():
        _create_fts(name, f"prefix='{beginnings}', {FTS}", table, changing, words, condition)
    ids = f"{ROWID.format('identities')}, {CONTACT_IDS.format('identities')}"
    op.execute(f"INSERT INTO search_contacts (rowid, terms) SELECT {ids} FROM identities")


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    _drop(is_postgresql=is_postgresql)
    op.drop_index("ix_username_history_old_username", "username_history")
    for table in UNINDEXED:
        op.drop_index(f"ix_{table}_unindexed", table)
        op.drop_column(table, "terms")
    if is_postgresql:
        for statement in FORMER_POSTGRESQL:
            op.execute(statement)
        return
    for name, (options, table, changing, words, condition) in FORMER_SQLITE.items():
        _create_fts(name, options, table, changing, words, condition, column="words")
        row = f"{ROWID.format('old')}, {words.format('old')} FROM {table} old WHERE {condition.format('old')}"
        op.execute(f"INSERT INTO {name} (rowid, words) SELECT {row}")


def _drop(*, is_postgresql: bool) -> None:
    for name in SQLITE:
        if is_postgresql:
            op.execute(f"DROP INDEX {name}")
            op.execute(f"DROP FUNCTION {name.removesuffix('s')}")
            continue
        for event in ("added", "changed", "removed"):
            op.execute(f"DROP TRIGGER {name}_{event}")
        op.execute(f"DROP TABLE {name}")


def _create_fts(
    name: str, options: str, table: str, changing: str, words: str, condition: str, column: str = "terms"
) -> None:
    def row(alias: str) -> str:
        return f"{ROWID.format(alias)}, {words.format(alias)} WHERE {condition.format(alias)}"

    add = f"INSERT INTO {name} (rowid, {column}) SELECT {row('new')};"
    remove = f"INSERT INTO {name} ({name}, rowid, {column}) SELECT 'delete', {row('old')};"
    op.execute(f"CREATE VIRTUAL TABLE {name} USING fts5({column}, {options})")
    op.execute(f"CREATE TRIGGER {name}_added AFTER INSERT ON {table} BEGIN {add} END")
    op.execute(f"CREATE TRIGGER {name}_changed AFTER UPDATE OF {changing} ON {table} BEGIN {remove} {add} END")
    op.execute(f"CREATE TRIGGER {name}_removed AFTER DELETE ON {table} BEGIN {remove} END")
