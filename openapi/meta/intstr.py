"""Values that are a number or a percentage: `3`, `"25%"`.

Follows: staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go
"""

from __future__ import annotations

import re

_is_percent = re.compile("[0-9]+%").fullmatch


class IntOrStringError(ValueError):
    """The value is neither a number nor a percentage."""


def is_percent(value: int | str) -> bool:
    """Whether the value is a percentage, not a plain number."""
    return isinstance(value, str) and _is_percent(value) is not None


def percent(value: str) -> int:
    """25 for `"25%"`."""
    if not value.endswith("%"):
        raise IntOrStringError("invalid value for IntOrString: invalid type: string is not a percentage")
    try:
        return int(value[:-1])
    except ValueError:
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        number = quoted[:-1]
        why = f'invalid value "{quoted}": strconv.Atoi: parsing "{number}": invalid syntax'
        text = f"invalid value for IntOrString: {why}"
        raise IntOrStringError(text) from None


def scaled_value(value: int | str, total: int, round_up: bool) -> int:
    """The number itself, or that percentage of `total`, rounded as asked. Raises IntOrStringError."""
    if isinstance(value, int):
        return value
    share = percent(value) * total
    return -(-share // 100) if round_up else share // 100
