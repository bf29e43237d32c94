"""The parts of a starting server, and under which names of Kubernetes' start hooks health endpoints tell of them.

Follows: kube-apiserver's post-start hooks, as /readyz?verbose lists them
"""

from __future__ import annotations

STORE, OBJECTS, WORKERS = "store", "objects", "workers"
"""The caches are filled; the default objects are there; the tasks that keep things up to date run."""

HOOKS = (
    ("start-apiserver-admission-initializer", STORE),
    ("generic-apiserver-start-informers", STORE),
    ("priority-and-fairness-config-consumer", WORKERS),
    ("priority-and-fairness-filter", STORE),
    ("storage-object-count-tracker-hook", STORE),
    ("start-apiextensions-informers", STORE),
    ("start-apiextensions-controllers", WORKERS),
    ("crd-informer-synced", WORKERS),
    ("start-system-namespaces-controller", OBJECTS),
    ("peer-endpoint-reconciler-controller", OBJECTS),
    ("start-cluster-authentication-info-controller", OBJECTS),
    ("start-kube-apiserver-identity-lease-controller", WORKERS),
    ("start-kube-apiserver-identity-lease-garbage-collector", WORKERS),
    ("storage-readiness", STORE),
    ("start-legacy-token-tracking-controller", OBJECTS),
    ("start-service-ip-repair-controllers", WORKERS),
    ("rbac/bootstrap-roles", OBJECTS),
    ("scheduling/bootstrap-system-priority-classes", OBJECTS),
    ("priority-and-fairness-config-producer", OBJECTS),
    ("bootstrap-controller", OBJECTS),
    ("start-kubernetes-service-cidr-controller", OBJECTS),
    ("start-kube-aggregator-informers", STORE),
    ("apiservice-status-local-available-controller", WORKERS),
    ("apiservice-status-remote-available-controller", WORKERS),
    ("apiservice-registration-controller", WORKERS),
    ("apiservice-wait-for-first-sync", WORKERS),
    ("apiservice-discovery-controller", WORKERS),
    ("kube-apiserver-autoregistration", OBJECTS),
    ("autoregister-completion", OBJECTS),
    ("apiservice-openapi-controller", WORKERS),
    ("apiservice-openapiv3-controller", WORKERS),
)
"""Hook, and the part that does its work here, in the order of starting."""
_GATE = "autoregister-completion"
"""A check of its own name, though it is listed among the hooks."""


def hook_checks() -> list[tuple[str, str]]:
    """Name of each check and the part that it asks for."""
    return [(hook if hook == _GATE else f"poststarthook/{hook}", part) for hook, part in HOOKS]
