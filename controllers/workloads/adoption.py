"""Which workloads would take over an object that has lost its controller.

Follows: pkg/controller/*, getPodDaemonSets, getPodStatefulSets, getPodJobs, getDeploymentsForReplicaSet
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from controllers.runtime.controller import Controller
from controllers.runtime.objects import Key, Object, key_of, labels_of, namespace_of
from openapi.catalog import Resource
from openapi.meta.selectors import from_label_selector


def adopters(owner: Resource) -> Callable[[Controller, Object], Iterable[Key]]:
    """For `Owns(orphans=...)`: the keys of those of `owner` whose selector, if not empty, matches the orphan."""

    def keys(controller: Controller, orphan: Object) -> Iterable[Key]:
        for workload in controller.store(owner).all(namespace_of(orphan)):
            selector = from_label_selector(workload["spec"].get("selector"))
            if not selector.empty and selector.matches(labels_of(orphan)):
                yield key_of(workload)

    return keys
