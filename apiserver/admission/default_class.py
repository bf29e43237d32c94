"""Classes of which one can be marked as the default, and the plugins that fill it in.

Follows: plugin/pkg/admission/storage/storageclass/setdefault, plugin/pkg/admission/network/defaultingressclass,
pkg/volume/util/storageclass.go
"""

from __future__ import annotations

from typing import Any

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CREATE, Attributes, Plugin
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource

Object = dict[str, Any]

_OLD_CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class"
_OLD_INGRESS_CLASS = "kubernetes.io/ingress.class"


class DefaultStorageClass(Plugin):
    """Claims that name no class get the default; of several the newest."""

    name = "DefaultStorageClass"
    operations = frozenset((CREATE,))
    resources = frozenset((GroupResource("", "persistentvolumeclaims"),))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._classes = Lookup(store, catalog, "storage.k8s.io", "storageclasses")

    async def mutate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        meta, spec = attributes.obj["metadata"], attributes.obj.setdefault("spec", {})
        if spec.get("storageClassName") is not None or _OLD_CLAIM_CLASS in (meta.get("annotations") or {}):
            return
        names = _defaults(self._classes, "storageclass.kubernetes.io/is-default-class",
                          "storageclass.beta.kubernetes.io/is-default-class")  # fmt: skip
        if names:
            spec["storageClassName"] = names[0]


class DefaultIngressClass(Plugin):
    """Ingresses that name no class get the default; of several the newest."""

    name = "DefaultIngressClass"
    operations = frozenset((CREATE,))
    resources = frozenset((GroupResource("networking.k8s.io", "ingresses"),))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._classes = Lookup(store, catalog, "networking.k8s.io", "ingressclasses")

    async def mutate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        meta, spec = attributes.obj["metadata"], attributes.obj.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or _OLD_INGRESS_CLASS in (meta.get("annotations") or {}):
            return
        names = _defaults(self._classes, "ingressclass.kubernetes.io/is-default-class")
        if names:
            spec["ingressClassName"] = names[0]


def _defaults(classes: Lookup, *annotations: str) -> list[str]:
    """The names of the classes marked so, the newest first, then by name."""
    found: list[tuple[str, str]] = []
    for entry in classes.all():
        created = fact(entry, "admission.default", lambda obj: _marked(obj, annotations))
        if created:
            found.append((created, entry.name))
    found.sort(key=lambda item: item[1])
    found.sort(key=lambda item: item[0], reverse=True)
    return [name for _, name in found]


def _marked(obj: Object, annotations: tuple[str, ...]) -> str:
    """When a default class was created; '' for others."""
    meta = obj["metadata"]
    given = meta.get("annotations") or {}
    return str(meta["creationTimestamp"]) if any(given.get(name) == "true" for name in annotations) else ""
