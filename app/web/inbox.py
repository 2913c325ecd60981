"""The inbox: the conversation list, an open conversation, and its actions."""

import re
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs

from flask import Blueprint, Response, jsonify, request

from app import clock
from app.erasure import contacts
from app.errors import Invalid
from app.identities import refresh_on_open
from app.inbox import listing, notices, parties, pins, presence, reply_decisions, thread
from app.inbox.layout import AccountSelection
from app.inbox.listing import ConversationFilter, ListPage
from app.inbox.thread import Thread
from app.text import ROW_NUMBER
from app.web import account_selection, conditional, filters, refresh_requests, rendering, session, trusted_hosts

blueprint = Blueprint("inbox", __name__)

ID = "int(max=9223372036854775807)"  # the largest ID in a database
_OPEN = re.compile(rf"/inbox/({ROW_NUMBER.pattern})", re.ASCII)
_SHOWN = re.compile(rf"(?:{ROW_NUMBER.pattern})\.[0-9]{{1,10}}\.[0-9]{{1,10}}", re.ASCII)
MOST_SHOWN = 1_000  # rows that one request marks
VISIBLE = "Nametag-Visible"  # header of polls: whether their tab is visible
REFRESH = {"inbox:refresh": True}
MAX_MS = 32_503_680_000_000  # the year 3000; later times are malformed


@blueprint.get("/")
def home() -> Response:
    """Redirect to the inbox."""
    return rendering.see_other("/inbox")


@blueprint.get("/inbox")
def index() -> Response:
    """Show the list without an open conversation."""
    selection, want = _selection(), _wanted()
    if rendering.wants_part():  # a phone's way back to the list, which is still on the page
        _leave_previous(None)
        return rendering.render(None, "inbox/_opened.html", thread=None)
    return _page(selection, want)


@blueprint.get("/inbox/list")
def list_() -> Response:
    """Return the list alone, polled. A search updates the URL of the page."""
    selection, want, selected = _selection(), _wanted(), _selected()
    token = _list_token(selection, want, selected)
    unchanged = conditional.is_unchanged(token)
    if unchanged:
        return unchanged
    shown = _list(selection, want, selected)
    response = rendering.render(
        None,
        "inbox/_list.html",
        selection=selection,
        token=token,
        home=_url(selection, want),
        page=shown,
    )
    if request.headers.get("HX-Trigger") != "conv-list":  # not the list's own timer but the search
        response.headers["HX-Replace-Url"] = _url(selection, want, selected)
    return response


@blueprint.get("/inbox/list/more")
def more() -> Response:
    """Return the next rows of the list."""
    selection, want = _selection(), _wanted()
    shown = _list(selection, want, _selected())
    return rendering.render(None, "inbox/_more.html", home=_url(selection, want), page=shown)


@blueprint.get(f"/inbox/<{ID}:conversation_id>")
def conversation(conversation_id: int) -> Response:
    """Show a conversation: with the list, or alone for htmx."""
    viewer, before = session.viewer(), request.args.get("before")
    account_id, contact = parties.get_parties(viewer, conversation_id)
    selection, want = account_selection.select(account_id=account_id), _wanted()
    version = conditional.version(account_id, contact)
    _leave_previous(conversation_id)
    present = presence.report(viewer, conversation_id, visible=True)
    opened = thread.open_thread(viewer, conversation_id, zone=filters.zone(), before=before, at=_whole("at"), q=want.q)
    token = conditional.token(
        *(viewer, account_id, version, "thread", conversation_id, opened.before, opened.new_from, opened.limit),
        *(opened.found, want.q, present),
    )
    present_users = presence.get_present(present)
    unread = opened.unread_count > 0 and not opened.before  # a page of older messages does not show the unread ones
    # Not if Redis is unavailable: the page has waited for it already.
    if version is not None and opened.details.identity_id is not None:
        refresh_on_open.enqueue_refresh(opened.details.identity_id)
    if rendering.wants_part():
        query = listing.query_string(want, selection.ig_account_id)
        return rendering.render(
            None, "inbox/_opened.html", token=token, thread=opened, present=present_users, unread=unread, query=query
        )
    return _page(selection, want, token, opened, present=present_users, unread=unread)


