"""The lean HTTP client against a server that answers by script."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controllers.runtime import wire as module
from controllers.runtime.wire import Lost, Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
PROMISED = b"HTTP/1.1 102 Processing\r\n\r\n" + OK
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


class Script:
    """What the server answers, request by request; None hangs up. It counts connections and keeps the requests."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def connected(script: Script) -> AsyncIterator[Wire]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        wire = Wire(f"http://127.0.0.1:{port}/base/", ssl.create_default_context(), None)
        yield wire
        wire.close()


async def test_calls_share_a_connection_and_keep_the_base_path() -> None:
    script = Script(OK, OK)
    async with connected(script) as wire:
        assert await wire.call("GET", "/a", {"Accept": "x"}, b"") == (200, b"ok")
        assert await wire.call("POST", "/b", {}, b"{}") == (200, b"ok")
    assert script.connections == 1
    assert script.requests[0].startswith(b"GET /base/a HTTP/1.1\r\n")
    assert b"\r\nAccept: x\r\n" in script.requests[0]
    assert script.requests[1].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(("answer", "wanted"), [(CHUNKED, (201, b"abcde")), (PROMISED, (200, b"ok"))])
async def test_answers_come_whole(answer: bytes, wanted: tuple[int, bytes]) -> None:
    async with connected(Script(answer)) as wire:
        assert await wire.call("GET", "/", {}, b"") == wanted


async def test_a_connection_that_ends_before_the_answer_is_an_error_and_not_used_again() -> None:
    script = Script(None, b"nonsense\r\n\r\n", OK)
    async with connected(script) as wire:
        for _ in range(2):
            with pytest.raises(Lost):
                await wire.call("GET", "/", {}, b"")
        assert await wire.call("GET", "/", {}, b"") == (200, b"ok")
    assert script.connections == 3


async def test_a_connection_is_left_that_the_server_closes_or_that_was_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(CLOSING, OK, OK)
    async with connected(script) as wire:
        await wire.call("GET", "/", {}, b"")
        await wire.call("GET", "/", {}, b"")
        assert script.connections == 2
        monkeypatch.setattr(module, "MAX_IDLE_S", 0.0)
        await wire.call("GET", "/", {}, b"")
    assert script.connections == 3


async def test_the_server_may_go_by_another_name_than_its_address(tmp_path: Path) -> None:
    certificate = _certificate(tmp_path, "kubernetes.test")
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate)
    server = await asyncio.start_server(Script(OK).serve, "127.0.0.1", 0, ssl=own)
    async with server:
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        trust = ssl.create_default_context(cafile=str(certificate))
        with pytest.raises(ssl.SSLCertVerificationError):
            await Wire(base, trust, None).call("GET", "/", {}, b"")
        wire = Wire(base, trust, "kubernetes.test")
        assert await wire.call("GET", "/", {}, b"") == (200, b"ok")
        wire.close()


def _certificate(folder: Path, host: str) -> Path:
    """A self-signed certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path
