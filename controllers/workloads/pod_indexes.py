"""Finding pods by their node and by the claims of their volumes: the indexes that several controllers share."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.runtime.objects import View, name_of, namespace_of
from controllers.runtime.store import Store

BY_NODE, BY_CLAIM = "node", "claim"


def index_by_node(pods: Store) -> None:
    """Keep `by_index(BY_NODE, node name)`."""
    pods.add_index(BY_NODE, lambda pod: filter(None, (pod["spec"].get("nodeName"),)))


def index_by_claim(pods: Store) -> None:
    """Keep `by_index(BY_CLAIM, "namespace/name")`, for claims of ephemeral volumes too."""
    pods.add_index(BY_CLAIM, claims_of)


def claims_of(pod: View) -> Iterator[str]:
    """`namespace/name` of every claim behind the pod's volumes."""
    namespace = namespace_of(pod)
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield f"{namespace}/{volume['persistentVolumeClaim']['claimName']}"
        elif "ephemeral" in volume:
            yield f"{namespace}/{name_of(pod)}-{volume['name']}"
