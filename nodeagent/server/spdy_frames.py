"""SPDY/3.1 on the wire: frames in and out, header blocks with their shared compression.

Only what the streaming protocols of Kubernetes use; frames of other types are read over.
Follows: the SPDY protocol, draft 3.1, sections 2.2, 2.6
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
DATA = 0
"""Data frames carry no type; here they go by a number that no control frame has."""
FLAG_FIN = 1
VERSION = 3
HEAD_BYTES = 8
MAX_CONTROL_BYTES = 1 << 16
MAX_HEADERS_BYTES = 1 << 20

PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 1, 2, 3, 5, 6

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TAIL = (
    "1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045052"
    "03 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug "
    "Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = (word.replace("_", " ").encode() for word in _WORDS.split())
    return b"".join(struct.pack(">I", len(word)) + word for word in words) + _TAIL.encode()


DICTIONARY = _dictionary()


class SpdyError(Exception):
    """What arrived is not SPDY/3.1, or the connection is gone."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `stream` is 0 for the frames about a connection."""

    type: int
    stream: int
    flags: int
    body: bytes

    @property
    def is_last(self) -> bool:
        return bool(self.flags & FLAG_FIN)


def parse_head(head: bytes) -> tuple[int, int, int, int]:
    """Type, stream (of data frames only), flags and length from the eight bytes that begin a frame."""
    first, second = struct.unpack(">II", head)
    flags, length = second >> 24, second & 0xFFFFFF
    if not first >> 31:
        return DATA, first, flags, length
    if (first >> 16) & 0x7FFF != VERSION:
        raise SpdyError(f"unsupported SPDY version {(first >> 16) & 0x7FFF}")
    if length > MAX_CONTROL_BYTES:
        raise SpdyError(f"control frame of {length} bytes")
    return first & 0xFFFF, 0, flags, length


def data_frame(stream: int, data: bytes, *, is_last: bool = False) -> bytes:
    return struct.pack(">II", stream, (is_last << 24) | len(data)) + data


def control_frame(type: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">II", 0x80000000 | VERSION << 16 | type, flags << 24 | len(body)) + body


def number(body: bytes, at: int = 0) -> int:
    """A 32-bit number of a control frame, without the reserved bit that stream ids have."""
    if len(body) < at + 4:
        raise SpdyError("control frame is too short")
    return int(struct.unpack_from(">I", body, at)[0]) & 0x7FFFFFFF


class HeaderWriter:
    """Packs header blocks; one for all blocks that a side sends, since they share a compression state."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    def pack(self, headers: Mapping[str, str]) -> bytes:
        parts = [struct.pack(">I", len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                parts += (struct.pack(">I", len(text)), text)
        return self._compressor.compress(b"".join(parts)) + self._compressor.flush(zlib.Z_SYNC_FLUSH)


class HeaderReader:
    """Unpacks the header blocks of a side, in the order in which they come."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(zdict=DICTIONARY)

    def unpack(self, block: bytes) -> dict[str, str]:
        """Names are lower case; of a header with several values, the first."""
        try:
            plain = self._decompressor.decompress(block, MAX_HEADERS_BYTES)
        except zlib.error as err:
            raise SpdyError(f"header block: {err}") from err
        headers: dict[str, str] = {}
        at = 4
        for _ in range(number(plain)):
            name, at = _text(plain, at)
            value, at = _text(plain, at)
            headers[name] = value.partition("\0")[0]
        return headers


def _text(plain: bytes, at: int) -> tuple[str, int]:
    end = at + 4 + number(plain, at)
    if end > len(plain):
        raise SpdyError("header block is too short")
    return plain[at + 4 : end].decode(errors="replace"), end
