"""Bad values in messages."""

from __future__ import annotations

import pytest

from openapi.meta.field import quote


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"b\\', r'"a\"b\\"'),
        ("tab\tline\nzero\0del\x7f", r'"tab\tline\nzero\x00del\x7f"'),
        ("héllo ☃", '"héllo ☃"'),
        ("no\u00a0break", r'"no\u00a0break"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_a_text_is_quoted_as_go_quotes_it(text: str, quoted: str) -> None:
    assert quote(text) == quoted
