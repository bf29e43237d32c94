"""The composition of an API server: store, registry, auth and paths put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from apiserver.admission.chain import Chain
from apiserver.admission.plugins import admission_plugins
from apiserver.admission.policies.webhooks import Caller
from apiserver.aggregation.availability import Availability
from apiserver.aggregation.location import FrontProxy, Locator
from apiserver.aggregation.proxy import Aggregator
from apiserver.audit.log import Audit
from apiserver.audit.policy import read_policy
from apiserver.auth import node_graph, rbac
from apiserver.auth.authenticator import Authenticator, TokenAuthenticator
from apiserver.auth.authorizer import Chain as Authorizers
from apiserver.auth.authorizer import MastersAuthorizer
from apiserver.auth.escalation import EscalationCheck
from apiserver.auth.expressions import attributes_of
from apiserver.auth.jwt import SigningKey
from apiserver.auth.node import NodeAuthorizer
from apiserver.auth.node_graph import NodeGraph
from apiserver.auth.rbac import RbacAuthorizer, RbacIndex
from apiserver.auth.service_accounts import (
    ServiceAccountTokens,
    TokenIssuer,
    json_web_keys,
    openid_configuration,
)
from apiserver.auth.token_file import StaticTokens, read_token_file
from apiserver.bootstrap import ClusterFacts, ensure, renew_identity
from apiserver.bootstrap.roles import CLUSTER_ROLES
from apiserver.bootstrap.rule import as_policy_rule
from apiserver.extensions.definitions import Definitions
from apiserver.fairness import Fairness
from apiserver.health import Health
from apiserver.metrics import Metrics
from apiserver.objects import BoundObjects, SystemWriter
from apiserver.paths import SystemPaths
from apiserver.pipeline import Pipeline
from apiserver.registry.actions.services import Services
from apiserver.registry.actions.table import action_table
from apiserver.registry.bodies import Bodies
from apiserver.registry.deletes import Deletes
from apiserver.registry.endpoints import Endpoints
from apiserver.registry.reads import Reads
from apiserver.registry.role_escalation import RoleEscalation
from apiserver.registry.verbs import Verbs
from apiserver.registry.versions import ServedVersions
from apiserver.registry.watches import Watches
from apiserver.registry.writes import Writes
from apiserver.resources.core.allocation import ServiceAllocator
from apiserver.resources.core.services import build_services
from apiserver.resources.strategy import User
from apiserver.resources.table import STRATEGIES
from apiserver.stages import OBJECTS, STORE, WORKERS, hook_checks
from apiserver.storage.backend import Backend, StorageError
from apiserver.storage.cache import ResourceCache
from apiserver.storage.store import Store
from apiserver.upkeep import Upkeep
from openapi.catalog import Catalog, GroupResource
from openapi.documents import Documents
from openapi.documents.service import GIT_VERSION
from openapi.kinds import RESOURCES

log = logging.getLogger(__name__)

ISSUER = "https://kubernetes.default.svc"
AUDIENCES = ("https://kubernetes.default.svc",)
NODE_PORTS = "30000-32767"
COMPACT_EVERY_S = 300.0
EMPTY_REVISION = 1
"""Where a store is that nothing has ever been written to."""
RENEW_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What an API server is told. Paths are of PEM files; `token_file` may be None."""

    address: str
    port: int
    service_cidrs: tuple[str, ...]
    service_account_key: Path
    client_ca: Path
    token_file: Path | None = None
    node_tls: ssl.SSLContext | None = None
    front_proxy: FrontProxy | None = None
    audit_policy: Path | None = None
    audit_log: str = ""
    anonymous: bool = True