@blueprint.get(f"/inbox/<{ID}:conversation_id>/messages")
def messages(conversation_id: int) -> Response:
    """Return the messages of a conversation alone, polled."""
    viewer, before, q = session.viewer(), request.args.get("before"), _open_query("q") or ""
    new_from, limit, at = _whole("new") or 0, _whole("limit") or thread.MESSAGES, _whole("at") or 0
    account_id, contact = parties.get_parties(viewer, conversation_id)
    version = conditional.version(account_id, contact)
    present = presence.report(viewer, conversation_id, visible=request.headers.get(VISIBLE) == "true")
    token = conditional.token(
        *(viewer, account_id, version, "thread", conversation_id, before, new_from, limit, at, q, present)
    )
    unchanged = conditional.is_unchanged(token)
    if unchanged:
        return unchanged
    opened = thread.open_thread(
        viewer, conversation_id, zone=filters.zone(), before=before, new_from=new_from, limit=limit, at=at, q=q
    )
    return rendering.render(
        None,
        "inbox/_polled.html",
        token=token,
        home=f"/inbox/{conversation_id}",
        thread=opened,
        present=presence.get_present(present),
        query=_open_list(),
    )


@blueprint.post(f"/inbox/<{ID}:conversation_id>/leave")
def leave(conversation_id: int) -> Response:
    """Record that the user has left the conversation. A closing page sends this."""
    presence.leave(session.viewer(), conversation_id)
    return rendering.render_done("/inbox")


@blueprint.post(f"/inbox/<{ID}:conversation_id>/read")
def read(conversation_id: int) -> Response:
    """Mark the shown messages as read. Messages that have arrived since stay unread."""
    thread.mark_read(session.viewer(), conversation_id, arrivals=_whole("arrivals"))
    return rendering.render_done(f"/inbox/{conversation_id}", events=REFRESH)


@blueprint.post(f"/inbox/<{ID}:conversation_id>/unread")
def unread(conversation_id: int) -> Response:
    """Mark a conversation as unread for this user."""
    thread.mark_unread(session.viewer(), conversation_id)
    return rendering.render_done("/inbox", events=REFRESH | rendering.toast("Marked as unread."))


@blueprint.post("/inbox/read")
def read_shown() -> Response:
    """Mark the shown conversations as read, each up to its newest message in the list."""
    thread.mark_all_read(session.viewer(), {id_: arrivals for id_, arrivals, _ in _shown()})
    return rendering.render_done("/inbox", events=REFRESH)


@blueprint.post("/inbox/unread")
def unread_shown() -> Response:
    """Mark conversations as unread again for this user, from where each was read before `read_shown`."""
    thread.mark_all_unread(session.viewer(), {id_: read_through for id_, _, read_through in _shown()})
    return rendering.render_done("/inbox", events=REFRESH)


@blueprint.get("/inbox/notices")
def notices_() -> Response:
    """Return conversations with messages stored since the last request, for desktop notifications.

    `since`: `latest` of the last response; without it there are none. Message texts only with `text=1`.
    """
    latest, after, texts = notices.newest_message(), _whole("since"), request.args.get("text") == "1"
    found = notices.since(session.viewer(), after, latest) if after is not None else ()
    waiting = [
        {"id": str(each.conversation_id), "name": each.name} | ({"text": each.text} if texts else {}) for each in found
    ]
    return jsonify({"latest": str(latest), "waiting": waiting})


@blueprint.post(f"/inbox/<{ID}:conversation_id>/no-reply-needed")
def no_reply_needed(conversation_id: int) -> Response:
    """Record that the shown messages need no reply. `through`: time of the contact's newest one in microseconds."""
    through = _whole("through")
    at = clock.from_microseconds(min(through, MAX_MS * 1000)) if through else None
    reply_decisions.mark_no_reply_needed(session.viewer(), conversation_id, through=at)
    done = REFRESH | rendering.toast("No reply needed until the contact writes again.")
    return rendering.render_done(f"/inbox/{conversation_id}", events=done)


@blueprint.post(f"/inbox/<{ID}:conversation_id>/needs-reply")
def needs_reply(conversation_id: int) -> Response:
    """Withdraw the decision that no reply is needed."""
    reply_decisions.mark_needs_reply(session.viewer(), conversation_id)
    done = REFRESH | rendering.toast("Marked as needs reply.")
    return rendering.render_done(f"/inbox/{conversation_id}", events=done)


@blueprint.post(f"/inbox/<{ID}:conversation_id>/refresh")
def refresh(conversation_id: int) -> Response:
    """Refresh the contact of a conversation."""
    refresh_requests.require_rate()
    since = int(clock.now().timestamp() * 1000)
    looked_up_at = thread.request_lookup(session.viewer(), conversation_id)
    events = rendering.toast(refresh_requests.outcome(looked_up_at))
    if looked_up_at is None:
        url = f"/inbox/{conversation_id}/lookup?since={since}"
        events |= refresh_requests.QUEUED
        events["lookup:requested"] = {"url": url, "seconds": refresh_requests.RESULT_AFTER_SECONDS}
    return rendering.render_done(f"/inbox/{conversation_id}", events=events)


