"""rq-dashboard at /admin/queues, for ops and admins, hardened: changes by POST only, escaped fields, script nonces.

Its pages show any value in Redis, so these are escaped, and its scripts run only with a nonce.
"""

import logging
import re
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Any

import rq_dashboard
import rq_dashboard.web
from flask import Flask, Response, abort, current_app, request
from jinja2 import BaseLoader, Environment
from rq import Queue, Worker
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError, TimeoutFormatError
from rq.job import Job
from rq.serializers import JSONSerializer

from app import audit, queue, redis_client, settings
from app.errors import Conflict, Forbidden, NotFound, Unavailable
from app.redis_client import RedisUnavailable
from app.viewer import Role
from app.web import error_pages, headers, session

logger = logging.getLogger(__name__)

URL_PREFIX = "/admin/queues"
NAME = "rq_dashboard"
MUTATING = frozenset({"delete_job_view", "requeue_job_view", "requeue_all", "empty_queue", "compact_queue"})
REGISTRIES = frozenset({"queued", "failed", "deferred", "started", "finished", "canceled", "scheduled"})
SUBJECT_CHARACTERS = 80
SLICES = frozenset(queue.TASKS[name].path for name in (queue.BACKFILL_SLICE, queue.REFRESH_SLICE))
# What RQ raises for values in Redis that it did not write.
UNREADABLE = (
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError, zlib.error),
    *(AssertionError, DeserializationError, TimeoutFormatError),
)
NOT_READABLE = "Redis holds a value here that can't be read. Delete its key or wait until it expires."
NOT_FAILED = "Only failed jobs can be requeued."
_NAME = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_RUN_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_JOB_HEADING = "<h2><strong>Job ID</strong>: {{ id }}</h2>"
_JOB_LINK = """{% set run_id = run_id_of_task(id) %}
{% if run_id %}<p><a href="/jobs/{{ run_id }}">Open job {{ run_id }} in Nametag</a></p>{% endif %}"""
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_CHECKED: dict[str, Callable[[str], object]] = {
    "queue_name": _NAME.fullmatch,
    "job_id": _NAME.fullmatch,
    "registry_name": REGISTRIES.__contains__,
    "order": frozenset({"asc", "dsc"}).__contains__,
    "per_page": _NUMBER.fullmatch,
    "page": _NUMBER.fullmatch,
    "instance_number": "0".__eq__,
}

Source = tuple[str, str | None, Callable[[], bool] | None]


class ReadableQueue(Queue):
    """A queue without unreadable jobs; queues with unreadable names are left out."""

    @classmethod
    def all(cls, connection: Any, *_: Any, **__: Any) -> list[Any]:
        """Return the queues with readable names."""
        prefix = cls.redis_queue_namespace_prefix
        names = (key.decode(errors="replace") for key in connection.smembers(cls.redis_queues_keys))
        readable = (name for name in names if name.startswith(prefix) and "\ufffd" not in name)
        return [cls.from_queue_key(name, connection=connection) for name in readable]

    def fetch_job(self, job_id: str) -> Job | None:
        """Return a job, None if it is unreadable."""
        try:
            job = super().fetch_job(job_id)
            if job:
                rq_dashboard.web.serialize_job(job)
        except UNREADABLE:
            return None
        return job


class ReadableWorker(Worker):
    """A worker; those with an unreadable entry or current job are left out."""

    @classmethod
    def find_by_key(cls, *arguments: Any, **options: Any) -> Any:
        """Return a worker, None if it is unreadable."""
        try:
            worker = super().find_by_key(*arguments, **options)
            if worker:
                rq_dashboard.web.serialize_current_job(worker.get_current_job())
        except UNREADABLE:
            return None
        return worker


class HardenedLoader(BaseLoader):
    """Loader that fixes rq-dashboard's templates, and no others."""

    def __init__(self, inner: BaseLoader) -> None:
        self.inner = inner

    def get_source(self, environment: Environment, template: str) -> Source:
        """Return the source of a template, fixed if it is one of rq-dashboard."""
        source, path, fresh = self.inner.get_source(environment, template)
        return (_fixed_template(template, source) if template.startswith(f"{NAME}/") else source), path, fresh

    def list_templates(self) -> list[str]:
        """Return the names of all templates."""
        return self.inner.list_templates()


