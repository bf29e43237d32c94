"""Keeps the node's static pods: runs what lies in the folder, and shows each in the API by a mirror."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.kinds import PODS
from nodeagent.pods import spec
from nodeagent.pods.spec import Object, View
from nodeagent.pods.static import is_mirror_of, mirror_of, read_folder

log = logging.getLogger(__name__)

LOOK_S = 2.0


class Mirrors:
    """`run` it. `add` and `remove` are called as files come and go.

    `current` are the pods as the node's watch has them, `node` is the Node object, which owns the mirrors.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        folder: Path,
        *,
        node: Callable[[], View],
        current: Callable[[], list[Object]],
        add: Callable[[View], None],
        remove: Callable[[View], None],
    ) -> None:
        self._client = client
        self._name = name
        self._node = node
        self._folder = folder
        self._current = current
        self._add = add
        self._remove = remove
        self._pods: dict[str, Object] = {}

    async def run(self) -> None:
        while True:
            found = await asyncio.to_thread(read_folder, self._folder, self._name)
            for uid in self._pods.keys() - found.keys():
                self._remove(self._pods[uid])
            for uid in found.keys() - self._pods.keys():
                self._add(found[uid])
            self._pods = found
            try:
                await self._mirror()
            except ApiError as error:
                log.warning("static pods not mirrored: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _mirror(self) -> None:
        mirrors = {_key(pod): pod for pod in self._current() if spec.is_mirror(pod)}
        wanted = {_key(pod): pod for pod in self._pods.values()}
        for key, mirror in mirrors.items():
            is_current = key in wanted and is_mirror_of(mirror, wanted[key])
            if not is_current or spec.is_deleting(mirror):
                await self._delete(mirror)
        for key, pod in wanted.items():
            if key not in mirrors:
                await self._client.create(PODS, mirror_of(pod, self._node()))

    async def _delete(self, mirror: View) -> None:
        metadata = mirror["metadata"]
        try:
            await self._client.delete(PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_s=0)
        except NotFound:
            return


def _key(pod: View) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
