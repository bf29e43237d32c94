"""Nothing new in namespaces that are not there or are going; the system's namespaces stay.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go
"""

from __future__ import annotations

import time
from typing import Any

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CREATE, DELETE, UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta import status

Object = dict[str, Any]

NAMESPACES = GroupResource("", "namespaces")
PROTECTED = frozenset(("default", "kube-system", "kube-public"))
_REVIEWS = GroupResource("authorization.k8s.io", "localsubjectaccessreviews")
_DOUBT_S = 30.0
"""So long after a deletion began, what the cache says of the namespace is checked with the store."""


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"
    operations = frozenset((CREATE, UPDATE, DELETE))
    subresources = None

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._namespaces = Lookup(store, catalog, "", "namespaces")
        self._doubtful: dict[str, float] = {}

    async def mutate(self, attributes: Attributes) -> None:
        namespace, operation = attributes.namespace, attributes.operation
        if attributes.resource.gr == NAMESPACES:
            if operation == DELETE:
                self._delete(attributes)
            return
        if not namespace or operation == DELETE or attributes.resource.gr == _REVIEWS:
            return
        entry = self._namespaces.cached("", namespace)
        if entry is None or (self._doubtful and self._is_doubtful(namespace)):
            entry = await self._namespaces.live("", namespace)
        if entry is None:
            raise status.not_found("", "namespaces", namespace)
        if operation == CREATE and fact(entry, "admission.terminating", _is_terminating):
            raise _terminating(attributes)

    def _delete(self, attributes: Attributes) -> None:
        if attributes.name in PROTECTED:
            raise status.forbidden("", "namespaces", attributes.name, "this namespace may not be deleted")
        now = time.monotonic()
        self._doubtful = {name: end for name, end in self._doubtful.items() if end > now}
        self._doubtful[attributes.name] = now + _DOUBT_S

    def _is_doubtful(self, namespace: str) -> bool:
        return self._doubtful.get(namespace, 0.0) > time.monotonic()


def _is_terminating(namespace: Object) -> bool:
    return (namespace.get("status") or {}).get("phase") == "Terminating"


def _terminating(attributes: Attributes) -> status.StatusError:
    namespace = attributes.namespace
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(attributes, why)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
