"""The language of the search field, of `q` in the API and of `nametag search`: words, phrases and operators.

Parsing never fails. What is no operator, or has no valid value, is searched as a word, and a notice says so.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from app import clock
from app.instagram.events import EventKind
from app.search_index import FIRST_YEAR, Period

GRAMMAR = """\
query    = [ clause, { space, clause } ] ;
clause   = [ "-" ], ( operator, ":", value | value ) ;
operator = "is" | "from" | "in" | "kind" | "origin" | "has" | "before" | "after" | "on" ;
value    = phrase | word ;
phrase   = '"', text without '"', '"' ;
word     = characters other than space ;"""

# Values of kind:, with the kinds of messages and attachments that each finds. The names of the API work, too.
KINDS: dict[str, tuple[str, ...]] = {
    "text": (EventKind.TEXT,),
    "photo": (EventKind.IMAGE,),
    "video": (EventKind.VIDEO,),
    "voice": (EventKind.AUDIO,),
    "file": (EventKind.FILE,),
    "sticker": (EventKind.STICKER,),
    "link": (EventKind.LINK,),
    "location": (EventKind.LOCATION,),
    "post": (EventKind.SHARE,),
    "reel": (EventKind.REEL,),
    "story": (EventKind.STORY, EventKind.STORY_MENTION, EventKind.STORY_REPLY),
    "card": (EventKind.TEMPLATE,),
    "disappearing": (EventKind.EPHEMERAL,),
    "button": (EventKind.POSTBACK,),
    "unsent": (EventKind.UNSENT,),
    "unsupported": (EventKind.UNSUPPORTED,),
}
_KINDS = {str(kind): (str(kind),) for kind in EventKind} | KINDS
ORIGINS = ("ad", "story", "link", "product")
LINK = "link"
DATES = ("before", "after", "on")
NAMED_DAYS = {"today": 0, "yesterday": 1}
OPERATORS = ("is", "from", "in", "kind", "origin", "has", *DATES)
_LAST_YEAR = 9998  # the day after the last one of this year still has a date
_CLAUSE = re.compile(r'(-?)(?:([A-Za-z]+):(?!//))?(?:"([^"]*[^"\s][^"]*)"(?=\s|$)|(\S+))')
_PERIOD = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_HAS_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition: a word, a phrase, or an operator with its value. `str` returns it as it is typed."""

    value: str
    operator: str = ""
    phrase: bool = False
    negated: bool = False

    def __str__(self) -> str:
        value = f'"{self.value}"' if self.phrase else self.value
        return f"{'-' if self.negated else ''}{f'{self.operator}:' if self.operator else ''}{value}"


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search: its clauses, and `notices` about clauses that are searched as words."""

    clauses: tuple[Clause, ...] = ()
    notices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.clauses))

    def values(self, operator: str, *, negated: bool = False) -> list[str]:
        """Return the values of an operator; "" means words and phrases."""
        return [each.value for each in self.clauses if each.operator == operator and each.negated is negated]

    @property
    def names_account(self) -> bool:
        """Whether in: names the account to search, which may be another one than the selected one."""
        return bool(self.values("in"))

    def pieces(self, *, negated: bool = False) -> list[tuple[str, bool]]:
        """Return words and phrases, each with whether it is a phrase."""
        found = (each for each in self.clauses if not each.operator and each.negated is negated)
        return [(each.value, each.phrase) for each in found]

    def without(self, clause: Clause) -> "Query":
        """Return this search without one of its clauses."""
        return Query(tuple(each for each in self.clauses if each is not clause))


def parse(text: str, *, filters: Collection[str]) -> Query:
    """Return what `text` asks for; `filters` are the values of is:."""
    clauses: list[Clause] = []
    notices: list[str] = []
    for sign, operator, phrase, word in _CLAUSE.findall(text):
        clause = Clause(phrase or word, operator.lower(), phrase=bool(phrase), negated=bool(sign))
        problem = _problem(clause, filters)
        if problem is None:
            clauses.append(clause)
            continue
        if problem:
            notices.append(problem)
        clauses += _as_words(clause, f"{sign}{f'{operator}:' if operator else ''}")
    return Query(tuple(clauses), tuple(dict.fromkeys(notices)))


def kinds(value: str) -> tuple[str, ...]:
    """Return the kinds of messages that a value of kind: finds."""
    return tuple(map(str, _KINDS[value.lower()]))


def period(query: Query, zone: tzinfo) -> Period:
    """Return the times that the dates of a search allow; days are those of `zone`."""
    allowed = Period()
    for operator in DATES:
        for value in query.values(operator):
            begin, end = _days(value, clock.now().astimezone(zone).date()) or (date.min, date.max)
            since, until = _midnight(begin, zone), _midnight(end, zone)
            allowed &= {"before": Period(until=since), "after": Period(since=until)}.get(operator, Period(since, until))
    return allowed


def suggestions(filters: Iterable[str], accounts: Iterable[str] = ()) -> list[str]:
    """Return operators with their values, for completion; `accounts` are usernames."""
    accounts = list(accounts)
    offered: Mapping[str, Iterable[str]] = {
        "is": filters,
        "from": ["@"],
        "in": [f"@{each}" for each in accounts] if len(accounts) > 1 else (),
        "kind": KINDS,
        "origin": ORIGINS,
        "has": [LINK],
        **dict.fromkeys(DATES, NAMED_DAYS),
    }
    return [f"{operator}:{value}" for operator in OPERATORS for value in offered[operator]]


def _problem(clause: Clause, filters: Collection[str]) -> str | None:
    """Return why a clause is searched as words, "" for no reason to mention, None if it stays as it is."""
    operator, value = clause.operator, clause.value.lower()
    if clause.negated and not _HAS_WORD.search(clause.value):
        return ""
    if not operator:
        return None if clause.phrase or not clause.value.startswith("-") or not clause.negated else ""
    if operator not in OPERATORS:
        return f"“{operator}:” is not a search operator, so its text is searched as words."
    allowed = {"is": filters, "kind": _KINDS, "origin": ORIGINS, "has": (LINK,)}.get(operator)
    if allowed is not None and value not in allowed:
        shown = KINDS if operator == "kind" else allowed
        return f"“{operator}:” has no value “{clause.value}”, so it is searched as words. Use {', '.join(shown)}."
    if operator in DATES and clause.negated:
        return f"“{operator}:” can’t be excluded, so it is searched as words."
    if operator in DATES and _days(value, date(2026, 1, 1)) is None:
        return (
            f"“{operator}:” needs a date such as 2026-11-03, 2026-11, today or yesterday, so it is searched as words."
        )
    return None if operator in DATES or _HAS_WORD.search(value) else ""


def _as_words(clause: Clause, prefix: str) -> list[Clause]:
    if clause.phrase:  # the operator's name would be another word; the phrase says what is looked for
        return [Clause(clause.value, phrase=True)]
    return [Clause(f"{prefix}{clause.value}")]


def _days(value: str, today: date) -> tuple[date, date] | None:
    """Return the first day of a date, month or year, and the day after its last one; None for anything else."""
    back = NAMED_DAYS.get(value.lower())
    if back is not None:
        return today - timedelta(days=back), today - timedelta(days=back - 1)
    found = _PERIOD.fullmatch(value)
    if found is None or not FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
        return None
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    try:
        begin = date(year, month, day)
    except ValueError:
        return None
    if found[3]:
        return begin, begin + timedelta(days=1)
    if found[2]:
        return begin, date(year + month // 12, month % 12 + 1, 1)
    return begin, date(year + 1, 1, 1)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
