"""What actions work with: the registry's parts, handed over once."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from apiserver.admission.chain import Chain
from apiserver.auth.authenticator import Authenticator
from apiserver.auth.authorizer import Chain as Authorizers
from apiserver.auth.service_accounts import Objects, TokenIssuer
from apiserver.registry.bodies import Bodies
from apiserver.registry.deletes import Deletes
from apiserver.registry.endpoint import Endpoint
from apiserver.registry.endpoints import Endpoints
from apiserver.registry.reads import Reads
from apiserver.registry.verbs import Verbs
from apiserver.registry.writes import Writes
from apiserver.resources.scale import COLUMNS as SCALE_COLUMNS
from apiserver.resources.scale import scale_cells
from apiserver.resources.strategy import Strategy
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupVersionKind, Resource
from openapi.schema.load import schema_for

SCALE_SCHEMA = "io.k8s.api.autoscaling.v1.Scale"


class _ScaleStrategy(Strategy):
    columns = SCALE_COLUMNS
    cells = staticmethod(scale_cells)  # type: ignore[assignment]


@dataclass(slots=True)
class Services:
    """`audiences` are the API server's own."""

    store: Store
    catalog: Catalog
    endpoints: Endpoints
    reads: Reads
    writes: Writes
    deletes: Deletes
    bodies: Bodies
    verbs: Verbs
    chain: Chain
    authenticator: Authenticator
    authorizer: Authorizers
    issuer: TokenIssuer
    audiences: Sequence[str]
    bound: Objects
    node_tls: ssl.SSLContext | None = None
    _scales: dict[str, Endpoint] = field(default_factory=dict)

    def scale_endpoint(self, parent: Endpoint) -> Endpoint:
        """The endpoint of a parent's Scale: the parent's names, the Scale's kind and schema."""
        row = parent.resource
        found = self._scales.get(row.prefix)
        if found is None:
            scale = Resource(
                "autoscaling", "v1", row.resource, "Scale", SCALE_SCHEMA, row.namespaced, prefix=row.prefix
            )
            gvk = GroupVersionKind("autoscaling", "v1", "Scale")
            found = Endpoint(scale, scale, _ScaleStrategy(), lambda: schema_for(gvk))
            self._scales[row.prefix] = found
        return found
