"""Answers become exceptions by reason, then by code, whatever the body is."""

from __future__ import annotations

import pytest

from controllers.runtime import errors


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (404, b'{"kind":"Status","reason":"NotFound","message":"pods \\"a\\" not found"}', errors.NotFound),
        (409, b'{"kind":"Status","reason":"AlreadyExists"}', errors.AlreadyExists),
        (409, b'{"kind":"Status","reason":"Conflict"}', errors.Conflict),
        (410, b'{"kind":"Status","reason":"Expired"}', errors.Expired),
        (403, b"forbidden by a proxy", errors.Forbidden),
        (502, b"<html>bad gateway</html>", errors.ApiError),
    ],
)
def test_the_class_tells_the_refusal(code: int, body: bytes, kind: type[errors.ApiError]) -> None:
    error = errors.from_answer(code, body)
    assert type(error) is kind
    assert error.code == code


def test_causes_and_patience_are_read_from_the_details() -> None:
    body = b'{"kind":"Status","details":{"causes":[{"reason":"NamespaceTerminating"}],"retryAfterSeconds":3}}'
    error = errors.from_answer(403, body)
    assert error.has_cause("NamespaceTerminating")
    assert error.retry_after_s == 3


def test_a_busy_server_asks_for_patience_in_plain_text() -> None:
    error = errors.from_answer(429, b"Too many requests, please try again later.\n")
    assert isinstance(error, errors.TooManyRequests)
    assert error.retry_after_s == 1
