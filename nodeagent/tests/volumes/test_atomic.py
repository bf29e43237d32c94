from __future__ import annotations

import os
from pathlib import Path

from nodeagent.volumes import atomic
from nodeagent.volumes.atomic import File


def test_files_are_seen_through_one_link(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"a": File(b"1", 0o640), "d/b": File(b"2", 0o400)})
    assert os.readlink(tmp_path / "a") == "..data/a"
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "d" / "b").read_bytes()) == (b"1", b"2")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_the_same_content_changes_nothing(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1", 0o644)})
    before = os.readlink(tmp_path / "..data")
    assert not atomic.write(tmp_path, {"a": File(b"1", 0o644)})
    assert os.readlink(tmp_path / "..data") == before


def test_a_new_version_replaces_the_old_one_wholly(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1", 0o644), "gone": File(b"", 0o644)})
    atomic.write(tmp_path, {"a": File(b"2", 0o644), "new": File(b"3", 0o644)})
    assert sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.startswith("..")) == ["a", "new"]
    assert (tmp_path / "a").read_bytes() == b"2"
    assert len(list(tmp_path.glob("..2*"))) == 1
