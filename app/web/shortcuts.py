"""Keyboard shortcuts. This table is rendered into the list of shortcuts, and key handlers read it from there."""

from dataclasses import dataclass

from flask import Flask


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A shortcut: any of `keys` runs the action `does` of shortcuts.js or keys.js, where `when` finds an element.

    A key is a `KeyboardEvent.key`, letters in lower case; "shift+u" is pressed together, "g+i" one after the other.
    `repeats`: a key held down repeats it.
    """

    label: str
    keys: tuple[str, ...]
    does: str
    when: str = "body"
    repeats: bool = False

    @property
    def shown(self) -> tuple[tuple[str, ...], ...]:
        """The keys as readers know them: ("G", "then", "I")."""
        return tuple(_shown(key) for key in self.keys)


def control(label: str, key: str) -> Shortcut:
    """Return the shortcut that presses the page's control with this `data-key`."""
    return Shortcut(label, (key,), "press", f'[data-key="{key}"]')


def _go(label: str, key: str) -> Shortcut:
    return Shortcut(f"Go to {label}", (f"g+{key}",), "go", f'[data-go="{key}"]')


_NAMES = {"ArrowDown": "↓", "ArrowUp": "↑", "PageDown": "Page Down", "PageUp": "Page Up", "Escape": "Esc"}
_INBOX, _LIST, _THREAD = "#inbox", "#conv-list:focus-within", "#inbox .thread"
_SCROLL = ("ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", "Space")

SHORTCUTS: dict[str, tuple[Shortcut, ...]] = {
    "Conversations": (
        Shortcut("Next conversation", ("j",), "next", _INBOX, repeats=True),
        Shortcut("Previous conversation", ("k",), "previous", _INBOX, repeats=True),
        Shortcut("Move in the list", ("ArrowDown", "ArrowUp", "Home", "End"), "rows", _LIST, repeats=True),
        Shortcut("Open the conversation and move into it", ("Enter",), "open", _LIST),
        Shortcut("Mark as read and open the next", ("e",), "done", _INBOX),
        Shortcut("Mark read or unread", ("u",), "mark", _INBOX),
        Shortcut("Mark as unread", ("shift+u",), "unread", _INBOX),
        Shortcut("Search conversations", ("/",), "search", _INBOX),
    ),
    "Open conversation": (
        Shortcut("Scroll the messages", _SCROLL, "scroll", _THREAD, repeats=True),
        control("Mark as no reply needed or needs reply", "w"),
        control("Refresh this identity", "r"),
        control("Open the contact in Instagram", "o"),
        control("Copy the username", "c"),
    ),
    "Go to": (
        *(_go("Inbox", "i"), _go("Jobs", "j"), _go("Identities", "d")),
        *(_go("Accounts", "a"), _go("Insights", "m"), _go("Settings", "s")),
    ),
    "Everywhere": (
        Shortcut("Find actions, accounts, contacts and jobs", ("ctrl+k",), "palette"),
        Shortcut("Close a menu, clear the search, close the conversation", ("Escape",), "leave"),
        Shortcut("Show keyboard shortcuts", ("?",), "help"),
    ),
}


_KEYS_ONLY = frozenset({"rows", "open", "scroll", "palette", "leave"})  # make no sense from a palette


def commands() -> tuple[Shortcut, ...]:
    """Return the shortcuts that a palette offers as actions."""
    return tuple(row for group in SHORTCUTS.values() for row in group if row.does not in _KEYS_ONLY)


def init_app(app: Flask) -> None:
    """Add the table to the templates of `app`."""
    app.jinja_env.globals["SHORTCUTS"] = SHORTCUTS


def _shown(key: str) -> tuple[str, ...]:
    first, _, second = key.rpartition("+") if len(key) > 1 else ("", "", key)
    last = _NAMES.get(second, second.capitalize())
    if not first:
        return (last,)
    return (first.upper(), "then", last) if len(first) == 1 else (first.capitalize(), last)
