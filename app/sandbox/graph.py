"""The part of the Graph API that an inbox uses: profiles, conversations, /me, subscriptions and sending."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.sandbox import media
from app.sandbox.accounts import ACCOUNTS, APP_SECRET, Account
from app.sandbox.contacts import Contact
from app.sandbox.errors import error
from app.sandbox.world import Oddity, Sent, Token, World

READABLE_MESSAGES = 20  # Meta returns no details of older ones
HOSTS = ("instagram", "facebook")
PAGE_LIMIT = 25
TOO_MUCH = "Please reduce the amount of data you're asking for, then retry your request"
NO_PAGE = "(#100) Tried accessing nonexisting field (instagram_business_account) on node type ({})"
NODE_TYPES = {"user": "User", "system_user": "SystemUser"}
WEBHOOK_FIELDS = ("messages", "messaging_postbacks", "message_reactions", "messaging_seen", "messaging_referral")
Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """One call: host name, path after the version, parameters, token and whether it was in the query."""

    host: str
    path: tuple[str, ...]
    query: dict[str, str]
    token: str | None
    token_in_query: bool
    method: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """The kind and account of a call, and the function that returns its response."""

    kind: str
    account: Account | None
    id: str | None
    answer: Callable[[], Answer]


Send = Callable[[Account, Contact, str, str | None], Sent]


def route(world: World, request: GraphRequest, send: Send) -> Route:
    """Return the route of this call; a token of another host gets error 190, as with Meta."""
    known = world.tokens.get(request.token or "")
    account = known.account if known and _acts_for_account(known, request) else None
    if account is None or account.login != request.host or not is_proved(request):
        return Route("refused", account, None, lambda: _refusal(request, known))
    node = request.path[0] if request.path else "me"
    whole = request.path[1:]
    if whole == ("conversations",):
        return Route("conversations", account, None, lambda: _conversations(world, account, request))
    if whole == ("subscribed_apps",):
        kind = "subscribe" if request.method == "POST" else "subscribed_apps"
        return Route(kind, account, None, lambda: _subscribed(world, account, request))
    if whole == ("messages",) and request.method == "POST":
        return Route("send", account, None, lambda: _sent(world, account, request, send))
    if node in ("me", account.id, account.page_id):
        return Route("me", account, None, lambda: (200, _me(world, account, request)))
    return _node(world, account, node, request)


def numbered(world: World, found: dict[str, Any]) -> dict[str, Any]:
    """Return a response with its IDs as JSON numbers if `numeric_ids` is set."""
    if not world.choices.numeric_ids:
        return found
    return {name: int(value) if name in ("id", "user_id") else value for name, value in found.items()}


def _acts_for_account(known: Token, request: GraphRequest) -> bool:
    # A system user reads its accounts by their IDs; /me is the system user itself.
    return known.kind == "account" or (known.kind == "system_user" and request.path[:1] not in ((), ("me",)))


def is_proved(request: GraphRequest) -> bool:
    """Return whether a call has the required proof; calls to Instagram's host need none."""
    if request.host == "instagram":
        return True
    proof = hmac.new(APP_SECRET.encode(), (request.token or "").encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(proof, request.query.get("appsecret_proof", ""))


def _refusal(request: GraphRequest, known: Token | None) -> Answer:
    if known is None or (known.account and known.account.login != request.host):
        return error("190-wrong-host" if request.token else "190")
    return error("100-proof") if not is_proved(request) else error("100", NO_PAGE.format(NODE_TYPES[known.kind]))


def _node(world: World, account: Account, node: str, request: GraphRequest) -> Route:
    if node.startswith("t_"):
        return Route("messages", account, node, lambda: _thread(world, account, node))
    if node.startswith("aWdf"):
        return Route("message", account, node, lambda: _message(world, account, node))
    return Route("profile", account, node, lambda: _profile(world, account, node, request))


def _profile(world: World, account: Account, igsid: str, request: GraphRequest) -> Answer:
    contact = world.contacts.get(igsid)
    if contact is None or contact.account != account.id:
        return error("9010")
    if contact.error:
        return error(contact.error)
    fields = request.query.get("fields", "id").split(",")
    if contact.refused_field in fields:
        return error("100", f"(#100) Tried accessing nonexisting field ({contact.refused_field})")
    known = {
        "username": contact.username,
        "name": contact.name,
        "profile_pic": media.avatar_url(world.base_url, igsid) if contact.has_picture else None,
        "follower_count": int(igsid[-3:]),
        "is_verified_user": False,
        "is_user_follow_business": True,
        "is_business_follow_user": False,
    }
    found = {name: known[name] for name in fields if name in known}
    kept = {name: value for name, value in found.items() if value is not None or contact.null_fields}
    return 200, kept | {"id": igsid}


def _me(world: World, account: Account, request: GraphRequest) -> dict[str, Any]:
    fields = request.query.get("fields", "id,username").split(",")
    picture = {"profile_picture_url": media.avatar_url(world.base_url, account.id)}
    if account.page_id and request.path == (account.id,):  # the account itself, as Unified Login names it
        known = {"username": account.username} | picture
        return numbered(world, {"id": account.id} | {name: known[name] for name in fields if name in known})
    if account.page_id:  # a Page token: /me is the Page, which knows its professional account
        business = numbered(world, {"id": account.id, "username": account.username})
        page = {"id": account.page_id, "name": account.username, "instagram_business_account": business}
        return numbered(world, page)
    known = {
        "id": account.app_scoped_id,
        "user_id": account.id,
        "username": account.username,
        "account_type": "BUSINESS",
    } | picture
    found = numbered(world, {name: known[name] for name in ["id", *fields] if name in known})
    return {"data": [found]} if request.path == ("me",) and world.choices.wrapped else found


def _conversations(world: World, account: Account, request: GraphRequest) -> Answer:
    if account.login == "facebook" and request.query.get("platform") != "instagram":
        return 200, {"data": []}
    fields = request.query.get("fields", "id,updated_time")
    with world.lock:
        threads = [(who, sent) for (owner, who), sent in world.threads.items() if owner == account.id and sent]
    threads.sort(key=lambda thread: (thread[1][-1].at_ms, thread[0]), reverse=True)
    if user_id := request.query.get("user_id"):
        threads = [thread for thread in threads if thread[0] == user_id]
        if not threads:
            return error("9010")
    limit, after = _number(request.query.get("limit"), PAGE_LIMIT), request.query.get("after", "")
    following = f"{world.base_url}/next?access_token={account.token}&after="
    if world.choices.sparse_pages and not after:
        return 200, {"data": [], "paging": {"next": f"{following}after0"}}
    begin = _number(after.removeprefix("after"), 0)
    page = threads[begin : begin + limit]
    if refused := _refused_page(world, account, fields, limit, [who for who, _ in page]):
        return refused
    answer: dict[str, Any] = {"data": [_summary(world, account, who, sent, fields) for who, sent in page]}
    cursors = {"before": f"before{begin}", "after": f"after{begin + len(page)}"}
    answer["paging"] = {"cursors": cursors}
    if begin + limit < len(threads):
        # As with Meta, the URL of the next page contains the token, so that following or logging it leaks the token.
        answer["paging"]["next"] = following + cursors["after"]
    return 200, answer


def _refused_page(world: World, account: Account, fields: str, limit: int, contact_ids: list[str]) -> Answer | None:
    if fields == "id":
        return None
    if limit > world.choices.largest_page or ("updated_time" in fields and not world.choices.updated_time):
        return error("1", TOO_MUCH)
    odd = (world.oddities.get((account.id, who)) for who in contact_ids)
    return next((error(each.error) for each in odd if each and each.error), None)


def _summary(world: World, account: Account, who: str, sent: list[Sent], fields: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": f"t_{account.id}_{who}"}
    odd = world.oddities.get((account.id, who), Oddity())
    if "updated_time" in fields:
        found["updated_time"] = _time(sent[-1].at_ms)
    if "participants" in fields:
        parties = [_party(world, account.id), _party(world, who)] if odd.participants is None else odd.participants
        found["participants"] = {"data": parties}
    if nested := re.search(r"messages(?:\.limit\((\d+)\))?", fields):
        newest = sent[-int(nested[1] or 1) :][::-1]
        found["messages"] = {"data": [_changed(_listed(world, each, at), odd) for at, each in enumerate(newest)]}
    return found


def _changed(message: dict[str, Any], odd: Oddity) -> dict[str, Any]:
    changed = message | (odd.message or {})
    return {name: value for name, value in changed.items() if value is not None}


def _thread(world: World, account: Account, node: str) -> Answer:
    sent = world.threads.get((account.id, node.rpartition("_")[2]), [])
    messages = [_listed(world, each, place) for place, each in enumerate(reversed(sent))]
    return 200, {"id": node, "messages": {"data": messages}}


def _listed(world: World, sent: Sent, place: int) -> dict[str, Any]:
    if place < READABLE_MESSAGES:
        return _details(world, sent)
    return {"id": sent.mid, "created_time": _time(sent.at_ms)}


def _message(world: World, account: Account, mid: str) -> Answer:
    with world.lock:
        threads = [sent for (owner, _), sent in world.threads.items() if owner == account.id]
    for sent in threads:
        for each in sent[-READABLE_MESSAGES:]:
            if each.mid == mid:
                return 200, _details(world, each)
    return error("9000001")


def _details(world: World, sent: Sent) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": sent.mid,
        "created_time": _time(sent.at_ms),
        "from": _party(world, sent.from_id),
        "to": {"data": [_party(world, sent.to_id)]},
        "message": sent.text or "",
    }
    if sent.photo:
        found["attachments"] = {"data": [{"mime_type": "image/png", "image_data": {"url": sent.photo}}]}
    if sent.reply_to:
        found["reply_to"] = {"mid": sent.reply_to}
    return found


def _party(world: World, ig_id: str) -> dict[str, Any]:
    if ig_id in ACCOUNTS:
        return {"username": ACCOUNTS[ig_id].username, "id": ig_id}
    contact = world.contacts.get(ig_id)
    return {"username": contact.username, "id": ig_id} if contact and contact.username else {"id": ig_id}


def _sent(world: World, account: Account, request: GraphRequest, send: Send) -> Answer:
    recipient = str(request.body.get("recipient", {}).get("id", ""))
    contact = world.contacts.get(recipient)
    text = request.body.get("message", {}).get("text")
    if contact is None or contact.account != account.id:
        return error("9010")
    if not isinstance(text, str) or not 0 < len(text.encode()) <= 1000:
        return error("100", "(#100) Invalid message data")
    reply_to = request.body.get("reply_to", {}).get("mid")
    return 200, {"recipient_id": recipient, "message_id": send(account, contact, text, reply_to).mid}


def _subscribed(world: World, account: Account, request: GraphRequest) -> Answer:
    if request.method == "POST":
        wanted = request.query.get("subscribed_fields", "").split(",")
        refused = world.choices.refused_fields.split(",")
        for place, field in enumerate(wanted):
            if field in refused:  # as with Meta, one refused field fails the whole call
                allowed = ", ".join(each for each in WEBHOOK_FIELDS if each not in refused)
                message = f'(#100) Param subscribed_fields[{place}] must be one of {{{allowed}}} - got "{field}"'
                return error("100", message)
        world.subscribed[account.id] = wanted
        return 200, {"success": True}
    fields = world.subscribed.get(account.id)
    return 200, {"data": [{"id": "700000000000111", "subscribed_fields": fields}] if fields else []}


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S+0000}"


def _number(value: str | None, default: int) -> int:
    return int(value) if value and value.isdigit() else default
