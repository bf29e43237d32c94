"""What a plugin is: the points of a scheduling cycle at which it may speak, and the values it speaks in.

A plugin inherits from the points it serves. `filter` and `score` answer for many nodes at once: `rows` says which, as
an index into the arrays of the snapshot, and every array in an answer has one value per row asked.
Follows: staging/src/k8s.io/kube-scheduler/framework/interface.go
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.snapshot import Snapshot
from controllers.scheduler.world import World

if TYPE_CHECKING:
    from controllers.scheduler.nomination import Nominations
    from controllers.scheduler.profile import Profile

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Rows = slice | Ints
View = Mapping[str, Any]

ALL: Final = slice(None)
MAX_SCORE = 100


class Rejection(NamedTuple):
    """Some of the rows asked do not do, for a reason. `final`: taking pods away from the node would not help."""

    failing: Bools
    reason: str
    final: bool


class Skip:
    """A plugin has nothing to say about this pod: its `filter` (or `score`) is left out."""


class Refuse(NamedTuple):
    """No node will do, whatever the others say."""

    reason: str
    final: bool = True


class Only(NamedTuple):
    """Only the nodes of these names may do."""

    names: frozenset[str]


SKIP: Final = Skip()
PreFilterAnswer = Skip | Refuse | Only | None


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """A change that may help waiting pods. `fields` names what changed in an update.

    resource: nodes, pods (on a node), pod (the waiting pod itself), or another plural resource name.
    action: add, update or delete. For pods, `pod` is the pod as it was last on its node, `new_pod` as it is.
    """

    resource: str
    action: str
    fields: frozenset[str] = frozenset()
    old: View | None = None
    new: View | None = None
    pod: PodInfo | None = None
    row: int = -1


class SchedulingError(Exception):
    """The attempt cannot be finished now for a reason that is not the cluster's state; it is tried again later."""


class Cycle:
    """One attempt to place one pod: what plugins read, and where they leave notes for their later points."""

    __slots__ = (
        "blocked",
        "candidates",
        "diagnosis",
        "nominations",
        "pod",
        "profile",
        "skipped",
        "snapshot",
        "state",
        "template",
        "world",
    )

    def __init__(self, pod: PodInfo, world: World, profile: Profile, nominations: Nominations) -> None:
        self.pod = pod
        self.profile = profile
        self.nominations = nominations
        self.template: Template = pod.template
        self.world = world
        self.snapshot: Snapshot = world.snapshot
        self.state: dict[str, Any] = {}
        self.skipped: set[str] = set()
        self.candidates: Bools = self.snapshot.alive
        """The rows that the look at the pod itself has left."""
        self.blocked: list[Finding] = []
        """What turns down rows only because of the pods nominated for them."""
        self.diagnosis = Diagnosis(0)


class Plugin(ABC):
    """A rule. `args` are its arguments from the configuration, with defaults filled in."""

    name: ClassVar[str]
    per_node: ClassVar[bool] = False
    """Whether what `filter` and `score` say of a node depends on the template and that node's own row only."""

    def __init__(self, args: View, world: World) -> None:
        self.args = args
        self.world = world

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        """Whether a pod that this plugin turned away may fit after the event."""
        return True


class PreEnqueue(Plugin):
    @abstractmethod
    def pre_enqueue(self, pod: PodInfo) -> bool:
        """Whether the pod may be tried at all now."""


class PreFilter(Plugin):
    def concerns(self, template: Template) -> bool:
        """Whether it may have anything to say about such pods: asked once per workload, so that it may be left out."""
        return True

    @abstractmethod
    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        """Look at the pod before any node."""


class Filter(Plugin):
    @abstractmethod
    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        """Which of the rows do not do, and why."""

    def fails(self, cycle: Cycle, row: int) -> bool:
        """Whether one row does not do: as `filter`, for plugins that tell it faster of one."""
        return any(bool(rejection.failing[0]) for rejection in self.filter(cycle, np.array([row])))


class PostFilter(Plugin):
    @abstractmethod
    def post_filter(self, cycle: Cycle, diagnosis: Diagnosis) -> PostFilterResult:
        """Try to make room for a pod that fits nowhere."""


class Score(Plugin):
    @abstractmethod
    def score(self, cycle: Cycle, feasible: Ints) -> Ints | None:
        """Points from 0 to MAX_SCORE for each feasible row; None: no opinion."""


class NodeScore(Plugin):
    """A score that needs no look at other nodes until it is normalised: kept per workload, refreshed per row."""

    per_node = True
    is_normalized: ClassVar[bool] = False
    """Whether its points mean something only in comparison: then `normalize` makes the score of them."""

    @abstractmethod
    def raw_score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        """Points for each row; None: no opinion about such pods."""

    def row_score(self, cycle: Cycle, row: int) -> int | None:
        """As `raw_score`, of one row."""
        scores = self.raw_score(cycle, np.array([row]))
        return None if scores is None else int(scores[0])

    def normalize(self, scores: Ints) -> Ints:
        """The points of the feasible rows, brought to 0..MAX_SCORE."""
        return scores


class Reserve(Plugin):
    @abstractmethod
    def reserve(self, cycle: Cycle, node: str) -> Refuse | None:
        """Note what the pod will take on the node that was chosen."""

    @abstractmethod
    def unreserve(self, cycle: Cycle, node: str) -> None:
        """Take that back."""


