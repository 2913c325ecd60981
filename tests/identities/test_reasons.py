"""The texts about the reasons for a missing name."""

from app.identities import listing, reasons
from app.instagram.errors import Reason


def test_every_reason_of_the_list_has_texts() -> None:
    assert set(listing.REASONS) == set(reasons.MEANINGS)
    assert {reason.value for reason in Reason} < set(reasons.MEANINGS)
    assert all(each.verdict and each.can_do and each.icon for each in reasons.MEANINGS.values())


def test_after_stopped_retries_the_last_failure_explains_why() -> None:
    gone = reasons.explain_reason(reasons.STOPPED, Reason.NOT_VISIBLE)
    assert gone.verdict == "Profile not available: this account is blocked, or theirs was deleted"
    assert gone.can_do.startswith("Clear the failures")
    no_consent = reasons.explain_reason(reasons.STOPPED, Reason.CONSENT)
    assert no_consent.can_do == reasons.MEANINGS[Reason.CONSENT].can_do
    assert reasons.explain_reason(reasons.STOPPED, None) is reasons.MEANINGS[reasons.STOPPED]


def test_a_reason_of_a_newer_version_has_a_text_of_its_own() -> None:
    assert reasons.explain_reason("of another release", None) is reasons.OTHER
    assert reasons.describe("of another release") == reasons.OTHER.verdict


def test_a_crashed_worker_is_described_like_every_other_reason() -> None:
    assert reasons.describe(reasons.WORKER_DIED) == "The worker crashed three times while looking up this contact"
