"""Where the server behind an API service is, and by which certificate it is known.

Follows: staging/src/k8s.io/kube-aggregator/pkg/apiserver/resolvers.go (with aggregator routing)
"""

from __future__ import annotations

import base64
import random
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiserver.outbound import Target
from apiserver.service_endpoints import SERVICE_LABEL, ready_addresses
from apiserver.storage.cache import ResourceCache
from apiserver.storage.store import Store
from openapi.catalog import Catalog
from openapi.meta.field import quote

Struct = Mapping[str, Any]

PORT = 443


class Unresolved(Exception):
    """There is no way to the service now; the text says why."""


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """The certificate and key by which other API servers know us, and the CA that they trust for it (PEM files)."""

    cert: Path
    key: Path
    ca: Path
    names: tuple[str, ...] = ("front-proxy-client",)


class Locator:
    """Finds the servers behind API services; `proxy` None shows them no certificate."""

    def __init__(self, store: Store, catalog: Catalog, proxy: FrontProxy | None) -> None:
        self._store = store
        self._catalog = catalog
        self._proxy = proxy
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def service(self, reference: Struct) -> Struct | None:
        entry = self._cache("", "services").get(reference["namespace"], reference["name"])
        return None if entry is None else entry.object()

    def slices(self, reference: Struct) -> Sequence[Struct]:
        cache = self._cache("discovery.k8s.io", "endpointslices")
        entries = cache.entries(reference["namespace"])
        return [e.object() for e in entries if e.labels.get(SERVICE_LABEL) == reference["name"]]

    def target(self, spec: Struct, path: str) -> Target:
        """Where to carry a request for `path` (with its query). Raises Unresolved."""
        reference = spec["service"]
        host, port = self._address(reference)
        name = f"{reference['name']}.{reference['namespace']}.svc"
        return Target(host, port, path, self._tls(spec), name)

    def _address(self, reference: Struct) -> tuple[str, int]:
        service, name, port = self.service(reference), reference["name"], reference.get("port") or PORT
        if service is None:
            raise Unresolved(f"services {quote(name)} not found")
        if service["spec"].get("type") == "ExternalName":
            return service["spec"].get("externalName", ""), port
        known = next((p for p in service["spec"].get("ports") or () if p["port"] == port), None)
        if known is None:
            raise Unresolved(f"no service port {port} found for service {quote(name)}")
        slices = self.slices(reference)
        found = ready_addresses(slices, known.get("name", ""))
        if found:
            return random.choice(found)
        address = service["spec"].get("clusterIP", "")
        if slices or address in ("", "None"):
            raise Unresolved(f"no endpoints available for service {quote(name)}")
        return address, port

    def _tls(self, spec: Struct) -> ssl.SSLContext:
        bundle, insecure = spec.get("caBundle") or "", bool(spec.get("insecureSkipTLSVerify"))
        context = self._contexts.get((bundle, insecure))
        if context is None:
            context = self._contexts[bundle, insecure] = self._new_context(bundle, insecure=insecure)
        return context

    def _new_context(self, bundle: str, *, insecure: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif bundle:
            try:
                context.load_verify_locations(cadata=base64.b64decode(bundle).decode("ascii"))
            except (ValueError, ssl.SSLError) as err:
                raise Unresolved(f"unable to load root certificates: {err}") from err
        else:
            context.load_default_certs()
        if self._proxy is not None:
            context.load_cert_chain(self._proxy.cert, self._proxy.key)
        return context

    def _cache(self, group: str, resource: str) -> ResourceCache:
        row = self._catalog.by_gvr(group, "v1", resource)
        assert row is not None
        return self._store.cache(row)