def init_app(app: Flask) -> None:
    """Mount the dashboard on `app`, unless QUEUE_DASHBOARD is off."""
    shown = settings.current().queue_dashboard
    app.jinja_env.globals["queue_dashboard"] = shown
    if not shown:
        return
    rq_dashboard.web.config.serializer = JSONSerializer
    rq_dashboard.web.Queue, rq_dashboard.web.Worker = ReadableQueue, ReadableWorker
    rq_dashboard.web.from_url = lambda *_, **__: (None, redis_client.client())
    app.config["RQ_DASHBOARD_REDIS_URL"] = ("Nametag",)  # shown on its pages, so not the URL
    app.jinja_env.loader = HardenedLoader(app.jinja_env.loader or BaseLoader())
    app.add_template_global(headers.nonce, "csp_nonce")
    app.add_template_global(_run_id, "run_id_of_task")
    app.register_blueprint(rq_dashboard.blueprint, url_prefix=URL_PREFIX)
    for endpoint in [each for each in app.view_functions if each.startswith(f"{NAME}.")]:
        app.view_functions[endpoint] = _explained(app.view_functions[endpoint])
    app.before_request(_guard)
    app.after_request(_add_policy)
    app.register_error_handler(NoSuchJobError, lambda _: error_pages.error_response(NotFound("job")))
    app.register_error_handler(InvalidJobOperation, lambda _: error_pages.error_response(Conflict(NOT_FAILED)))
    app.register_error_handler(RedisUnavailable, lambda _: error_pages.error_response(Unavailable("queue")))


def _explained(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def explained(*arguments: Any, **options: Any) -> Any:
        try:
            return view(*arguments, **options)
        except UNREADABLE:
            logger.warning("queue dashboard: unreadable value in Redis", exc_info=True)
            raise Conflict(NOT_READABLE) from None

    return explained


def _guard() -> None:
    if request.blueprint != NAME:
        return
    viewer, view = session.viewer(), (request.endpoint or "").removeprefix(f"{NAME}.")
    viewer.require(Role.OPS)
    if not viewer.sees_queues:
        raise Forbidden("The queue dashboard shows jobs of all accounts. You need access to all accounts to see it.")
    if view in MUTATING and request.method != "POST":
        abort(405)
    for name, value in (request.view_args or {}).items():
        if name in _CHECKED and value is not None and not _CHECKED[name](str(value)):
            abort(404)
    if view in MUTATING:
        changed = " ".join([view, *map(str, (request.view_args or {}).values())])
        audit.record(viewer, audit.Action.QUEUE_CHANGED, changed[:SUBJECT_CHARACTERS])
    queue_name = (request.view_args or {}).get("queue_name")
    if view == "compact_queue" and not redis_client.client().exists(f"rq:queue:{queue_name}"):
        raise NotFound("queue")  # empty, which RQ reports as an error of Redis
    redis_client.client().ping()  # if Redis is unavailable: our 503 page, not its own
    current_app.redis_conn = redis_client.client()  # type: ignore[attr-defined]  # read by rq-dashboard


def _add_policy(response: Response) -> Response:
    if request.blueprint == NAME and response.status_code < 400:  # error pages keep the policy of other pages
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{headers.nonce()}' 'unsafe-eval'; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    return response


def _run_id(task_id: str) -> str | None:
    """Return the ID of the job that a task works on, None for other tasks."""
    try:
        task = Job.fetch(task_id, connection=redis_client.client(), serializer=JSONSerializer)
        found = str(task.args[0]) if task.func_name in SLICES else ""
    except (*UNREADABLE, NoSuchJobError):
        return None
    return found if _RUN_ID.fullmatch(found) else None


def _fixed_template(template: str, source: str) -> str:
    source = re.sub(r"<%=\s*(?!\s*\$\()", "<%- ", source)
    source = re.sub(r"<script(?=[\s>])", '<script nonce="{{ csp_nonce() }}"', source)
    source = source.replace(
        "'{{ queue.name }}'", "{{ queue.name|tojson }}"
    )  # values in scripts are not escaped automatically
    source = source.replace("active_tab ==", "active_tab|default('') ==")  # missing on the page of a job
    source = source.replace("url_for('static', filename='favicon.ico')", f"url_for('{NAME}.favicon')")
    source = source.replace(_JOB_HEADING, _JOB_HEADING + _JOB_LINK)
    if template.endswith("inline_js.html"):
        source = "$.ajaxSetup({headers: {'X-CSRFToken': {{ csrf_token()|tojson }}}});\n" + source
    return source
