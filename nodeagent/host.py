"""The agent as its node's server sees it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nodeagent.agent import NodeAgent
from nodeagent.options import AgentOptions
from nodeagent.pods import spec
from nodeagent.pods.config import NodeSettings
from nodeagent.pods.restart import human_wait
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime.protocol import Runtime
from nodeagent.server.pod_usage import PodUsage, measure_pod
from nodeagent.volumes.setup import Volumes
from nodeagent.volumes.usage import VolumeUsage
from openapi.meta.quantity import BINARY, Quantity

View = Mapping[str, Any]

MEASURE_S = 60.0


class AgentHost:
    """Fulfils `nodeagent.server.host.Host`."""

    def __init__(
        self,
        name: str,
        options: AgentOptions,
        runtime: Runtime,
        agent: NodeAgent,
        volumes: Volumes,
        settings: NodeSettings,
    ) -> None:
        self._settings = settings
        self._name = name
        self._options = options
        self._runtime = runtime
        self._agent = agent
        self._volumes = volumes
        self._usage: dict[str, Sequence[VolumeUsage]] = {}
        self._measured_at = -math.inf

    @property
    def node_name(self) -> str:
        return self._name

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    def pods(self) -> Sequence[View]:
        return [_with_status(worker) for worker in self._agent.workers]

    def pod(self, namespace: str, name: str) -> View | None:
        worker = self._agent.worker(namespace, name)
        return _with_status(worker) if worker is not None else None

    async def volume_usage(self) -> Mapping[str, Sequence[VolumeUsage]]:
        """Of pods that run; of those that were measured lately not anew, as that goes through all files."""
        if time.monotonic() - self._measured_at > MEASURE_S:
            self._measured_at, self._usage = time.monotonic(), {}
        pods = [worker.pod for worker in self._agent.workers if worker.state.running and not worker.is_finished]
        new = [pod for pod in pods if spec.uid_of(pod) not in self._usage]
        found = await asyncio.gather(*(self._volumes.usage(pod) for pod in new))
        self._usage |= {spec.uid_of(pod): usages for pod, usages in zip(new, found, strict=True)}
        return self._usage

    async def pod_usage(self) -> Mapping[str, PodUsage]:
        if not self._settings.has_files:
            return {}
        pods = [worker.pod for worker in self._agent.workers if worker.state.running]
        found = await asyncio.gather(*(asyncio.to_thread(measure_pod, pod, self._settings) for pod in pods))
        return {spec.uid_of(pod): usage for pod, usage in zip(pods, found, strict=True)}

    def configuration(self) -> View:
        options = self._options
        return {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "port": options.port,
            "clusterDomain": options.cluster_domain,
            "clusterDNS": list(options.cluster_dns),
            "maxPods": 110,
            "address": options.address,
            "cgroupRoot": f"/{self._settings.cgroup_root}",
            "containerLogMaxFiles": options.log_limits.max_files,
            "containerLogMaxSize": str(Quantity.of(options.log_limits.max_bytes, BINARY)),
            "evictionHard": {item.signal: str(item) for item in options.eviction},
            "shutdownGracePeriod": human_wait(options.shutdown.total_s),
            "shutdownGracePeriodCriticalPods": human_wait(options.shutdown.critical_s),
            "staticPodPath": str(options.root / "manifests"),
            "systemReserved": options.reserved,
        }

    def metrics(self) -> bytes:
        running = sum(bool(worker.state.running) for worker in self._agent.workers)
        containers = sum(len(worker.state.running) for worker in self._agent.workers)
        return (
            "# HELP kubelet_running_pods Number of pods that have a running pod sandbox\n"
            "# TYPE kubelet_running_pods gauge\n"
            f"kubelet_running_pods {running}\n"
            "# HELP kubelet_running_containers Number of containers currently running\n"
            "# TYPE kubelet_running_containers gauge\n"
            f'kubelet_running_containers{{container_state="running"}} {containers}\n'
        ).encode()

    def health(self) -> str:
        return self._agent.problem()


def _with_status(worker: PodWorker) -> View:
    return {**worker.pod, "status": worker.status}
