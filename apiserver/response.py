"""How answers leave: content negotiation, object, list, table and metadata-only forms, Status, gzip, chunks.

Bytes are joined, not encoded again: an entry's tail is spliced behind the head of its kind. Anything but plain JSON
takes the slower path over parsed objects.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import yaml
from isal import isal_zlib

from openapi.meta import status
from openapi.schema.protobuf import encode_protobuf

Object = dict[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PRODUCED = (JSON, YAML, PROTOBUF)
_STREAMED = (JSON + ";stream=watch", PROTOBUF + ";stream=watch")
_FORMS = frozenset(("Table", "PartialObjectMetadata", "PartialObjectMetadataList"))
_FORM_VERSIONS = frozenset(("v1", "v1beta1"))

GZIP_FROM_BYTES = 128 * 1024
"""Smaller answers are sent as they are, as Kubernetes does."""
WARNINGS_LIMIT = 4 * 1024
"""How many characters warnings may have together before each is cut."""
CUT_WARNING = 256
CHUNK_BYTES = 1 << 20
"""Long bodies leave in pieces of about this size, so that others get the loop in between."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What the client accepts: `media` JSON, YAML or protobuf; `form` a Table or metadata form, '' for the object."""

    media: str = JSON
    form: str = ""
    form_version: str = ""


PLAIN = Negotiated()


@dataclass(slots=True)
class Reply:
    """A whole answer, ready to send. `parts` are sent one behind the other."""

    code: int
    parts: Sequence[bytes]
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()


def unavailable(forms: Iterable[str]) -> status.StatusError:
    """The 406 of a route that makes only `forms`, none of which the client takes."""
    text = "406: Not Acceptable\n\nAvailable representations: " + ", ".join(forms)
    return status.StatusError(406, "NotAcceptable", text, details={})


def routes_to(accept: str, forms: Iterable[str]) -> bool:
    """Whether a route that makes `forms` is open to the header: by its plain media types, parameters aside."""
    if not accept.strip():
        return True
    named = {clause.partition(";")[0].strip() for clause in accept.split(",")}
    return "*/*" in named or not named.isdisjoint(forms)


def only_accepted(names: Iterable[str]) -> status.StatusError:
    return status.not_acceptable("only the following media types are accepted: " + ", ".join(names))


@lru_cache(maxsize=1024)
def negotiate(
    accept: str,
    *,
    listing: bool = False,
    watching: bool = False,
    has_protobuf: bool = True,
    has_table: bool = True,
    routed: bool = True,
) -> Negotiated:
    """Choose the form of the answer. `listing`: the path is a collection's, whose routes also stream.
    `has_protobuf`: whole objects can be sent as protobuf; their metadata alone always can. `has_table`: there are
    columns to show them in. `routed`: the path has a route, which looks at the header first (custom kinds have none).

    Raises a 406 StatusError when nothing that the client accepts can be made.
    """
    if not accept or accept == "*/*" or accept == JSON:
        return PLAIN
    if routed and not routes_to(accept, PRODUCED):
        raise unavailable(PRODUCED + (_STREAMED if listing else ()))
    clauses = [_clause(c) for c in accept.split(",") if c.strip()]
    for media, parameters, _ in sorted(clauses, key=lambda c: -c[2]):
        chosen = _accept(media, parameters, watching, has_protobuf)
        if chosen is not None and (has_table or chosen.form != "Table"):
            return chosen
    raise only_accepted(_STREAMED if watching else PRODUCED)


def _clause(text: str) -> tuple[str, dict[str, str], float]:
    media, *rest = (p.strip() for p in text.split(";"))
    parameters = dict(p.split("=", 1) for p in rest if "=" in p)
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        quality = 1.0
    return media, parameters, quality


def _accept(media: str, parameters: dict[str, str], watching: bool, has_protobuf: bool) -> Negotiated | None:
    if media in ("*/*", "application/*"):
        media = JSON
    if media not in PRODUCED or (watching and media == YAML):
        return None
    form = parameters.get("as", "")
    if not form:
        return Negotiated(media) if has_protobuf or media != PROTOBUF else None
    if form == "Table" and media == PROTOBUF:
        return None
    version = parameters.get("v", "")
    if form not in _FORMS or parameters.get("g") != "meta.k8s.io" or version not in _FORM_VERSIONS:
        return None
    return Negotiated(media, form, version)


