"""URLs of all pages that an admin may GET, for the objects in the database."""

from collections.abc import Iterable, Iterator

from flask import Flask
from sqlalchemy import Select, select
from werkzeug.routing import RequestRedirect

from app.db.engine import db
from app.models.account import Account
from app.models.alert import AlertReceiver
from app.models.conversation import Conversation
from app.models.erasure import OwnerRequest
from app.models.identity import Identity, StoredAvatar
from app.models.ingest import DeadLetter
from app.models.run import Run
from app.models.user import User

ALWAYS = (
    *(
        "/",
        "/inbox",
        "/inbox/list",
        "/inbox/list/more",
        "/inbox?filter=unread",
        "/inbox?filter=unknown",
        "/inbox?q=lea",
    ),
    *(
        "/jobs",
        "/jobs/live",
        "/jobs/history",
        "/jobs/new",
        "/jobs/plans",
        "/jobs/unresolved",
        "/accounts",
        "/settings",
        "/users",
    ),
    *("/palette", "/palette?q=lea", "/palette?q=backfill"),
    *("/identities", "/identities?state=unknown", "/identities/export"),
    *(
        "/insights",
        "/insights?period=week",
        "/insights?period=month",
        "/audit",
        "/dead-letters",
        "/dead-letters?reason=unknown_account",
        "/schedules",
        "/schedules/token-refresh",
        "/alerts",
        "/alerts/receivers",
        "/health",
        "/healthz",
        "/readyz",
        "/inbox/notices",
    ),
    *("/admin/queues/", "/admin/queues/0/view/queues", "/admin/queues/0/view/workers", "/admin/queues/0/view/jobs"),
    *("/admin/queues/0/data/queues.json", "/admin/queues/0/data/workers.json"),
)
OF_ACCOUNT = ("/inbox?account={0}", "/inbox/list?account={0}", "/jobs?account={0}", "/identities?account={0}")
OF_QUEUE = (
    "/admin/queues/0/view/jobs/{0}/finished/8/asc/1",
    *(f"/admin/queues/0/data/jobs/{{0}}/{kept}/8/asc/1.json" for kept in ("queued", "finished", "failed")),
)
OF_API = (
    *("/api/accounts", "/api/identities", "/api/identities?state=unknown", "/api/identities/export", "/api/jobs"),
    *("/api/insights", "/api/dead-letters", "/api/health", "/api/alerts", "/api/schedules", "/messaging/conversations"),
    "/api/alert-receivers",
    *("/api/openapi.json", "/api/docs"),
)

# Left out: what is no page of an admin, and what leads to another server.
LEFT_OUT = frozenset(
    {
        *("static", "rq_dashboard.static", "rq_dashboard.favicon", "webhooks.handshake", "session.form"),
        *("oidc.begin", "oidc.finish", "accounts.begin", "accounts.finish", "rq_dashboard.requeue_all"),
        *("rq_dashboard.job_info", "rq_dashboard.job_view", "health.scrape"),
        *("identities.receipt", "api.get_receipt"),  # of a deleted contact
    }
)


def of_pages(queues: Iterable[str], *, most: int = 5) -> list[str]:
    """Return the URLs of pages and their parts, of at most `most` conversations, identities and jobs each."""
    found = [*ALWAYS]
    for address in _column(select(Account.ig_account_id)):
        found += [each.format(address) for each in OF_ACCOUNT]
    for conversation in _column(select(Conversation.id).order_by(Conversation.last_message_at.desc()), most):
        found += [f"/inbox/{conversation}", f"/inbox/{conversation}/messages", f"/inbox/{conversation}/lookup?since=0"]
    found += [f"/identities/{each}" for each in _column(select(Identity.id).order_by(Identity.id), most)]
    for identity in _column(select(Identity.id).order_by(Identity.id), most):
        found += [f"/identities/{identity}/data", f"/identities/{identity}/export"]
    found += [f"/users/{each}" for each in _column(select(User.id), most)]
    found += [f"/alerts/receivers/{each}" for each in _column(select(AlertReceiver.id), most)]
    found += [f"/deletion/{each}" for each in _column(select(OwnerRequest.code), most)]
    for run in _column(_runs(), most):
        found += [f"/jobs?job={run}", f"/jobs/{run}", f"/jobs/{run}/live", f"/jobs/{run}/items.csv"]
    found += [f"/avatars/{account}/{person}" for account, person in _pictures(most)]
    return found + [each.format(queue) for queue in queues for each in OF_QUEUE]


def of_api(*, most: int = 5) -> list[str]:
    """Return the URLs of the API, of at most `most` conversations, identities and jobs each."""
    found = [*OF_API]
    for conversation in _column(select(Conversation.id).order_by(Conversation.last_message_at.desc()), most):
        found += [f"/messaging/conversations/{conversation}", f"/messaging/conversations/{conversation}/messages"]
    found += [f"/api/identities/{each}" for each in _column(select(Identity.id).order_by(Identity.id), most)]
    for identity in _column(select(Identity.id).order_by(Identity.id), most):
        found += [f"/api/identities/{identity}/{each}" for each in ("data", "export", "lookups")]
    found += [f"/api/dead-letters/{each}" for each in _column(select(DeadLetter.id).order_by(DeadLetter.id), most)]
    for run in _column(_runs(), most):
        found += [f"/api/jobs/{run}", f"/api/jobs/{run}/items"]
    for account in _column(select(Account.ig_account_id)):
        found += [f"/api/workers/backfill-profiles/plan?accountId={account}", f"/api/accounts/{account}/gaps"]
    return found + [f"/api/avatars/{account}/{person}" for account, person in _pictures(most)]


def not_among(app: Flask, addresses: Iterable[str]) -> set[str]:
    """Return the endpoints with a GET route that no URL in `addresses` reaches."""
    routes = app.url_map.bind("localhost")
    every = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    return every - LEFT_OUT - set(_endpoints(routes.match, addresses))


def _endpoints(match, addresses: Iterable[str]) -> Iterator[str]:  # type: ignore[no-untyped-def]
    for address in addresses:
        try:
            yield match(address.partition("?")[0])[0]
        except RequestRedirect:
            continue


def _runs() -> Select[str]:
    return select(Run.id).order_by(Run.created_at.desc())


def _pictures(most: int) -> list[tuple[str, str]]:
    found = select(Account.ig_account_id, Identity.ig_participant_id).join(Account, Account.id == Identity.account_id)
    found = found.join(StoredAvatar, StoredAvatar.identity_id == Identity.id)
    return [(account, person) for account, person in db.session.execute(found.limit(most))]


def _column(found: Select, most: int | None = None) -> list:  # type: ignore[type-arg]
    rows = list(db.session.scalars(found.limit(most)))
    db.session.rollback()
    return rows
