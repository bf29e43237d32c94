"""Random names: UUIDs, and letters for the ends of generated names."""

from __future__ import annotations

from random import getrandbits

LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""They spell no words."""
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def random_uuid() -> str:
    """A UUID of version 4, not for secrets. Every request takes one, and asking the system for it is slow."""
    text = f"{getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:]}"


def random_letters(count: int) -> str:
    """At most ten of `LETTERS`, each as likely as the others."""
    number, found = getrandbits(64), ""
    for _ in range(count):
        number, place = divmod(number, len(LETTERS))
        found += LETTERS[place]
    return found
