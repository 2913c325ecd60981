"""Search: on SQLite an account's rows lie together in the index, and beginnings of three letters have an entry.

A rowid of the index is the account's id and, in its lower 40 bits, the row's own: the newest hits of one account are
then read off one after another, however common a word is with others. A later migration that rebuilds `messages` or
`identities` has to make the triggers again. PostgreSQL's indexes stay, but put new rows in their place earlier: every
search reads what waits for that, up to 4 MB by default, and whoever fills it up waits for all of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

BATCH = 20_000  # rows an INSERT
PENDING_KB = 256
WORDS = "content='', columnsize=0, tokenize='unicode61 remove_diacritics 2'"
TABLES = {
    "search_messages": f"words, prefix='3', {WORDS}",
    "search_people": f"words, prefix='1 2 3', {WORDS}",
    "search_handles": "words, content='', columnsize=0, tokenize='trigram'",
}
TABLES_BEFORE = {
    "search_messages": f"account, words, {WORDS}",
    "search_people": f"account, words, prefix='1 2 3', {WORDS}",
    "search_handles": "username, content='', columnsize=0, tokenize='trigram'",
}
PERSON = (
    "coalesce({0}.username, '') || ' ' || coalesce({0}.name, '')"
    " || ' ' || {0}.ig_participant_id || ' ' || substr({0}.ig_participant_id, -6)"
)
ROWID = "({0}.account_id << 40) | {0}.id"
ACCOUNT = "'a' || {0}.account_id"
# Search table: the table it follows, the columns that change, its own columns with their expressions, the condition.
INDEXED = {
    "search_messages": ("messages", "text", {"rowid": ROWID, "words": "{0}.text"}, "{0}.text IS NOT NULL"),
    "search_people": ("identities", "username, name", {"rowid": ROWID, "words": PERSON}, "true"),
    "search_handles": (
        "identities",
        "username",
        {"rowid": ROWID, "words": "{0}.username"},
        "{0}.username IS NOT NULL",
    ),
}
INDEXED_BEFORE = {
    "search_messages": (
        "messages",
        "text",
        {"rowid": "{0}.id", "account": ACCOUNT, "words": "{0}.text"},
        "{0}.text IS NOT NULL",
    ),
    "search_people": (
        "identities",
        "username, name",
        {"rowid": "{0}.id", "account": ACCOUNT, "words": PERSON},
        "true",
    ),
    "search_handles": (
        "identities",
        "username",
        {"rowid": "{0}.id", "username": "{0}.username"},
        "{0}.username IS NOT NULL",
    ),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in TABLES:
            op.execute(f"ALTER INDEX IF EXISTS {name} SET (gin_pending_list_limit = {PENDING_KB})")
        return
    _make_anew(TABLES, INDEXED)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in TABLES:
            op.execute(f"ALTER INDEX IF EXISTS {name} RESET (gin_pending_list_limit)")
        return
    _make_anew(TABLES_BEFORE, INDEXED_BEFORE)


def _make_anew(tables: dict[str, str], indexed: dict[str, tuple[str, str, dict[str, str], str]]) -> None:
    for name, columns in tables.items():
        for moment in ("added", "changed", "removed"):
            op.execute(f"DROP TRIGGER {name}_{moment}")
        op.execute(f"DROP TABLE {name}")
        op.execute(f"CREATE VIRTUAL TABLE {name} USING fts5({columns})")
        _fill(name, *indexed[name])
        _follow(name, *indexed[name])


def _fill(name: str, table: str, _changing: str, columns: dict[str, str], condition: str) -> None:
    bind = op.get_bind()
    rows = ", ".join(column.format(table) for column in columns.values())
    copied = sa.text(
        f"INSERT INTO {name} ({', '.join(columns)}) SELECT {rows} FROM {table}"
        f" WHERE {condition.format(table)} AND id BETWEEN :first AND :last ORDER BY account_id, id"
    )
    newest = bind.execute(sa.text(f"SELECT coalesce(max(id), 0) FROM {table}")).scalar_one()
    for first in range(1, newest + 1, BATCH):
        bind.execute(copied, {"first": first, "last": first + BATCH - 1})


def _follow(name: str, table: str, changing: str, columns: dict[str, str], condition: str) -> None:
    names = ", ".join(columns)
    old, new = (", ".join(column.format(row) for column in columns.values()) for row in ("old", "new"))
    add = f"INSERT INTO {name} ({names}) SELECT {new} WHERE {condition.format('new')};"
    remove = f"INSERT INTO {name} ({name}, {names}) SELECT 'delete', {old} WHERE {condition.format('old')};"
    op.execute(f"CREATE TRIGGER {name}_added AFTER INSERT ON {table} BEGIN {add} END")
    op.execute(f"CREATE TRIGGER {name}_changed AFTER UPDATE OF {changing} ON {table} BEGIN {remove} {add} END")
    op.execute(f"CREATE TRIGGER {name}_removed AFTER DELETE ON {table} BEGIN {remove} END")
