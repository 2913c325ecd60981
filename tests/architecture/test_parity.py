"""What a page can do, the API and the command line can do, by the same function.

ACTIONS is the one list. A new route, operation or command fails here until it is in the list, with the other two or
with the reason why there is none.
"""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click
import pytest
from flask import Flask

from app.api import blueprint
from app.cli.main import main
from tests.architecture.matrix import API, ID, PAGES, QUEUES

SERVER = "done on the server, by who runs the installation"
NO_ADMIN = "left to admins: the only admin task of API tokens is managing alert receivers"
READ = "read in the inbox or through the API"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `calls` is the function that every entry point calls: module and name.

    `pages` are routes of the matrix, `operations` IDs of the API, `commands` those of `nametag`. `without` says why
    there is no page, no operation or no command.
    """

    name: str
    calls: str | None
    pages: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    without: str = ""


IDENTITY, CONVERSATION = f"/identities/{ID.format('identity_id')}", f"/inbox/{ID.format('conversation_id')}"
START = "POST /jobs/<any(backfill, refresh, sync):kind>"
ALERT, RECEIVER = f"/alerts/{ID.format('alert_id')}", f"/alerts/receivers/{ID.format('receiver_id')}"
MUTE = "POST /alerts/accounts/<ig_account_id>/<any(mute, unmute):action>"
PIN = f"/inbox/pins/{ID.format('pin_id')}"
LETTER, USER = f"/dead-letters/{ID.format('dead_letter_id')}", f"/users/{ID.format('user_id')}"

ACTIONS = (
    # Jobs
    Action("List jobs", "progress.active_runs", ("GET /jobs",), ("listJobs",), ("jobs list",)),
    Action(
        "Show a job",
        "progress.get_progress",
        ("GET /jobs/<string(length=12):run_id>",),
        ("getJob",),
        ("jobs show",),
    ),
    Action("List the contacts of a job", None, ("GET /jobs/<run_id>/items.csv",), ("listJobItems",), ("jobs items",)),
    Action("Pause a job", "lifecycle.pause", ("POST /jobs/<run_id>/pause",), ("pauseJob",), ("jobs pause",)),
    Action("Resume a job", "lifecycle.resume", ("POST /jobs/<run_id>/resume",), ("resumeJob",), ("jobs resume",)),
    Action("Cancel a job", "lifecycle.cancel", ("POST /jobs/<run_id>/cancel",), ("cancelJob",), ("jobs cancel",)),
    Action("Retry a job", "retries.retry", ("POST /jobs/<run_id>/retry",), ("retryJob",), ("jobs retry",)),
    Action(
        "Start a job",
        None,  # the API's older operations call lifecycle.start, the one below run_request.start
        (START,),
        ("startBackfill", "startRefresh", "startRecentBackfill"),
        ("backfill-profiles", "refresh-identities"),
    ),
    Action(
        "Refresh identities that match a filter",
        "run_request.start",
        (START,),
        ("startSelectedRefresh",),
        ("refresh-identities",),
    ),
    Action("Plan a job", None, ("GET /jobs/plans", "GET /jobs/new"), ("planBackfill",), ("backfill-profiles",)),
    # Schedules
    Action("List schedules", "list_schedules", ("GET /schedules",), ("listSchedules",), ("schedules list",)),
    Action(
        "Run a schedule, switch it off and on",
        None,
        (
            "GET /schedules/<name>",
            "POST /schedules/<name>/run",
            "POST /schedules/<name>/off",
            "POST /schedules/<name>/on",
        ),
        ("runSchedule", "switchScheduleOff", "switchScheduleOn"),
        ("schedules run", "schedules off", "schedules on"),
    ),
    # Dead letters
    Action(
        "List dead letters",
        None,
        ("GET /dead-letters",),
        ("listDeadLetters", "getDeadLetter"),
        ("dead-letters list", "dead-letters show"),
    ),
    Action(
        "Replay a dead letter",
        "replay_one",
        (f"POST {LETTER}/replay",),
        ("replayDeadLetter",),
        ("dead-letters replay",),
    ),
    Action(
        "Replay dead letters of one kind, or all",
        None,
        ("POST /dead-letters/replay",),
        ("replayDeadLetters",),
        ("dead-letters replay",),
    ),
    Action(
        "Discard a dead letter",
        ".discard",
        (f"POST {LETTER}/discard",),
        ("discardDeadLetter",),
        ("dead-letters discard",),
    ),
    # Accounts
    Action("List accounts with their health", None, ("GET /accounts",), ("listAccounts",), ("account list",)),
    Action(
        "Check an account",
        "connect.check",
        ("POST /accounts/<ig_account_id>/check",),
        ("checkAccount",),
        ("account check",),
    ),
    Action("Connect an account", "connect.add", ("POST /accounts",), (), ("account add",), NO_ADMIN),
    Action(
        "Remove an account",
        "connect.remove",
        ("POST /accounts/<ig_account_id>/remove",),
        (),
        ("account remove",),
        NO_ADMIN,
    ),
    Action(
        "Handle requests of account owners",
        None,
        ("POST /accounts/requests/<code>/assign", "POST /accounts/requests/<code>/close"),
        (),
        ("account requests list", "account requests assign", "account requests close"),
        NO_ADMIN,
    ),
    Action("Sync conversations", "sync_job.start", (START,), ("startSync",), ("sync",)),
    Action(
        "Sync the conversations of an account",
        None,
        ("POST /accounts/<ig_account_id>/sync",),
        ("startSync",),
        ("sync",),
    ),
    # Gaps and alerts
    Action("List gaps", None, ("GET /accounts",), ("listGaps",), ("gaps",)),
    Action(
        "Dismiss the report of a gap",
        "gaps.dismiss",
        (f"POST /gaps/{ID.format('gap_id')}/dismiss",),
        (),
        (),
        "only hides a line of the inbox",
    ),
    Action("List alerts", "listing.list_alerts", ("GET /alerts",), ("listAlerts",), ("alert list",)),
    Action(
        "Acknowledge an alert",
        "lifecycle.acknowledge",
        (f"POST {ALERT}/acknowledge",),
        ("acknowledgeAlert",),
        ("alert acknowledge",),
    ),
    Action("Mute the alerts of an account", "muting.mute", (MUTE,), ("muteAlerts",), ("alert mute",)),
    Action("Unmute the alerts of an account", "muting.unmute", (MUTE,), ("unmuteAlerts",), ("alert unmute",)),
    Action(
        "List alert receivers",
        "receivers.list_receivers",
        ("GET /alerts/receivers",),
        ("listAlertReceivers",),
        ("alert receivers list",),
    ),
    Action(
        "Add an alert receiver",
        "receivers.add",
        ("POST /alerts/receivers",),
        ("addAlertReceiver",),
        ("alert receivers add",),
    ),
    Action(
        "Change an alert receiver",
        "receivers.change",
        (f"GET {RECEIVER}", f"POST {RECEIVER}"),
        ("changeAlertReceiver",),
        ("alert receivers change",),
    ),
    Action(
        "Rotate the secret of an alert receiver",
        "receivers.rotate_secret",
        (f"POST {RECEIVER}/rotate-secret",),
        ("rotateAlertReceiverSecret",),
        ("alert receivers rotate-secret",),
    ),
    Action(
        "Test an alert receiver",
        "outbox.send_test",
        (f"POST {RECEIVER}/<any(test, enable, remove):action>",),
        ("testAlertReceiver",),
        ("alert receivers test",),
    ),
    Action(
        "Switch an alert receiver on",
        "receivers.enable",
        (f"POST {RECEIVER}/<any(test, enable, remove):action>",),
        ("enableAlertReceiver",),
        ("alert receivers enable",),
    ),
    Action(
        "Remove an alert receiver",
        "receivers.remove",
        (f"POST {RECEIVER}/<any(test, enable, remove):action>",),
        ("removeAlertReceiver",),
        ("alert receivers remove",),
    ),
    # Identities
    Action("List identities", "listing.page", ("GET /identities",), ("listIdentities",), ("identities list",)),
    Action(
        "Export identities",
        "export.lines",
        ("GET /identities/export",),
        ("exportIdentities",),
        ("identities export",),
    ),
    Action("Show an identity", None, (f"GET {IDENTITY}",), ("getIdentity",), ("contact show",)),
    Action("Show the lookups of an identity", None, (f"GET {IDENTITY}",), ("listLookups",), ("contact lookups",)),
    Action(
        "Refresh an identity",
        "manual_refresh.refresh",
        (f"POST {IDENTITY}/refresh",),
        ("refreshIdentity",),
        ("contact refresh",),
    ),
    Action(
        "Refresh the contact of a conversation",
        None,
        (f"POST {CONVERSATION}/refresh", f"GET {CONVERSATION}/lookup"),
        ("refreshIdentity",),
        ("contact refresh",),
    ),
    # Data of one contact
    Action(
        "Show what is stored about a contact",
        "get_stored_data",
        (f"GET {IDENTITY}/data",),
        ("getStoredData",),
        ("contact show",),
    ),
    Action(
        "Export the data of a contact",
        "contact_export.archive",
        (f"GET {IDENTITY}/export",),
        ("exportContact",),
        ("contact export",),
    ),
    Action(
        "Delete the data of a contact",
        "contacts.delete_identity",
        (f"POST {IDENTITY}/delete",),
        ("deleteContact",),
        ("contact erase",),
    ),
    Action(
        "Delete the data of a conversation's contact",
        None,
        (f"POST {CONVERSATION}/forget",),
        ("deleteContact",),
        ("contact erase",),
    ),
    Action(
        "Show a receipt",
        "receipts.get_receipt",
        (f"GET /identities/receipts/{ID.format('receipt_id')}",),
        ("getReceipt",),
        ("contact receipt",),
    ),
    # Inbox
    Action(
        "List and search conversations",
        None,
        ("GET /inbox", "GET /inbox/list", "GET /inbox/list/more"),
        ("listConversations",),
        ("search",),
    ),
    Action(
        "Read a conversation",
        None,
        (f"GET {CONVERSATION}", f"GET {CONVERSATION}/messages"),
        ("getConversation", "listMessages"),
        (),
        READ,
    ),
    Action(
        "Mark as read",
        "thread.mark_read",
        (f"POST {CONVERSATION}/read",),
        ("markConversationRead",),
        ("inbox mark-read",),
    ),
    Action("Mark all shown as read", None, ("POST /inbox/read",), ("markConversationRead",), ("inbox mark-read",)),
    Action("Mark as unread", None, (f"POST {CONVERSATION}/unread", "POST /inbox/unread"), (), (), "unread is per user"),
    Action(
        "Mark as no reply needed",
        "reply_decisions.mark_no_reply_needed",
        (f"POST {CONVERSATION}/no-reply-needed",),
        ("markNoReplyNeeded",),
        ("inbox no-reply-needed",),
    ),
    Action(
        "Mark as needs reply again",
        "reply_decisions.mark_needs_reply",
        (f"POST {CONVERSATION}/needs-reply",),
        ("markNeedsReply",),
        ("inbox no-reply-needed",),
    ),
    Action(
        "Count conversations that need a reply", None, ("GET /inbox",), ("listConversations",), ("inbox needs-reply",)
    ),
    Action(
        "Pin a search, rename and remove it",
        None,
        ("POST /inbox/pins", f"POST {PIN}/rename", f"POST {PIN}/remove"),
        (),
        (),
        "pinned searches are per user",
    ),
    # Figures and health
    Action("Show insights", "summary.get_insights", ("GET /insights",), ("getInsights",), ("insights",)),
    Action("Show health", None, ("GET /health",), ("getHealth",), ("health",)),
    Action("Run the health checks", None, ("POST /health/check",), (), ("doctor",), "the scheduler does"),
    Action("Show pictures", None, ("GET /avatars/<ig_account_id>/<ig_participant_id>",), ("getAvatar",), (), READ),
    # Users, tokens and the installation
    Action("Read the audit log", "page(", ("GET /audit",), (), ("audit list",), NO_ADMIN),
    Action(
        "Manage users",
        None,
        (
            *("GET /users", "POST /users", f"GET {USER}", f"POST {USER}/access", f"POST {USER}/password"),
            *(f"POST {USER}/disable", f"POST {USER}/enable"),
        ),
        (),
        ("user add", "user list", "user passwd", "user role", "user disable", "user enable"),
        NO_ADMIN,
    ),
    Action("Manage API tokens", None, (), (), ("token create", "token list", "token revoke"), SERVER),
    Action(
        "Run and maintain the installation",
        None,
        (),
        (),
        (
            *("up", "web", "worker", "scheduler", "sandbox", "config", "backup", "restore", "rotate-keys"),
            *("import-legacy",),
        ),
        SERVER,
    ),
)
# Routes that do nothing on their own: parts that pages poll, sign-in, choices of one browser, webhooks.
OF_BROWSERS = frozenset(
    {
        *("GET /", "GET /palette", "GET /inbox/notices", f"POST {CONVERSATION}/leave"),
        *("GET /jobs/<run_id>/live", "GET /jobs/history", "GET /jobs/live", "GET /jobs/unresolved"),
        *("GET /login", "POST /login", "POST /logout", "POST /logout/all", "GET /login/oidc"),
        *("GET /login/oidc/back", "GET /settings", "POST /settings/password", "POST /settings/theme"),
        *("POST /settings/zone", "GET /static/<path:filename>", "GET /accounts/connect/<login>"),
        *("GET /accounts/connected/<login>", "GET /deletion/<code>", "GET /healthz", "GET /readyz", "GET /metrics"),
        *("GET /webhooks/instagram", "POST /webhooks/instagram", "POST /webhooks/instagram/data-deletion"),
        *("POST /webhooks/instagram/deauthorize", "GET /api/docs", "GET /api/openapi.json"),
    }
)


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMANDS = dict(commands(main))


@pytest.fixture(scope="module")
def operations() -> set[str]:
    return {each["operationId"] for path in blueprint.document()["paths"].values() for each in path.values()}


def test_every_route_of_a_page_is_an_action() -> None:
    listed = {route for action in ACTIONS for route in action.pages}
    pages = {route for route in PAGES if QUEUES not in route}
    assert pages - listed - OF_BROWSERS == set(), "add the route to ACTIONS"
    assert listed - pages == set()
    assert listed & OF_BROWSERS == set()
    assert OF_BROWSERS - pages - set(API) == set()


def test_every_operation_of_the_api_is_an_action(operations: set[str]) -> None:
    assert {each for action in ACTIONS for each in action.operations} == operations


def test_every_command_is_an_action() -> None:
    listed = {each for action in ACTIONS for each in action.commands}
    assert listed ^ {name for name in COMMANDS if not name.startswith("db ")} == set()


def test_every_action_has_a_page_an_operation_and_a_command_or_a_reason() -> None:
    for action in ACTIONS:
        complete = all((action.pages, action.operations, action.commands))
        assert complete != bool(action.without), action.name


@pytest.mark.parametrize("action", [each for each in ACTIONS if each.calls], ids=lambda action: action.name)
def test_page_api_and_command_line_call_the_same_function(app: Flask, action: Action) -> None:
    assert action.calls
    views = {
        f"{method} {rule.rule}": rule.endpoint for rule in app.url_map.iter_rules() for method in rule.methods or ()
    }
    places = [app.view_functions[views[route]] for route in action.pages]
    named = {"".join(map(str.capitalize, each.rpartition(".")[2].split("_"))): each for each in app.view_functions}
    for operation in action.operations:
        places.append(app.view_functions[named[operation[0].upper() + operation[1:]]])
    for name in action.commands:
        callback = COMMANDS[name].callback
        assert callback
        places.append(callback)
    for place in places:
        source = inspect.getsource(sys.modules[inspect.unwrap(place).__module__])
        assert action.calls in source, (place, action.calls)
