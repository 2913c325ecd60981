"""Rate limits, usage headers and the log of calls."""

import json

from tests.factories import LEA, MAISON_LUNE
from tests.sandbox.calls import get
from tests.support.processes import Processes, Sandbox


def test_the_hourly_limit_refuses_with_headers_and_counts(processes: Processes) -> None:
    sandbox = processes.sandbox("--calls-per-hour", "5")
    statuses = [get(sandbox, LEA, fields="name")[0] for _ in range(5)]
    status, body, headers = get(sandbox, LEA, fields="name")
    assert statuses == [200] * 5
    assert (status, body["error"]["code"]) == (400, 80002)
    [usage] = json.loads(headers["x-business-use-case-usage"])[MAISON_LUNE]
    assert usage["call_count"] == 100
    assert usage["estimated_time_to_regain_access"] > 0
    assert sandbox.get("stats")["over_limit"] == 1


def test_conversations_may_be_read_twice_a_second(sandbox: Sandbox) -> None:
    codes = [get(sandbox, "me/conversations", platform="instagram")[1].get("error", {}).get("code") for _ in range(6)]
    assert codes[:2] == [None, None]
    assert 613 in codes


def test_the_log_of_calls_has_the_place_of_the_token_but_not_the_token(sandbox: Sandbox) -> None:
    get(sandbox, LEA, fields="name")
    get(sandbox, LEA, token=None, access_token="IGAAsandboxMaisonLune0123456789")
    calls = sandbox.get("calls")
    assert [call["token_in_query"] for call in calls] == [False, True]
    assert "IGAA" not in json.dumps(calls)
