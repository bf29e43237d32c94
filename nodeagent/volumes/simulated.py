"""Volumes of simulated nodes: what they are made from must exist, but nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodeagent.pods.spec import View
from nodeagent.volumes import payload
from nodeagent.volumes.setup import Volumes
from nodeagent.volumes.usage import VolumeUsage
from nodeagent.volumes.volume import Volume


class SimulatedVolumes(Volumes):
    """Waits for missing config maps, secrets and claims as real volumes do."""

    async def _set_up(self, pod: View, volume: View, ips: Sequence[str]) -> Volume:
        name = volume["name"]
        if "persistentVolumeClaim" in volume or "ephemeral" in volume:
            await self._claims.bound(pod, volume)
        elif any(kind in volume for kind in ("configMap", "secret", "downwardAPI")):
            await payload.files_of(pod, volume, self._sources, ips=ips, node=self._node)
        elif "projected" in volume:
            sources = [part for part in volume["projected"].get("sources") or () if "serviceAccountToken" not in part]
            shown = {"name": name, "projected": {"sources": sources}}
            await payload.files_of(pod, shown, self._sources, ips=ips, node=self._node)
        return Volume(name, Path("/nowhere"))

    async def take_down(self, uid: str) -> None:
        """There is nothing to take down."""

    async def try_take_down(self, uid: str) -> None:
        """There is nothing to take down."""

    async def usage(self, pod: View) -> Sequence[VolumeUsage]:
        return ()

    def known_pods(self) -> list[str]:
        return []

    def file_in(self, pod: View, volume: str, path: str) -> Path | None:
        return None
