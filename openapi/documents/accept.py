"""What an Accept header asks the documents about the API for: JSON or not, aggregated discovery or the older form."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class Wanted(NamedTuple):
    """One acceptable form, in the order of preference. `aggregated` is discovery's v2 list of groups."""

    is_json: bool
    aggregated: bool


@lru_cache(maxsize=256)
def parse_accept(header: str) -> tuple[Wanted, ...]:
    """The forms of an Accept header, the best first; an empty header takes anything."""
    if not header.strip():
        return (Wanted(True, False),)
    entries = [_entry(text) for text in header.split(",")]
    return tuple(wanted for _, wanted in sorted(entries, key=lambda entry: -entry[0]))


def _entry(text: str) -> tuple[float, Wanted]:
    media_type, *pairs = (part.strip() for part in text.split(";"))
    parameters = dict(pair.partition("=")[::2] for pair in pairs)
    transformed = "as" in parameters
    aggregated = (
        parameters.get("as") == "APIGroupDiscoveryList"
        and parameters.get("g") == "apidiscovery.k8s.io"
        and parameters.get("v") == "v2"
    )
    is_json = media_type in ("application/json", "application/*", "*/*") and (aggregated or not transformed)
    return _quality(parameters.get("q", "1")), Wanted(is_json, aggregated)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
