"""The agent as its node's server sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodeagent.agent import NodeAgent
from nodeagent.options import AgentOptions
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime.protocol import Runtime

View = Mapping[str, Any]


class AgentHost:
    """Fulfils `nodeagent.server.host.Host`."""

    def __init__(self, name: str, options: AgentOptions, runtime: Runtime, agent: NodeAgent) -> None:
        self._name = name
        self._options = options
        self._runtime = runtime
        self._agent = agent

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

    def configuration(self) -> View:
        options = self._options
        return {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "port": options.port,
            "clusterDomain": options.cluster_domain,
            "clusterDNS": list(options.cluster_dns),
            "maxPods": 110,
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
