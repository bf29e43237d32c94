"""Names: what each format accepts, and the exact words for what it does not."""

from __future__ import annotations

import pytest

from openapi.meta import names

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


@pytest.mark.parametrize(
    ("check", "value", "problems"),
    [
        (names.is_dns1123_subdomain, "a.b-c.d1", []),
        (names.is_dns1123_subdomain, "A", [SUBDOMAIN]),
        (names.is_dns1123_subdomain, "a\n", [SUBDOMAIN]),
        (names.is_dns1123_subdomain, "a" * 254, ["must be no more than 253 characters"]),
        (names.is_dns1123_label, "a.b", ["must not contain dots"]),
        (names.is_dns1123_label, "a_b", [LABEL]),
        (names.is_dns1123_label, "a" * 64, ["must be no more than 63 characters"]),
        (names.is_qualified_name, "example.com/Name_1.x", []),
        (names.is_qualified_name, "/a", ["prefix part must be non-empty"]),
        (names.is_qualified_name, "", ["name part must be non-empty", NAME_PART]),
        (names.is_qualified_name, "A/a", ["prefix part " + SUBDOMAIN]),
        (names.is_qualified_name, "l" * 64, ["name part must be no more than 63 bytes"]),
        (names.is_label_value, "", []),
        (names.is_label_value, "a b", [VALUE]),
        (names.is_label_value, "x" * 64, ["must be no more than 63 bytes"]),
        (names.is_path_segment, "Any:thing!", []),
        (names.is_path_segment, "..", ["may not be '..'"]),
        (names.is_path_segment, "a/b%c", ["may not contain '/'", "may not contain '%'"]),
        (names.is_config_map_key, "..", ["must not be '..'"]),
        (names.is_config_map_key, "..a", ["must not start with '..'"]),
        (names.is_port_number, 0, ["must be between 1 and 65535, inclusive"]),
        (names.is_ip, "010.0.0.1", []),
        (names.is_ip, "::ffff:1.2.3.4", []),
        (names.is_ip, "1.2.3", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        (names.is_cidr, "10.1.2.3/8", []),
        (names.is_cidr, "10.0.0.0/33", ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]),
        (names.is_http_header_name, "X-A", []),
    ],
)
def test_a_format_names_its_problems(check, value, problems) -> None:
    assert check(value) == problems


def test_too_many_slashes_are_told_what_a_key_looks_like() -> None:
    (problem,) = names.is_qualified_name("a/b/c")
    assert problem.startswith("a valid label key must consist of alphanumeric characters")
    assert problem.endswith("with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")


def test_a_port_name_lists_all_its_problems() -> None:
    assert names.is_port_name("-8_0--") == [
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        "must contain at least one letter (a-z)",
        "must not contain consecutive hyphens",
        "must not begin or end with a hyphen",
    ]


def test_a_generated_name_may_end_with_a_dash() -> None:
    assert names.name_is_dns_subdomain("web-", True) == []
    assert names.name_is_dns_subdomain("web-", False) == [SUBDOMAIN]
    assert names.name_is_path_segment("..", True) == []
