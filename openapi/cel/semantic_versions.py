"""Semantic versions: what is one, and which of two is newer."""

from __future__ import annotations

import re
from typing import Any

_NUMBER = "(?:0|[1-9][0-9]*)"
_PARTS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PARTS}))?(?:\+({_PARTS}))?")


def is_semver(text: str) -> bool:
    match = _VERSION.fullmatch(text)
    parts = match.group(4).split(".") if match is not None and match.group(4) else []
    return match is not None and not any(p.isdigit() and len(p) > 1 and p[0] == "0" for p in parts)


def normalized(text: str) -> str:
    """What is meant by `v1.02`: without the letter, with all three numbers, none with leading zeros."""
    text = text.removeprefix("v")
    end = next((at for at, letter in enumerate(text) if letter in "-+"), len(text))
    numbers = [part.lstrip("0") or "0" if part.isdigit() else part for part in text[:end].split(".")]
    return ".".join([*numbers, *("0" for _ in range(3 - len(numbers)))]) + text[end:]


def sort_key(text: str) -> tuple[Any, ...]:
    """Sorts as versions do; a version without a pre-release follows those with one. Raises ValueError."""
    match = _VERSION.fullmatch(text)
    if match is None or not is_semver(text):
        raise ValueError(f"invalid semantic version {text!r}")
    major, minor, patch, pre, _ = match.groups()
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in (pre or "").split(".")]
    return (int(major), int(minor), int(patch), pre is None, parts)
