"""One try of a probe or hook: a command, an HTTP request, a TCP connection or a gRPC health check.

Follows: pkg/probe/{exec,http,tcp,grpc}
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nodeagent.pods.environment import quote
from nodeagent.pods.plan import Verdict
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import Runtime, RuntimeFailure, Timeout, code_name

if TYPE_CHECKING:
    import aiohttp

OUTPUT_LIMIT_BYTES = 10 * 1024
REDIRECT_LIMIT = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_PROBE_AGENT, _HOOK_AGENT = "kube-probe/1.36", "kube-lifecycle/1.36"
_HTTP_FOR_HTTPS = "http: server gave HTTP response to HTTPS client"
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_HEALTH_METHOD = "/grpc.health.v1.Health/Check"
_SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """UNKNOWN: the probe itself could not be done. `has_answer`: there was an HTTP answer, whichever."""

    verdict: Verdict
    output: str = ""
    warning: str = ""
    has_answer: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """The container that is asked, and where it is."""

    container_id: str
    container: View
    ip: str


@runtime_checkable
class SimulatesProbes(Protocol):
    """A runtime whose containers can only pretend to answer."""

    def probe_succeeds(self, id: str) -> bool: ...


async def probe(runtime: Runtime, handler: View, target: Target, timeout_s: int) -> Outcome:
    """Try the handler of a probe once."""
    if isinstance(runtime, SimulatesProbes):
        is_well = runtime.probe_succeeds(target.container_id)
        return Outcome(Verdict.SUCCESS) if is_well else Outcome(Verdict.FAILURE, "simulated failure")
    if "exec" in handler:
        return await _probe_exec(runtime, handler["exec"].get("command") or (), target.container_id, timeout_s)
    if "httpGet" in handler:
        return await http_get(handler["httpGet"], target, timeout_s)
    if "tcpSocket" in handler:
        return await _probe_tcp(handler["tcpSocket"], target, timeout_s)
    return await _probe_grpc(handler.get("grpc") or {}, target, timeout_s)


async def _probe_exec(runtime: Runtime, command: Sequence[str], container_id: str, timeout_s: int) -> Outcome:
    try:
        result = await runtime.exec(container_id, command, timeout_s)
    except Timeout:
        text = f"command timed out: {quote(' '.join(command))} timed out after {timeout_s}s"
        return Outcome(Verdict.FAILURE, text)
    except RuntimeFailure as failure:
        return Outcome(Verdict.UNKNOWN, failure.as_rpc_error)
    output = result.output[:OUTPUT_LIMIT_BYTES]
    return Outcome(Verdict.FAILURE if result.exit_code else Verdict.SUCCESS, output)


def port_of(port: int | str, container: View) -> int:
    """A port by number or by the name that the container gives it. Raises ValueError."""
    if isinstance(port, int):
        return port
    for item in container.get("ports") or ():
        if item.get("name") == port:
            return int(item["containerPort"])
    try:
        return int(port)
    except ValueError:
        raise ValueError(f"strconv.Atoi: parsing {quote(port)}: invalid syntax") from None


def url_of(handler: View, target: Target) -> str:
    host = handler.get("host") or target.ip
    host = f"[{host}]" if ":" in host else host
    path = handler.get("path") or "/"
    path = path if path.startswith("/") else f"/{path}"
    scheme = (handler.get("scheme") or "HTTP").lower()
    return f"{scheme}://{host}:{port_of(handler['port'], target.container)}{path}"


async def http_get(handler: View, target: Target, timeout_s: float, agent: str = _PROBE_AGENT) -> Outcome:
    """A GET as probes and hooks send it; any answer from 200 to 399 is success."""
    import aiohttp

    try:
        url = url_of(handler, target)
    except ValueError as error:
        return Outcome(Verdict.UNKNOWN, str(error))
    headers: dict[str, str] = {"User-Agent": agent, "Accept": "*/*"}
    headers |= {item["name"]: item.get("value", "") for item in handler.get("httpHeaders") or ()}
    # What answers a probe is the node's own pod; it has no certificate that anybody could check.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    timeout = aiohttp.ClientTimeout(total=timeout_s or None)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            return await _follow(session, url, headers, context)
    except TimeoutError:
        text = f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        return Outcome(Verdict.FAILURE, text)
    except (aiohttp.ClientError, OSError) as error:
        return Outcome(Verdict.FAILURE, f'Get "{url}": {_http_text(error, _address(url))}')


async def _follow(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], context: ssl.SSLContext
) -> Outcome:
    """Redirects lead on as long as they stay on the host; one that leads elsewhere is success enough."""
    from yarl import URL

    place = URL(url)
    for _ in range(REDIRECT_LIMIT):
        async with session.get(place, headers=headers, ssl=context, allow_redirects=False) as response:
            body = (await response.content.read(OUTPUT_LIMIT_BYTES)).decode(errors="replace")
            target = response.headers.get("Location") if response.status in _REDIRECTS else None
            if target is None:
                if 200 <= response.status < 400:
                    return Outcome(Verdict.SUCCESS, body, has_answer=True)
                text = f"HTTP probe failed with statuscode: {response.status}"
                return Outcome(Verdict.FAILURE, text, has_answer=True)
            last, place = place, place.join(URL(target))
            if place.host != last.host:
                return Outcome(Verdict.SUCCESS, body, f"Probe terminated redirects, Response body: {body}")
    return Outcome(Verdict.FAILURE, f'Get "{place}": stopped after {REDIRECT_LIMIT} redirects')


async def _probe_tcp(handler: View, target: Target, timeout_s: int) -> Outcome:
    try:
        port = port_of(handler["port"], target.container)
    except ValueError as error:
        return Outcome(Verdict.UNKNOWN, str(error))
    host = handler.get("host") or target.ip
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(Verdict.FAILURE, f"dial tcp {_join(host, port)}: i/o timeout")
    except OSError as error:
        return Outcome(Verdict.FAILURE, _dial_text(error, _join(host, port)))
    writer.close()
    return Outcome(Verdict.SUCCESS)


async def _probe_grpc(handler: View, target: Target, timeout_s: int) -> Outcome:
    """grpc.health.v1: the request is a service name, the answer a number."""
    import grpc

    address = _join(target.ip, int(handler["port"]))
    request = _health_request(handler.get("service") or "")
    is_connected = False
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            async with asyncio.timeout(timeout_s):
                await channel.channel_ready()
                is_connected = True
                answer = await channel.unary_unary(_HEALTH_METHOD)(request)
        except TimeoutError:
            return Outcome(Verdict.FAILURE, _grpc_timeout(address, timeout_s, is_connected=is_connected))
        except grpc.aio.AioRpcError as error:
            return Outcome(Verdict.FAILURE, _grpc_text(error))
    status = answer[1] if len(answer) >= 2 and answer[0] == 0x08 else 0
    if status == 1:
        return Outcome(Verdict.SUCCESS, "service healthy")
    return Outcome(Verdict.FAILURE, f'service unhealthy (responded with "{_SERVING.get(status, str(status))}")')


def _health_request(service: str) -> bytes:
    """A message whose first field is a text."""
    text = service.encode()
    length, prefix = len(text), b"\x0a"
    while length > 0x7F:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + text if text else b""


def _grpc_timeout(address: str, timeout_s: int, *, is_connected: bool) -> str:
    if is_connected:
        return f"timeout: health rpc did not complete within {timeout_s}s"
    return f'timeout: failed to connect service "{address}" within {timeout_s}s: context deadline exceeded'


def _grpc_text(error: Any) -> str:
    if error.code().name == "UNIMPLEMENTED":
        what = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        return f"error: {what}: {error.details()}"
    return f"error: health rpc probe failed: rpc error: code = {code_name(error)} desc = {error.details()}"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _dial_text(error: Exception, address: str) -> str:
    """A failed connection in the words of Go's net package."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.errno):
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
        return f"dial tcp {address}: connect: {os.strerror(cause.errno).lower()}"
    return f"dial tcp {address}: {error}"


