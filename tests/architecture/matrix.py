"""Who may do what, as data: every address, and what each kind of visitor is answered (reliability.md S23, goal R14)."""

from dataclasses import dataclass, field

ID = "<int(max=9223372036854775807):{}>"
QUEUES = "/admin/queues"

# What a visitor is told: in (whatever follows from the form), the sign-in page, or this status.
VISITORS = ("anonymous", "agent", "limited agent", "ops", "limited ops", "admin")
OPEN = "in in in in in in"
SIGNED_OUT = "login login login login login login"
PERSON = "login in in in in in"
OWN = "login in 404 in 404 in"  # of an account that the limited ones may not see
OPS = "login 403 403 in in in"
OPS_OWN = "login 403 403 in 404 in"
OPS_RUN = "login 403 404 in 404 in"  # which account is asked before the role
QUEUE = "login 403 403 in 403 in"  # which show the jobs of every account
ADMIN = "login 403 403 403 403 in"
NO_REQUEST = "login 403 403 403 403 404"  # no request of an account owner is open
MOVED = OPEN  # leads to another row's address
UNSET = "404 404 404 404 404 404"  # no provider is configured
META = "403 403 403 403 403 403"  # or whoever knows its secrets

PROGRAMS = ("no token", "a session", "read", "jobs", "read and jobs", "limited")
MAP = "in in in in in in"  # outside production, see test_blueprint
READ = "401 401 in 403 in in"
READ_OWN = "401 401 in 403 in 404"
EXPORT = "401 401 403 403 in in"
START_OWN = "401 401 403 in in 404"


@dataclass(frozen=True, slots=True)
class Row:
    """One method of one rule: what it answers whom, and how to ask for something of maison.lune."""

    told: str
    address: str = ""
    unknown: str = ""  # the same question about what is not there
    form: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] | None = None


def _own(told: str, address: str, what: str, **form: str) -> Row:
    return Row(told, address.replace("*", what), address.replace("*", UNKNOWN[what]), form)


CONVERSATION, RUN, ACCOUNT, PERSON_ID = "1", "0123456789ab", "17841400000000101", "1520000000000011"
HANDSHAKE = "hub.mode=subscribe&hub.verify_token=x&hub.challenge=1"
UNKNOWN = {CONVERSATION: "987654", RUN: "ffffffffffff", ACCOUNT: "17841499999999999", PERSON_ID: "1520000000999999"}
SOMEBODY = {"email": "somebody@example.com", "password": "a moonlit correct horse"}

