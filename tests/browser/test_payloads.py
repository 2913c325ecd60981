"""Texts of contacts stay text in a real browser: no dialog, no violation of the policy, no error."""

import pytest
from playwright.sync_api import Dialog, Page
from sqlalchemy import select, update

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.run import ItemState, Run, RunItem, RunKind, RunState
from app.runs import lifecycle
from app.viewer import OPERATOR
from tests.browser.inbox_server import OTHERS, SETTLED, InboxServer
from tests.factories import LEA, a_message_event
from tests.support.html_payloads import PAYLOADS

REPORT = """window.refused = [];
document.addEventListener('securitypolicyviolation', (event) => refused.push(event.violatedDirective));"""
TOUCH = """() => document.querySelectorAll('body *').forEach((each) => {
  each.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
  each.dispatchEvent(new FocusEvent('focus'));
})"""


@pytest.fixture
def poisoned(inbox: InboxServer) -> InboxServer:
    """The inbox with a payload in every name, text, title and URL; one conversation holds them all."""
    for person, each in zip(OTHERS, PAYLOADS, strict=False):
        inbox.write(person, each)
        attachment = {"type": "share", "payload": {"url": each, "title": each}}
        seen = {"type": "image", "payload": {"url": each}}
        story = {"story": {"url": each, "id": each}}
        inbox.deliver(
            a_message_event(LEA, each, reply_to=story), a_message_event(LEA, None, attachments=[attachment, seen])
        )
    run_id = lifecycle.start(OPERATOR, inbox.account.id, kind=RunKind.BACKFILL)
    with transaction.write() as tx:
        for person, each in zip((LEA, *OTHERS), (PAYLOADS[2], *PAYLOADS), strict=False):
            named = {"username": each[:80], "name": each[:80], "picture_url": each, "last_error": each[:32]}
            tx.execute(update(Identity).where(Identity.ig_participant_id == person).values(**named))
            shown = {"last_message_preview": each}
            tx.execute(update(Conversation).where(Conversation.ig_participant_id == person).values(**shown))
            failed = {"state": ItemState.FAILED, "reason": "timeout", "code": each[:32]}
            tx.execute(update(RunItem).where(RunItem.ig_participant_id == person).values(**failed))
        ended = {"state": RunState.DONE, "finished_at": clock.now(), "failed": len(PAYLOADS)}
        tx.execute(update(Run).where(Run.id == run_id).values(**ended, started_by=PAYLOADS[2]))
        tx.mark_changed(inbox.account.id)
    queue.enqueue(queue.RESOLVE, inbox.account.id, job_id="poisoned", description=PAYLOADS[1])
    return inbox


def test_payloads_in_every_field_open_no_dialog_and_break_no_rule(tab: Page, poisoned: InboxServer) -> None:
    person = db.session.scalar(select(Identity.id).where(Identity.ig_participant_id == LEA))
    db.session.rollback()
    dialogs: list[str] = []
    thrown: list[str] = []

    def shown(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", shown)
    tab.on("pageerror", lambda error: thrown.append(str(error)))
    tab.add_init_script(REPORT)
    pages = ["/inbox", f"/inbox/{poisoned.conversation(LEA)}", f"/inbox/{poisoned.conversation(OTHERS[3])}"]
    pages += ["/identities", f"/identities/{person}", "/jobs", "/admin/queues/", "/admin/queues/0/view/job/poisoned"]
    refused = []
    for path in pages:
        answer = tab.goto(poisoned.url + path)
        assert answer is not None
        assert answer.status == 200, path
        tab.wait_for_function(SETTLED)
        assert path == "/admin/queues/" or "alert(1)" in tab.locator("body").inner_text(), path
        tab.evaluate(TOUCH)
        refused += [f"{path}: {each}" for each in tab.evaluate("refused")]
        kept = tab.url.partition("?account=")[0] if path.startswith("/inbox") else tab.url  # added by the page's script
        assert kept == poisoned.url + path  # no payload navigated away
    assert (dialogs, refused, thrown) == ([], [], [])
