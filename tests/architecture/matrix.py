"""The permission matrix: each route, and the answer that each kind of visitor or API client gets."""

from dataclasses import dataclass, field

ID = "<int(max=9223372036854775807):{}>"
QUEUES = "/admin/queues"

# Answers: "in" is allowed, "login" redirects to the sign-in page, else a status. Limited users see one account.
VISITORS = ("anonymous", "agent", "limited agent", "ops", "limited ops", "admin")
PUBLIC = "in in in in in in"
SIGNED_OUT = "login login login login login login"
USER = "login in in in in in"
VISIBLE = "login in 404 in 404 in"  # concerns an account that limited users do not see
OPS = "login 403 403 in in in"
OPS_VISIBLE = "login 403 403 in 404 in"
OPS_RUN = "login 403 404 in 404 in"  # the account is checked before the role
QUEUE = "login 403 403 in 403 in"  # shows tasks of all accounts
ADMIN = "login 403 403 403 403 in"
NO_REQUEST = "login 403 403 403 403 404"  # no deletion request is open
NO_RECEIVER_PAGE = "login 403 403 403 403 404"  # there is no alert receiver
NOT_OWN = "login 404 404 404 404 404"  # of another user, or of none
DELETED = "login 403 403 403 403 404"  # no contact was deleted yet, or an earlier row of the matrix deleted it
REDIRECT = PUBLIC  # redirects to another row's URL
NO_PROVIDER = "404 404 404 404 404 404"  # no OpenID provider is configured
META = "403 403 403 403 403 403"  # for requests that Meta did not sign

CLIENTS = ("no token", "a session", "read", "jobs", "read and jobs", "limited", "privacy", "admin")
DOCUMENT = "in in in in in in in in"  # outside production, see test_blueprint
READ = "401 401 in 403 in in 403 403"
READ_VISIBLE = "401 401 in 403 in 404 403 403"
EXPORT = "401 401 403 403 in in 403 403"
EXPORT_VISIBLE = "401 401 403 403 in 404 403 403"
START_ANY = "401 401 403 in in in 403 403"  # of the accounts that the token sees
START_VISIBLE = "401 401 403 in in 404 403 403"
START_ALL = "401 401 403 in in 403 403 403"  # concerns all accounts
PRIVACY = "401 401 403 403 403 403 in 403"
MANAGE = "401 401 403 403 403 403 403 in"
NO_RECEIVER = "401 401 403 403 403 403 403 404"  # there is no alert receiver
NO_RECEIPT = "401 401 403 403 403 403 404 403"  # no contact was deleted


@dataclass(frozen=True, slots=True)
class Row:
    """One route: the answer for each visitor, in their order, and a URL of something of maison.lune."""

    expected: str
    url: str = ""
    unknown: str = ""  # the same URL for an object that does not exist
    form: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] | None = None


def _row(expected: str, url: str, key: str, **form: str) -> Row:
    return Row(expected, url.replace("*", key), url.replace("*", UNKNOWN[key]), form)


CONVERSATION, RUN, ACCOUNT, CONTACT = "1", "0123456789ab", "17841400000000101", "1520000000000011"
UNKNOWN = {CONVERSATION: "987654", RUN: "ffffffffffff", ACCOUNT: "17841499999999999", CONTACT: "1520000000999999"}
CREDENTIALS = {"email": "user@example.com", "password": "a moonlit correct horse"}

