"""The formats of names: one function a format, each giving the list of what is wrong with a value (empty: it is fine).

The texts are the API's own, to the letter. Lengths count bytes, as the server counts them.
Follows: staging/src/k8s.io/apimachinery/pkg/util/validation/{validation,ip}.go,
staging/src/k8s.io/apimachinery/pkg/api/validate/content/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

NameValidator = Callable[[str, bool], list[str]]
"""Problems of an object's name; the flag says that it is a generateName prefix, so more characters will follow."""

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_UNDERSCORE = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_UNDERSCORE = _LABEL_UNDERSCORE + r"(\." + _LABEL_UNDERSCORE + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = r"\*\." + _SUBDOMAIN
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = "(" + _KEY + ")?"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_ENV_VAR = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_HTTP_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"
_PERCENT = "[0-9]+%"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_subdomain_underscore = re.compile(_SUBDOMAIN_UNDERSCORE).fullmatch
_is_label_1035 = re.compile(_LABEL_1035).fullmatch
_is_wildcard = re.compile(_WILDCARD).fullmatch
_is_key = re.compile(_KEY).fullmatch
_is_value = re.compile(_VALUE).fullmatch
_is_c_identifier = re.compile(_C_IDENTIFIER).fullmatch
_is_env_var = re.compile(_ENV_VAR).fullmatch
_is_config_key = re.compile(_CONFIG_KEY).fullmatch
_is_header = re.compile(_HEADER).fullmatch
_is_http_path = re.compile(_HTTP_PATH).fullmatch
_is_percent = re.compile(_PERCENT).fullmatch
_is_port_charset = re.compile("[-a-z0-9]+").fullmatch
_has_letter = re.compile("[a-z]").search

_ALPHANUMERIC_ENDS = "and must start and end with an alphanumeric character"
_KEY_TEXT = f"must consist of alphanumeric characters, '-', '_' or '.', {_ALPHANUMERIC_ENDS}"


def size(text: str) -> int:
    """The length in bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def too_long_text(maximum: int) -> str:
    """The older wording, which says characters though it counts bytes."""
    return f"must be no more than {maximum} characters"


def too_many_bytes_text(maximum: int) -> str:
    return f"must be no more than {maximum} bytes"


def range_text(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def regex_text(message: str, pattern: str, *examples: str) -> str:
    """A format described with its regular expression and examples."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