class Binder(Protocol):
    """The API as far as binding needs it. Refusals are `SchedulingError`."""

    async def bind(self, pod: PodInfo, node: str) -> None: ...

    async def update(self, collection: str, obj: View, subresource: str = "") -> View | None:
        """Replace an object of a collection of the world; the server's version, or None where it has changed."""

    async def create(self, collection: str, obj: View) -> View:
        """Create an object of a collection of the world; answers the server's version."""

    async def remove(self, collection: str, obj: View) -> None:
        """Delete it, if it is still there."""

    async def set_status(self, pod: PodInfo, status: View) -> None:
        """Merge `status` into the pod's."""

    async def release(self, claim: View, pod: PodInfo) -> None:
        """Take the pod off those that use a resource claim. Must not raise."""

    def tell(self, pod: PodInfo, reason: str, note: str) -> None:
        """Record an event about the pod."""

    async def fetch(self, collection: str, namespace: str, name: str) -> View:
        """The server's version."""

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a change of the world makes it hold; False if that takes too long."""


class PreBind(Plugin):
    @abstractmethod
    def will_act(self, cycle: Cycle) -> bool:
        """Whether `pre_bind` has anything to do, which may take long."""

    @abstractmethod
    async def pre_bind(self, cycle: Cycle, node: str, binder: Binder) -> None:
        """Do what must be done before the pod is bound; raises SchedulingError."""

    async def roll_back(self, cycle: Cycle, node: str, binder: Binder) -> None:
        """Take back what `pre_bind` has written, as the pod could not be bound. Must not raise."""
        return


class Bind(Plugin):
    @abstractmethod
    async def bind(self, cycle: Cycle, node: str, binder: Binder) -> bool:
        """Bind the pod; False leaves it to the next plugin."""


class Finding(NamedTuple):
    """Rows that one plugin turned away first, over the whole snapshot."""

    plugin: str
    rows: Bools
    reason: str
    final: bool


@dataclass(slots=True)
class Diagnosis:
    """Why no node did."""

    nodes: int
    findings: list[Finding] = field(default_factory=list)
    refusal: str = ""
    """The reason of a plugin that spoke for all nodes."""
    absent: int = 0
    """Nodes that were not looked at, because of `absent_reason`."""
    absent_reason: str = ""
    plugins: set[str] = field(default_factory=set)
    """Who turned the pod away: their word decides which events wake it."""
    post_filter: str = ""

    def helpable(self, alive: Bools) -> Bools:
        """The rows where taking pods away might help."""
        result = np.zeros(len(alive), dtype=np.bool_)
        if self.refusal or not self.findings:
            return result
        for finding in self.findings:
            if not finding.final:
                result |= finding.rows
        for finding in self.findings:
            if finding.final:
                result &= ~finding.rows
        return result & alive

    def message(self) -> str:
        """The words of the condition and the event."""
        return fit_message(self.nodes, self.reasons(), self.refusal, self.post_filter)

    def reasons(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for finding in self.findings:
            number = int(np.count_nonzero(finding.rows))
            if number:
                counts[finding.reason] = counts.get(finding.reason, 0) + number
        if self.absent:
            counts[self.absent_reason] = counts.get(self.absent_reason, 0) + self.absent
        return counts


def fit_message(nodes: int, reasons: Mapping[str, int], refusal: str = "", post_filter: str = "") -> str:
    """`0/3 nodes are available: ...`, the reasons sorted as texts, with their counts."""
    text = f"0/{nodes} nodes are available:"
    if refusal:
        text += f" {refusal}."
    elif reasons:
        text += f" {', '.join(sorted(f'{count} {reason}' for reason, count in reasons.items()))}."
    return f"{text} {post_filter}" if post_filter else text


@dataclass(frozen=True, slots=True)
class Victims:
    """Pods to take away from a node, the most important first."""

    node: str
    pods: Sequence[PodInfo]
    violations: int = 0


@dataclass(frozen=True, slots=True)
class PostFilterResult:
    """What a PostFilter plugin achieved.

    nominate: the node that will have room ('' clears an earlier choice, None leaves it); victims: who must go for it.
    """

    success: bool
    message: str = ""
    nominate: str | None = None
    victims: Victims | None = None
    candidates: Sequence[Victims] = ()
    """All that `victims` was chosen from."""
    deallocate: View | None = None
    """A resource claim to be written without its devices."""
    remove: View | None = None
    """A resource claim to be deleted."""
    failed: bool = False
    """An error: the plugins after this one are not asked."""


def normalize(scores: Ints, *, reverse: bool = False) -> Ints:
    """Scale the scores so that the largest becomes MAX_SCORE; `reverse` makes the smallest the best."""
    largest = int(scores.max()) if len(scores) else 0
    if largest == 0:
        return np.full_like(scores, MAX_SCORE) if reverse else scores
    scaled = scores * MAX_SCORE // largest
    return MAX_SCORE - scaled if reverse else scaled


def rejected(failing: Bools, reason: str, *, final: bool = False) -> Iterable[Rejection]:
    """One rejection, or none where nothing fails."""
    return (Rejection(failing, reason, final),) if failing.any() else ()
