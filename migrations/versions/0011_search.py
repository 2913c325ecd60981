"""Search: messages by their words, people by username, name and id.

SQLite keeps three FTS5 tables in step by triggers; a later migration that rebuilds `messages` or `identities` has to
make the triggers again. PostgreSQL keeps expression indexes. What is there already is indexed here.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BATCH = 20_000  # rows an INSERT
WORDS = "content='', columnsize=0, tokenize='unicode61 remove_diacritics 2'"
TABLES = {
    "search_messages": f"account, words, {WORDS}",
    "search_people": f"account, words, prefix='1 2 3', {WORDS}",
    "search_handles": "username, content='', columnsize=0, tokenize='trigram'",
}
ACCOUNT = "'a' || {0}.account_id"
PERSON = (
    "coalesce({0}.username, '') || ' ' || coalesce({0}.name, '')"
    " || ' ' || {0}.ig_participant_id || ' ' || substr({0}.ig_participant_id, -6)"
)
# Search table: the table it follows, the columns that change, its own columns with their expressions, the condition.
INDEXED = {
    "search_messages": ("messages", "text", {"account": ACCOUNT, "words": "{0}.text"}, "{0}.text IS NOT NULL"),
    "search_people": ("identities", "username, name", {"account": ACCOUNT, "words": PERSON}, "true"),
    "search_handles": ("identities", "username", {"username": "{0}.username"}, "{0}.username IS NOT NULL"),
}
# The account is a word of its own, with a blank in front that no word has: else a prefix would take it for a match.
POSTGRESQL = (
    "CREATE FUNCTION search_message(account_id bigint, words text) RETURNS tsvector"
    " LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT to_tsvector('simple'::regconfig, words)"
    " || array_to_tsvector(ARRAY[' ' || account_id::text]) $$",
    "CREATE FUNCTION search_person(account_id bigint, username text, name text, ig_participant_id text)"
    " RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT to_tsvector('simple'::regconfig,"
    " translate(coalesce(username, '') || ' ' || coalesce(name, ''), '._', '  ')"
    " || ' ' || ig_participant_id || ' ' || right(ig_participant_id, 6))"
    " || array_to_tsvector(ARRAY[' ' || account_id::text]) $$",
    "CREATE INDEX search_messages ON messages USING gin (search_message(account_id, text)) WHERE text IS NOT NULL",
    "CREATE INDEX search_people ON identities USING gin (search_person(account_id, username, name, ig_participant_id))",
)
HANDLES = "CREATE INDEX search_handles ON identities USING gin (lower(username) gin_trgm_ops)"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRESQL:
            op.execute(statement)
        _index_handles()
        return
    for name, columns in TABLES.items():
        op.execute(f"CREATE VIRTUAL TABLE {name} USING fts5({columns})")
        _fill(name)
        _follow(name)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in TABLES:
            op.execute(f"DROP INDEX IF EXISTS {name}")
        op.execute("DROP FUNCTION search_message")
        op.execute("DROP FUNCTION search_person")
        return
    for name in TABLES:
        for moment in ("added", "changed", "removed"):
            op.execute(f"DROP TRIGGER {name}_{moment}")
        op.execute(f"DROP TABLE {name}")


def _index_handles() -> None:
    # Who may not create the extension does without the index: parts of handles are then looked for row by row.
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            op.execute(HANDLES)
    except DBAPIError:
        return


def _fill(name: str) -> None:
    table, _, columns, condition = INDEXED[name]
    bind = op.get_bind()
    rows = ", ".join(column.format(table) for column in columns.values())
    copied = sa.text(
        f"INSERT INTO {name} (rowid, {', '.join(columns)}) SELECT id, {rows} FROM {table}"
        f" WHERE {condition.format(table)} AND id BETWEEN :first AND :last"
    )
    newest = bind.execute(sa.text(f"SELECT coalesce(max(id), 0) FROM {table}")).scalar_one()
    for first in range(1, newest + 1, BATCH):
        bind.execute(copied, {"first": first, "last": first + BATCH - 1})


def _follow(name: str) -> None:
    table, changing, columns, condition = INDEXED[name]
    names = ", ".join(columns)
    old, new = (", ".join(column.format(row) for column in columns.values()) for row in ("old", "new"))
    add = f"INSERT INTO {name} (rowid, {names}) SELECT new.id, {new} WHERE {condition.format('new')};"
    remove = (
        f"INSERT INTO {name} ({name}, rowid, {names}) SELECT 'delete', old.id, {old} WHERE {condition.format('old')};"
    )
    op.execute(f"CREATE TRIGGER {name}_added AFTER INSERT ON {table} BEGIN {add} END")
    op.execute(f"CREATE TRIGGER {name}_changed AFTER UPDATE OF {changing} ON {table} BEGIN {remove} {add} END")
    op.execute(f"CREATE TRIGGER {name}_removed AFTER DELETE ON {table} BEGIN {remove} END")
