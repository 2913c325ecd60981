"""The OpenAPI document: complete, described, and read by a code generator without a warning."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api import blueprint
from app.identities.listing import REASONS, NameState
from app.instagram.events import EventKind
from app.models.run import ItemState, RunState
from app.models.run import RunKind as RunKind
from app.runs import runner
from tests.api.clients import an_api_client
from tests.factories import LEA, MAISON_LUNE, RUI, a_sandbox_account, people_wrote
from tests.support.processes import Sandbox

OPERATIONS = {
    "Conversations": {
        *("listConversations", "getConversation", "markConversationRead", "markNeedsReply", "markNoReplyNeeded"),
    },
    "Messages": {"listMessages"},
    "Jobs": {
        *("startBackfill", "startRefresh", "startRecentBackfill", "listJobs", "getJob", "listJobItems", "cancelJob"),
        *("retryJob", "pauseJob", "resumeJob", "planBackfill", "startSelectedRefresh", "startSync"),
    },
    "Schedules": {"listSchedules", "runSchedule", "switchScheduleOff", "switchScheduleOn"},
    "Identities": {"listIdentities", "getIdentity", "refreshIdentity", "exportIdentities", "listLookups"},
    "Data protection": {"getStoredData", "exportContact", "deleteContact", "getReceipt"},
    "Accounts": {"listAccounts", "checkAccount", "listGaps"},
    "Dead letters": {
        *("listDeadLetters", "getDeadLetter", "replayDeadLetter", "replayDeadLetters", "discardDeadLetter"),
    },
    "Insights": {"getInsights"},
    "Avatars": {"getAvatar"},
    "Health": {"getHealth"},
    "Alerts": {"listAlerts", "acknowledgeAlert", "muteAlerts", "unmuteAlerts"},
    "Alert receivers": {
        *("listAlertReceivers", "addAlertReceiver", "changeAlertReceiver", "testAlertReceiver"),
        *("enableAlertReceiver", "removeAlertReceiver", "rotateAlertReceiverSecret"),
    },
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return blueprint.document()


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def fields(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            yield f"{name}.{field}", described


def test_the_document_is_valid_and_every_reference_in_it_resolves(document: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert {reference for reference in references(document) if reference not in names} == set()


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_operations_have_ids_and_are_grouped_by_subject(document: dict[str, Any]) -> None:
    grouped: dict[str, set[str]] = {}
    for operation in operations(document):
        [tag] = operation["tags"]
        grouped.setdefault(tag, set()).add(operation["operationId"])
    assert grouped == OPERATIONS
    assert [tag["name"] for tag in document["tags"]] == list(OPERATIONS)
    assert all(tag["description"] for tag in document["tags"])


def test_every_operation_parameter_and_field_is_described(document: dict[str, Any]) -> None:
    parameters = [
        (f"{operation['operationId']} {each['name']}", each)
        for operation in operations(document)
        for each in operation.get("parameters", ())
    ]
    schemas = document["components"]["schemas"].items()
    assert [name for name, each in (*parameters, *fields(document), *schemas) if not each.get("description")] == []
    assert all(operation["summary"][0].isupper() for operation in operations(document))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("AttachmentKind", {"image", "share", "story", "template", "unsupported"}),
        ("Direction", {"incoming", "outgoing"}),
        ("IdentityState", set(NameState)),
        ("JobItemReason", {"consent", "not_visible", "worker_died"}),
        ("JobItemState", set(ItemState)),
        ("JobKind", set(RunKind)),
        ("JobState", {*RunState, "some_failed", "worker_missing"}),
        ("LookupReason", set(REASONS)),
        ("LookupSource", {"conversations", "profile", "legacy"}),
        ("MessageKind", set(EventKind)),
        ("ReferralKind", {"ad", "product", "link"}),
        ("ReplyKind", {"message", "story"}),
    ],
)
def test_values_of_an_enum_are_listed(document: dict[str, Any], name: str, values: set[str]) -> None:
    assert values <= set(document["components"]["schemas"][name]["enum"])


def test_states_of_accounts_leave_out_those_that_no_client_sees(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["AccountState"]["enum"] == ["connected", "reconnect"]


def test_examples_fit_their_fields(document: dict[str, Any]) -> None:
    examples = [(name, field) for name, field in fields(document) if "example" in field]
    assert {"Conversation.lastMessageAt", "Message.kind", "Job.state", "Problem.status"} <= {
        name for name, _ in examples
    }
    for name, field in examples:
        root = {**field, "components": document["components"]}
        assert list(OAS31Validator(root).iter_errors(field["example"])) == [], name


@pytest.mark.timeout(120)
def test_a_generated_python_client_lists_conversations_and_follows_a_job(
    app: Flask, meta: Sandbox, document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_sandbox_account()
    people_wrote(LEA, RUI)
    generated = _generated(document, tmp_path, monkeypatch)
    client = generated("client").AuthenticatedClient(
        base_url="http://localhost",
        token=an_api_client(app).secret,
        httpx_args={"transport": httpx.WSGITransport(app)},
    )

    page = generated("api.conversations.list_conversations").sync(client=client, unknown=True)
    assert [each.participant_platform_id for each in page.data] == [RUI, LEA]
    assert {each.identity_state.value for each in page.data} == {"unknown"}

    wanted = generated("models.backfill_request").BackfillRequest(account_id=MAISON_LUNE)
    started = generated("api.jobs.start_backfill").sync(client=client, body=wanted)
    get_job = generated("api.jobs.get_job").sync
    states: list[str] = []
    while not states or states[-1] == "queued":
        states.append(get_job(started.job_id, client=client).state.value)
        runner.run_slice(started.job_id)
    job = get_job(started.job_id, client=client)
    assert (states[0], job.state.value, job.resolved, job.total) == ("queued", "done", 2, 2)

    refused = generated("api.jobs.cancel_job").sync(started.job_id, client=client)
    assert (type(refused).__name__, refused.status, refused.title) == ("Problem", 409, "Conflict")


def _generated(document: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Generate the client, with warnings as errors. Return a function that imports a module of it."""
    source, settings, target = folder / "openapi.json", folder / "settings.json", folder / "nametag_client"
    source.write_text(json.dumps(document))
    settings.write_text('{"post_hooks": []}')  # ruff would only format it
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    arguments = ["--path", str(source), "--config", str(settings), "--output-path", str(target)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, "arning" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr
    monkeypatch.syspath_prepend(folder)
    for name in [each for each in sys.modules if each.partition(".")[0] == target.name]:
        monkeypatch.delitem(sys.modules, name)  # that of another database's test
    return lambda module: importlib.import_module(f"{target.name}.{module}")
