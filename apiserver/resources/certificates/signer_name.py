"""Names of signers: a domain and a path, `example.com/signer`.

Follows: pkg/apis/core/validation/validation.go ValidateSignerName
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from openapi.meta.field import FieldError, invalid, quote, required, too_long
from openapi.meta.names import is_dns1123_label, is_dns1123_subdomain

MAX_DOMAIN_BYTES = 253
# The path has room for a namespace, a dot and a resource's name.
MAX_NAME_BYTES = MAX_DOMAIN_BYTES + 1 + 63 + 1 + 253


def validate_signer_name(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
        return
    segments = name.split("/")
    if len(segments) != 2:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid(path, name, text)
        return
    domain, signer = segments
    if len(domain) > MAX_DOMAIN_BYTES:
        yield too_long(path, MAX_DOMAIN_BYTES)
    yield from _first_bad_label(domain, is_dns1123_label, path)
    if "." not in domain:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from _first_bad_label(signer, is_dns1123_subdomain, path)
    if len(name) > MAX_NAME_BYTES:
        yield too_long(path, MAX_NAME_BYTES)


def _first_bad_label(text: str, check: Callable[[str], list[str]], path: str) -> Iterator[FieldError]:
    """Later labels would only repeat the same words."""
    for label in text.split("."):
        problems = check(label)
        if problems:
            for problem in problems:
                yield invalid(path, text, f"validating label {quote(label)}: {problem}")
            return