class ApiServer:
    """One API server over `backend`. `app` is the ASGI application; call `start` before serving it."""

    def __init__(self, backend: Backend, settings: Settings) -> None:
        self._settings = settings
        self._backend = backend
        self.metrics = Metrics(GIT_VERSION)
        self.catalog = Catalog(RESOURCES)
        self.store = Store(backend, observe=self.metrics.store_operation)
        self._key = SigningKey(settings.service_account_key.read_bytes())
        self._allocator = ServiceAllocator(self.store, settings.service_cidrs, NODE_PORTS)
        services = {GroupResource("", "services"): build_services(self._allocator)}
        self._endpoints = Endpoints(self.catalog, {**STRATEGIES, **services})
        self._rbac = RbacIndex()
        self._nodes = NodeGraph()
        self._fairness = Fairness()
        self.metrics.sources.append(self._fairness.families)
        self._reached: set[str] = set()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._register()
        caller = Caller(self.store, self.catalog)
        self._definitions = Definitions(self.store, self.catalog, self._endpoints, caller.post)
        self._audit: Audit | None = None
        if settings.audit_policy is not None and settings.audit_log:
            self._audit = Audit(read_policy(settings.audit_policy), settings.audit_log)
        self._documents = Documents(self.catalog, self._definitions.documented)
        self._locator = Locator(self.store, self.catalog, settings.front_proxy)
        self._availability = Availability(self._locator)
        self._upkeep = Upkeep(self.store, self.catalog, self._availability, self._documents)
        self.app = self._compose()

    # -- composition -------------------------------------------------------------------------------------------

    def _register(self) -> None:
        for row in self.catalog.rows():
            if row.prefix and self._endpoints.stored_row(row) is row:
                self.store.register(row, self._endpoints.strategy(row).fields)

    def _compose(self) -> Pipeline:
        settings, store = self._settings, self.store
        bound = BoundObjects(store, self.catalog)
        authenticator = Authenticator(self._token_authenticators(bound), anonymous=settings.anonymous)
        node = NodeAuthorizer(self._nodes, [as_policy_rule(rule) for rule in CLUSTER_ROLES["system:node"]])
        authorizer = Authorizers(MastersAuthorizer(), node, RbacAuthorizer(self._rbac))
        escalation = RoleEscalation(EscalationCheck(self._rbac, authorizer), store, self.catalog)

        def allows(user: User, request: Mapping[str, str]) -> tuple[bool, str]:
            decision = authorizer.authorize(attributes_of(user, request))
            return decision.allowed, decision.reason

        versions = ServedVersions(self.catalog, self._endpoints)
        chain = Chain((*admission_plugins(store, self.catalog, allows, versions), escalation))
        reads, writes, deletes = Reads(store), Writes(store, chain), Deletes(store, chain)
        bodies = Bodies(self.catalog)
        verbs = Verbs(reads, writes, deletes, bodies)
        services = Services(
            store=store,
            catalog=self.catalog,
            endpoints=self._endpoints,
            reads=reads,
            writes=writes,
            deletes=deletes,
            bodies=bodies,
            verbs=verbs,
            chain=chain,
            authenticator=authenticator,
            authorizer=authorizer,
            issuer=TokenIssuer(ISSUER, self._key),
            audiences=AUDIENCES,
            bound=bound,
            node_tls=settings.node_tls,
        )
        return Pipeline(
            endpoints=self._endpoints,
            verbs=verbs,
            watches=Watches(store, reads),
            actions=action_table(services),
            paths=self._paths(),
            authenticator=authenticator,
            authorizer=authorizer,
            metrics=self.metrics,
            fairness=self._fairness,
            aggregator=Aggregator(store, self.catalog, self._locator, self._availability),
            audit=self._audit,
        )

    def _token_authenticators(self, bound: BoundObjects) -> list[TokenAuthenticator]:
        found: list[TokenAuthenticator] = []
        if self._settings.token_file is not None:
            found.append(StaticTokens(read_token_file(self._settings.token_file), AUDIENCES))
        found.append(ServiceAccountTokens((ISSUER,), (self._key.public,), AUDIENCES, bound))
        return found

    def _paths(self) -> SystemPaths:
        settings, keys = self._settings, (self._key.public,)
        server = f"{settings.address}:{settings.port}"
        return SystemPaths(
            catalog=self.catalog,
            documents=self._documents,
            health=Health(self._checks()),
            metrics=self.metrics,
            well_known={
                "/.well-known/openid-configuration": lambda: openid_configuration(
                    ISSUER, f"https://{server}/openid/v1/jwks", keys
                ),
                "/openid/v1/jwks": lambda: json_web_keys(keys),
            },
            server_address=server,
        )

    def _checks(self) -> dict[str, dict[str, Callable[[], Awaitable[bool]]]]:
        async def ping() -> bool:
            return True

        async def storage() -> bool:
            try:
                async with asyncio.timeout(2):
                    await self._backend.current_revision()
            except (StorageError, TimeoutError):
                return False
            return True

        async def serving() -> bool:
            return not self._stopping

        def reached(part: str) -> Callable[[], Awaitable[bool]]:
            async def check() -> bool:
                return part in self._reached

            return check

        alive = {"ping": ping, "log": ping}
        hooks = {name: reached(part) for name, part in hook_checks()}
        hooks["poststarthook/storage-readiness"] = storage
        ready = {**alive, "informer-sync": reached(STORE), **hooks, "shutdown": serving}
        return {"healthz": {**alive, **hooks}, "livez": {**alive, **hooks}, "readyz": ready}

    # -- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Fill the caches and write the default objects, whose coming about is no history of the cluster's."""
        await self.store.start()
        is_new = self.store.revision <= EMPTY_REVISION
        self._reached.add(STORE)
        rbac.follow(self._rbac, self._caches(rbac.RESOURCES))
        node_graph.follow(self._nodes, self._caches(node_graph.FOLLOWED))
        self._fairness.follow(*self._caches(("flowschemas", "prioritylevelconfigurations")).values())
        facts = self._facts()
        writer = SystemWriter(self.store)
        await ensure(writer, self.catalog, facts, datetime.now(UTC))
        await self._allocator.start()
        if is_new:
            await self._begin_history()
        self._reached.add(OBJECTS)
        self._tasks.append(asyncio.create_task(self._allocator.run()))
        self._upkeep.start()
        self._tasks.append(asyncio.create_task(self._upkeep.run()))
        self._definitions.start()
        self._tasks.append(asyncio.create_task(self._definitions.run()))
        self._tasks.append(asyncio.create_task(self._renew(writer, facts)))
        self._tasks.append(asyncio.create_task(self._compact()))
        self._reached.add(WORKERS)

    async def _begin_history(self) -> None:
        try:
            await self.store.forget_history()
        except StorageError:
            log.warning("history could not be compacted", exc_info=True)

    def _caches(self, resources: Iterable[str]) -> dict[str, ResourceCache]:
        """The caches of resources whose plural is theirs alone."""
        rows = {row.resource: row for row in self.catalog.rows() if row.prefix}
        return {resource: self.store.cache(rows[resource]) for resource in resources}

    def _facts(self) -> ClusterFacts:
        settings = self._settings
        proxy = settings.front_proxy
        versions = dict.fromkeys((r.group, r.version) for r in self.catalog.rows())
        return ClusterFacts(
            hostname=socket.gethostname(),
            holder=f"{os.getpid()}_{uuid.uuid4()}",
            addresses=(settings.address,),
            port=settings.port,
            service_cidrs=settings.service_cidrs,
            group_versions=tuple(v for v in versions if v[0] != "apiregistration.k8s.io"),
            client_ca=settings.client_ca.read_text(),
            requestheader_ca=proxy.ca.read_text() if proxy is not None else "",
            requestheader_names=proxy.names if proxy is not None else (),
        )

    async def _renew(self, writer: SystemWriter, facts: ClusterFacts) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                await renew_identity(writer, self.catalog, facts, datetime.now(UTC))
            except Exception:
                log.warning("the server's own lease could not be renewed", exc_info=True)

    async def _compact(self) -> None:
        """Forget history older than one interval, as kube-apiserver has etcd do."""
        while True:
            await asyncio.sleep(COMPACT_EVERY_S)
            try:
                await self.store.compact()
            except StorageError:
                log.warning("history could not be compacted", exc_info=True)

    async def stop(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()
        if self._audit is not None:
            self._audit.close()
