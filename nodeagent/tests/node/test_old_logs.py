from __future__ import annotations

import gzip
from pathlib import Path

from nodeagent.node.old_logs import make_room, remove_log, rotated

TIMES = ("20260101-000001", "20260101-000002", "20260101-000003", "20260101-000004")


def names(path: Path) -> list[str]:
    return [file.name.removeprefix(path.name) for file in rotated(path)]


def test_the_oldest_go_and_the_others_are_compressed(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("now")
    for time in TIMES:
        (tmp_path / f"0.log.{time}").write_text(time)
    (tmp_path / "0.log.20260101-000004.gz.tmp").write_text("half")
    (tmp_path / "1.log.20260101-000001").write_text("another")
    make_room(path, 5)
    assert names(path) == [f".{time}.gz" for time in TIMES[1:]]
    assert gzip.decompress((tmp_path / f"0.log.{TIMES[1]}.gz").read_bytes()) == TIMES[1].encode()
    make_room(path, 2)
    assert names(path) == [] and path.read_text() == "now"


def test_what_was_compressed_but_not_removed_goes(tmp_path: Path) -> None:
    for name in (TIMES[0], f"{TIMES[0]}.gz"):
        (tmp_path / f"0.log.{name}").write_text("")
    make_room(tmp_path / "0.log", 5)
    assert names(tmp_path / "0.log") == [f".{TIMES[0]}.gz"]


def test_a_log_goes_with_all_of_its_files(tmp_path: Path) -> None:
    for name in ("0.log", f"0.log.{TIMES[0]}.gz", "1.log"):
        (tmp_path / name).write_text("")
    remove_log(str(tmp_path / "0.log"))
    assert [file.name for file in tmp_path.iterdir()] == ["1.log"]
