"""Alert rules, dashboard and the list of metrics name the metrics that /metrics has, all of them and no other."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from app import counters, metrics, settings
from app.factory import create_app
from tests.support import databases
from tests.support.requirement import promtool

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "monitoring.md").read_text()
NAME = re.compile(r"\bnametag_\w+")


@pytest.fixture
def families(app: Flask) -> set[str]:
    """The metrics of a scrape."""
    counters.send()
    metrics.reset()
    return {family.name for family in text_string_to_metric_families(metrics.render().decode())}


@pytest.fixture
def app(sqlite_database: str, redis: Redis) -> Iterator[Flask]:
    """The app on SQLite: names do not depend on the database."""
    with settings.using(database_url=sqlite_database), databases.app_context_of(create_app()) as app:
        yield app


def family_of(name: str) -> str:
    return re.sub(r"_(total|bucket|count|sum)$", "", name)


def alert_rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_the_list_of_metrics_is_complete(families: set[str]) -> None:
    listed = re.findall(r"^\| `(nametag_\w+)`", PAGE, re.MULTILINE)
    assert {family_of(name) for name in listed} == families
    assert len(listed) == len(families)


def test_each_alert_is_about_metrics_that_exist_and_says_what_to_do(families: set[str]) -> None:
    rules = alert_rules()
    assert len(rules) > 10
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert {family_of(name) for name in NAME.findall(rule["expr"])} <= families, rule
        assert rule["annotations"]["summary"].endswith(".")


def test_each_panel_is_about_metrics_that_exist_and_all_are_shown(families: set[str]) -> None:
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert {family_of(name) for expr in shown for name in NAME.findall(expr)} == families - {"nametag_build_info"}


def test_the_configuration_in_the_page_is_valid() -> None:
    [configuration] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    lines = configuration.splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    parsed = yaml.safe_load("\n".join(line[indent:] for line in lines))
    assert parsed["scrape_configs"][0]["job_name"] == "nametag"  # the alert on `up` names it


def test_promtool_accepts_the_alert_rules() -> None:
    checked = subprocess.run(
        [promtool(), "check", "rules", DOCS / "alerts.yml"], capture_output=True, text=True, check=False, timeout=30
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
