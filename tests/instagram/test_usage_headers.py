"""Usage headers: valid ones are read, others ignored."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.instagram import usage_headers
from app.instagram.usage_headers import LONGEST_WAIT, NO_USAGE, Usage
from tests.instagram.graph import SAMPLES

OURS = ("17841400000000101", "104000000000301")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CASES = {case["case"]: case["headers"] for case in json.loads((SAMPLES / "graph-headers.json").read_text())["examples"]}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("quiet", Usage(app_percent=7)),
        ("busy", Usage(app_percent=86, account_percent=91)),
        ("blocked", Usage(account_percent=100, regain_at=NOW + timedelta(minutes=19))),
        ("absent", NO_USAGE),
        ("malformed", NO_USAGE),
        ("undocumented keys seen by a client library", Usage(app_percent=4)),
    ],
)
def test_every_sample_header_is_parsed(case: str, expected: Usage) -> None:
    assert usage_headers.parse_usage(CASES[case], now=NOW, account_ids=OURS) == expected


def test_the_higher_figure_counts() -> None:
    assert usage_headers.parse_usage(CASES["busy"], now=NOW, account_ids=OURS).percent == 91
    assert NO_USAGE.percent is None


def test_only_the_figures_of_the_account_and_of_its_use_cases_count() -> None:
    def entry(type_: str, percent: int) -> dict[str, object]:
        return {"type": type_, "call_count": percent, "estimated_time_to_regain_access": percent}

    listed = {
        "17841400000000101": [entry("instagram", 20), entry("ads_management", 100)],
        "17841400000000999": [entry("instagram", 100)],
    }
    headers = {"x-business-use-case-usage": json.dumps(listed)}
    found = usage_headers.parse_usage(headers, now=NOW, account_ids=OURS)
    assert found == Usage(account_percent=20, regain_at=NOW + timedelta(minutes=20))
    assert usage_headers.parse_usage(headers, now=NOW, account_ids=()) == NO_USAGE


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "null",
        '"x"',
        '{"a": 1}',
        '{"a": [1, null, []]}',
        '{"a": [{"call_count": "9"}]}',
        '{"a": [{"call_count": NaN}]}',
        '{"a": [{"call_count": 1e400}]}',
        '{"a": [{"call_count": -1, "total_time": true}]}',
        "[" * 100_000,
    ],
)
def test_a_header_of_the_wrong_shape_is_ignored(header: str) -> None:
    headers = {"x-business-use-case-usage": header, "x-app-usage": header}
    assert usage_headers.parse_usage(headers, now=NOW, account_ids=["a"]) == NO_USAGE


def test_an_absurd_wait_is_limited_to_a_day() -> None:
    header = '{"1": [{"estimated_time_to_regain_access": 999999}]}'
    assert (
        usage_headers.parse_usage({"x-business-use-case-usage": header}, now=NOW, account_ids=["1"]).regain_at
        == NOW + LONGEST_WAIT
    )
    assert usage_headers.retry_after({"retry-after": "9" * 50}, now=NOW) == NOW + LONGEST_WAIT