PAGES = {
    "GET /": Row(USER),
    "GET /accounts": Row(USER),
    "POST /accounts": Row(ADMIN),
    "GET /accounts/connect/<login>": Row(
        "login 403 403 403 403 404", "/accounts/connect/instagram"
    ),  # no app is configured
    "GET /accounts/connected/<login>": Row(ADMIN, "/accounts/connected/instagram"),
    "POST /accounts/<ig_account_id>/check": _row(OPS_VISIBLE, "/accounts/*/check", ACCOUNT),
    "POST /accounts/<ig_account_id>/sync": _row(OPS_VISIBLE, "/accounts/*/sync", ACCOUNT),
    "POST /accounts/requests/<code>/assign": Row(NO_REQUEST, "/accounts/requests/guessed/assign"),
    "POST /accounts/requests/<code>/close": Row(NO_REQUEST, "/accounts/requests/guessed/close"),
    "GET /audit": Row(ADMIN),
    "GET /avatars/<ig_account_id>/<ig_participant_id>": _row(VISIBLE, f"/avatars/{ACCOUNT}/*", CONTACT),
    "GET /dead-letters": Row(OPS),
    f"POST /dead-letters/{ID.format('dead_letter_id')}/replay": _row(
        OPS_VISIBLE, "/dead-letters/*/replay", CONVERSATION
    ),
    "POST /dead-letters/replay": Row(OPS),
    f"POST /dead-letters/{ID.format('dead_letter_id')}/discard": _row(
        OPS_VISIBLE, "/dead-letters/*/discard", CONVERSATION
    ),
    "GET /deletion/<code>": Row(PUBLIC, "/deletion/a-code"),
    f"POST /gaps/{ID.format('gap_id')}/dismiss": _row(VISIBLE, "/gaps/*/dismiss", CONVERSATION),
    "GET /health": Row(OPS),
    "POST /health/check": Row(OPS),
    "GET /healthz": Row(PUBLIC),
    "GET /metrics": Row("404 404 404 404 404 404"),  # no METRICS_TOKEN is set
    "GET /readyz": Row(PUBLIC),
    "GET /identities": Row(USER),
    f"GET /identities/{ID.format('identity_id')}": _row(VISIBLE, "/identities/*", CONVERSATION),
    f"POST /identities/{ID.format('identity_id')}/refresh": _row(OPS_VISIBLE, "/identities/*/refresh", CONVERSATION),
    "GET /identities/export": Row(OPS),
    f"GET /identities/{ID.format('identity_id')}/data": _row(ADMIN, "/identities/*/data", CONVERSATION),
    f"GET /identities/{ID.format('identity_id')}/export": _row(ADMIN, "/identities/*/export", CONVERSATION),
    f"GET /identities/receipts/{ID.format('receipt_id')}": Row(DELETED, "/identities/receipts/1"),
    "GET /inbox": Row(USER),
    f"GET /inbox/{ID.format('conversation_id')}": _row(VISIBLE, "/inbox/*", CONVERSATION),
    f"GET /inbox/{ID.format('conversation_id')}/messages": _row(VISIBLE, "/inbox/*/messages", CONVERSATION),
    f"GET /inbox/{ID.format('conversation_id')}/lookup": _row(VISIBLE, "/inbox/*/lookup", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/read": _row(VISIBLE, "/inbox/*/read", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/unread": _row(VISIBLE, "/inbox/*/unread", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/no-reply-needed": _row(
        VISIBLE, "/inbox/*/no-reply-needed", CONVERSATION
    ),
    f"POST /inbox/{ID.format('conversation_id')}/needs-reply": _row(VISIBLE, "/inbox/*/needs-reply", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/refresh": _row(VISIBLE, "/inbox/*/refresh", CONVERSATION),
    f"POST /inbox/{ID.format('conversation_id')}/leave": Row(USER, "/inbox/1/leave"),
    "GET /inbox/list": Row(USER),
    "GET /inbox/list/more": Row(USER),
    "GET /inbox/notices": Row(USER),
    "POST /inbox/read": Row(USER),
    "POST /inbox/unread": Row(USER),
    "POST /inbox/pins": Row(USER),
    f"POST /inbox/pins/{ID.format('pin_id')}/rename": Row(NOT_OWN, "/inbox/pins/1/rename", form={"name": "Other"}),
    f"POST /inbox/pins/{ID.format('pin_id')}/remove": Row(USER, "/inbox/pins/1/remove"),
    "GET /insights": Row(USER),
    "GET /jobs": Row(USER),
    "POST /jobs/<any(backfill, refresh, sync):kind>": _row(OPS_RUN, "/jobs/backfill?account=*", ACCOUNT),
    "GET /jobs/<string(length=12):run_id>": _row(VISIBLE, "/jobs/*", RUN),
    "GET /jobs/<run_id>/live": _row(VISIBLE, "/jobs/*/live", RUN),
    "GET /jobs/<run_id>/items.csv": _row(OPS_RUN, "/jobs/*/items.csv", RUN),
    "POST /jobs/<run_id>/pause": _row(OPS_RUN, "/jobs/*/pause", RUN),
    "POST /jobs/<run_id>/resume": _row(OPS_RUN, "/jobs/*/resume", RUN),
    "POST /jobs/<run_id>/cancel": _row(OPS_RUN, "/jobs/*/cancel", RUN),
    "POST /jobs/<run_id>/retry": _row(OPS_RUN, "/jobs/*/retry", RUN),
    "GET /jobs/history": Row(USER),
    "GET /jobs/live": Row(USER),
    "GET /jobs/new": Row(USER),
    "GET /jobs/plans": Row(USER),
    "GET /jobs/unresolved": Row(USER),
    "GET /alerts": Row(OPS),
    f"POST /alerts/{ID.format('alert_id')}/acknowledge": Row("login 403 403 404 404 404", "/alerts/987654/acknowledge"),
    "POST /alerts/accounts/<ig_account_id>/<any(mute, unmute):action>": _row(
        OPS_VISIBLE, "/alerts/accounts/*/mute", ACCOUNT
    ),
    "GET /alerts/receivers": Row(ADMIN),
    "POST /alerts/receivers": Row(ADMIN),
    f"GET /alerts/receivers/{ID.format('receiver_id')}": Row(NO_RECEIVER_PAGE, "/alerts/receivers/987654"),
    f"POST /alerts/receivers/{ID.format('receiver_id')}": Row(
        NO_RECEIVER_PAGE, "/alerts/receivers/987654", form={"every": "1"}
    ),
    f"POST /alerts/receivers/{ID.format('receiver_id')}/rotate-secret": Row(
        NO_RECEIVER_PAGE, "/alerts/receivers/987654/rotate-secret"
    ),
    f"POST /alerts/receivers/{ID.format('receiver_id')}/<any(test, enable, remove):action>": Row(
        NO_RECEIVER_PAGE, "/alerts/receivers/987654/test"
    ),
    "GET /schedules": Row(OPS),
    "GET /schedules/<name>": Row(OPS, "/schedules/daily-refresh", "/schedules/tea-time"),
    "POST /schedules/<name>/run": Row(QUEUE, "/schedules/daily-refresh/run"),
    "POST /schedules/<name>/off": Row(OPS_VISIBLE, "/schedules/daily-refresh/off", form={"account": ACCOUNT}),
    "POST /schedules/<name>/on": Row(QUEUE, "/schedules/daily-refresh/on"),
    "GET /login": Row(PUBLIC),
    "GET /login/oidc": Row(NO_PROVIDER),
    "GET /login/oidc/back": Row(NO_PROVIDER),
    "GET /users": Row(ADMIN),
    "POST /users": Row(ADMIN),
    f"GET /users/{ID.format('user_id')}": Row(ADMIN, "/users/2"),
    f"POST /users/{ID.format('user_id')}/access": Row(ADMIN, "/users/2/access"),
    f"POST /users/{ID.format('user_id')}/password": Row(ADMIN, "/users/2/password"),
    f"POST /users/{ID.format('user_id')}/disable": Row(ADMIN, "/users/2/disable"),
    f"POST /users/{ID.format('user_id')}/enable": Row(ADMIN, "/users/2/enable"),
    "GET /palette": Row(USER, "/palette?q=lea"),
    "GET /settings": Row(USER),
    "POST /settings/password": Row(USER),
    "POST /settings/theme": Row(USER),
    "POST /settings/zone": Row(USER),
    "GET /static/<path:filename>": Row(PUBLIC, "/static/app.css"),
    "GET /webhooks/instagram": Row(
        "403 403 403 403 403 403", "/webhooks/instagram?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1"
    ),
    "POST /webhooks/instagram": Row("401 401 401 401 401 401"),
    "POST /webhooks/instagram/data-deletion": Row(META),
    "POST /webhooks/instagram/deauthorize": Row(META),
    f"GET {QUEUES}/": Row(QUEUE),
    f"GET {QUEUES}/<int:instance_number>/": Row(REDIRECT, f"{QUEUES}/0/"),
    f"GET {QUEUES}/<int:instance_number>/data/job/<job_id>.json": Row(QUEUE, f"{QUEUES}/0/data/job/{RUN}.json"),
    f"GET {QUEUES}/<int:instance_number>/data/jobs/<queue_name>/<registry_name>/<per_page>/<order>/<page>.json": Row(
        QUEUE, f"{QUEUES}/0/data/jobs/default/queued/5/asc/1.json"
    ),
    f"GET {QUEUES}/<int:instance_number>/data/queues.json": Row(QUEUE, f"{QUEUES}/0/data/queues.json"),
    f"GET {QUEUES}/<int:instance_number>/data/workers.json": Row(QUEUE, f"{QUEUES}/0/data/workers.json"),
    f"GET {QUEUES}/<int:instance_number>/view": Row(REDIRECT, f"{QUEUES}/0/view"),
    f"GET {QUEUES}/<int:instance_number>/view/job/<job_id>": Row(QUEUE, f"{QUEUES}/0/view/job/{RUN}"),
    f"GET {QUEUES}/<int:instance_number>/view/jobs": Row(QUEUE, f"{QUEUES}/0/view/jobs"),
    f"GET {QUEUES}/<int:instance_number>/view/jobs/<queue_name>/<registry_name>/<int:per_page>/<order>/<int:page>": Row(
        QUEUE, f"{QUEUES}/0/view/jobs/default/queued/5/asc/1"
    ),
    f"GET {QUEUES}/<int:instance_number>/view/queues": Row(REDIRECT, f"{QUEUES}/0/view/queues"),
    f"GET {QUEUES}/<int:instance_number>/view/workers": Row(QUEUE, f"{QUEUES}/0/view/workers"),
    f"GET {QUEUES}/favicon.ico": Row(QUEUE),
    f"GET {QUEUES}/static/<path:filename>": Row(QUEUE, f"{QUEUES}/static/css/main.css"),
    f"POST {QUEUES}/job/<job_id>/requeue": Row(QUEUE, f"{QUEUES}/job/{RUN}/requeue"),
    f"POST {QUEUES}/queue/<queue_name>/<registry_name>/empty": Row(QUEUE, f"{QUEUES}/queue/default/failed/empty"),
    f"POST {QUEUES}/queue/<queue_name>/compact": Row(QUEUE, f"{QUEUES}/queue/backfill-participant-profiles/compact"),
    f"GET {QUEUES}/requeue/<queue_name>": Row("login 403 403 405 403 405", f"{QUEUES}/requeue/default"),
    f"POST {QUEUES}/requeue/<queue_name>": Row(QUEUE, f"{QUEUES}/requeue/default"),
    f"POST {QUEUES}/job/<job_id>/delete": Row(QUEUE, f"{QUEUES}/job/{RUN}/delete"),
    # Last, because they remove rows or sessions that other routes need.
    f"POST /inbox/{ID.format('conversation_id')}/forget": _row(ADMIN, "/inbox/*/forget", CONVERSATION),
    f"POST /identities/{ID.format('identity_id')}/delete": _row(DELETED, "/identities/*/delete", CONVERSATION),
    "POST /accounts/<ig_account_id>/remove": _row(ADMIN, "/accounts/*/remove", ACCOUNT),
    "POST /logout": Row(SIGNED_OUT),
    "POST /logout/all": Row(SIGNED_OUT),
    "POST /login": Row(PUBLIC, form=CREDENTIALS),
}

API = {
    "GET /api/accounts": Row(READ),
    "GET /api/accounts/<id>/gaps": _row(READ_VISIBLE, "/api/accounts/*/gaps", ACCOUNT),
    "POST /api/accounts/<id>/sync": _row(START_VISIBLE, "/api/accounts/*/sync", ACCOUNT),
    "GET /api/alerts": Row(READ),
    "POST /api/alerts/<id>/acknowledge": Row("401 401 403 404 404 404 403 403", "/api/alerts/987654/acknowledge"),
    "POST /api/accounts/<id>/alerts/mute": _row(START_VISIBLE, "/api/accounts/*/alerts/mute", ACCOUNT),
    "POST /api/accounts/<id>/alerts/unmute": _row(START_VISIBLE, "/api/accounts/*/alerts/unmute", ACCOUNT),
    "GET /api/alert-receivers": Row(MANAGE),
    "POST /api/alert-receivers": Row(MANAGE, body={"address": "tea"}),
    "PATCH /api/alert-receivers/<id>": Row(NO_RECEIVER, "/api/alert-receivers/987654", body={}),
    "DELETE /api/alert-receivers/<id>": Row(NO_RECEIVER, "/api/alert-receivers/987654"),
    "POST /api/alert-receivers/<id>/rotate-secret": Row(NO_RECEIVER, "/api/alert-receivers/987654/rotate-secret"),
    "POST /api/alert-receivers/<id>/test": Row(NO_RECEIVER, "/api/alert-receivers/987654/test"),
    "POST /api/alert-receivers/<id>/enable": Row(NO_RECEIVER, "/api/alert-receivers/987654/enable"),
    "POST /api/accounts/<id>/check": _row(START_VISIBLE, "/api/accounts/*/check", ACCOUNT),
    "GET /api/dead-letters": Row(EXPORT),
    "GET /api/dead-letters/<id>": _row(EXPORT_VISIBLE, "/api/dead-letters/*", CONVERSATION),
    "POST /api/dead-letters/<id>/replay": _row(START_VISIBLE, "/api/dead-letters/*/replay", CONVERSATION),
    "POST /api/dead-letters/replay": Row(START_ANY, "/api/dead-letters/replay"),
    "GET /api/insights": Row(READ),
    "GET /api/identities/<id>/lookups": _row(READ_VISIBLE, "/api/identities/*/lookups", CONVERSATION),
    "POST /api/identities/refresh": Row(START_VISIBLE, "/api/identities/refresh", body={"accountId": ACCOUNT}),
    "GET /api/avatars/<accountId>/<participantId>": _row(READ_VISIBLE, f"/api/avatars/{ACCOUNT}/*", CONTACT),
    "GET /api/docs": Row(DOCUMENT),
    "GET /api/health": Row(READ),
    "GET /api/identities": Row(READ),
    "GET /api/identities/<id>": _row(READ_VISIBLE, "/api/identities/*", CONVERSATION),
    "POST /api/identities/<id>/refresh": _row(START_VISIBLE, "/api/identities/*/refresh", CONVERSATION),
    "GET /api/identities/export": Row(EXPORT),
    "GET /api/identities/<id>/data": _row(PRIVACY, "/api/identities/*/data", CONVERSATION),
    "GET /api/identities/<id>/export": _row(PRIVACY, "/api/identities/*/export", CONVERSATION),
    "GET /api/receipts/<id>": Row(NO_RECEIPT, "/api/receipts/1"),
    "GET /api/jobs": Row(READ),
    "GET /api/jobs/<id>": _row(READ_VISIBLE, "/api/jobs/*", RUN),
    "POST /api/jobs/<id>/cancel": _row(START_VISIBLE, "/api/jobs/*/cancel", RUN),
    "POST /api/jobs/<id>/pause": _row(START_VISIBLE, "/api/jobs/*/pause", RUN),
    "POST /api/jobs/<id>/resume": _row(START_VISIBLE, "/api/jobs/*/resume", RUN),
    "GET /api/jobs/<id>/items": _row(READ_VISIBLE, "/api/jobs/*/items", RUN),
    "POST /api/jobs/<id>/retry": _row(START_VISIBLE, "/api/jobs/*/retry", RUN),
    "GET /api/openapi.json": Row(DOCUMENT),
    "GET /api/schedules": Row(READ),
    "POST /api/schedules/<name>/run": Row(START_ALL, "/api/schedules/daily-refresh/run"),
    "POST /api/schedules/<name>/off": Row(START_ALL, "/api/schedules/daily-refresh/off"),
    "POST /api/schedules/<name>/on": Row(START_ALL, "/api/schedules/daily-refresh/on"),
    "POST /api/social/instagram/inbox/refresh-identities": _row(
        START_VISIBLE, "/api/social/instagram/inbox/refresh-identities?locationId=*", ACCOUNT
    ),
    "POST /api/social/instagram/messages/backfill": _row(
        START_VISIBLE, "/api/social/instagram/messages/backfill?locationId=*", ACCOUNT
    ),
    "GET /api/workers/backfill-profiles/plan": _row(
        READ_VISIBLE, "/api/workers/backfill-profiles/plan?accountId=*", ACCOUNT
    ),
    "POST /api/workers/backfill-profiles": Row(
        START_VISIBLE, "/api/workers/backfill-profiles", body={"accountId": ACCOUNT}
    ),
    "GET /messaging/conversations": Row(READ),
    "GET /messaging/conversations/<id>": _row(READ_VISIBLE, "/messaging/conversations/*", CONVERSATION),
    "POST /messaging/conversations/<id>/no-reply-needed": _row(
        START_VISIBLE, "/messaging/conversations/*/no-reply-needed", CONVERSATION
    ),
    "DELETE /messaging/conversations/<id>/no-reply-needed": _row(
        START_VISIBLE, "/messaging/conversations/*/no-reply-needed", CONVERSATION
    ),
    "GET /messaging/conversations/<id>/messages": _row(
        READ_VISIBLE, "/messaging/conversations/*/messages", CONVERSATION
    ),
    "POST /messaging/conversations/<id>/read": _row(START_VISIBLE, "/messaging/conversations/*/read", CONVERSATION),
    "DELETE /api/dead-letters/<id>": _row(START_VISIBLE, "/api/dead-letters/*", CONVERSATION),
    "DELETE /api/identities/<id>": _row(PRIVACY, "/api/identities/*", CONVERSATION),
}
