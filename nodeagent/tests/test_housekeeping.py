from __future__ import annotations

from nodeagent.housekeeping import superseded
from nodeagent.runtime.protocol import Container, Sandbox, State


def _sandbox(id: str, uid: str, created: int, *, ready: bool = False) -> Sandbox:
    return Sandbox(id, id, "ns", uid, 0, ready, created, {})


def test_sandboxes_go_that_have_been_replaced_and_hold_nothing() -> None:
    container = Container("c", "used", "main", 0, State.EXITED, "", "", 0, {}, {})
    sandboxes = [
        _sandbox("new", "a", 4),
        _sandbox("used", "a", 3),
        _sandbox("ready", "a", 2, ready=True),
        _sandbox("old", "a", 1),
        _sandbox("only", "b", 0),
    ]
    assert [sandbox.id for sandbox in superseded(sandboxes, [container])] == ["old"]
