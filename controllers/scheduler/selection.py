"""Choosing nodes by their fields, and pods by labels and namespaces: rules compiled once, then asked often.

Follows: staging/src/k8s.io/component-helpers/scheduling/corev1/{helpers.go,nodeaffinity/nodeaffinity.go},
staging/src/k8s.io/kube-scheduler/framework/types.go (AffinityTerm)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from openapi.meta.selectors import IN, LabelSelector, Requirement, from_label_selector

Bools = NDArray[np.bool_]
Spec = Mapping[str, Any]
Labels = Mapping[str, str]

HARD_EFFECTS = frozenset(("NoSchedule", "NoExecute"))
"""The effects of taints that keep pods from being scheduled."""


class NodeColumns(Protocol):
    """What the rules about nodes need of a snapshot: one bool per row, in fresh or shared arrays not to be changed."""

    @property
    def size(self) -> int: ...

    def label_in(self, key: str, values: Sequence[str]) -> Bools: ...

    def has_label(self, key: str) -> Bools: ...

    def label_where(self, key: str, test: Callable[[str], bool]) -> Bools: ...

    def named(self, names: Iterable[str]) -> Bools: ...


class NodeTerm:
    """One term of a node selector: all its expressions and fields must hold; an empty one holds nowhere."""

    __slots__ = ("expressions", "fields")

    def __init__(self, term: Spec) -> None:
        self.expressions = tuple(term.get("matchExpressions") or ())
        self.fields = tuple(term.get("matchFields") or ())

    def mask(self, columns: NodeColumns) -> Bools:
        if not self.expressions and not self.fields:
            return np.zeros(columns.size, dtype=np.bool_)
        result = np.ones(columns.size, dtype=np.bool_)
        for expression in self.expressions:
            result &= _expression_mask(expression, columns)
        for field in self.fields:
            result &= _field_mask(field, columns)
        return result

    def names(self) -> set[str] | None:
        """The names of the only nodes that may match; None where names do not limit them."""
        found: set[str] | None = None
        for field in self.fields:
            if field.get("key") == "metadata.name" and field.get("operator") == "In":
                values = set(field.get("values") or ())
                found = values if found is None else found & values
        return found


def _expression_mask(expression: Spec, columns: NodeColumns) -> Bools:
    key, operator = expression["key"], expression.get("operator")
    values: Sequence[str] = expression.get("values") or ()
    if operator == "In":
        return columns.label_in(key, values)
    if operator == "NotIn":
        return ~columns.label_in(key, values)
    if operator == "Exists":
        return columns.has_label(key)
    if operator == "DoesNotExist":
        return ~columns.has_label(key)
    limit = _integer(str(values[0])) if values else None
    if limit is None or operator not in ("Gt", "Lt"):
        return np.zeros(columns.size, dtype=np.bool_)
    return columns.label_where(key, partial(_exceeds, limit, operator))


def _exceeds(limit: int, operator: str, text: str) -> bool:
    number = _integer(text)
    if number is None:
        return False
    return number > limit if operator == "Gt" else number < limit


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _field_mask(field: Spec, columns: NodeColumns) -> Bools:
    if field.get("key") != "metadata.name":
        return np.zeros(columns.size, dtype=np.bool_)
    named = columns.named(field.get("values") or ())
    return ~named if field.get("operator") == "NotIn" else named


class NodeSelection:
    """Where a pod may run by its `nodeSelector` and required node affinity."""

    __slots__ = ("labels", "terms")

    def __init__(self, labels: Labels | None, terms: Sequence[NodeTerm] | None) -> None:
        self.labels = dict(labels or {})
        self.terms = terms

    @staticmethod
    def of_selector(selector: Spec | None) -> NodeSelection:
        """The nodes of a NodeSelector (`{nodeSelectorTerms}`); None selects all."""
        terms = None if selector is None else [NodeTerm(term) for term in selector.get("nodeSelectorTerms") or ()]
        return NodeSelection(None, terms)

    @staticmethod
    def of_pod(spec: Spec) -> NodeSelection:
        required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        )
        terms = None if required is None else [NodeTerm(term) for term in required.get("nodeSelectorTerms") or ()]
        return NodeSelection(spec.get("nodeSelector"), terms)

    @property
    def everywhere(self) -> bool:
        return not self.labels and self.terms is None

    def matches(self, node: Spec) -> bool:
        """Whether it allows one node, known to no columns."""
        return bool(self.mask(_OneNode(node))[0])

    def mask(self, columns: NodeColumns) -> Bools:
        result = np.ones(columns.size, dtype=np.bool_)
        for key, value in self.labels.items():
            result &= columns.label_in(key, (value,))
        if self.terms is not None:
            any_term = np.zeros(columns.size, dtype=np.bool_)
            for term in self.terms:
                any_term |= term.mask(columns)
            result &= any_term
        return result


class _OneNode:
    """The columns of one node."""

    size = 1

    def __init__(self, node: Spec) -> None:
        self._name: str = node["metadata"]["name"]
        self._labels: Labels = node["metadata"].get("labels") or {}

    def label_in(self, key: str, values: Sequence[str]) -> Bools:
        return np.array([key in self._labels and self._labels[key] in values])

    def has_label(self, key: str) -> Bools:
        return np.array([key in self._labels])

    def label_where(self, key: str, test: Callable[[str], bool]) -> Bools:
        return np.array([key in self._labels and test(self._labels[key])])

    def named(self, names: Iterable[str]) -> Bools:
        return np.array([self._name in set(names)])


class Taint(NamedTuple):
    key: str
    value: str
    effect: str


class Toleration(NamedTuple):
    key: str
    operator: str
    value: str
    effect: str

    @staticmethod
    def parse(spec: Spec) -> Toleration:
        get = spec.get
        return Toleration(get("key") or "", get("operator") or "Equal", get("value") or "", get("effect") or "")

    def tolerates(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        if self.operator == "Equal":
            return self.value == taint.value
        limit, number = _integer(self.value), _integer(taint.value)
        if limit is None or number is None:
            return False
        return number < limit if self.operator == "Lt" else self.operator == "Gt" and number > limit


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    return any(toleration.tolerates(taint) for toleration in tolerations)


@dataclass(frozen=True, slots=True)
class PodSelection:
    """Pods of some namespaces with some labels. `namespace_selector` adds namespaces by label; None adds none."""

    namespaces: frozenset[str]
    selector: LabelSelector
    namespace_selector: LabelSelector | None = None

    def matches(self, namespace: str, labels: Labels, namespace_labels: Callable[[str], Labels]) -> bool:
        if namespace not in self.namespaces and (
            self.namespace_selector is None or not self.namespace_selector.matches(namespace_labels(namespace))
        ):
            return False
        return self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A term of pod (anti-)affinity: near or far from the pods of `pods`, as far as `topology_key` reaches."""

    pods: PodSelection
    topology_key: str
    weight: int = 0


