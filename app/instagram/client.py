"""Graph API client, one function per call: returns a frozen dataclass or raises GraphAPIError.

It neither counts nor logs calls; `app.calls` does.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app import clock
from app.instagram import conversation_parser, errors, http, ids, json_fields, usage_headers
from app.instagram.credential import Credential
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.http import HttpResponse
from app.instagram.responses import ConversationListPage, GrantedPage, MessageIds, Profile, TokenInfo, TokenOwner
from app.instagram.usage_headers import Usage
from app.text import storable

PROFILE_FIELDS = ("name", "username", "profile_pic")
CONVERSATION_FIELDS = ("id", "participants")  # Meta refuses some lists with updated_time
MESSAGE_FIELDS = "id,created_time,from,to,message,attachments,shares{link},story,reply_to,is_unsupported"
ME_FIELDS = ("id", "user_id", "username", "account_type")
PAGE_FIELDS = ("id", "instagram_business_account{id,username}")
GRANTED_FIELDS = (*PAGE_FIELDS, "access_token")
MOST_PAGES = 100  # of one user; a second page is not read
PAGE_PERMISSIONS = "pages_"  # prefix of permissions for Pages; the others are for Instagram accounts
USER, SYSTEM_USER = "person", "system_user"  # error codes for tokens that are not a Page's
NO_USER_ID = (
    "Meta's answer does not name the professional account of this access token. Make sure that the account is a "
    "professional one and that instagram_business_basic was allowed, then create the access token again"
)
OWNERS = {
    USER: "This is a user access token, not the Page access token that Facebook Login needs",
    SYSTEM_USER: "This is the access token of a system user, not the Page access token that Facebook Login needs",
}
PROFILE_BYTES = 1024 * 1024  # uncompressed
PAGE_BYTES = 8 * 1024 * 1024
RAW_CHARACTERS = 4000
LAST_SECOND = 253_402_300_800  # of the year 9999
NO_PAGING: Mapping[str, str] = {}
_NOT_STORED = re.compile("(?i)token|trace")  # secrets and request IDs
_NODE = re.compile(r"[\w=-]{1,512}", re.ASCII)  # no character that changes the path of the URL


def profile(credential: Credential, ig_participant_id: str, fields: Sequence[str] = PROFILE_FIELDS) -> Profile:
    """Return one participant's profile (docs/meta-platform.md#user-profile-api); raises GraphAPIError."""
    answer, body = _get(credential, ig_participant_id, fields=fields, about_contact=True)
    if json_fields.optional_id(body, "id") != ig_participant_id:
        raise errors.bad_response(
            "other_id", "Instagram returned the profile of another contact", http_status=answer.http_status
        )
    return Profile(
        ig_id=ig_participant_id,
        username=json_fields.optional_text(body, "username"),
        name=json_fields.optional_text(body, "name"),
        picture_url=json_fields.optional_text(body, "profile_pic"),
        raw=_storable_fields(body, credential.token),
        usage=_usage(credential, answer),
    )


def conversations(
    credential: Credential,
    node: str,
    *,
    limit: int,
    after: str | None = None,
    messages: int = 0,
    ids_only: bool = False,
) -> ConversationListPage:
    """Return one page of an account's conversations with their newest `messages`, or their IDs alone.

    `node` is "me" for Instagram Login, the Page's ID for Facebook Login. Meta's `next` link is never followed, because
    it contains the token. Unreadable elements are in `skipped`. Raises GraphAPIError.
    """
    nested = (f"messages.limit({messages}){{{MESSAGE_FIELDS}}}",) if messages else ()
    fields = ("id",) if ids_only else (*CONVERSATION_FIELDS, *nested)
    paging = {"platform": "instagram", "limit": str(limit)} | ({"after": after} if after else {})
    answer, body = _get(credential, node, "conversations", fields=fields, paging=paging, most_bytes=PAGE_BYTES)
    threads, skipped = conversation_parser.parse_conversations(body)
    return ConversationListPage(threads, _next_cursor(body), _usage(credential, answer), skipped)


def message_ids(credential: Credential, ig_conversation_id: str, *, limit: int) -> MessageIds:
    """Return the IDs and times of a conversation's newest messages, also of those without details.

    Raises GraphAPIError.
    """
    fields = (f"messages.limit({limit}){{id,created_time}}",)
    answer, body = _get(credential, ig_conversation_id, fields=fields, most_bytes=PAGE_BYTES)
    listed = json_fields.required_objects(json_fields.optional_object(body, "messages") or {"data": []}, "data")
    found = [
        (json_fields.required_identifier(each, "id"), json_fields.required_time(each, "created_time"))
        for each in listed
    ]
    return MessageIds(tuple(found), _usage(credential, answer))


