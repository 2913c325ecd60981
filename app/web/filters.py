"""Template filters for times, durations, numbers and texts. They depend on the user's time zone only."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import unquote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, request
from markupsafe import Markup, escape

from app import clock, reply_state, text
from app.identities.display import short_id
from app.inbox import snippets
from app.labels import label
from app.text import MESSAGE_CHARACTERS, clip, web_url

UTC = ZoneInfo("UTC")
ZONE_COOKIE = "tz"
CHOSEN_ZONE_COOKIE = "zone"
_MAIL = r"(?<![\w.+-])(?a:[a-z0-9._+-]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})(?![\w@-])"
_REST = r"[^\s<>\"'\u0000-\u0020]+"
_LINK = re.compile(rf"https?://{_REST}|(?P<mail>{_MAIL})|(?<![\w.@/-])www\.[\w-]+\.{_REST}", re.IGNORECASE)
CLOSED = ("closed", "Window closed")
_CODE = re.compile("`([^`]+)`")
_THIN_SPACE = "\u202f"
_TRAILING = ".,;:!?)]}»”’"


def init_app(app: Flask) -> None:
    """Add the filters of this module to the templates of `app`."""
    times = (clock.rfc3339, clock.microseconds, exact, short, wall_clock, date, duration, time_of_day, to_the_second)
    for filter_ in (
        *times,
        span,
        moment,
        window_left,
        user_name,
        linkify,
        code_spans,
        grouped,
        plural,
        label,
        clip,
        short_id,
        query,
    ):
        app.add_template_filter(filter_, "clock" if filter_ is wall_clock else filter_.__name__)
    app.jinja_env.globals["chosen_zone"] = chosen_zone


def zone() -> ZoneInfo:
    """Return the user's time zone: the one chosen in Settings, else the browser's, else UTC."""
    cookies = request.cookies
    return _zone(cookies.get(CHOSEN_ZONE_COOKIE)) or _zone(cookies.get(ZONE_COOKIE)) or UTC


def chosen_zone() -> str | None:
    """Return the name of the time zone that the user chose in Settings, None for the browser's."""
    chosen = _zone(request.cookies.get(CHOSEN_ZONE_COOKIE))
    return chosen.key if chosen else None


