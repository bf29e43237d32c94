"""What the node's server needs of the agent around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nodeagent.runtime.protocol import Runtime
from nodeagent.server.pod_usage import PodUsage
from nodeagent.volumes.usage import VolumeUsage

Object = dict[str, Any]
View = Mapping[str, Any]


class Host(Protocol):
    """The node as its server shows it. Pods are as in the API, with the status that the agent knows now."""

    @property
    def node_name(self) -> str: ...

    @property
    def runtime(self) -> Runtime: ...

    def pods(self) -> Sequence[View]: ...

    def pod(self, namespace: str, name: str) -> View | None: ...

    async def volume_usage(self) -> Mapping[str, Sequence[VolumeUsage]]:
        """What the volumes of pods hold, by the uids of the pods."""

    async def pod_usage(self) -> Mapping[str, PodUsage]:
        """What else pods use, by their uids."""

    def configuration(self) -> View:
        """The agent's settings, in the fields of a KubeletConfiguration."""

    def metrics(self) -> bytes:
        """The agent's own metrics as Prometheus text."""

    def health(self) -> str:
        """What is wrong with the agent; '' when nothing is."""
