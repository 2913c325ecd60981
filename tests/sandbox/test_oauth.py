"""OAuth at the sandbox: authorization, codes, tokens and Pages for both login types."""

import http.client
import json
import urllib.request
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from app.sandbox.accounts import APP_ID, APP_SECRET, SYSTEM_USER_TOKEN
from tests.factories import ATELIER_NORD, ATELIER_NORD_PAGE, MAISON_LUNE, MAISON_LUNE_APP_SCOPED
from tests.sandbox.calls import INSTAGRAM_TOKEN, exchange, get
from tests.support.processes import Sandbox

BACK = "http://127.0.0.1:8000/accounts/connected/instagram"
PAGES = {"instagram": "oauth/authorize", "facebook": "v26.0/dialog/oauth"}
SCOPES = "instagram_business_basic,instagram_business_manage_messages"


def ask(sandbox: Sandbox, host: str = "instagram", **query: str) -> tuple[int, str, str]:
    known = {"client_id": APP_ID, "redirect_uri": BACK, "state": "s", "scope": SCOPES} | query
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=10)
    connection.request("GET", f"/{host}/{PAGES[host]}?{urlencode(known)}")
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), answer.headers.get("Location", "")
    connection.close()
    return found


def code(sandbox: Sandbox, host: str = "instagram", choice: str = "allow") -> str:
    return parse_qs(urlsplit(ask(sandbox, host, choice=choice)[2]).query)["code"][0]


@pytest.mark.parametrize("host", ["instagram", "facebook"])
def test_authorization_redirects_back(sandbox: Sandbox, host: str) -> None:
    status, words, _ = ask(sandbox, host)
    assert (status, "Cancel" in words, "<li>instagram_business_basic" in words) == (200, True, True)
    _, _, back = ask(sandbox, host, choice="allow")
    assert back.startswith(f"{BACK}?code=")
    assert back.endswith("&state=s#_")
    denied = parse_qs(urlsplit(ask(sandbox, host, choice="deny")[2]).query)
    assert (denied["error"], denied["state"]) == (["access_denied"], ["s"])


def test_unknown_clients_are_not_redirected(sandbox: Sandbox) -> None:
    assert ask(sandbox, client_id="1")[0] == 400
    assert ask(sandbox, redirect_uri="https://evil.example/", choice="allow")[::2] == (400, "")
    assert "<script>" not in ask(sandbox, state='"><script>')[1]


def test_a_code_can_be_exchanged_once_in_either_shape(sandbox: Sandbox) -> None:
    first = code(sandbox)
    _, wrapped = exchange(sandbox, code=first)
    assert wrapped["data"][0]["user_id"] == MAISON_LUNE_APP_SCOPED
    assert wrapped["data"][0]["permissions"] == SCOPES
    status, refused = exchange(sandbox, code=first)
    assert (status, sorted(refused)) == (400, ["code", "error_message", "error_type"])
    sandbox.request("PATCH", "settings", wrapped=False)
    _, bare = exchange(sandbox, code=code(sandbox, choice="less"))
    assert (bare["user_id"], bare["permissions"]) == (int(MAISON_LUNE_APP_SCOPED), ["instagram_business_basic"])
    assert exchange(sandbox, code=code(sandbox), client_secret="wrong")[0] == 400


def test_a_short_lived_token_is_exchanged_and_refreshed(sandbox: Sandbox) -> None:
    short = exchange(sandbox, code=code(sandbox))[1]["data"][0]["access_token"]
    query = {"grant_type": "ig_exchange_token", "client_secret": APP_SECRET, "access_token": short}
    with urllib.request.urlopen(f"{sandbox.url}/instagram/access_token?{urlencode(query)}") as answer:
        long = json.load(answer)
    assert (long["expires_in"], long["token_type"]) == (5_183_944, "bearer")
    assert get(sandbox, "me", token=long["access_token"], fields="user_id")[1]["data"][0]["user_id"] == MAISON_LUNE
    young = get(sandbox, "refresh_access_token", token=long["access_token"], grant_type="ig_refresh_token")
    assert young[1]["error"]["code"] == 100
    sandbox.post("age", hours=25)
    old = get(sandbox, "refresh_access_token", token=long["access_token"], grant_type="ig_refresh_token")
    assert old[1]["access_token"] != long["access_token"]
    assert get(sandbox, "refresh_access_token", token=INSTAGRAM_TOKEN, grant_type="ig_refresh_token")[0] == 200