def token_owner(credential: Credential) -> TokenOwner:
    """Return the account of an Instagram Login token (docs/meta-platform.md#ids); raises GraphAPIError."""
    answer, body = _get(credential, "me", fields=ME_FIELDS)
    account = (
        next(iter(json_fields.required_objects(body, "data")), {}) if "data" in body else body
    )  # documented with `data`, also sent without
    ig_account_id = json_fields.optional_id(account, "user_id")
    if ig_account_id is None:
        raise errors.bad_response("no_user_id", NO_USER_ID, http_status=answer.http_status)
    return TokenOwner(
        ig_account_id=ig_account_id,
        ig_app_scoped_id=json_fields.optional_id(account, "id"),
        username=json_fields.optional_text(account, "username"),
        account_type=json_fields.optional_text(account, "account_type"),
        ig_page_id=None,
        usage=_usage(credential, answer),
    )


def page_token_owner(credential: Credential) -> TokenOwner:
    """Return the Page of a Page access token and its Instagram account; raises GraphAPIError.

    For a Page access token `/me` is the Page, with its account in `instagram_business_account`:
    https://developers.facebook.com/docs/graph-api/reference/page
    """
    try:
        answer, body = _get(credential, "me", fields=PAGE_FIELDS)
    except GraphAPIError as failure:
        if failure.reason is not Reason.FIELD:
            raise
        owner = SYSTEM_USER if "(SystemUser)" in failure.message else USER
        status = failure.http_status
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, owner, OWNERS[owner], http_status=status) from None
    found = _page_account(body, _usage(credential, answer))
    if found is None:
        sentence = "The Page is not linked to an Instagram account. Link them, then reconnect the account"
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "no_account", sentence, http_status=answer.http_status)
    return found


def pages(credential: Credential) -> list[GrantedPage]:
    """Return the Pages that Meta lists for a user or system user; raises GraphAPIError.

    Granted Pages of a business portfolio can be missing (docs/meta-platform.md#pages-of-a-token).
    """
    paging = {"limit": str(MOST_PAGES)}
    answer, body = _get(credential, "me", "accounts", fields=GRANTED_FIELDS, paging=paging, most_bytes=PAGE_BYTES)
    usage = _usage(credential, answer)
    return [_granted_page(each, usage) for each in json_fields.required_objects(body, "data")]


def granted_page(credential: Credential, ig_page_id: str) -> GrantedPage:
    """Return one Page that a user or system user granted, read by its ID; raises GraphAPIError."""
    answer, body = _get(credential, ig_page_id, fields=GRANTED_FIELDS)
    return _granted_page(body, _usage(credential, answer))


def professional_account(credential: Credential, ig_account_id: str) -> TokenOwner:
    """Return an Instagram account that a system user token can use without a Page; raises GraphAPIError.

    Unified Login addresses an account by its professional account ID, on Facebook's host.
    """
    answer, body = _get(credential, ig_account_id, fields=("id", "username"))
    return TokenOwner(
        ig_account_id=json_fields.required_id(body, "id"),
        ig_app_scoped_id=None,
        username=json_fields.optional_text(body, "username"),
        account_type=None,
        ig_page_id=None,
        usage=_usage(credential, answer),
    )


def account_picture_url(credential: Credential, node: str) -> str | None:
    """Return the URL of an account's own picture, None without one; raises GraphAPIError.

    `node` is `me` for a token of Instagram Login, on Facebook's host the professional account ID.
    """
    _, body = _get(credential, node, fields=("profile_picture_url",))
    account = next(iter(json_fields.required_objects(body, "data")), {}) if "data" in body else body
    return json_fields.optional_text(account, "profile_picture_url")


def token_info(credential: Credential, token: str) -> TokenInfo:
    """Return Meta's information about `token`; `credential` has the app's or the same token. Raises GraphAPIError.

    Meta documents this call only with the token in the URL.
    """
    _, body = _request(http.get, credential, "debug_token", parameters={"input_token": token})
    info = json_fields.optional_object(body, "data")
    if info.get("is_valid") is False:
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "invalid")
    targets = _targets(json_fields.required_objects(info, "granular_scopes") if "granular_scopes" in info else ())
    expires = info.get("expires_at")
    return TokenInfo(
        permissions=frozenset(_strings(info.get("scopes"))),
        page_ids=tuple(dict.fromkeys(target for scope, target in targets if scope.startswith(PAGE_PERMISSIONS))),
        ig_account_ids=tuple(dict.fromkeys(target for scope, target in targets if scope.startswith("instagram_"))),
        expires_at=clock.from_timestamp(expires) if isinstance(expires, int) and 0 < expires < LAST_SECOND else None,
        user_id=ids.ig_id(info.get("user_id")),
    )