def _http_text(error: Exception, address: str) -> str:
    """A failed request in the words of Go's net/http package."""
    import aiohttp

    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    if isinstance(error, aiohttp.ClientResponseError):
        return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
    cause = getattr(error, "os_error", None)
    if isinstance(cause, ssl.SSLError):
        return _HTTP_FOR_HTTPS if cause.reason in _NOT_TLS else str(cause)
    return _dial_text(error, address)


# -- hooks -----------------------------------------------------------------------------------------------------


class HookFailed(Exception):
    """A lifecycle hook did not succeed: which one ('' where it is of no sort that can be run), the text says why."""

    def __init__(self, hook: str, error: str) -> None:
        super().__init__(error)
        self.hook = hook

    def told_of(self, container: str, pod: str) -> str:
        """As the status of the container tells it."""
        if not self.hook:
            return f"Cannot run handler: {self}"
        return f'{self.hook} for Container "{container}" in Pod "{pod}" failed - error: {self}'


HTTP_FALLBACK = "LifecycleHTTPFallback"
"""The reason of the event that tells what `run_hook` returns."""


async def run_hook(runtime: Runtime, handler: View, target: Target) -> str:
    """Run a postStart or preStop hook to its end; of HTTP any answer will do. Raises HookFailed.

    What is to be told of one that has succeeded; '' for nothing.
    """
    if "exec" in handler:
        await _run_command(runtime, handler["exec"].get("command") or (), target)
    elif "sleep" in handler:
        await asyncio.sleep(int(handler["sleep"]["seconds"]))
    elif "httpGet" not in handler:
        raise HookFailed("", f"invalid handler: {_as_go_prints(handler)}")
    elif not isinstance(runtime, SimulatesProbes):
        return await _ask(handler["httpGet"], target)
    return ""


