"""The reasons for a missing name, in words."""

from app.identities import listing, reasons
from app.instagram.errors import Reason


def test_every_reason_of_the_list_has_its_words() -> None:
    assert set(listing.REASONS) == set(reasons.MEANINGS)
    assert {reason.value for reason in Reason} < set(reasons.MEANINGS)
    assert all(each.verdict and each.can_do and each.icon for each in reasons.MEANINGS.values())


def test_where_tries_have_stopped_the_last_failure_explains_why() -> None:
    gone = reasons.explain_reason(reasons.STOPPED, Reason.NOT_VISIBLE)
    assert gone.verdict == "They blocked the account, or no longer exist"
    assert gone.can_do.startswith("Clear the failures")
    shy = reasons.explain_reason(reasons.STOPPED, Reason.CONSENT)
    assert shy.can_do.startswith("Consent comes with their first message")
    assert reasons.explain_reason(reasons.STOPPED, None) is reasons.MEANINGS[reasons.STOPPED]


def test_an_unknown_reason_is_told_as_none_at_all() -> None:
    assert reasons.explain_reason("of another release", None) is reasons.OTHER
