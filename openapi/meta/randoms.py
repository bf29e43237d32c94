"""Random names: UUIDs, and letters for the ends of generated names."""

from __future__ import annotations

import os

LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""They spell no words."""
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def random_uuid() -> str:
    """A UUID of version 4. The standard library's costs thrice as much, and every request takes one."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:]}"


def random_letters(count: int) -> str:
    """At most ten of `LETTERS`, each as likely as the others."""
    number, found = int.from_bytes(os.urandom(8)), ""
    for _ in range(count):
        number, place = divmod(number, len(LETTERS))
        found += LETTERS[place]
    return found