def pod_terms(rules: Sequence[Spec] | None, namespace: str, labels: Labels) -> tuple[PodTerm, ...]:
    """The required terms in `rules`, of a pod in `namespace` with `labels`."""
    return tuple(_pod_term(rule, namespace, labels, 0) for rule in rules or ())


def weighted_pod_terms(rules: Sequence[Spec] | None, namespace: str, labels: Labels) -> tuple[PodTerm, ...]:
    """The preferred terms in `rules`; those of weight 0 say nothing."""
    return tuple(
        _pod_term(rule["podAffinityTerm"], namespace, labels, rule["weight"])
        for rule in rules or ()
        if rule.get("weight")
    )


def _pod_term(rule: Spec, namespace: str, labels: Labels, weight: int) -> PodTerm:
    names = frozenset(rule.get("namespaces") or ())
    by_label = rule.get("namespaceSelector")
    if not names and by_label is None:
        names = frozenset((namespace,))
    selector = merge_label_keys(from_label_selector(rule.get("labelSelector")), rule.get("matchLabelKeys"), labels)
    pods = PodSelection(names, selector, None if by_label is None else from_label_selector(by_label))
    return PodTerm(pods, rule.get("topologyKey") or "", weight)


def merge_label_keys(selector: LabelSelector, keys: Sequence[str] | None, labels: Labels) -> LabelSelector:
    """The selector, narrowed to pods that share the values of the label `keys` with a pod that has `labels`."""
    if selector.nothing or not keys:
        return selector
    more = [Requirement(key, IN, (labels[key],)) for key in keys if key in labels]
    return LabelSelector((*selector.requirements, *more)) if more else selector