@blueprint.get(f"/inbox/<{ID}:conversation_id>/lookup")
def lookup(conversation_id: int) -> Response:
    """Show the result of a refresh as a toast, nothing while there is none. `since`: time of the click in ms."""
    since = datetime.fromtimestamp(min(_whole("since") or 0, MAX_MS) / 1000, UTC)
    sentence = refresh_requests.sentence(thread.lookup_result(session.viewer(), conversation_id, since), since)
    events = REFRESH | {"lookup:ended": True} | rendering.toast(sentence) if sentence else None
    return rendering.render_done(f"/inbox/{conversation_id}", events=events)


@blueprint.post(f"/inbox/<{ID}:conversation_id>/forget")
def delete_contact(conversation_id: int) -> Response:
    """Delete all data of this contact, and show the receipt."""
    receipt_id = contacts.delete_contact(session.viewer(), conversation_id)
    return rendering.hx_redirect(f"/identities/receipts/{receipt_id}")


def _selection() -> AccountSelection:
    return account_selection.select(ig_account_id=request.args.get("account"))


def _wanted() -> ConversationFilter:
    arguments = request.args
    return listing.parse_filter(
        filter_=arguments.get("filter") or "all",
        q=arguments.get("q", ""),
        limit=_whole("limit"),
        after=arguments.get("after"),
        zone=filters.zone(),
    )


def _whole(name: str) -> int | None:
    value = request.args.get(name, "")
    if value and not ROW_NUMBER.fullmatch(value):
        raise Invalid({name: f"{name} must be a whole number."})
    return int(value) if value else None


def _page(
    selection: AccountSelection,
    want: ConversationFilter,
    thread_token: str | None = None,
    opened: Thread | None = None,
    **about: Any,
) -> Response:
    """Return the whole page. `about` is what the opened conversation shows: `present` and `unread`."""
    selected = opened.id if opened else None
    token = _list_token(selection, want, selected)
    return rendering.render(
        "inbox/page.html",
        None,
        selection=selection,
        page=_list(selection, want, selected),
        suggestions=listing.suggestions(selection.accounts),
        pins=pins.list_pins(session.viewer()),
        query=listing.query_string(want, selection.ig_account_id),
        tokens={"list": token, "thread": thread_token},
        thread=opened,
        **about,
    )


def _list(selection: AccountSelection, want: ConversationFilter, selected: int | None = None) -> ListPage:
    return listing.page(
        session.viewer(), selection.account_id or 0, want, ig_account_id=selection.ig_account_id, selected=selected
    )


def _list_token(selection: AccountSelection, want: ConversationFilter, selected: int | None) -> str | None:
    if listing.names_account(want):  # the change token of the selected account says nothing about it
        return None
    return conditional.token(
        session.viewer(), selection.account_id, conditional.version(selection.account_id), "list", want, selected
    )


def _selected() -> int | None:
    found = _OPEN.fullmatch(trusted_hosts.split_url(request.headers.get("HX-Current-URL")).path)
    return int(found[1]) if found else None


def _leave_previous(opened: int | None) -> None:
    left = _selected()
    if left is not None and left != opened:
        presence.leave(session.viewer(), left)


def _shown() -> list[tuple[int, int, int]]:
    """Return ID, number of messages and read position of the rows that a form names."""
    values = request.form.getlist("shown")
    found = [tuple(map(int, value.split("."))) for value in values if _SHOWN.fullmatch(value)]
    if len(found) != len(values) or len(values) > MOST_SHOWN:
        raise Invalid({"shown": f"`shown` must be ID.messages.read, at most {MOST_SHOWN} times."})
    return cast("list[tuple[int, int, int]]", found)


def _open_query(name: str) -> str | None:
    return parse_qs(trusted_hosts.split_url(request.headers.get("HX-Current-URL")).query).get(name, [None])[-1]


def _open_list() -> str:
    want = ConversationFilter(_open_query("filter") or "all", _open_query("q") or "")
    return listing.query_string(want, _open_query("account") or "")


def _url(selection: AccountSelection, want: ConversationFilter, selected: int | None = None) -> str:
    opened = f"/{selected}" if selected else ""
    return f"/inbox{opened}{listing.query_string(want, selection.ig_account_id)}"
