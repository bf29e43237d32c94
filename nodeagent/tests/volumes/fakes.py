"""A pod's surroundings for the tests of volumes: what the API would answer, kept in dictionaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodeagent.pods.environment import ConfigProblem, NodeFacts
from nodeagent.volumes.claims import Claims
from nodeagent.volumes.disks import Disks
from nodeagent.volumes.persistent import PersistentVolumes
from nodeagent.volumes.setup import Owned, Volumes

Object = dict[str, Any]
NODE: Object = {"metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n"}}}
FACTS = NodeFacts("n", ("192.0.2.1",), {"cpu": "4", "memory": "8Gi"})


class FakeSources:
    """`maps`, `secrets`, `claims` and `volumes` by name; tokens are their audience and their number."""

    def __init__(self) -> None:
        self.maps: dict[str, Object] = {}
        self.secrets: dict[str, Object] = {}
        self.claims: dict[str, Object] = {}
        self.volumes: dict[str, Object] = {}
        self.tokens = 0

    async def config_map(self, namespace: str, name: str) -> Any:
        return self.maps.get(name)

    async def secret(self, namespace: str, name: str) -> Any:
        return self.secrets.get(name)

    async def claim(self, namespace: str, name: str) -> Any:
        return self.claims.get(name)

    async def persistent_volume(self, name: str) -> Any:
        return self.volumes.get(name)

    async def token(self, pod: Any, audience: str, lifetime_s: int) -> str:
        if audience == "refused":
            raise ConfigProblem("failed to fetch token: no")
        self.tokens += 1
        return f"{audience}-{self.tokens}"

    async def trust_bundle(self, source: Any) -> str | None:
        return None

    def file_in(self, pod: Any, volume: str, path: str) -> Path | None:
        return None

    def bind(self, claim: str, source: Object, **spec: Any) -> None:
        """A claim of that name, bound to a volume `pv-<name>` made of `source`."""
        uid = f"uid-{claim}"
        self.claims[claim] = {
            "metadata": {"name": claim, "namespace": "ns", "uid": uid},
            "spec": {"volumeName": f"pv-{claim}"},
            "status": {"phase": "Bound"},
        }
        reference = {"name": claim, "namespace": "ns", "uid": uid}
        self.volumes[f"pv-{claim}"] = {
            "metadata": {"name": f"pv-{claim}"},
            "spec": {"claimRef": reference, "accessModes": ["ReadWriteOnce"], **source, **spec},
        }


def make_volumes(root: Path, sources: FakeSources) -> Volumes:
    return Volumes(root, sources, Claims(sources), PersistentVolumes(lambda: NODE, Disks(root)), FACTS, Owned())


def pod_with(*volumes: Object, used: bool = True, **spec: Any) -> Object:
    """A pod whose one container mounts all its volumes below `/`."""
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    container = {"name": "c", "image": "i", **({"volumeMounts": mounts} if used else {})}
    metadata = {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"a": "1"}}
    return {"metadata": metadata, "spec": {"containers": [container], "volumes": list(volumes), **spec}}