PAGES = {
    "GET /": Row(PERSON),
    "GET /accounts": Row(PERSON),
    "POST /accounts": Row(ADMIN),
    "GET /accounts/connect/<login>": Row(
        "login 403 403 403 403 404", "/accounts/connect/instagram"
    ),  # no app is set up
    "GET /accounts/connected/<login>": Row(ADMIN, "/accounts/connected/instagram"),
    "POST /accounts/<ig_account_id>/check": _own(OPS_OWN, "/accounts/*/check", ACCOUNT),
    "POST /accounts/<ig_account_id>/sync": _own(OPS_OWN, "/accounts/*/sync", ACCOUNT),
    "POST /accounts/requests/<code>/assign": Row(NO_REQUEST, "/accounts/requests/guessed/assign"),
    "POST /accounts/requests/<code>/close": Row(NO_REQUEST, "/accounts/requests/guessed/close"),
    "GET /audit": Row(ADMIN),
    "GET /avatars/<ig_account_id>/<ig_participant_id>": _own(OWN, f"/avatars/{ACCOUNT}/*", PERSON_ID),
    "GET /dead-letters": Row(OPS),
    f"POST /dead-letters/{ID.format('dead_letter_id')}/replay": _own(OPS_OWN, "/dead-letters/*/replay", CONVERSATION),
    "POST /dead-letters/replay": Row(OPS),
    f"POST /dead-letters/{ID.format('dead_letter_id')}/discard": _own(OPS_OWN, "/dead-letters/*/discard", CONVERSATION),
    "GET /deletion/<code>": Row(OPEN, "/deletion/a-code"),
    "GET /healthz": Row(OPEN),
    "GET /identities": Row(PERSON),
    f"GET /identities/{ID.format('identity_id')}": _own(OWN, "/identities/*", CONVERSATION),
    f"POST /identities/{ID.format('identity_id')}/refresh": _own(OPS_OWN, "/identities/*/refresh", CONVERSATION),
    "GET /identities/export": Row(OPS),
    "POST /identities/refresh": Row(OPS),
    "GET /inbox": Row(PERSON),
    f"GET /inbox/{ID.format('conversation_id')}": _own(OWN, "/inbox/*", CONVERSATION),
    f"GET /inbox/{ID.format('conversation_id')}/messages": _own(OWN, "/inbox/*/messages", CONVERSATION),
    f"GET /inbox/{ID.format('conversation_id')}/lookup": _own(OWN, "/inbox/*/lookup", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/read": _own(OWN, "/inbox/*/read", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/unread": _own(OWN, "/inbox/*/unread", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/refresh": _own(OWN, "/inbox/*/refresh", CONVERSATION),
    "GET /inbox/list": Row(PERSON),
    "GET /inbox/list/more": Row(PERSON),
    "GET /insights": Row(PERSON),
    "GET /jobs": Row(PERSON),
    "POST /jobs/<any(backfill, refresh):kind>": _own(OPS_RUN, "/jobs/backfill?account=*", ACCOUNT),
    "POST /jobs/<run_id>/cancel": _own(OPS_RUN, "/jobs/*/cancel", RUN),
    "POST /jobs/<run_id>/retry": _own(OPS_RUN, "/jobs/*/retry", RUN),
    "GET /jobs/history": Row(PERSON),
    "GET /jobs/live": Row(PERSON),
    "GET /jobs/new": Row(PERSON),
    "GET /jobs/unresolved": Row(PERSON),
    "GET /login": Row(OPEN),
    "GET /login/oidc": Row(UNSET),
    "GET /login/oidc/back": Row(UNSET),
    "GET /people": Row(ADMIN),
    "POST /people": Row(ADMIN),
    f"GET /people/{ID.format('person_id')}": Row(ADMIN, "/people/2"),
    f"POST /people/{ID.format('person_id')}/rights": Row(ADMIN, "/people/2/rights"),
    f"POST /people/{ID.format('person_id')}/password": Row(ADMIN, "/people/2/password"),
    f"POST /people/{ID.format('person_id')}/disable": Row(ADMIN, "/people/2/disable"),
    f"POST /people/{ID.format('person_id')}/enable": Row(ADMIN, "/people/2/enable"),
    "GET /settings": Row(PERSON),
    "POST /settings/password": Row(PERSON),
    "POST /settings/theme": Row(PERSON),
    "POST /settings/zone": Row(PERSON),
    "GET /static/<path:filename>": Row(OPEN, "/static/app.css"),
    "GET /webhooks/instagram": Row(
        "403 403 403 403 403 403", "/webhooks/instagram?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1"
    ),
    "POST /webhooks/instagram": Row("401 401 401 401 401 401"),
    "POST /webhooks/instagram/data-deletion": Row(META),
    "POST /webhooks/instagram/deauthorize": Row(META),
    f"GET {QUEUES}/": Row(QUEUE),
    f"GET {QUEUES}/<int:instance_number>/": Row(MOVED, f"{QUEUES}/0/"),
    f"GET {QUEUES}/<int:instance_number>/data/job/<job_id>.json": Row(QUEUE, f"{QUEUES}/0/data/job/{RUN}.json"),
    f"GET {QUEUES}/<int:instance_number>/data/jobs/<queue_name>/<registry_name>/<per_page>/<order>/<page>.json": Row(
        QUEUE, f"{QUEUES}/0/data/jobs/default/queued/5/asc/1.json"
    ),
    f"GET {QUEUES}/<int:instance_number>/data/queues.json": Row(QUEUE, f"{QUEUES}/0/data/queues.json"),
    f"GET {QUEUES}/<int:instance_number>/data/workers.json": Row(QUEUE, f"{QUEUES}/0/data/workers.json"),
    f"GET {QUEUES}/<int:instance_number>/view": Row(MOVED, f"{QUEUES}/0/view"),
    f"GET {QUEUES}/<int:instance_number>/view/job/<job_id>": Row(QUEUE, f"{QUEUES}/0/view/job/{RUN}"),
    f"GET {QUEUES}/<int:instance_number>/view/jobs": Row(QUEUE, f"{QUEUES}/0/view/jobs"),
    f"GET {QUEUES}/<int:instance_number>/view/jobs/<queue_name>/<registry_name>/<int:per_page>/<order>/<int:page>": Row(
        QUEUE, f"{QUEUES}/0/view/jobs/default/queued/5/asc/1"
    ),
    f"GET {QUEUES}/<int:instance_number>/view/queues": Row(MOVED, f"{QUEUES}/0/view/queues"),
    f"GET {QUEUES}/<int:instance_number>/view/workers": Row(QUEUE, f"{QUEUES}/0/view/workers"),
    f"GET {QUEUES}/favicon.ico": Row(QUEUE),
    f"GET {QUEUES}/static/<path:filename>": Row(QUEUE, f"{QUEUES}/static/css/main.css"),
    f"POST {QUEUES}/job/<job_id>/requeue": Row(QUEUE, f"{QUEUES}/job/{RUN}/requeue"),
    f"POST {QUEUES}/queue/<queue_name>/<registry_name>/empty": Row(QUEUE, f"{QUEUES}/queue/default/failed/empty"),
    f"POST {QUEUES}/queue/<queue_name>/compact": Row(QUEUE, f"{QUEUES}/queue/backfill-participant-profiles/compact"),
    f"GET {QUEUES}/requeue/<queue_name>": Row("login 403 403 405 403 405", f"{QUEUES}/requeue/default"),
    f"POST {QUEUES}/requeue/<queue_name>": Row(QUEUE, f"{QUEUES}/requeue/default"),
    f"POST {QUEUES}/job/<job_id>/delete": Row(QUEUE, f"{QUEUES}/job/{RUN}/delete"),
    # The last ones take away what the others need.
    f"POST /inbox/{ID.format('conversation_id')}/forget": _own(ADMIN, "/inbox/*/forget", CONVERSATION),
    "POST /accounts/<ig_account_id>/remove": _own(ADMIN, "/accounts/*/remove", ACCOUNT),
    "POST /logout": Row(SIGNED_OUT),
    "POST /logout/all": Row(SIGNED_OUT),
    "POST /login": Row(OPEN, form=SOMEBODY),
}

API = {
    "GET /api/accounts": Row(READ),
    "GET /api/avatars/<accountId>/<participantId>": _own(READ_OWN, f"/api/avatars/{ACCOUNT}/*", PERSON_ID),
    "GET /api/docs": Row(MAP),
    "GET /api/identities": Row(READ),
    "GET /api/identities/<id>": _own(READ_OWN, "/api/identities/*", CONVERSATION),
    "POST /api/identities/<id>/refresh": _own(START_OWN, "/api/identities/*/refresh", CONVERSATION),
    "GET /api/identities/export": Row(EXPORT),
    "GET /api/jobs": Row(READ),
    "GET /api/jobs/<id>": _own(READ_OWN, "/api/jobs/*", RUN),
    "POST /api/jobs/<id>/cancel": _own(START_OWN, "/api/jobs/*/cancel", RUN),
    "GET /api/jobs/<id>/items": _own(READ_OWN, "/api/jobs/*/items", RUN),
    "POST /api/jobs/<id>/retry": _own(START_OWN, "/api/jobs/*/retry", RUN),
    "GET /api/openapi.json": Row(MAP),
    "POST /api/social/instagram/inbox/refresh-identities": _own(
        START_OWN, "/api/social/instagram/inbox/refresh-identities?locationId=*", ACCOUNT
    ),
    "POST /api/social/instagram/messages/backfill": _own(
        START_OWN, "/api/social/instagram/messages/backfill?locationId=*", ACCOUNT
    ),
    "POST /api/workers/backfill-profiles": Row(
        START_OWN, "/api/workers/backfill-profiles", body={"accountId": ACCOUNT}
    ),
    "GET /messaging/conversations": Row(READ),
    "GET /messaging/conversations/<id>": _own(READ_OWN, "/messaging/conversations/*", CONVERSATION),
    "GET /messaging/conversations/<id>/messages": _own(READ_OWN, "/messaging/conversations/*/messages", CONVERSATION),
}
