"""Extenders: other programs that have a say by HTTP in filtering, ranking, preempting and binding.

Follows: pkg/scheduler/extender.go, staging/src/k8s.io/kube-scheduler/extender/v1/types.go
"""

from __future__ import annotations

import logging
import ssl
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from controllers.scheduler.durations import duration_s
from controllers.scheduler.framework import MAX_SCORE, Cycle, Finding, Ints, SchedulingError, Victims
from controllers.scheduler.pod import PodInfo

log = logging.getLogger(__name__)

MAX_POINTS = 10
"""Extenders give points from 0 to 10."""
DEFAULT_TIMEOUT_S = 5.0
NAME = "Extender"

View = Mapping[str, Any]


class Extender:
    """One extender of the configuration."""

    def __init__(self, spec: View) -> None:
        self.prefix = (spec.get("urlPrefix") or "").rstrip("/")
        self._verbs = {verb: spec.get(f"{verb}Verb") or "" for verb in ("filter", "prioritize", "preempt", "bind")}
        self._timeout_s = duration_s(spec.get("httpTimeout"), 0) or DEFAULT_TIMEOUT_S
        self._tls = _tls(spec)
        self._managed = frozenset(resource["name"] for resource in spec.get("managedResources") or ())
        self.weight = int(spec.get("weight") or 0)
        self.keeps_nodes = bool(spec.get("nodeCacheCapable"))
        self.is_ignorable = bool(spec.get("ignorable"))

    def does(self, verb: str) -> bool:
        return bool(self._verbs[verb])

    def cares_for(self, pod: PodInfo) -> bool:
        """Whether the pod uses one of its resources; without a list it cares for all."""
        return not self._managed or not self._managed.isdisjoint(pod.template.requests)

    async def call(self, verb: str, body: View) -> Any:
        """Ask; raises SchedulingError where no good answer comes."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        action = self._verbs[verb]
        url = f"{self.prefix}/{action}"
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=orjson.dumps(body), headers=headers, ssl=self._tls) as response,
            ):
                answer = await response.read()
                if response.status != 200:
                    raise SchedulingError(f"failed {action} with extender at URL {url}, code {response.status}")
                return orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise SchedulingError(f"invalid answer of the extender at URL {url}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SchedulingError(f'Post "{url}": {_problem(error)}') from error


def _problem(error: Exception) -> str:
    """Why no answer came, as Go's client tells it."""
    if isinstance(error, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    refused = getattr(error, "os_error", error)
    if isinstance(refused, ConnectionRefusedError):
        host, port = getattr(error, "host", ""), getattr(error, "port", "")
        return f"dial tcp {host}:{port}: connect: connection refused"
    return str(error) or type(error).__name__


def _tls(spec: View) -> ssl.SSLContext | bool:
    config = spec.get("tlsConfig")
    if not spec.get("enableHTTPS") and not config:
        return True
    config = config or {}
    if config.get("insecure"):
        return False
    data = b64decode(config["caData"]).decode() if config.get("caData") else None
    context = ssl.create_default_context(cafile=config.get("caFile") or None, cadata=data)
    if config.get("certFile"):
        context.load_cert_chain(config["certFile"], config.get("keyFile"))
    return context


class Extenders:
    """All extenders, asked one after the other."""

    def __init__(self, specs: Sequence[View]) -> None:
        self._extenders = [Extender(spec) for spec in specs]

    def care_for(self, pod: PodInfo) -> bool:
        return any(extender.cares_for(pod) for extender in self._extenders)

    def _asked(self, pod: PodInfo, verb: str) -> list[Extender]:
        return [e for e in self._extenders if e.does(verb) and e.cares_for(pod)]

    async def filter(self, cycle: Cycle, rows: Ints) -> tuple[Ints, list[Finding]]:
        """The rows that all extenders accept, and why they refuse others. Raises SchedulingError."""
        findings: list[Finding] = []
        for extender in self._asked(cycle.pod, "filter"):
            if not len(rows):
                break
            try:
                answer = folded(await extender.call("filter", _arguments(cycle, rows, extender)))
                if answer.get("error"):
                    raise SchedulingError(answer["error"])
                kept = _kept(answer, extender, {cycle.snapshot.names[row] for row in rows})
            except SchedulingError as error:
                if extender.is_ignorable:
                    log.warning("extender passed over: %s", error)
                    continue
                raise
            findings += _refusals(cycle, answer)
            rows = np.array([row for row in rows if cycle.snapshot.names[row] in kept], dtype=np.int64)
        return rows, findings

    async def prioritize(self, cycle: Cycle, rows: Ints) -> Ints | None:
        """Points for each row; an extender that fails has none to give."""
        total: Ints | None = None
        for extender in self._asked(cycle.pod, "prioritize"):
            try:
                answer = await extender.call("prioritize", _arguments(cycle, rows, extender))
            except SchedulingError as error:
                log.warning("extender gives no points: %s", error)
                continue
            points = {entry["host"]: entry["score"] for entry in map(folded, answer or ())}
            mine = np.array([points.get(cycle.snapshot.names[row], 0) for row in rows], dtype=np.int64)
            mine *= extender.weight * (MAX_SCORE // MAX_POINTS)
            total = mine if total is None else total + mine
        return total

    async def preempt(self, cycle: Cycle, candidates: Sequence[Victims]) -> Sequence[Victims]:
        """The candidates, and victims of each, that the extenders agree to. Raises SchedulingError."""
        for extender in self._asked(cycle.pod, "preempt"):
            if not candidates:
                break
            try:
                answer = folded(await extender.call("preempt", _preemption(cycle, candidates, extender)))
                left = [
                    _victims(cycle, node, folded(entry or {}))
                    for node, entry in (answer.get("nodenametometavictims") or {}).items()
                ]
                empty = [victims.node for victims in left if not victims.pods]
                if empty and not extender.is_ignorable:
                    raise SchedulingError(f'expected at least one victim pod on node "{empty[0]}"')
            except SchedulingError as error:
                if extender.is_ignorable:
                    log.warning("extender passed over: %s", error)
                    continue
                raise
            candidates = [victims for victims in left if victims.pods]
        return candidates

    async def bind(self, pod: PodInfo, node: str) -> bool:
        """Whether an extender has bound the pod. Raises SchedulingError."""
        for extender in self._asked(pod, "bind"):
            arguments = {"PodName": pod.name, "PodNamespace": pod.namespace, "PodUID": pod.uid, "Node": node}
            try:
                answer = folded(await extender.call("bind", arguments) or {})
                if answer.get("error"):
                    raise SchedulingError(answer["error"])
            except SchedulingError as error:
                if extender.is_ignorable:
                    log.warning("extender passed over: %s", error)
                    continue
                raise
            return True
        return False


def folded(answer: Any) -> dict[str, Any]:
    """The fields of an answer in lower case: extenders may write them as they like."""
    return {key.lower(): value for key, value in answer.items()} if isinstance(answer, Mapping) else {}


def _arguments(cycle: Cycle, rows: Ints, extender: Extender) -> View:
    names = [cycle.snapshot.names[row] for row in rows]
    if extender.keeps_nodes:
        return {"Pod": cycle.pod.obj, "Nodes": None, "NodeNames": names}
    nodes = {"metadata": {}, "items": [cycle.snapshot.nodes[row] for row in rows]}
    return {"Pod": cycle.pod.obj, "Nodes": nodes, "NodeNames": None}


def _preemption(cycle: Cycle, candidates: Sequence[Victims], extender: Extender) -> View:
    by_node: dict[str, Any] = {}
    for victims in candidates:
        pods = [{"UID": pod.uid} if extender.keeps_nodes else pod.obj for pod in victims.pods]
        by_node[victims.node] = {"Pods": pods, "NumPDBViolations": victims.violations}
    whole, brief = (None, by_node) if extender.keeps_nodes else (by_node, None)
    return {"Pod": cycle.pod.obj, "NodeNameToVictims": whole, "NodeNameToMetaVictims": brief}


def _victims(cycle: Cycle, node: str, entry: View) -> Victims:
    row = cycle.snapshot.rows.get(node, -1)
    if row < 0:
        raise SchedulingError(f'extender claims to preempt on node "{node}" but the node is not found in nodeInfos map')
    there = cycle.snapshot.pods_on[row]
    uids = [folded(pod).get("uid") or "" for pod in entry.get("pods") or ()]
    missing = [uid for uid in uids if uid not in there]
    if missing:
        raise SchedulingError(f"extender claims to preempt pod (UID: {missing[0]}) on node {node}, but it is not there")
    return Victims(node, [there[uid] for uid in uids], int(entry.get("numpdbviolations") or 0))


def _kept(answer: View, extender: Extender, asked: set[str]) -> frozenset[str]:
    """The names of the nodes that an answer leaves. Raises SchedulingError for one that was not asked about."""
    if extender.keeps_nodes and answer.get("nodenames") is not None:
        kept = frozenset(answer["nodenames"])
    else:
        kept = frozenset(node["metadata"]["name"] for node in (answer.get("nodes") or {}).get("items") or ())
    for name in kept - asked:
        raise SchedulingError(
            f'extender "{extender.prefix}" claims a filtered node "{name}" which is not found in the input node list'
        )
    return kept


def _refusals(cycle: Cycle, answer: View) -> list[Finding]:
    found: list[Finding] = []
    final = answer.get("failedandunresolvablenodes") or {}
    for names, is_final in ((final, True), (answer.get("failednodes") or {}, False)):
        for name, reason in names.items():
            if is_final or name not in final:
                found.append(Finding(NAME, cycle.snapshot.named((name,)), reason, is_final))
    return found
