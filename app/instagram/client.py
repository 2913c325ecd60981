"""One function a Graph call: credential and ids in, frozen dataclass or CallFailed out. Knows no budget, no row."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app import clock
from app.instagram import errors, messaging, reading, strict, usage, wire
from app.instagram.answers import ConversationPage, Me, Profile
from app.instagram.credential import Credential
from app.instagram.errors import CallFailed, Reason, Scope
from app.instagram.usage import Usage
from app.instagram.wire import Answer
from app.text import storable

PROFILE_FIELDS = ("name", "username", "profile_pic")
CONVERSATION_FIELDS = ("id", "updated_time", "participants")
MESSAGE_FIELDS = "id,created_time,from,to,message,attachments,shares{link},story,reply_to,is_unsupported"
ME_FIELDS = ("id", "user_id", "username", "account_type")
PAGE_FIELDS = ("id", "instagram_business_account{id,username}")
MOST_PAGES = "100"  # of one person; more would need paging
PERSONS_TOKEN = "This is the token of a person; connect with the token of the Page"  # noqa: S105 - a sentence
PROFILE_BYTES = 1024 * 1024  # after unpacking (reliability.md S38)
PAGE_BYTES = 8 * 1024 * 1024
RAW_CHARACTERS = 4000
NO_PAGING: Mapping[str, str] = {}
_UNKEPT = re.compile("(?i)token|trace")  # secrets, and what names one request at Meta
_NODE = re.compile(r"[\w=-]{1,512}", re.ASCII)  # nothing that a path could be bent with


def profile(credential: Credential, ig_participant_id: str, fields: Sequence[str] = PROFILE_FIELDS) -> Profile:
    """Return one participant's profile (instagram-platform.md 7); raises CallFailed."""
    answer, body = _get(credential, ig_participant_id, fields=fields, of_person=True)
    if strict.text(body, "id") != ig_participant_id:
        raise errors.bad_answer("other_id", "Instagram answered about somebody else", http_status=answer.http_status)
    return Profile(
        ig_id=ig_participant_id,
        username=strict.text(body, "username"),
        name=strict.text(body, "name"),
        picture_url=strict.text(body, "profile_pic"),
        raw=_raw(body, credential.token),
        usage=usage.read(answer.headers, now=clock.now()),
    )


def conversations(
    credential: Credential,
    node: str,
    *,
    limit: int,
    after: str | None = None,
    messages: int = 0,
) -> ConversationPage:
    """Return one page of an account's conversations with their newest `messages` (instagram-platform.md 8).

    `node` is "me" for Instagram Login, the Page's id for Facebook Login. Meta's own `next` link is never followed: it
    carries the token. Raises CallFailed.
    """
    nested = (f"messages.limit({messages}){{{MESSAGE_FIELDS}}}",) if messages else ()
    fields = (*CONVERSATION_FIELDS, *nested)
    paging = {"platform": "instagram", "limit": str(limit)} | ({"after": after} if after else {})
    answer, body = _get(credential, node, "conversations", fields=fields, paging=paging, most_bytes=PAGE_BYTES)
    return ConversationPage(
        threads=tuple(reading.thread(each) for each in strict.items(body, "data")),
        after=_after(body),
        usage=usage.read(answer.headers, now=clock.now()),
    )


def me(credential: Credential) -> Me:
    """Return whom an Instagram Login token belongs to (instagram-platform.md 2); raises CallFailed."""
    answer, body = _get(credential, "me", fields=ME_FIELDS)
    account = next(iter(strict.items(body, "data")), {}) if "data" in body else body  # documented wrapped, seen without
    return Me(
        ig_account_id=strict.required(account, "user_id"),
        ig_app_scoped_id=strict.text(account, "id"),
        username=strict.text(account, "username"),
        account_type=strict.text(account, "account_type"),
        ig_page_id=None,
        usage=usage.read(answer.headers, now=clock.now()),
    )


def page(credential: Credential) -> Me:
    """Return whom a Facebook Login token belongs to: the Page and its Instagram account; raises CallFailed.

    For a Page token `/me` is the Page, which knows its account under `instagram_business_account` (Meta's reference of
    the Page; instagram-platform.md has no word on it).
    """
    try:
        answer, body = _get(credential, "me", fields=PAGE_FIELDS)
    except CallFailed as failure:
        if failure.reason is not Reason.FIELD:
            raise
        status = failure.http_status
        raise CallFailed(Scope.ACCOUNT, Reason.TOKEN, "person", PERSONS_TOKEN, http_status=status) from None
    found = _linked(body, usage.read(answer.headers, now=clock.now()))
    if found is None:
        sentence = "The Page has no Instagram account; reconnect the account"
        raise CallFailed(Scope.ACCOUNT, Reason.TOKEN, "no_account", sentence, http_status=answer.http_status)
    return found


