"""A reconcile's writes are remembered until the stores have seen them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from controllers.runtime import consistency
from controllers.runtime.kinds import PODS
from controllers.runtime.objects import Key
from controllers.runtime.store import Store


@dataclass
class Watched:
    """What the tracker reads of an informer."""

    revision: int = 0
    store: Store = field(default_factory=Store)


def find(informer: Watched) -> Any:
    return lambda gvr: informer if gvr == PODS.gvr else None


def test_a_write_is_seen_once_the_informer_has_its_revision() -> None:
    informer, writes = Watched(revision=5), consistency.Writes()
    writes.note(PODS.gvr, 7)
    assert writes.forget_seen(find(informer)) == [informer]
    informer.revision = 7
    assert writes.forget_seen(find(informer)) == []
    assert not writes


def test_a_deletion_is_seen_once_the_object_goes_or_is_another() -> None:
    informer, writes = Watched(), consistency.Writes()
    informer.store.put({"metadata": {"namespace": "n", "name": "a", "uid": "old"}})
    writes.deleted[PODS.gvr, Key("n", "a")] = "old"
    assert writes.forget_seen(find(informer)) == [informer]
    informer.store.put({"metadata": {"namespace": "n", "name": "a", "uid": "new"}})
    assert writes.forget_seen(find(informer)) == []


def test_resources_that_nobody_watches_are_not_waited_for() -> None:
    writes = consistency.Writes()
    writes.note(PODS.gvr, 7)
    assert writes.forget_seen(lambda gvr: None) == []


async def test_tasks_of_a_reconcile_write_into_its_account() -> None:
    writes = consistency.Writes()
    consistency.current.set(writes)

    async def write(revision: int) -> None:
        consistency.wrote(PODS, revision)

    await asyncio.gather(write(3), write(9), write(4))
    consistency.current.set(None)
    consistency.wrote(PODS, 99)
    assert writes.revisions == {PODS.gvr: 9}