def _targets(granular: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    scopes = ((json_fields.optional_text(each, "scope") or "", each.get("target_ids")) for each in granular)
    found = ((scope, ids.ig_id(each)) for scope, targets in scopes if isinstance(targets, list) for each in targets)
    return [(scope, target) for scope, target in found if target]


def permissions(credential: Credential) -> frozenset[str]:
    """Return the permissions that a user granted the app; raises GraphAPIError."""
    _, body = _get(credential, "me", "permissions", fields=("permission", "status"))
    given = (each for each in json_fields.required_objects(body, "data") if each.get("status") == "granted")
    return frozenset(json_fields.required_text(each, "permission") for each in given)


def subscribed_fields(credential: Credential, node: str) -> frozenset[str]:
    """Return the webhook fields that an account or Page is subscribed to; raises GraphAPIError.

    Empty if there is no subscription.
    """
    _, body = _get(credential, node, "subscribed_apps", fields=("subscribed_fields",))
    apps = json_fields.required_objects(body, "data") if "data" in body else []
    return frozenset(field for app in apps for field in _strings(app.get("subscribed_fields")))


def subscribe(credential: Credential, node: str, fields: Sequence[str]) -> None:
    """Subscribe an account or Page to exactly these webhook fields; raises GraphAPIError if Meta refuses one."""
    wanted = {"subscribed_fields": ",".join(fields)}
    answer, body = _request(http.post, credential, node, "subscribed_apps", parameters=wanted)
    if body.get("success") is False:
        raise errors.bad_response("not_subscribed", http_status=answer.http_status)


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _usage(credential: Credential, answer: HttpResponse) -> Usage:
    return usage_headers.parse_usage(answer.headers, now=clock.now(), account_ids=credential.account_ids)


def _page_account(page: Mapping[str, Any], usage: Usage) -> TokenOwner | None:
    account = json_fields.optional_object(page, "instagram_business_account")
    if not account:
        return None
    return TokenOwner(
        ig_account_id=json_fields.required_id(account, "id"),
        ig_app_scoped_id=None,
        username=json_fields.optional_text(account, "username"),
        account_type=None,
        ig_page_id=json_fields.required_id(page, "id"),
        usage=usage,
    )


def _granted_page(page: Mapping[str, Any], usage: Usage) -> GrantedPage:
    return GrantedPage(
        json_fields.required_id(page, "id"), _page_account(page, usage), json_fields.optional_text(page, "access_token")
    )


def _get(
    credential: Credential,
    *path: str,
    fields: Sequence[str],
    paging: Mapping[str, str] = NO_PAGING,
    most_bytes: int = PROFILE_BYTES,
    about_contact: bool = False,
) -> tuple[HttpResponse, dict[str, Any]]:
    parameters = {**paging, "fields": ",".join(fields)}
    return _request(
        http.get, credential, *path, parameters=parameters, most_bytes=most_bytes, about_contact=about_contact
    )


def _request(
    send: Callable[..., HttpResponse],
    credential: Credential,
    *path: str,
    parameters: Mapping[str, str],
    most_bytes: int = PROFILE_BYTES,
    about_contact: bool = False,
) -> tuple[HttpResponse, dict[str, Any]]:
    if not all(_NODE.fullmatch(part) for part in path):
        raise GraphAPIError(Scope.CONTACT, Reason.REFUSED, "id", "Not a valid Instagram ID; no call was made")
    if not credential.token.isascii() or not credential.token.isprintable():
        raise GraphAPIError(
            Scope.ACCOUNT, Reason.TOKEN, "token", "The stored access token is malformed. Reconnect the account"
        )
    answer = send(
        f"{credential.host_url}/{credential.version}/{'/'.join(path)}",
        parameters={**parameters, **credential.proof},
        headers={"Authorization": f"Bearer {credential.token}"},
        seconds=credential.timeout_seconds,
        most_bytes=most_bytes,
    )
    if 300 <= answer.http_status < 400:
        raise errors.bad_response("redirect", http_status=answer.http_status)
    body = json_fields.load_object(answer.body)
    if answer.http_status == 200 and body is not None and "error" not in body:
        return answer, body
    failure = errors.classify(
        answer.http_status,
        body,
        answer.headers,
        now=clock.now(),
        account_ids=credential.account_ids,
        about_contact=about_contact,
    )
    error = body.get("error") if body else None
    failure.raw = {"error": _storable_fields(error, credential.token)} if isinstance(error, Mapping) else None
    raise failure


def _next_cursor(body: Mapping[str, Any]) -> str | None:
    paging = json_fields.optional_object(body, "paging")
    following = json_fields.optional_text(paging, "next")
    if not following:
        return None
    return json_fields.optional_text(json_fields.optional_object(paging, "cursors"), "after") or _cursor_in(following)


def _cursor_in(following: str) -> str:
    try:
        return parse_qs(urlsplit(following).query)["after"][0]
    except (ValueError, KeyError):
        raise errors.bad_response("paging") from None


def _storable_fields(body: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Return the scalar fields that may be stored: nothing with a token, RAW_CHARACTERS in all."""
    kept: dict[str, Any] = {}
    remaining = RAW_CHARACTERS
    for name, value in body.items():
        if not isinstance(value, str | int | float | None) or _NOT_STORED.search(name):
            continue
        plain = storable(value) if isinstance(value, str) else value
        remaining -= len(name) + len(str(plain))
        if remaining >= 0 and token not in str(plain):
            kept[storable(name)] = plain
    return kept