def pages(credential: Credential) -> list[tuple[Me, str]]:
    """Return the Instagram accounts of a person's Pages, each with the token of its Page; raises CallFailed."""
    fields = (*PAGE_FIELDS, "access_token")
    answer, body = _get(
        credential, "me", "accounts", fields=fields, paging={"limit": MOST_PAGES}, most_bytes=PAGE_BYTES
    )
    said = usage.read(answer.headers, now=clock.now())
    found = ((_linked(each, said), strict.text(each, "access_token")) for each in strict.items(body, "data"))
    return [(account, token) for account, token in found if account and token]


def user_id(credential: Credential) -> str | None:
    """Return the app-scoped ID of the person a user access token belongs to; raises CallFailed."""
    _, body = _get(credential, "me", fields=("id",))
    return messaging.ig_id(body.get("id"))


def token_owner(app: Credential, token: str) -> str | None:
    """Return the app-scoped ID of the person who authorized `token`; `app` holds the app access token.

    Documented with the token in the URL, and with nothing else. Raises CallFailed.
    """
    _, body = _asked(wire.get, app, "debug_token", parameters={"input_token": token})
    return messaging.ig_id(strict.mapping(body, "data").get("user_id"))


def permissions(credential: Credential) -> frozenset[str]:
    """Return the permissions that a person gave the app; raises CallFailed."""
    _, body = _get(credential, "me", "permissions", fields=("permission", "status"))
    given = (each for each in strict.items(body, "data") if each.get("status") == "granted")
    return frozenset(strict.required(each, "permission") for each in given)


def subscribed_fields(credential: Credential, node: str) -> frozenset[str]:
    """Return the webhook fields that an account or Page is subscribed to (instagram-platform.md 3); raises CallFailed.

    Empty when it is not subscribed at all.
    """
    _, body = _get(credential, node, "subscribed_apps", fields=("subscribed_fields",))
    apps = strict.items(body, "data") if "data" in body else []
    told = (app.get("subscribed_fields") for app in apps)
    return frozenset(field for fields in told if isinstance(fields, list) for field in fields if isinstance(field, str))


def subscribe(credential: Credential, node: str, fields: Sequence[str]) -> None:
    """Subscribe an account or Page to webhook fields; raises CallFailed."""
    wanted = {"subscribed_fields": ",".join(fields)}
    _asked(wire.post, credential, node, "subscribed_apps", parameters=wanted)


def _linked(page: Mapping[str, Any], said: Usage) -> Me | None:
    account = strict.mapping(page, "instagram_business_account")
    if not account:
        return None
    return Me(
        ig_account_id=strict.required(account, "id"),
        ig_app_scoped_id=None,
        username=strict.text(account, "username"),
        account_type=None,
        ig_page_id=strict.required(page, "id"),
        usage=said,
    )


def _get(
    credential: Credential,
    *path: str,
    fields: Sequence[str],
    paging: Mapping[str, str] = NO_PAGING,
    most_bytes: int = PROFILE_BYTES,
    of_person: bool = False,
) -> tuple[Answer, dict[str, Any]]:
    parameters = {**paging, "fields": ",".join(fields)}
    return _asked(wire.get, credential, *path, parameters=parameters, most_bytes=most_bytes, of_person=of_person)


def _asked(
    send: Callable[..., Answer],
    credential: Credential,
    *path: str,
    parameters: Mapping[str, str],
    most_bytes: int = PROFILE_BYTES,
    of_person: bool = False,
) -> tuple[Answer, dict[str, Any]]:
    if not all(_NODE.fullmatch(part) for part in path):
        raise CallFailed(Scope.PERSON, Reason.REFUSED, "id", "This is not an id of Instagram's; it was not asked for")
    if not credential.token.isascii() or not credential.token.isprintable():
        raise CallFailed(Scope.ACCOUNT, Reason.TOKEN, "token", "This is not a token of Meta's; reconnect the account")
    answer = send(
        f"{credential.host_url}/{credential.version}/{'/'.join(path)}",
        parameters={**parameters, **credential.proof},
        headers={"Authorization": f"Bearer {credential.token}"},
        seconds=credential.timeout_seconds,
        most_bytes=most_bytes,
    )
    if 300 <= answer.http_status < 400:
        raise errors.bad_answer("redirect", http_status=answer.http_status)
    body = strict.parse(answer.body)
    if answer.http_status == 200 and body is not None and "error" not in body:
        return answer, body
    failure = errors.judge(answer.http_status, body, answer.headers, now=clock.now(), of_person=of_person)
    error = body.get("error") if body else None
    failure.raw = {"error": _raw(error, credential.token)} if isinstance(error, Mapping) else None
    raise failure


def _after(body: Mapping[str, Any]) -> str | None:
    paging = strict.mapping(body, "paging")
    return strict.required(strict.mapping(paging, "cursors"), "after") if strict.text(paging, "next") else None


def _raw(body: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Keep what may be looked at later: plain fields, nothing that is or holds a token, a few KB in all."""
    kept: dict[str, Any] = {}
    room = RAW_CHARACTERS
    for name, value in body.items():
        if not isinstance(value, str | int | float | None) or _UNKEPT.search(name):
            continue
        plain = storable(value) if isinstance(value, str) else value
        room -= len(name) + len(str(plain))
        if room >= 0 and token not in str(plain):
            kept[storable(name)] = plain
    return kept
