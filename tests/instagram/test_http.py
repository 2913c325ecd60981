"""HTTP requests under hostile conditions: total deadline, capped size, no redirects, no leaks."""

import gzip
import logging
import os
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app import clock
from app.instagram import http
from app.instagram.errors import GraphAPIError, Reason, Scope
from tests.instagram.graph import Graph, Say, always, and_close, answer, bomb, dripping, reset, silent
from tests.support.waiting import until

SECONDS = 0.4
MOST_BYTES = 10_000
HEADERS = {"Authorization": "Bearer IGAAcanary"}
BEGIN = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph(silent) as started:
        yield started


def get(url: str, seconds: float = SECONDS) -> http.HttpResponse:
    return http.get(url, parameters={"q": "1"}, headers=HEADERS, seconds=seconds, most_bytes=MOST_BYTES)


def refused(url: str) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        get(url)
    return caught.value


def test_a_response_is_returned_whole_with_lower_case_headers(graph: Graph) -> None:
    graph.say = always(answer(b'{"a": 1}', status=404, X_App_Usage="{}"))
    received = get(graph.url)
    assert (received.http_status, received.body, received.headers["x-app-usage"]) == (404, b'{"a": 1}', "{}")


def test_twenty_calls_use_one_connection(graph: Graph) -> None:
    graph.say = always(answer({"a": 1}))
    for _ in range(20):
        get(graph.url)
    assert (len(graph.requests), graph.connections) == (20, 1)


def test_a_compressed_response_is_decompressed(graph: Graph) -> None:
    graph.say = always(answer(gzip.compress(b"x" * MOST_BYTES), Content_Encoding="gzip"))
    assert get(graph.url).body == b"x" * MOST_BYTES


@pytest.mark.parametrize(
    "say",
    [
        pytest.param(silent, id="silence"),
        pytest.param(dripping(BEGIN + b"\r\n", b"x"), id="dripping body"),
        pytest.param(dripping(BEGIN, b"X-Drop: 1\r\n"), id="dripping header lines"),
        pytest.param(dripping(BEGIN + b"X-Long: ", b"x"), id="dripping header bytes"),
        pytest.param(dripping(b"", b"H"), id="dripping status line"),
    ],
)
def test_the_deadline_is_total_and_closes_the_connection(graph: Graph, say: Say) -> None:
    graph.say = say
    began = time.monotonic()
    failure = refused(graph.url)
    assert SECONDS * 0.9 < time.monotonic() - began < SECONDS + 0.3
    assert (failure.scope, failure.reason, failure.code) == (Scope.NETWORK, Reason.TIMEOUT, "timeout")
    assert graph.ended.wait(5), "the abandoned exchange keeps its connection"
    until(lambda: not _calling(), "no exchange lives on")


