"""What no honest client sends: each is answered with an error or served as usual, and the server goes on as before.

Where the server's process can be seen from here, its memory is watched too.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conformance.kubectl import Kubectl
from conformance.wire import Wire

LIMIT_BYTES = 3 * 1024 * 1024
MEMORY_MARGIN_KIB = 300_000
IDLE_CONNECTIONS = 1_000
WATCHES = 2_000


@pytest.fixture(scope="module")
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture(autouse=True)
def unharmed(wire: Wire, path: str) -> Iterator[None]:
    """After each test the server answers, keeps what it had, and has not grown out of bounds."""
    keeper = {"metadata": {"name": "kept"}, "data": {"a": "b"}}
    wire.request("POST", path, keeper)
    before = _memory_kib(wire.port)
    yield
    assert wire.request("GET", "/readyz").body == b"ok"
    assert wire.request("GET", f"{path}/kept").object["data"] == {"a": "b"}
    assert _memory_kib(wire.port) - before < MEMORY_MARGIN_KIB


def _memory_kib(port: int) -> int:
    """Resident memory of the process that listens on `port`; 0 where it is not of this machine."""
    pid = _listener(port)
    if pid is None:
        return 0
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def _listener(port: int) -> int | None:
    try:
        table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return None
    rows = [line.split() for line in table]
    inodes = {row[9] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
    for directory in Path("/proc").glob("[0-9]*/fd"):
        try:
            links = [os.readlink(link) for link in directory.iterdir()]
        except OSError:
            continue
        if any(f"socket:[{inode}]" in links for inode in inodes):
            return int(directory.parent.name)
    return None


def config_map(text: str) -> bytes:
    return b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bad"},' + text.encode() + b"}"


def test_a_body_of_ten_megabytes_is_too_large(wire: Wire, path: str) -> None:
    answer = wire.request("POST", path, config_map('"data":{"a":"' + "x" * 10_000_000 + '"}'))
    assert answer.status == 413
    assert answer.object["reason"] == "RequestEntityTooLarge"


def test_a_chunked_body_without_end_is_cut_off(wire: Wire, path: str) -> None:
    """The length is not told beforehand, so it is counted while it arrives."""
    with wire.connect() as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(20_000_000 // 0x10000):
                connection.sendall(chunk)
        except OSError:
            return  # It hung up, which is an answer as well.
        assert b"413" in connection.recv(65536).split(b"\r\n")[0]


@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["lists", "objects"])
def test_ten_thousand_levels_are_too_deep(wire: Wire, path: str, opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    nested = opening * 10_000 + "1" + closing * 10_000
    assert wire.request("POST", path, config_map(f'"data":{nested}')).status == 400
    assert wire.request("POST", path, nested.encode()).status == 400
    patched = wire.request("PATCH", f"{path}/kept", nested.encode(), "application/merge-patch+json")
    assert 400 <= patched.status < 500


def test_deep_yaml_and_yaml_of_many_aliases_are_refused(wire: Wire, path: str) -> None:
    deep = b"a: " + b"[" * 10_000 + b"]" * 10_000
    assert wire.request("POST", path, deep, "application/yaml").status == 400
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 10)}]\n"
    started = time.monotonic()
    assert wire.request("POST", path, bomb.encode(), "application/yaml").status == 400
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80"], ids=["bytes", "broken", "surrogate"])
def test_invalid_utf8_is_refused_or_mended(wire: Wire, path: str, raw: bytes) -> None:
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"utf8"},"data":{"a":"' + raw + b'"}}'
    answer = wire.request("POST", f"{path}?dryRun=All", body)
    assert answer.status in (201, 400)
    json.loads(answer.body.decode())


def test_duplicate_keys_warn_or_fail_as_asked(wire: Wire, path: str) -> None:
    body = config_map('"data":{"a":"1","a":"2"}')
    strict = wire.request("POST", f"{path}?fieldValidation=Strict&dryRun=All", body)
    assert strict.status == 400 and 'duplicate field "data.a"' in strict.message
    warned = wire.request("POST", f"{path}?fieldValidation=Warn&dryRun=All", body)
    assert warned.status == 201 and 'duplicate field \\"data.a\\"' in warned.headers["warning"]
    ignored = wire.request("POST", f"{path}?fieldValidation=Ignore&dryRun=All", body)
    assert ignored.status == 201 and ignored.object["data"] == {"a": "2"}


def test_a_million_labels_are_too_large(wire: Wire, path: str) -> None:
    labels = ",".join(f'"l{number}":"v"' for number in range(1_000_000))
    body = ('{"metadata":{"name":"million","labels":{' + labels + "}}}").encode()
    assert wire.request("POST", path, body).status == 413


def test_many_labels_within_the_limit_are_answered_soon(wire: Wire, path: str) -> None:
    labels = ",".join(f'"l{number}":"not valid!"' for number in range(100_000))
    body = ('{"metadata":{"name":"many","labels":{' + labels + "}}}").encode()
    assert len(body) < LIMIT_BYTES
    started = time.monotonic()
    assert wire.request("POST", path, body).status in (413, 422)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"1", b'"x"', b"{", b"\x00", b'{"metadata":[]}', b'{"metadata":{"name":7}}']
)
def test_bodies_that_are_no_object_are_bad_requests(wire: Wire, path: str, body: bytes) -> None:
    answer = wire.request("POST", path, body)
    assert answer.status in (400, 422) and answer.object["kind"] == "Status"


@pytest.mark.parametrize(
    "head",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 2_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1_000_000 + b"\r\n",
        b"GET /" + b"x" * 2_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /api/v1/pods?labelSelector=((( HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/pods?limit=nine HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/pods?continue=%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/namespaces/%2e%2e/pods/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["nonsense", "header", "headers", "path", "length", "selector", "limit", "continue", "escapes"],
)
def test_broken_requests_are_refused_or_hung_up_on(wire: Wire, head: bytes) -> None:
    with wire.connect() as connection:
        try:
            connection.sendall(head)
            line = connection.recv(65536).split(b"\r\n")[0]
        except OSError:
            return
        assert line == b"" or line.split()[1].startswith(b"4"), line


def test_what_is_not_tls_is_hung_up_on(wire: Wire) -> None:
    with socket.create_connection((wire.host, wire.port), timeout=30) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        try:
            while plain.recv(65536):
                continue
        except ConnectionError:
            return


def test_slow_senders_do_not_hold_up_others(wire: Wire, path: str) -> None:
    with ExitStack() as opened:
        for number in range(100):
            slow = opened.enter_context(wire.connect())
            slow.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n".encode())
            if number % 2:
                slow.sendall(b'Content-Type: application/json\r\n\r\n{"metadata"')
        started = time.monotonic()
        for _ in range(20):
            assert wire.request("GET", f"{path}/kept").status == 200
        assert time.monotonic() - started < 10


async def test_a_thousand_idle_connections_do_not_hold_up_others(wire: Wire, path: str) -> None:
    opened = await _open(wire, IDLE_CONNECTIONS)
    try:
        answer = await asyncio.to_thread(wire.request, "GET", f"{path}/kept")
        assert answer.status == 200
    finally:
        await _close(opened)


async def test_two_thousand_watches_all_see_a_change(wire: Wire, path: str) -> None:
    opened = await _open(wire, WATCHES)
    try:
        request = f"GET {path}?watch=1&fieldSelector=metadata.name%3Dseen-by-all HTTP/1.1\r\nHost: x\r\n\r\n"
        for _, writer in opened:
            writer.write(request.encode())
        await asyncio.gather(*(reader.readuntil(b"\r\n\r\n") for reader, _ in opened))
        seen = {"metadata": {"name": "seen-by-all"}}
        created = await asyncio.to_thread(wire.request, "POST", path, seen)
        assert created.status == 201
        async with asyncio.timeout(60):
            frames = await asyncio.gather(*(reader.readuntil(b"}\n") for reader, _ in opened))
        assert all(b'"type":"ADDED"' in frame and b'"seen-by-all"' in frame for frame in frames)
    finally:
        await _close(opened)


Opened = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


async def _open(wire: Wire, count: int) -> Opened:
    """So many connections, a few at a time as handshakes cost time on both sides."""
    seats = asyncio.Semaphore(50)

    async def one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with seats:
            return await asyncio.open_connection(
                wire.host, wire.port, ssl=wire.tls, server_hostname=wire.host, ssl_handshake_timeout=60
            )

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def _close(opened: Opened) -> None:
    for _, writer in opened:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for _, writer in opened), return_exceptions=True)


def test_a_client_that_reads_nothing_does_not_hold_the_servers_memory(wire: Wire, kubectl: Kubectl, path: str) -> None:
    """Watches whose client never reads, while much changes: they end or wait, others see all."""
    big = {"metadata": {"name": "big"}, "data": {"a": "x" * 500_000}}
    wire.request("POST", path, big)
    with ExitStack() as opened:
        for _ in range(20):
            deaf = opened.enter_context(wire.connect())
            deaf.sendall(f"GET {path}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for number in range(60):
            patch = {"data": {"n": str(number)}}
            answer = wire.request("PATCH", f"{path}/big", patch, "application/merge-patch+json")
            assert answer.status == 200
    assert wire.request("GET", f"{path}/big").object["data"]["n"] == "59"


def test_a_client_without_a_certificate_is_anonymous(wire: Wire) -> None:
    anonymous = ssl.create_default_context()
    anonymous.check_hostname, anonymous.verify_mode = False, ssl.CERT_NONE
    nobody = Wire(wire.host, wire.port, anonymous)
    assert nobody.request("GET", "/readyz").status == 200
    refused = nobody.request("GET", "/api/v1/secrets")
    assert refused.status in (401, 403)
