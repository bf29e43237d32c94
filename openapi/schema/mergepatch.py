"""JSON merge patch (RFC 7386), with the deviations of the API server's library.

Follows: vendor/gopkg.in/evanphx/json-patch.v4/merge.go
"""

from __future__ import annotations

from typing import Any

from openapi.schema.copies import copied

Object = dict[str, Any]


def json_merge(current: Object, patch: Object) -> Object:
    """`current` changed by `patch`; neither is changed, the result shares with `current` what stays the same.

    A null removes; objects merge; anything else replaces. Fields that are new lose their nulls at every depth, also
    inside lists, which the RFC would leave alone.
    """
    out = dict(current)
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
            continue
        old = out.get(name)
        if not isinstance(old, dict):
            out[name] = _without_nulls(value)
        elif isinstance(value, dict):
            out[name] = json_merge(old, value)
        else:
            out[name] = copied(value)
    return out


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(below) for name, below in value.items() if below is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
