"""Status errors: every refusal of the API, built only by the named constructors below.

The wording is the API's own. Follows: staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openapi.meta.field import FieldError, aggregate, quote

Object = dict[str, Any]


class StatusError(Exception):
    """A refusal that is answered as a `Status` object with HTTP code `code`.

    `details` is the Status' `details` mapping or None. `headers` are sent with the answer (lower-case names).
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Object | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = tuple(headers)
        self.warnings: Sequence[str] = ()
        """Texts of Warning headers that the refused request had gathered."""
        self.list_meta: Object = {}
        """Metadata of the Status: the continue token of an expired list."""

    def body(self) -> Object:
        status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": self.list_meta, "status": "Failure"}
        if self.message:
            status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def qualified(group: str, resource: str) -> str:
    """`pods`, `deployments.apps`."""
    return f"{resource}.{group}" if group else resource


def _details(group: str, kind: str, name: str, causes: list[Object] | None = None, retry_s: int = 0) -> Object:
    details: Object = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    if causes:
        details["causes"] = causes
    if retry_s:
        details["retryAfterSeconds"] = retry_s
    return details


def not_found(group: str, resource: str, name: str) -> StatusError:
    text = f"{qualified(group, resource)} {quote(name)} not found"
    return StatusError(404, "NotFound", text, details=_details(group, resource, name))


def page_not_found() -> StatusError:
    """The server has no such resource at all."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(group: str, resource: str, name: str) -> StatusError:
    text = f"{qualified(group, resource)} {quote(name)} already exists"
    return StatusError(409, "AlreadyExists", text, details=_details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str) -> StatusError:
    text = f"Operation cannot be fulfilled on {qualified(group, resource)} {quote(name)}: {why}"
    return StatusError(409, "Conflict", text, details=_details(group, resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def apply_conflict(message: str, causes: list[Object]) -> StatusError:
    return StatusError(409, "Conflict", message, details={"causes": causes})


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    causes = [{"reason": e.type, "message": e.body, "field": e.path} for e in errors]
    text = f"{qualified(group, kind)} {quote(name)} is invalid"
    if errors:
        text += f": {aggregate(errors)}"
    return StatusError(422, "Invalid", text, details=_details(group, kind, name, causes))


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, resource: str, name: str, why: str) -> StatusError:
    text = f"{qualified(group, resource)} " if resource else ""
    text = f"{text}{quote(name)} is forbidden: {why}" if name else f"{text}is forbidden: {why}"
    if not resource:
        text = f"forbidden: {why}"
    return StatusError(403, "Forbidden", text, details=_details(group, resource, name))


def method_not_supported(group: str, resource: str, action: str) -> StatusError:
    text = f"{action} is not supported on resources of kind {quote(qualified(group, resource))}"
    return StatusError(405, "MethodNotAllowed", text, details=_details(group, resource, ""))


def method_not_allowed() -> StatusError:
    """No handler for this method at the path."""
    text = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", text, details={})


def not_acceptable(message: str) -> StatusError:
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(message: str) -> StatusError:
    return StatusError(415, "UnsupportedMediaType", message)


def gone(message: str) -> StatusError:
    return StatusError(410, "Gone", message)


def expired(message: str) -> StatusError:
    """The resourceVersion or continue token is too old."""
    return StatusError(410, "Expired", message)


def too_large_resource_version(requested: int, current: int, retry_s: int = 1) -> StatusError:
    text = f"Timeout: Too large resource version: {requested}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    details = {"causes": causes, "retryAfterSeconds": retry_s}
    return StatusError(504, "Timeout", text, details=details, headers=(("retry-after", str(retry_s)),))


def request_entity_too_large(message: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity is too large: {message}")


def too_many_requests(message: str, retry_s: int) -> StatusError:
    details = {"retryAfterSeconds": retry_s} if retry_s else {}
    headers = (("retry-after", str(retry_s)),) if retry_s else ()
    return StatusError(429, "TooManyRequests", message, details=details, headers=headers)


def server_timeout(group: str, resource: str, operation: str, retry_s: int) -> StatusError:
    target = qualified(group, resource)
    text = f"The {operation} operation against {target} could not be completed at this time, please try again."
    return StatusError(500, "ServerTimeout", text, details=_details(group, resource, operation, None, retry_s))


def timeout(message: str, retry_s: int = 0) -> StatusError:
    details = {"retryAfterSeconds": retry_s} if retry_s else {}
    return StatusError(504, "Timeout", f"Timeout: {message}", details=details)


def service_unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def internal_error(message: str) -> StatusError:
    causes = [{"message": message}]
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details={"causes": causes})


_ANSWERS: Mapping[int, tuple[str, str]] = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    404: ("NotFound", "the server could not find the requested resource"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
}


def server_response(code: int, resource: str, name: str, text: str) -> StatusError:
    """What another server answered in plain text, told as a Status."""
    unknown = f"the server responded with the status code {code} but did not return more information"
    reason, message = _ANSWERS.get(code, ("Unknown", unknown))
    if code == 403:
        reason, message = "Forbidden", text
    elif code >= 500 and code not in _ANSWERS:
        reason = "InternalError"
        message = f"an error on the server ({quote(text)}) has prevented the request from succeeding"
    details = _details("", resource, name, [{"reason": "UnexpectedServerResponse", "message": text}] if text else None)
    return StatusError(code, reason, f"{message} ( {resource} {name})", details=details)
