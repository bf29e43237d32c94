"""What the node tells about itself: its pods, health, settings, usage and metrics.

Follows: pkg/kubelet/server/server.go getPods, getRunningPods; pkg/kubelet/server/stats/handler.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson
from aiohttp import web

from nodeagent.runtime.protocol import Container, RuntimeFailure, Sandbox, State
from nodeagent.server.answers import Refusal, plain, refused
from nodeagent.server.exposition import cadvisor_metrics, resource_metrics
from nodeagent.server.host import Host, Object, View
from nodeagent.server.readings import Readings
from nodeagent.server.summary import cpu_and_memory, make_summary

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Facts:
    """One handler per path."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._readings = Readings(host.runtime, folder)

    async def pods(self, request: web.Request) -> web.Response:
        return _json(_pod_list([_without_type(pod) for pod in self._host.pods()]))

    async def running_pods(self, request: web.Request) -> web.Response:
        """What the runtime runs, whether or not it should."""
        runtime = self._host.runtime
        try:
            sandboxes, containers = await asyncio.gather(runtime.sandboxes(), runtime.containers())
        except RuntimeFailure as failure:
            raise refused(failure) from failure
        running = [item for item in containers if item.state is State.RUNNING]
        return _json(_pod_list([_running_pod(item, running) for item in sandboxes if item.is_ready]))

    async def health(self, request: web.Request) -> web.Response:
        problem = self._host.health()
        if problem:
            raise Refusal(500, f"[-]syncloop failed: {problem}\nhealthz check failed\n")
        return plain(200, "ok")

    async def configuration(self, request: web.Request) -> web.Response:
        return _json({"kubeletconfig": self._host.configuration()})

    async def summary(self, request: web.Request) -> web.Response:
        name, pods, reading = self._host.node_name, self._host.pods(), await self._readings.read()
        if request.query.get("only_cpu_and_memory") in ("true", "1"):
            return _json(cpu_and_memory(name, pods, reading))
        volumes, others = await asyncio.gather(self._host.volume_usage(), self._host.pod_usage())
        return _json(make_summary(name, pods, reading, volumes, others))

    async def metrics(self, request: web.Request) -> web.Response:
        return _metrics(self._host.metrics())

    async def resource_metrics(self, request: web.Request) -> web.Response:
        return _metrics(resource_metrics(self._host.pods(), await self._readings.read()))

    async def cadvisor_metrics(self, request: web.Request) -> web.Response:
        return _metrics(cadvisor_metrics(self._host.pods(), await self._readings.read()))


def _json(value: View) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _metrics(text: bytes) -> web.Response:
    return web.Response(body=text, headers={"Content-Type": METRICS_TYPE})


def _pod_list(items: Sequence[View]) -> Object:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}


def _without_type(pod: View) -> Object:
    return {name: value for name, value in pod.items() if name not in ("kind", "apiVersion")}


def _running_pod(sandbox: Sandbox, running: Sequence[Container]) -> Object:
    uid = sandbox.uid
    containers = [item for item in running if item.labels.get("io.kubernetes.pod.uid") == uid]
    return {
        "metadata": {"name": sandbox.name, "namespace": sandbox.namespace, "uid": uid, "creationTimestamp": None},
        "spec": {"containers": [{"name": item.name, "image": item.image, "resources": {}} for item in containers]},
        "status": {},
    }
