"""Names of container images: as much of their grammar as deciding on a pull policy needs.

Follows: pkg/util/parsers/parsers.go, github.com/distribution/reference
"""

from __future__ import annotations

import re
from functools import lru_cache

_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_MAX_NAME = 255

_is_identifier = re.compile(r"[a-f0-9]{64}").fullmatch
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_match = re.compile(
    rf"(?P<name>{_DOMAIN}/{_PATH_PART}(?:/{_PATH_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<algorithm>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*):(?P<hex>[0-9a-fA-F]{32,}))?"
).fullmatch


@lru_cache(maxsize=2048)
def pull_policy_for(image: str) -> str:
    """`Always` for images whose tag is or means `latest`, else `IfNotPresent`, also for names that are none."""
    return "Always" if image_tag(image) == "latest" else "IfNotPresent"


def image_tag(image: str) -> str:
    """The tag; `latest` if neither tag nor digest is given, '' with only a digest or if the name is not valid."""
    if _is_identifier(image):
        return ""
    domain, slash, rest = image.partition("/")
    if not slash or (not any(c in domain for c in ".:") and domain != "localhost" and domain.lower() == domain):
        domain, rest = "docker.io", image
    if domain in ("docker.io", "index.docker.io"):
        domain = "docker.io"
        if "/" not in rest:
            rest = f"library/{rest}"
    found = _match(f"{domain}/{rest}")
    if found is None or len(found["name"]) > _MAX_NAME:
        return ""
    if found["algorithm"]:
        if _DIGEST_LENGTHS.get(found["algorithm"]) != len(found["hex"]) or found["hex"].lower() != found["hex"]:
            return ""
        return found["tag"] or ""
    return found["tag"] or "latest"
