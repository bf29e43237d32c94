"""What the API server may answer instead of what was asked: one exception class per reason that callers tell apart.

Every class is an `ApiError` and carries the server's Status; `Unavailable` is raised when no answer came at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


class ApiError(Exception):
    """A refusal. `code` is the HTTP status (0 without an answer), `reason` and `message` are the Status' own."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    @property
    def retry_after_s(self) -> float:
        """How long the server wants to be left alone; 0 when it does not say."""
        return float(self.details.get("retryAfterSeconds") or 0)

    def has_cause(self, reason: str) -> bool:
        """Whether one of the Status' causes has that reason (`NamespaceTerminating`)."""
        return any(cause.get("reason") == reason for cause in self.details.get("causes") or ())


class NotFound(ApiError):
    """There is no such object, or no such resource (404)."""


class AlreadyExists(ApiError):
    """The name is taken (409)."""


class Conflict(ApiError):
    """The object has changed since it was read, or a precondition does not hold (409)."""


class Invalid(ApiError):
    """The object breaks a rule of its kind (422)."""


class Forbidden(ApiError):
    """Not allowed, by authorization or by admission (403)."""


class Unauthorized(ApiError):
    """The server does not know who asks (401)."""


class Expired(ApiError):
    """The resource version or continue token is too old (410)."""


class TooManyRequests(ApiError):
    """The server is busy, or a disruption budget is used up (429)."""


class ServerTimeout(ApiError):
    """The server could not finish in time (500, 504)."""


class Unavailable(ApiError):
    """No answer: the server cannot be reached, or the call ran out of time."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "", message)


_BY_REASON: Mapping[str, type[ApiError]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Invalid": Invalid,
    "Forbidden": Forbidden,
    "Unauthorized": Unauthorized,
    "Expired": Expired,
    "Gone": Expired,
    "TooManyRequests": TooManyRequests,
    "ServerTimeout": ServerTimeout,
    "Timeout": ServerTimeout,
}
_BY_CODE: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
    504: ServerTimeout,
}
PATIENCE_S = 1
"""What flow control asks for when it is busy; it does so in a header, and its body is no Status."""


def from_status(status: Mapping[str, Any]) -> ApiError:
    """The exception for a Status object."""
    code, reason = int(status.get("code") or 0), status.get("reason") or ""
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code) or ApiError
    return kind(code, reason, status.get("message") or reason or f"HTTP {code}", status.get("details"))


def from_answer(code: int, body: bytes) -> ApiError:
    """The exception for an answer with an error code, whatever its body is."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": body[:512].decode(errors="replace").strip() or f"HTTP {code}"}
        if code == 429:
            status["details"] = {"retryAfterSeconds": PATIENCE_S}
    return from_status({**status, "code": code})
