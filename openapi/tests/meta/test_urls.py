"""URLs and what Go says of those that have no form."""

from __future__ import annotations

import pytest

from openapi.meta.urls import url_problem


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://a.b:1/c?d#e", ""),
        ("https://u:p@[::1]:443/", ""),
        ("", ""),
        ("a.b.c:443/x", ""),
        (":", "missing protocol scheme"),
        ("1.2.3.4:443/x", "first path segment in URL cannot contain colon"),
        ("https://a b/", 'invalid character " " in host name'),
        ("https://a:b/", 'invalid port ":b" after host'),
        ("https://[::1", "missing ']' in host"),
        ("https://a/%zz", 'invalid URL escape "%zz"'),
        ("https://a/%a", 'invalid URL escape "%a"'),
        ("https://a\n", "net/url: invalid control character in URL"),
    ],
)
def test_problems_are_told_as_go_tells_them(url: str, problem: str) -> None:
    told = url_problem(url)
    assert told == problem or told.endswith(f": {problem}")
    assert bool(told) == bool(problem)
