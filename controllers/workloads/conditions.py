"""Status conditions as lists of JSON objects; nothing is changed in place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controllers.runtime.objects import Object, View
from openapi.meta.times import format_time


def find(conditions: Sequence[View], kind: str) -> View | None:
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def without(conditions: Sequence[Object], kind: str) -> list[Object]:
    return [condition for condition in conditions if condition.get("type") != kind]


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """A condition that came to be now; empty texts are left out as the API does."""
    made = {"type": kind, "status": status, "lastTransitionTime": format_time(now)}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made
