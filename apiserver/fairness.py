"""API priority and fairness: every request belongs to a flow, whose priority level has so many seats.

A request is of the first flow schema that matches it. A level's seats are its share of the server's; those that it may
lend are anybody's while it does not need them, and come back as the requests that borrowed them end. When no seat is
free a request waits in one of its level's queues, the shortest of the few that its flow is dealt, and queues take
turns; or it is refused. Streams take no seat. What a request matched is remembered: a known flow with a free seat
costs a look-up and a counter.

Follows: staging/src/k8s.io/apiserver/pkg/util/flowcontrol/apf_controller.go and its fairqueuing/queueset; seats are
lent at once, not every ten seconds.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from apiserver.fairness_rules import distinguisher, in_order, matches
from apiserver.request import RequestInfo
from apiserver.resources.flowcontrol.fixed import CATCH_ALL, EXEMPT, FLOW_SCHEMAS, PRIORITY_LEVELS
from apiserver.resources.strategy import User
from apiserver.storage.cache import ResourceCache

Object = Mapping[str, Any]

SEATS = 600
"""As many as kube-apiserver's 400 reading and 200 writing requests."""
WAIT_S = 15.0
"""A quarter of the time that a request may take."""
REMEMBERED = 8192
LONGEST_PATH = 256
"""Longer paths are matched anew each time."""


class Level:
    """One priority level: its limits, and who runs and waits in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_exempt = name == EXEMPT
        self.uid = ""
        self.nominal = self.least = self.most = 0
        self.queues = self.hand_size = self.queue_length = 0
        self.used = 0
        self.waiting: dict[int, deque[asyncio.Future[None]]] = {}

    def configure(self, level: Object, seats: int, shares: int) -> None:
        """Take over the limits of an object, as its part of `seats` in `shares` parts."""
        spec = level["spec"]
        self.uid = level["metadata"].get("uid", "")
        limits = spec.get("limited") or spec.get("exempt") or {}
        self.nominal = math.ceil(seats * shares_of(level) / shares) if shares else 0
        self.least = self.nominal - round(self.nominal * (limits.get("lendablePercent") or 0) / 100)
        borrowed = limits.get("borrowingLimitPercent")
        self.most = seats if borrowed is None else self.nominal + round(self.nominal * borrowed / 100)
        response = limits.get("limitResponse") or {}
        queuing = (response.get("queuing") or {}) if response.get("type") == "Queue" else {}
        self.queues, self.hand_size = queuing.get("queues", 0), queuing.get("handSize", 0)
        self.queue_length = queuing.get("queueLengthLimit", 0)

    def enqueue(self, flow: Flow) -> tuple[int, asyncio.Future[None]] | None:
        """Stand in line; None when that is not allowed or the line is full."""
        if not self.queues:
            return None
        dealt = random.Random(f"{flow.schema}\0{flow.distinguisher}").sample(range(self.queues), self.hand_size)
        queue = min(dealt, key=lambda q: len(self.waiting.get(q, ())))
        line = self.waiting.setdefault(queue, deque())
        if len(line) >= self.queue_length:
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(future)
        return queue, future

    def next(self) -> asyncio.Future[None]:
        """Who has waited longest in the queue whose turn it is."""
        queue = next(iter(self.waiting))
        line = self.waiting.pop(queue)
        future = line.popleft()
        if line:
            self.waiting[queue] = line
        return future

    def leave(self, queue: int, future: asyncio.Future[None]) -> None:
        line = self.waiting[queue]
        line.remove(future)
        if not line:
            del self.waiting[queue]


class Flow(NamedTuple):
    """What a request was found to be; `headers` tell the client by the objects' UIDs."""

    level: Level
    schema: str
    distinguisher: str
    headers: tuple[tuple[bytes, bytes], ...]