def encode(obj: Any, media: str, *, pretty: bool = False) -> bytes:
    """Encode a parsed object in the negotiated media type."""
    if media == YAML:
        text: str = yaml.dump(obj, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True)
        return text.encode()
    if media == PROTOBUF:
        return encode_protobuf(obj)
    return orjson.dumps(obj, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if pretty else 0)


def object_reply(code: int, obj: Any, negotiated: Negotiated, *, pretty: bool = False) -> Reply:
    return Reply(code, (encode(obj, negotiated.media, pretty=pretty),), negotiated.media)


def status_reply(error: status.StatusError, negotiated: Negotiated = PLAIN) -> Reply:
    reply = object_reply(error.code, error.body(), negotiated)
    reply.headers = error.headers
    reply.warnings = error.warnings
    return reply


@lru_cache(maxsize=4096)
def warning_header(text: str) -> bytes:
    """The value of a Warning header (code 299, no agent)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'.encode()


def warning_headers(texts: Iterable[str]) -> list[bytes]:
    """The values of all Warning headers: each text once, without those that have control characters.

    Many or long texts are cut, and what is over the limit even then is left out.
    """
    sent = [text for text in dict.fromkeys(texts) if text and not any(map(_is_control, text))]
    if sum(map(len, sent)) <= WARNINGS_LIMIT:
        return [warning_header(text) for text in sent]
    found: list[bytes] = []
    written = seen = 0
    for text in sent:
        # Cutting begins with the text that exceeds the limit: all up to it are sent, cut.
        if seen > WARNINGS_LIMIT and written >= WARNINGS_LIMIT:
            break
        seen += len(text)
        written += min(len(text), CUT_WARNING)
        found.append(warning_header(text[:CUT_WARNING]))
    return found


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char < "\xa0"


def head(reply: Reply, *, length: int | None, extra: Headers | None = None) -> MutableMapping[str, Any]:
    """The ASGI start message. Without a length the body is chunked."""
    headers: Headers = [
        (b"content-type", reply.content_type.encode()),
        (b"cache-control", b"no-cache, private"),
    ]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    headers += [(k.encode(), v.encode()) for k, v in reply.headers]
    if reply.warnings:
        headers += [(b"warning", value) for value in warning_headers(reply.warnings)]
    if extra:
        headers += extra
    return {"type": "http.response.start", "status": reply.code, "headers": headers}


async def send_reply(send: Send, reply: Reply, *, accepts_gzip: bool = False, bodiless: bool = False) -> int:
    """Send a whole answer; returns the number of body bytes sent."""
    size = sum(map(len, reply.parts))
    if accepts_gzip and size > GZIP_FROM_BYTES:
        return await _send_gzip(send, reply)
    await send(head(reply, length=size))
    if bodiless:
        await send({"type": "http.response.body", "body": b""})
    elif size <= CHUNK_BYTES:
        await send(
            {"type": "http.response.body", "body": reply.parts[0] if len(reply.parts) == 1 else b"".join(reply.parts)}
        )
    else:
        async for chunk in _chunks(reply.parts):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    return size


async def _chunks(parts: Sequence[bytes]) -> Any:
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


async def _send_gzip(send: Send, reply: Reply) -> int:
    """At the lightest level, as Kubernetes: long lists shrink tenfold and the loop must not stall."""
    squeeze = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    extra = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    await send(head(reply, length=None, extra=extra))
    sent = 0
    async for chunk in _chunks(reply.parts):
        data = squeeze.compress(chunk)
        sent += len(data)
        await send({"type": "http.response.body", "body": data, "more_body": True})
    data = squeeze.flush()
    await send({"type": "http.response.body", "body": data})
    return sent + len(data)


def partial_metadata(obj: Object, version: str) -> Object:
    """The PartialObjectMetadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata", {}),
    }
