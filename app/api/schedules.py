"""Endpoints for schedules: list, run now, switch off and on."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app import heartbeats, schedules
from app.api import auth
from app.api.responses import Schedule, ScheduleList
from app.api.schemas import ByName, SwitchOffRequest, SwitchOnRequest

SCHEDULES = Tag(
    name="Schedules",
    description="What the scheduler does on time. Changes for all accounts need access to all of them.",
)


def register(api: APIBlueprint) -> None:
    """Add the endpoints of schedules to `api`."""

    @api.get("/api/schedules", tags=[SCHEDULES], summary="List schedules", responses={200: ScheduleList})
    def list_schedules() -> dict[str, Any]:
        found = [schedules.as_dict(each) for each in schedules.list_schedules(auth.viewer())]
        return {"data": found, "schedulerRuns": heartbeats.scheduler_runs()}

    @api.post(
        "/api/schedules/<name>/run",
        tags=[SCHEDULES],
        summary="Run a schedule now",
        description="The scheduler starts it within seconds, also while it is off.",
        responses={202: Schedule},
    )
    def run_schedule(path: ByName) -> tuple[dict[str, Any], int]:
        schedules.run_now(auth.viewer(), path.name)
        return _schedule(path.name), 202

    @api.post(
        "/api/schedules/<name>/off",
        tags=[SCHEDULES],
        summary="Switch a schedule off",
        description="Until it is switched on: for all accounts, or for the one in the body.",
        responses={200: Schedule},
    )
    def switch_schedule_off(path: ByName, body: SwitchOffRequest) -> dict[str, Any]:
        schedules.switch_off(auth.viewer(), path.name, ig_account_id=body.accountId, reason=body.reason)
        return _schedule(path.name)

    @api.post(
        "/api/schedules/<name>/on",
        tags=[SCHEDULES],
        summary="Switch a schedule on",
        description="For all accounts, or for the one in the body. One that is due runs within seconds. For all "
        "accounts, it stays off for those in `offAccounts`.",
        responses={200: Schedule},
    )
    def switch_schedule_on(path: ByName, body: SwitchOnRequest) -> dict[str, Any]:
        schedules.switch_on(auth.viewer(), path.name, ig_account_id=body.accountId)
        return _schedule(path.name)


def _schedule(name: str) -> dict[str, Any]:
    return schedules.as_dict(schedules.get_schedule(auth.viewer(), name))
