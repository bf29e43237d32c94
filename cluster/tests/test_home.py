"""A home belongs to one supervisor at a time, and one in memory leaves nothing behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cluster import home as homes
from cluster.errors import CommandError
from cluster.home import LOG_LIMIT_BYTES, Home, Running, ephemeral_homes, opened, remove_abandoned_homes


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    place = tmp_path / "memory"
    place.mkdir()
    monkeypatch.setattr(homes, "MEMORY", place)
    return place


def test_a_held_home_names_its_holder_to_the_next(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.holder() is None
    with home.held():
        assert home.holder() == os.getpid()
        with pytest.raises(CommandError, match=f"in use by another process .pid {os.getpid()}"), home.held():
            raise AssertionError("held twice")
        assert home.holder() == os.getpid()
    assert home.wait_until_free(0)


def test_what_runs_is_known_only_while_it_does(tmp_path: Path) -> None:
    home, running = Home(tmp_path), Running(1, "https://a:1", "/k", 2.0, {"apiserver": 3})
    with home.held():
        assert home.running() is None
        home.announce(running)
        assert home.running() == running
    home.announce(running)
    assert home.running() is None


def test_what_another_version_tells_of_itself_is_passed_over(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.held():
        told = {"pid": 1, "server": "s", "kubeconfig": "k", "started": 1.0, "colour": "red"}
        (tmp_path / "running.json").write_text(json.dumps(told))
        assert home.running() == Running(1, "s", "k", 1.0)


def test_an_ephemeral_home_is_private_and_gone_afterwards(tmp_path: Path, memory: Path) -> None:
    with opened(tmp_path / "unused", ephemeral=True) as home:
        assert home.path.parent == memory and home.path.stat().st_mode & 0o777 == 0o700
        assert home.database is None
        assert ephemeral_homes() == [home]
    assert not home.path.exists() and not (tmp_path / "unused").exists()


def test_only_homes_abandoned_for_a_while_are_removed() -> None:
    with opened(Path(), ephemeral=True) as alive, alive.held(), opened(Path(), ephemeral=True) as other:
        for home in (alive, other):
            os.utime(home.path, (0, 0))
        with other.held():
            os.utime(other.path, (0, 0))
            remove_abandoned_homes()
            assert set(ephemeral_homes()) == {alive, other}
        os.utime(other.path)
        remove_abandoned_homes()
        assert set(ephemeral_homes()) == {alive, other}, "it may be about to be taken"
        os.utime(other.path, (0, 0))
        remove_abandoned_homes()
        assert ephemeral_homes() == [alive]


def test_a_place_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(CommandError, match="cannot use the data directory"), opened(file / "below", ephemeral=False):
        raise AssertionError("opened")


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    home = Home(tmp_path)
    os.close(home.open_log("a"))
    os.truncate(home.log("a"), LOG_LIMIT_BYTES + 1)
    os.close(home.open_log("a"))
    assert home.log("a").stat().st_size == 0
    assert home.log("a").with_suffix(".log.1").exists()
