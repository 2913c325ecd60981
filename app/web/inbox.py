"""The inbox: the conversation list, an open conversation, and its actions."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs

from flask import Blueprint, Response, request

from app import clock
from app.erasure import contacts
from app.errors import Invalid
from app.identities import refresh_on_open
from app.inbox import listing, thread
from app.inbox.layout import AccountSelection
from app.inbox.listing import ConversationFilter, ListPage
from app.text import ROW_NUMBER
from app.web import account_selection, conditional, filters, refresh_requests, rendering, session, trusted_hosts

blueprint = Blueprint("inbox", __name__)

ID = "int(max=9223372036854775807)"  # the largest ID in a database
_OPEN = re.compile(rf"/inbox/({ROW_NUMBER.pattern})", re.ASCII)
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
        return rendering.render(None, "inbox/_opened.html", thread=None)
    token = _list_token(selection, want, None)
    return rendering.render(
        "inbox/page.html",
        None,
        selection=selection,
        query=listing.query_string(want, selection.ig_account_id),
        page=_list(selection, want),
        tokens={"list": token, "thread": None},
        thread=None,
        unread=False,
    )


@blueprint.get("/inbox/list")
def list_() -> Response:
    """Return the list alone, polled. A search updates the URL of the page."""
    selection, want, selected = _selection(), _wanted(), _selected()
    token = _list_token(selection, want, selected)
    unchanged = conditional.is_unchanged(token)
    if unchanged:
        return unchanged
    response = rendering.render(
        None,
        "inbox/_list.html",
        selection=selection,
        token=token,
        home=_url(selection, want),
        page=_list(selection, want, selected),
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
    account_id, contact = thread.parties_of(viewer, conversation_id)
    selection, want = account_selection.select(viewer, account_id=account_id), _wanted()
    query = listing.query_string(want, selection.ig_account_id)
    version = conditional.version(account_id, contact)
    opened = thread.open_thread(viewer, conversation_id, zone=filters.zone(), before=before)
    token = conditional.token(
        viewer, account_id, version, "thread", conversation_id, before, opened.new_from, opened.limit
    )
    unread = opened.unread_count > 0 and not before  # a page of older messages does not show the unread ones
    # Not if Redis is unavailable: the page has waited for it already.
    if version is not None and opened.details.identity_id is not None:
        refresh_on_open.enqueue_refresh(opened.details.identity_id)
    if rendering.wants_part():
        return rendering.render(None, "inbox/_opened.html", token=token, thread=opened, unread=unread, query=query)
    tokens = {"list": _list_token(selection, want, conversation_id), "thread": token}
    shown = _list(selection, want, conversation_id)
    return rendering.render(
        "inbox/page.html",
        None,
        selection=selection,
        page=shown,
        tokens=tokens,
        thread=opened,
        unread=unread,
        query=query,
    )


@blueprint.get(f"/inbox/<{ID}:conversation_id>/messages")
def messages(conversation_id: int) -> Response:
    """Return the messages of a conversation alone, polled."""
    viewer, before = session.viewer(), _open_query("before")
    new_from, limit = _whole("new") or 0, _whole("limit") or thread.MESSAGES
    account_id, contact = thread.parties_of(viewer, conversation_id)
    version = conditional.version(account_id, contact)
    token = conditional.token(viewer, account_id, version, "thread", conversation_id, before, new_from, limit)
    unchanged = conditional.is_unchanged(token)
    if unchanged:
        return unchanged
    opened = thread.open_thread(
        viewer, conversation_id, zone=filters.zone(), before=before, new_from=new_from, limit=limit
    )
    here = f"/inbox/{conversation_id}"
    return rendering.render(None, "inbox/_polled.html", token=token, home=here, thread=opened, query=_open_list())


@blueprint.post(f"/inbox/<{ID}:conversation_id>/read")
def read(conversation_id: int) -> Response:
    """Mark the shown messages as read. Messages that have arrived since stay unread."""
    thread.mark_read(session.viewer(), conversation_id, arrivals=_whole("arrivals"))
    return rendering.render_done(f"/inbox/{conversation_id}", events=REFRESH)


@blueprint.post(f"/inbox/<{ID}:conversation_id>/unread")
def unread(conversation_id: int) -> Response:
    """Mark a conversation as unread."""
    thread.mark_unread(session.viewer(), conversation_id)
    return rendering.render_done("/inbox", events=REFRESH | rendering.toast("Marked as unread."))


@blueprint.post(f"/inbox/<{ID}:conversation_id>/refresh")
def refresh(conversation_id: int) -> Response:
    """Refresh the contact of a conversation."""
    refresh_requests.require_rate()
    since = int(clock.now().timestamp() * 1000)
    looked_up_at = thread.request_lookup(session.viewer(), conversation_id)
    events = rendering.toast(refresh_requests.outcome(looked_up_at))
    if looked_up_at is None:
        url = f"/inbox/{conversation_id}/lookup?since={since}"
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
    """Delete all data of this contact."""
    contacts.delete_contact(session.viewer(), conversation_id)
    return rendering.hx_redirect("/inbox")


def _selection() -> AccountSelection:
    return account_selection.select(session.viewer(), ig_account_id=request.args.get("account"))


def _wanted() -> ConversationFilter:
    arguments = request.args
    return listing.parse_filter(
        filter_=arguments.get("filter") or "all",
        q=arguments.get("q", ""),
        limit=_whole("limit"),
        after=arguments.get("after"),
    )


def _whole(name: str) -> int | None:
    value = request.args.get(name, "")
    if value and not ROW_NUMBER.fullmatch(value):
        raise Invalid({name: f"{name} must be a whole number."})
    return int(value) if value else None


def _list(selection: AccountSelection, want: ConversationFilter, selected: int | None = None) -> ListPage:
    return listing.page(
        session.viewer(), selection.account_id or 0, want, ig_account_id=selection.ig_account_id, selected=selected
    )


def _list_token(selection: AccountSelection, want: ConversationFilter, selected: int | None) -> str | None:
    return conditional.token(
        session.viewer(), selection.account_id, conditional.version(selection.account_id), "list", want, selected
    )


def _selected() -> int | None:
    found = _OPEN.fullmatch(trusted_hosts.split_url(request.headers.get("HX-Current-URL")).path)
    return int(found[1]) if found else None


def _open_query(name: str) -> str | None:
    return parse_qs(trusted_hosts.split_url(request.headers.get("HX-Current-URL")).query).get(name, [None])[-1]


def _open_list() -> str:
    want = ConversationFilter(_open_query("filter") or "all", _open_query("q") or "")
    return listing.query_string(want, _open_query("account") or "")


def _url(selection: AccountSelection, want: ConversationFilter, selected: int | None = None) -> str:
    opened = f"/{selected}" if selected else ""
    return f"/inbox{opened}{listing.query_string(want, selection.ig_account_id)}"