async def _ask(settings: View, target: Target) -> str:
    """A hook for HTTPS is content with a server that has only HTTP."""
    outcome = await http_get(settings, target, 30, _HOOK_AGENT)
    if outcome.has_answer:
        return ""
    if outcome.output.endswith(_HTTP_FOR_HTTPS):
        plain = await http_get({**settings, "scheme": "HTTP"}, target, 30, _HOOK_AGENT)
        if plain.has_answer:
            host = _address(url_of(settings, target))
            return f"request to HTTPS lifecycle hook {host} got HTTP response, retry with HTTP succeeded"
    raise HookFailed(f"HTTP lifecycle hook ({settings.get('path') or ''})", outcome.output)


def _as_go_prints(handler: View) -> str:
    """A hook by TCP: the API has it, but nothing comes of it."""
    socket = handler.get("tcpSocket") or {}
    port = socket.get("port", 0)
    shown = f"{{0 {port} }}" if isinstance(port, int) else f"{{1 0 {port}}}"
    action = f"&TCPSocketAction{{Port:{shown},Host:{socket.get('host', '')},}}"
    return f"&LifecycleHandler{{Exec:nil,HTTPGet:nil,TCPSocket:{action},Sleep:nil,}}"


async def _run_command(runtime: Runtime, command: Sequence[str], target: Target) -> None:
    hook = f"Exec lifecycle hook ([{' '.join(command)}])"
    try:
        result = await runtime.exec(target.container_id, command, 0)
    except RuntimeFailure as failure:
        raise HookFailed(hook, f'{failure.as_rpc_error}, message: ""') from failure
    if result.exit_code:
        said = f"command '{' '.join(command)}' exited with {result.exit_code}: {result.stderr.decode(errors='replace')}"
        raise HookFailed(hook, f"{said}, message: {quote(result.output)}")