@lru_cache(maxsize=256)  # of cookies, by every time on a page
def _zone(cookie: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(unquote(cookie)) if cookie else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def exact(at: datetime) -> str:
    """Return day and time in full: Friday 20 November 2026, 09:29:05."""
    return f"{at.astimezone(zone()):%A %-d %B %Y, %H:%M:%S}"


def wall_clock(at: datetime) -> str:
    """Return the time, with the day before it unless it is today: "09:29", "Wed, 09:42" or "12 Sep, 09:42"."""
    local = at.astimezone(zone())
    return f"{local:%H:%M}" if _days_ago(local) == 0 else f"{_day(local)}, {local:%H:%M}"


def short(at: datetime) -> str:
    """Return the time for today, else the day: "09:29", "Yesterday", "Tue" or "12 Sep"."""
    local = at.astimezone(zone())
    return f"{local:%H:%M}" if _days_ago(local) <= 0 else _day(local)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: 36 s, 2 min 41 s, 1 h 05 min."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    if whole < 60:
        return f"{whole} s"
    hours, minutes_rest = divmod(minutes, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{hours} h {minutes_rest:02d} min"


def date(at: datetime) -> str:
    """Return the day with its year: 9 Nov 2026."""
    return f"{at.astimezone(zone()):%-d %b %Y}"


def to_the_second(at: datetime) -> str:
    """Return day and time with seconds: 9 Nov 2026, 09:29:05."""
    return f"{at.astimezone(zone()):%-d %b %Y, %H:%M:%S}"


def time_of_day(at: datetime) -> str:
    """Return the time without the day: 09:29."""
    return f"{at.astimezone(zone()):%H:%M}"


def span(until: datetime) -> str:
    """Return the approximate time left until `until`: 6 d, 23 h 55 m, 12 m."""
    minutes = max(0, int((until - clock.now()).total_seconds() // 60))
    hours, rest = divmod(minutes, 60)
    return f"{hours // 24} d" if hours >= 48 else f"{hours} h {rest:02d} m" if hours else f"{rest} m"


def window_left(ends_at: datetime) -> tuple[str, str]:
    """Return the state of a 24-hour window and the time left: ("closing", "5 h left"), ("urgent", "40 min left").

    Both are empty while there is time, and once no user may reply any more. The script `list.js` keeps it up to date.
    """
    left = ends_at - clock.now()
    if left > reply_state.CLOSING or left <= reply_state.WINDOW - reply_state.HUMAN_WINDOW:
        return "", ""
    if left >= reply_state.URGENT:
        return "closing", f"{left // timedelta(hours=1)} h left"
    return ("urgent", f"{max(left // timedelta(minutes=1), 1)} min left") if left > timedelta(0) else CLOSED


def user_name(email: str, *, short: bool = False) -> str:
    """Return the name of a user, derived from their email address: Nadia Kessler, or Nadia K. if `short`."""
    parts = [part for part in re.split(r"[._+-]+", email.partition("@")[0]) if part] or [email]
    names = [part[0].upper() + part[1:] for part in parts]
    return f"{names[0]} {names[-1][:1]}." if short and len(names) > 1 and "@" in email else " ".join(names)


def moment(at: datetime, period: str) -> str:
    """Return the label on a chart's time axis: the time for the period "day", else the day."""
    local = at.astimezone(zone())
    return f"{local:%H:%M}" if period == "day" else f"{local:%-d %b}"


def grouped(number: int) -> str:
    """Return a number with narrow spaces between thousands."""
    return text.grouped(number, _THIN_SPACE)


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun: 1 job, 2 jobs. `nouns` is an irregular plural."""
    return text.plural(number, noun, nouns, thousands=_THIN_SPACE)


def query(values: Mapping[str, object]) -> str:
    """Return the query of a URL with the values that are set: "?job=1&show=all", or nothing."""
    encoded = urlencode({name: value for name, value in values.items() if value})
    return f"?{encoded}" if encoded else ""


def linkify(words: str, marks: Sequence[tuple[str, bool]] = ()) -> Markup:
    """Return the escaped text of a message, with links for URLs and email addresses (no referrer).

    A URL begins with http, https or "www.". `marks` are the words and phrases of a search, which are marked.
    """
    words = clip(words, MESSAGE_CHARACTERS)
    pieces: list[Markup] = []
    end = 0
    for found in _LINK.finditer(words):
        shown = found[0].rstrip(_TRAILING)
        url = f"mailto:{shown}" if found["mail"] else web_url(shown if "://" in shown[:8] else f"https://{shown}")
        text = _marked(shown, marks)
        pieces += [_marked(words[end : found.start()], marks), _link(url, text) if url else text]
        end = found.start() + len(shown)
    return Markup("").join([*pieces, _marked(words[end:], marks)])


def _marked(words: str, marks: Sequence[tuple[str, bool]]) -> Markup:
    if not marks:
        return escape(words)
    parts = snippets.marked(words, marks)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(each.text) if each.marked else escape(each.text) for each in parts
    )


def code_spans(sentence: str) -> Markup:
    """Return a sentence, escaped, with what it has between backticks as code: commands and settings."""
    pieces = enumerate(_CODE.split(sentence))  # every second one is code
    return Markup("").join(Markup("<code>{}</code>").format(each) if at % 2 else escape(each) for at, each in pieces)


def _link(url: str, shown: Markup) -> Markup:
    return Markup('<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{1}</a>').format(url, shown)


def _day(local: datetime) -> str:
    days = _days_ago(local)
    return "Yesterday" if days == 1 else f"{local:%a}" if 1 < days < 7 else f"{local:%-d %b}"


def _days_ago(local: datetime) -> int:
    return (clock.now().astimezone(local.tzinfo).date() - local.date()).days