def test_the_deadline_covers_a_slow_dns_lookup(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *rest: object, **more: object) -> object:
        if host == "slow.invalid":
            asked.wait(5)
            host = "127.0.0.1"
        return real(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    failure = refused(graph.url.replace("127.0.0.1", "slow.invalid"))
    asked.set()
    assert failure.reason is Reason.TIMEOUT
    until(lambda: not _calling(), "the exchange ends")
    assert graph.requests == []  # after the deadline nothing may be sent


def test_a_timeout_does_not_affect_the_next_call(graph: Graph) -> None:
    refused(graph.url)
    graph.say = always(answer({"a": 1}))
    assert get(graph.url).http_status == 200


def test_a_refused_connection_is_a_network_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    failure = refused(f"http://127.0.0.1:{port}")
    assert (failure.scope, failure.reason, failure.code) == (Scope.NETWORK, Reason.NETWORK, "refused")


def test_a_reset_connection_is_a_network_failure(graph: Graph) -> None:
    graph.say = reset
    assert refused(graph.url).code == "reset"


def test_a_closed_connection_without_response_is_a_network_failure(graph: Graph) -> None:
    graph.say = and_close(b"")
    assert refused(graph.url).code == "reset"


def test_an_unknown_host_name_is_a_network_failure() -> None:
    with pytest.raises(GraphAPIError) as caught:
        get("http://nobody.invalid", seconds=20)
    assert (caught.value.scope, caught.value.code) == (Scope.NETWORK, "dns")


@pytest.mark.parametrize(
    "wire_bytes",
    [
        pytest.param(BEGIN + b"\r\n" + b"{}", id="body shorter than promised"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", id="chunk cut off"),
        pytest.param(b"nonsense\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n", id="200 headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n", id="endless header"),
        pytest.param(answer(b"not gzip", Content_Encoding="gzip"), id="broken packing"),
    ],
)
def test_a_broken_answer_is_a_bad_answer(graph: Graph, wire_bytes: bytes) -> None:
    graph.say = and_close(wire_bytes)
    failure = refused(graph.url)
    assert (failure.scope, failure.reason) == (Scope.CONTRACT, Reason.BAD_ANSWER)


def test_a_huge_response_is_not_read_to_the_end(graph: Graph) -> None:
    graph.say = always(answer(b"x" * (MOST_BYTES + 1)))
    assert refused(graph.url).code == "too_large"


def test_a_gzip_bomb_is_not_decompressed_to_the_end(graph: Graph) -> None:
    graph.say = always(bomb(megabytes=200))
    tracemalloc.start()
    with pytest.raises(GraphAPIError) as caught:
        get(graph.url, seconds=10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == "too_large"
    assert peak < 5 * 1024 * 1024


def test_a_redirect_is_not_followed(graph: Graph) -> None:
    with Graph(always(answer({"id": "canary"}))) as canary:
        graph.say = always(answer(b"x" * 100, status=302, Location=f"{canary.url}/stolen"))
        assert get(graph.url).http_status == 302
        assert canary.connections == 0


def test_the_environment_is_not_used(graph: Graph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    graph.say = always(answer({"a": 1}, Set_Cookie="a=b; Path=/"))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else")
    with Graph(silent) as proxy:
        for name, value in (("http_proxy", proxy.url), ("HTTP_PROXY", proxy.url), ("NETRC", str(netrc))):
            monkeypatch.setenv(name, value)
        get(graph.url)
        get(graph.url)
        assert proxy.connections == 0
    sent = graph.requests[-1].headers
    assert sent["authorization"] == HEADERS["Authorization"]
    assert "cookie" not in sent
    assert sent["accept-encoding"] == "gzip"


@pytest.mark.parametrize("say", [silent, reset, and_close(BEGIN), always(answer(b"x" * (MOST_BYTES + 1)))])
def test_no_url_and_no_token_in_a_failure_or_log(graph: Graph, say: Say, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    graph.say = say
    failure = refused(f"{graph.url}/secret-path")
    assert failure.__cause__ is None
    assert failure.__suppress_context__
    assert "secret-path" not in f"{failure} {failure.sentence} {failure!r}"
    assert "IGAAcanary" not in caplog.text


def test_a_forked_process_opens_a_connection_of_its_own(graph: Graph) -> None:
    graph.say = always(answer({"a": 1}))
    get(graph.url)
    child = os.fork()
    if child == 0:
        os._exit(0 if get(graph.url, seconds=5).http_status == 200 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert graph.connections == 2
    assert get(graph.url).http_status == 200
    assert graph.connections == 2


def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    with Graph(always(answer({"a": 1})), tls=_tls(tmp_path)) as graph:
        failure = refused(graph.url)
        assert (failure.scope, failure.code) == (Scope.NETWORK, "tls")
        assert graph.requests == []


def test_the_deadline_holds_over_tls_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Graph(always(answer({"a": 1})), tls=_tls(tmp_path)) as graph:
        # The client trusts no certificate of the environment, so the test's own is given to its session.
        session: requests.Session = http._session(os.getpid())
        monkeypatch.setattr(session, "verify", str(tmp_path / "certificate.pem"))
        assert get(graph.url).http_status == 200
        graph.say = dripping(BEGIN, b"X-Drop: 1\r\n")
        assert refused(graph.url).reason is Reason.TIMEOUT
        assert graph.ended.wait(5)


def _calling() -> bool:
    return any(thread.name == "call" for thread in threading.enumerate())


def _tls(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "key.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
