"""Hashes of pod templates and revisions, written in characters that form no words.

Follows: staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go SafeEncodeString (the hash itself is our own)
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"


def hash_of(value: Any, collisions: int | None = None) -> str:
    """Up to ten safe characters that depend on the JSON value, and on how often its hash was taken already."""
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    number = int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "little")
    return safe_encode(str(number))


def safe_encode(text: str) -> str:
    return "".join(_CHARACTERS[ord(character) % len(_CHARACTERS)] for character in text)
