"""A token file says who may come in with which token."""

from __future__ import annotations

from pathlib import Path

import pytest

from apiserver.auth.token_file import StaticTokens, read_token_file
from apiserver.resources.strategy import User


async def test_lines_are_token_user_uid_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('t1,alice,u1,"g1,g2"\n\nt2,bob,u2\n,nobody,u3\nt1,carol,u4\n')
    users = read_token_file(path)
    assert users == {"t1": User("carol", "u4"), "t2": User("bob", "u2")}
    tokens = StaticTokens(users | {"t3": User("dave", "", ("g1", "g2"))}, ["api"])
    found = await tokens.authenticate_token("t3", ())
    assert found is not None and found == (User("dave", "", ("g1", "g2")), ("api",))
    assert await tokens.authenticate_token("t4", ()) is None
    assert await tokens.authenticate_token("t3", ("elsewhere",)) is None


def test_groups_are_one_quoted_column(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('t,alice,u,"g1,g2"\n')
    assert read_token_file(path)["t"].groups == ("g1", "g2")


def test_a_short_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text("t,alice\n")
    with pytest.raises(ValueError, match="at least 3 columns"):
        read_token_file(path)
