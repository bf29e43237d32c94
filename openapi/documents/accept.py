"""What an Accept header asks the documents about the API for: a media type, aggregated discovery or the older form."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
_MEDIA = {JSON: JSON, "application/*": JSON, "*/*": JSON, YAML: YAML, PROTOBUF: PROTOBUF}


class Wanted(NamedTuple):
    """One form of a header, the best first; `media` is '' where it is none of ours. `aggregated` is discovery's v2
    list of groups."""

    media: str
    aggregated: bool

    @property
    def is_json(self) -> bool:
        return self.media == JSON


@lru_cache(maxsize=256)
def parse_accept(header: str) -> tuple[Wanted, ...]:
    """The forms of an Accept header, the best first; an empty header takes anything."""
    if not header.strip():
        return (Wanted(JSON, False),)
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
    media = _MEDIA.get(media_type, "")
    if transformed and not (aggregated and media == JSON):
        media = ""
    return _quality(parameters.get("q", "1")), Wanted(media, aggregated)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