_LABEL_PROBLEM = regex_text(
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ALPHANUMERIC_ENDS}",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_PROBLEM = regex_text(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    f"{_ALPHANUMERIC_ENDS}",
    _SUBDOMAIN,
    "example.com",
)
_SUBDOMAIN_UNDERSCORE_PROBLEM = regex_text(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    f"{_ALPHANUMERIC_ENDS}",
    _SUBDOMAIN_UNDERSCORE,
    "example.com",
)
_LABEL_1035_PROBLEM = regex_text(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    _LABEL_1035,
    "my-name",
    "abc-123",
)
_WILDCARD_PROBLEM = regex_text(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)
_KEY_PROBLEM = regex_text(_KEY_TEXT, _KEY, "MyName", "my.name", "123-abc")
_VALUE_PROBLEM = regex_text(
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    f"{_ALPHANUMERIC_ENDS}",
    _VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_C_IDENTIFIER_PROBLEM = regex_text(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    "characters or '_'",
    _C_IDENTIFIER,
    "my_name",
    "MY_NAME",
    "MyName",
)
_ENV_VAR_PROBLEM = regex_text(
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
    "start with a digit",
    _ENV_VAR,
    "my.env-name",
    "MY_ENV.NAME",
    "MyEnvName1",
)
_CONFIG_KEY_PROBLEM = regex_text(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)


def is_dns1123_label(value: str) -> list[str]:
    problems = [too_long_text(63)] if size(value) > 63 else []
    if not _is_label(value):
        problems.append("must not contain dots" if _is_subdomain(value) else _LABEL_PROBLEM)
    return problems


def is_dns1123_subdomain(value: str) -> list[str]:
    problems = [too_long_text(253)] if size(value) > 253 else []
    if not _is_subdomain(value):
        problems.append(_SUBDOMAIN_PROBLEM)
    return problems


def is_dns1123_subdomain_with_underscore(value: str) -> list[str]:
    problems = [too_long_text(253)] if size(value) > 253 else []
    if not _is_subdomain_underscore(value):
        problems.append(_SUBDOMAIN_UNDERSCORE_PROBLEM)
    return problems


def is_dns1035_label(value: str) -> list[str]:
    problems = [too_long_text(63)] if size(value) > 63 else []
    if not _is_label_1035(value):
        problems.append(_LABEL_1035_PROBLEM)
    return problems


def is_wildcard_dns1123_subdomain(value: str) -> list[str]:
    problems = [too_long_text(253)] if size(value) > 253 else []
    if not _is_wildcard(value):
        problems.append(_WILDCARD_PROBLEM)
    return problems


@lru_cache(maxsize=4096)
def _qualified_name_problems(value: str) -> tuple[str, ...]:
    parts = value.split("/")
    if len(parts) > 2:
        tail = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return ("a valid label key " + _KEY_PROBLEM + tail,)
    problems: list[str] = []
    name = parts[-1]
    if len(parts) == 2:
        prefix = parts[0]
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            if size(prefix) > 253:
                problems.append("prefix part " + too_many_bytes_text(253))
            if not _is_subdomain(prefix):
                problems.append("prefix part " + _SUBDOMAIN_PROBLEM)
    if not name:
        problems.append("name part must be non-empty")
    elif size(name) > 63:
        problems.append("name part " + too_many_bytes_text(63))
    if not _is_key(name):
        problems.append("name part " + _KEY_PROBLEM)
    return tuple(problems)


def is_qualified_name(value: str) -> list[str]:
    """A label key: a name, or a DNS subdomain, a slash and a name."""
    return list(_qualified_name_problems(value))


def is_prefixed_qualified_name(value: str) -> list[str]:
    """A label key that must have its prefix."""
    problems = is_qualified_name(value)
    if not problems and "/" not in value:
        return ["must include a prefix (e.g. 'example.com/key')"]
    return problems


def is_label_value(value: str) -> list[str]:
    problems = [too_many_bytes_text(63)] if size(value) > 63 else []
    if not _is_value(value):
        problems.append(_VALUE_PROBLEM)
    return problems


def is_path_segment(value: str) -> list[str]:
    """Any name that can stand as one segment of a URL's path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return _path_characters(value)


def _path_characters(value: str) -> list[str]:
    return [f"may not contain '{character}'" for character in "/%" if character in value]


def is_c_identifier(value: str) -> list[str]:
    return [] if _is_c_identifier(value) else [_C_IDENTIFIER_PROBLEM]


def is_env_var_name(value: str) -> list[str]:
    problems = [] if _is_env_var(value) else [_ENV_VAR_PROBLEM]
    return problems + _directory_change(value)


def is_relaxed_env_var_name(value: str) -> list[str]:
    """What the environment of a container may hold: printable ASCII but `=`."""
    problems = [] if value else ["environment variable name must be non-empty"]
    if any(not " " <= character <= "~" or character == "=" for character in value):
        problems.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return problems


def is_config_map_key(value: str) -> list[str]:
    problems = [too_long_text(253)] if size(value) > 253 else []
    if not _is_config_key(value):
        problems.append(_CONFIG_KEY_PROBLEM)
    return problems + _directory_change(value)


def _directory_change(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def is_http_header_name(value: str) -> list[str]:
    if _is_header(value):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [regex_text(text, _HEADER, "X-Header-Name")]


def is_percent(value: str) -> list[str]:
    if _is_percent(value):
        return []
    text = "a valid percent string must be a numeric string followed by an ending '%'"
    return [regex_text(text, _PERCENT, "1%", "93%")]


def is_in_range(value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [range_text(low, high)]


def is_port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [range_text(1, 65535)]


def is_user_id(value: int) -> list[str]:
    """A Unix user or group id."""
    return [] if 0 <= value <= 0xFFFFFFFF else [range_text(0, 0xFFFFFFFF)]


def is_port_name(value: str) -> list[str]:
    problems = [too_long_text(15)] if size(value) > 15 else []
    if not _is_port_charset(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _has_letter(value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def is_domain_prefixed_path(value: str) -> list[str]:
    """`acme.io/foo`: a DNS subdomain, a slash and an HTTP path. An empty value is for the caller to require."""
    host, _, path = value.partition("/")
    if not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    problems = is_dns1123_subdomain(host)
    if not _is_http_path(path):
        problems.append(regex_text("Invalid path", _HTTP_PATH))
    return problems


def is_domain_prefixed_key(value: str) -> list[str]:
    """A label key with a prefix. An empty value is for the caller to require."""
    problems = is_qualified_name(value)
    if not problems and "/" not in value:
        return ['must be a domain-prefixed key (such as "acme.io/foo")']
    return problems


def is_fully_qualified_name(value: str) -> list[str]:
    """A domain of at least three segments. An empty value is for the caller to require."""
    problems = is_dns1123_subdomain(value)
    if problems:
        return [",".join(problems)]
    if value.count(".") < 2:
        return ["should be a domain with at least three segments separated by dots"]
    return []


def is_fully_qualified_domain_name(value: str) -> list[str]:
    """A domain of at least two segments, a last dot allowed. An empty value is for the caller to require."""
    value = value.removesuffix(".")
    problems = is_dns1123_subdomain(value)
    if problems:
        return [",".join(problems)]
    if "." not in value:
        return ["should be a domain with at least two segments separated by dots"]
    for label in value.split("."):
        problems = is_dns1123_label(label)
        if problems:
            return [",".join(problems)]
    return []


def parse_ip(value: str) -> IPv4Address | IPv6Address | None:
    """An IP address in the lenient form of old fields: zeros may lead the parts of IPv4. None if it is none."""
    try:
        return ip_address(value) if "%" not in value else None
    except ValueError:
        if "." not in value:
            return None
    head, colon, tail = value.rpartition(":")
    parts = tail.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    try:
        return ip_address(head + colon + ".".join(str(int(part)) for part in parts))
    except ValueError:
        return None


def parse_cidr(value: str) -> IPv4Network | IPv6Network | None:
    """The network of an `address/length`, in the lenient form of old fields; bits after the length are let go."""
    address, slash, length = value.rpartition("/")
    parsed = parse_ip(address) if slash else None
    if parsed is None or not (length.isascii() and length.isdigit()) or int(length) > parsed.max_prefixlen:
        return None
    return ip_network(f"{parsed}/{int(length)}", strict=False)


def is_ip(value: str) -> list[str]:
    return [] if parse_ip(value) else ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]


def is_ipv4(value: str) -> list[str]:
    parsed = parse_ip(value)
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped
    return [] if parsed is not None else ["must be a valid IPv4 address"]


def is_ipv6(value: str) -> list[str]:
    parsed = parse_ip(value)
    fine = isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None
    return [] if fine else ["must be a valid IPv6 address"]


def is_cidr(value: str) -> list[str]:
    return [] if parse_cidr(value) else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def _unprefixed(name: str, prefix: bool) -> str:
    """The dash that ends a generateName is fine, since characters follow it."""
    return name[:-2] + "a" if prefix and len(name) > 1 and name.endswith("-") else name


def name_is_dns_subdomain(name: str, prefix: bool) -> list[str]:
    return is_dns1123_subdomain(_unprefixed(name, prefix))


def name_is_dns_label(name: str, prefix: bool) -> list[str]:
    return is_dns1123_label(_unprefixed(name, prefix))


def name_is_dns1035_label(name: str, prefix: bool) -> list[str]:
    return is_dns1035_label(_unprefixed(name, prefix))


def name_is_path_segment(name: str, prefix: bool) -> list[str]:
    return _path_characters(name) if prefix else is_path_segment(name)
