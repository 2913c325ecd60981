"""Load: requests at a fixed rate (open loop) or one after another (closed loop), and percentiles of their times."""

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to send."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer's status and its time, counted from the moment the request was due."""

    status: int
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Times:
    """Percentiles of a set of answers, in milliseconds."""

    p50: float
    p95: float
    p99: float
    longest: float


def at_rate(
    url: str, requests: Iterator[Request], *, per_second: float, seconds: float, clients: int = 16
) -> list[Answered]:
    """Send requests at a fixed rate, however slowly they are answered; waiting for a free client counts as time."""
    due: SimpleQueue[tuple[float, Request] | None] = SimpleQueue()
    answers: list[Answered] = []
    threads = [threading.Thread(target=_serve, args=(url, due, answers)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    for number in range(int(per_second * seconds)):
        moment = began + number / per_second
        time.sleep(max(0.0, moment - time.perf_counter()))
        due.put((moment, next(requests)))
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    return answers


def in_turn(url: str, request: Request, *, times: int) -> list[Answered]:
    """Send one request `times` times over one connection, each after the answer to the last."""
    connection = _connect(url)
    return [_ask(connection, request, time.perf_counter()) for _ in range(times)]


def at_full_speed(url: str, requests: Iterator[Request], *, seconds: float, clients: int) -> list[Answered]:
    """Have `clients` send request after request, each over a connection of its own; requests are drawn in turn."""
    answers: list[Answered] = []
    drawing = threading.Lock()
    until = time.perf_counter() + seconds

    def serve() -> None:
        connection = _connect(url)
        while (moment := time.perf_counter()) < until:
            with drawing:
                request = next(requests)
            answers.append(_ask(connection, request, moment))
        connection.close()

    threads = [threading.Thread(target=serve) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def times_of(answers: Sequence[Answered]) -> Times:
    """Return the percentiles of the answers' times."""
    ordered = sorted(answer.seconds * 1000 for answer in answers)
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    return Times(p50=cuts[49], p95=cuts[94], p99=cuts[98], longest=ordered[-1])


def _serve(url: str, due: "SimpleQueue[tuple[float, Request] | None]", answers: list[Answered]) -> None:
    connection = _connect(url)
    take: Callable[[], tuple[float, Request] | None] = due.get
    while (next_one := take()) is not None:
        moment, request = next_one
        answers.append(_ask(connection, request, moment))
    connection.close()


def _connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)


def _ask(connection: http.client.HTTPConnection, request: Request, moment: float) -> Answered:
    try:
        response = _response(connection, request)
    except (http.client.RemoteDisconnected, ConnectionError):  # the server ended an idle connection, as browsers expect
        connection.close()
        response = _response(connection, request)
    response.read()
    now = time.perf_counter()
    return Answered(response.status, now - moment, now)


def _response(connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
    connection.request(request.method, request.path, request.body or None, dict(request.headers))
    return connection.getresponse()