def test_a_facebook_user_has_pages_with_their_own_tokens(sandbox: Sandbox) -> None:
    path = "facebook/v26.0/oauth/access_token"
    person = exchange(sandbox, path, code=code(sandbox, "facebook"))[1]["access_token"]
    lasting = exchange(sandbox, path, grant_type="fb_exchange_token", fb_exchange_token=person)[1]["access_token"]
    bare, page = get(sandbox, "me/accounts", token=lasting, host="facebook")[1]["data"]
    assert "instagram_business_account" not in bare
    assert (page["id"], page["instagram_business_account"]["id"]) == (ATELIER_NORD_PAGE, ATELIER_NORD)
    assert get(sandbox, "me", token=page["access_token"], host="facebook")[1]["id"] == ATELIER_NORD_PAGE
    permissions = get(sandbox, "me/permissions", token=lasting, host="facebook")[1]["data"]
    assert permissions[0] == {"permission": "instagram_business_basic", "status": "granted"}
    assert "nonexisting field" in get(sandbox, "me", token=lasting, host="facebook")[1]["error"]["message"]
    unproved = get(sandbox, "me/accounts", token=lasting, host="facebook", appsecret_proof="")
    assert unproved[1]["error"]["code"] == 100
    alone = exchange(sandbox, path, code=code(sandbox, "facebook", "bare"))[1]["access_token"]
    assert len(get(sandbox, "me/accounts", token=alone, host="facebook")[1]["data"]) == 1


def test_a_granted_page_can_be_absent_from_the_list_and_read_by_its_id(sandbox: Sandbox) -> None:
    sandbox.request("PATCH", "settings", pages="granted")
    assert get(sandbox, "me/accounts", token=SYSTEM_USER_TOKEN, host="facebook")[1] == {"data": []}
    asking = {"token": f"{APP_ID}|{APP_SECRET}", "host": "facebook", "input_token": SYSTEM_USER_TOKEN}
    info = get(sandbox, "debug_token", **asking)[1]["data"]
    targets = {each["scope"]: each["target_ids"] for each in info["granular_scopes"]}
    assert targets["pages_show_list"] == [ATELIER_NORD_PAGE]
    assert targets["instagram_basic"] == [ATELIER_NORD]
    page = get(sandbox, ATELIER_NORD_PAGE, token=SYSTEM_USER_TOKEN, host="facebook")[1]
    assert page["instagram_business_account"]["id"] == ATELIER_NORD
    sandbox.request("PATCH", "settings", pages="none")
    assert get(sandbox, ATELIER_NORD_PAGE, token=SYSTEM_USER_TOKEN, host="facebook")[1]["error"]["code"] == 100


def test_a_system_user_reads_an_account_by_its_id_and_is_itself_at_me(sandbox: Sandbox) -> None:
    account = get(sandbox, ATELIER_NORD, token=SYSTEM_USER_TOKEN, host="facebook")[1]
    assert account == {"id": ATELIER_NORD, "username": "atelier.nord"}
    refused = get(sandbox, "me", token=SYSTEM_USER_TOKEN, host="facebook")[1]["error"]["message"]
    assert refused.endswith("on node type (SystemUser)")


def test_a_token_is_inspected_by_the_app_or_by_itself_alone(sandbox: Sandbox) -> None:
    for token, status in ((SYSTEM_USER_TOKEN, 200), (f"{APP_ID}|wrong", 400)):
        found = get(sandbox, "debug_token", token=token, host="facebook", input_token=SYSTEM_USER_TOKEN)
        assert found[0] == status
