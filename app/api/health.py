"""Endpoint for the findings of the health checks."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app import findings
from app.api import auth
from app.api.responses import HealthReport
from app.clock import rfc3339

HEALTH = Tag(name="Health", description="What the health checks found.")


def register(api: APIBlueprint) -> None:
    """Add the endpoint of health to `api`."""

    @api.get(
        "/api/health",
        tags=[HEALTH],
        summary="Get the findings of the health checks",
        description=(
            "The scheduler runs the checks of `nametag doctor` every 30 seconds. "
            "A token for some accounts gets the findings of these accounts only."
        ),
        responses={200: HealthReport},
    )
    def get_health() -> dict[str, Any]:
        report = findings.report(auth.viewer())
        return {
            "state": report.state,
            "checkedAt": rfc3339(report.checked_at),
            "notice": report.notice,
            "findings": [
                {
                    "check": each.check,
                    "level": each.level,
                    "message": each.message,
                    "fix": each.fix,
                    "key": each.key,
                    "accountId": each.ig_account_id,
                    "since": rfc3339(each.since),
                }
                for each in report.findings
            ],
        }
