"""The palette: actions, pinned searches, accounts, contacts and jobs, found by typing.

Its script loads with the first opening.
"""

from flask import Blueprint, Response, request

from app.inbox import contact_finder, pins
from app.labels import label
from app.runs import progress
from app.runs.progress import Progress
from app.viewer import Viewer
from app.web import account_selection, rendering, session, shortcuts, trusted_hosts

blueprint = Blueprint("palette", __name__, url_prefix="/palette")

CONTACTS, JOBS = 6, 5
_OF_ACCOUNT = ("jobs", "identities", "insights")  # pages that switch their account, else the inbox


@blueprint.get("")
def index() -> Response:
    """Return the results of a search, for htmx."""
    viewer, q = session.viewer(), request.args.get("q", "").strip()
    section = trusted_hosts.split_url(request.headers.get("HX-Current-URL")).path.split("/")[1:2]
    selection = account_selection.select()
    return rendering.render(
        None,
        "palette/_results.html",
        selection=selection,
        q=q,
        actions=[each for each in shortcuts.commands() if _matches(q, each.label)],
        accounts=[each for each in selection.accounts if _matches(q, each.ig_account_id, each.name)],
        home_of_account=section[0] if section and section[0] in _OF_ACCOUNT else "inbox",
        pins=[each for each in pins.list_pins(viewer) if _matches(q, each.name, each.q)],
        contacts=contact_finder.find_contacts(viewer, q, limit=CONTACTS),
        jobs=_jobs(viewer, q),
        matches=_matches,
    )


def _jobs(viewer: Viewer, q: str) -> list[Progress]:
    runs = [*progress.active_runs(viewer), *progress.history(viewer)]
    return [run for run in runs if _matches(q, run.title, run.account, run.run_id, label(run.kind))][:JOBS]


def _matches(q: str, *texts: str) -> bool:
    among = " ".join(texts).casefold()
    return all(word in among for word in q.casefold().split())
