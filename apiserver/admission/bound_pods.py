"""What the plugins that hold an updated pod against its node have in common."""

from __future__ import annotations

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta.field import quote


class BoundPodPlugin(Plugin):
    """Looks at updates of pods that have a node."""

    operations = frozenset((UPDATE,))
    resources = frozenset((GroupResource("", "pods"),))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._nodes = Lookup(store, catalog, "", "nodes")

    def node_name(self, attributes: Attributes) -> str:
        """The node of a pod whose spec changes; empty if it has none, or if its spec stays as it was."""
        pod, old = attributes.obj, attributes.old
        assert pod is not None and old is not None
        if pod["metadata"].get("generation") == old["metadata"].get("generation"):
            return ""
        return str(pod["spec"].get("nodeName", ""))

    async def node(self, attributes: Attributes, name: str) -> Entry:
        """The node called `name`. Raises 403 if there is none."""
        entry = await self._nodes.find("", name)
        if entry is None:
            raise forbidden(attributes, f"node {quote(name)} not found")
        return entry