class Fairness:
    """All levels and flows of one server."""

    def __init__(self, seats: int = SEATS) -> None:
        self._seats = seats
        self._levels: dict[str, Level] = {}
        self._schemas: list[Object] = []
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._claimed = 0
        """Seats that run requests or are kept for levels that do not lend them."""
        self._total = 0
        self._crowded: dict[Level, None] = {}
        self._read: Callable[[], tuple[list[Object], list[Object]]] | None = None
        self.configure((), ())

    def follow(self, schemas: ResourceCache, levels: ResourceCache) -> None:
        """Keep to the objects of two watch caches: whatever changes counts from the next request on."""

        def read() -> tuple[list[Object], list[Object]]:
            return [e.object() for e in schemas.entries()], [e.object() for e in levels.entries()]

        def outdate(_: object) -> None:
            self._read = read

        schemas.listen(outdate)
        levels.listen(outdate)
        self._read = read

    def configure(self, schemas: Iterable[Object], levels: Iterable[Object]) -> None:
        """Digest all objects. Mandatory ones that are missing are made up, dangling schemas do not count.

        A level that is gone keeps its seats until those who run or wait in it are done.
        """
        wanted = _with_mandatory(levels, PRIORITY_LEVELS)
        shares = sum(map(shares_of, wanted.values()))
        kept = {name: level for name, level in self._levels.items() if level.used or level.waiting}
        for name, obj in wanted.items():
            level = self._levels.get(name) or Level(name)
            level.configure(obj, self._seats, shares)
            kept[name] = level
        self._levels = kept
        known = _with_mandatory(schemas, FLOW_SCHEMAS)
        self._schemas = [s for s in in_order(known.values()) if _level_of(s) in wanted]
        self._flows.clear()
        self._total = sum(level.nominal for level in kept.values())
        self._claimed = sum(max(level.used, level.least) for level in kept.values())
        self._dispatch()

    def classify(self, user: User, info: RequestInfo) -> Flow:
        """The flow of a request."""
        if self._read is not None:
            read, self._read = self._read, None
            self.configure(*read())
        at = info.at
        path = "" if at.is_resource else at.path
        key = (user.name, user.groups, info.verb, at.group, at.resource, at.subresource, at.namespace, path)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._match(user, info)
            if len(path) <= LONGEST_PATH:
                if len(self._flows) >= REMEMBERED:
                    self._flows.clear()
                self._flows[key] = flow
        return flow

    def _match(self, user: User, info: RequestInfo) -> Flow:
        schema = next((s for s in self._schemas if matches(s, user, info)), None)
        if schema is None:
            schema = next(s for s in self._schemas if s["metadata"]["name"] == CATCH_ALL)
        level, meta = self._levels[_level_of(schema)], schema["metadata"]
        headers = (
            (b"x-kubernetes-pf-flowschema-uid", meta.get("uid", "").encode()),
            (b"x-kubernetes-pf-prioritylevel-uid", level.uid.encode()),
        )
        return Flow(level, meta["name"], distinguisher(schema, user, info), headers)

    def families(self) -> Iterator[Metric]:
        """The levels' limits, for the metrics."""
        for kind, part in (("nominal", "its share of"), ("lower", "what it never lends of"), ("upper", "the most of")):
            name = f"apiserver_flowcontrol_{kind}_limit_seats"
            text = f"Of a priority level: {part} the server's seats."
            gauge = GaugeMetricFamily(name, text, labels=("priority_level",))
            for level in self._levels.values():
                limits = {"nominal": level.nominal, "lower": level.least, "upper": level.most}
                gauge.add_metric((level.name,), limits[kind])
            yield gauge

    # -- seats -------------------------------------------------------------------------------------------------

    def start(self, level: Level) -> bool:
        """Take a seat if one is free; then `give_back` is owed."""
        if level.is_exempt:
            return True
        if not self._has_seat(level):
            return False
        self._take(level)
        return True

    async def wait(self, flow: Flow) -> bool:
        """Wait for the seat that was not free; False when the request is to be refused."""
        level = flow.level
        place = level.enqueue(flow)
        if place is None:
            return False
        self._crowded[level] = None
        queue, future = place
        try:
            async with asyncio.timeout(WAIT_S):
                try:
                    await future
                except asyncio.CancelledError:
                    if future.cancelled():
                        level.leave(queue, future)
                    else:
                        self.give_back(level)
                    raise
        except TimeoutError:
            return False
        return True

    def give_back(self, level: Level) -> None:
        if level.is_exempt:
            return
        level.used -= 1
        if level.used >= level.least:
            self._claimed -= 1
        if self._crowded:
            self._dispatch()

    def _has_seat(self, level: Level) -> bool:
        return level.used < level.least or (self._claimed < self._total and level.used < level.most)

    def _take(self, level: Level) -> None:
        if level.used >= level.least:
            self._claimed += 1
        level.used += 1

    def _dispatch(self) -> None:
        """Give free seats to those who wait, first where least of a level's own seats are taken."""
        while True:
            for level in [level for level in self._crowded if not level.waiting]:
                del self._crowded[level]
            able = [level for level in self._crowded if self._has_seat(level)]
            if not able:
                return
            level = min(able, key=lambda level: level.used / (level.nominal or 1))
            self._take(level)
            level.next().set_result(None)


def shares_of(level: Object) -> int:
    spec = level["spec"]
    shares: int | None = (spec.get("limited") or spec.get("exempt") or {}).get("nominalConcurrencyShares")
    return shares or 0


def _level_of(schema: Object) -> str:
    name: str = schema["spec"]["priorityLevelConfiguration"]["name"]
    return name


def _with_mandatory(objects: Iterable[Object], specs: Mapping[str, Object]) -> dict[str, Object]:
    """By name, with the specs that cannot be done without."""
    fixed: dict[str, Object] = {name: {"metadata": {"name": name}, "spec": spec} for name, spec in specs.items()}
    return fixed | {obj["metadata"]["name"]: obj for obj in objects}
