from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.bootstrap import ClusterFacts, bootstrap_objects, ensure, renew_identity
from openapi.catalog import Catalog, Resource
from openapi.kinds import RESOURCES
from openapi.meta import status

Object = dict[str, Any]

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
GROUP_VERSIONS = (("", "v1"), ("apps", "v1"), ("autoscaling", "v2"))
FACTS = ClusterFacts("vm", "one", ("192.0.2.2",), 6443, group_versions=GROUP_VERSIONS)


class Shelf:
    """A writer over a dict that counts its writes."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.writes: list[tuple[str, str]] = []
        self.rival: Object | None = None

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return copy.deepcopy(self.objects.get((resource.resource, namespace, name)))

    async def create(self, resource: Resource, namespace: str, obj: Object) -> None:
        key = (resource.resource, namespace, obj["metadata"]["name"])
        if self.rival is not None and self.rival["metadata"]["name"] == key[2]:
            self.objects[key], self.rival = self.rival, None
        if key in self.objects:
            raise status.already_exists(resource.group, resource.resource, key[2])
        self._put("create", key, obj)

    async def update(self, resource: Resource, namespace: str, obj: Object) -> None:
        self._put("update", (resource.resource, namespace, obj["metadata"]["name"]), obj)

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        self.writes.append(("delete", name))
        del self.objects[(resource.resource, namespace, name)]

    def _put(self, verb: str, key: tuple[str, str, str], obj: Object) -> None:
        self.writes.append((verb, key[2]))
        self.objects[key] = copy.deepcopy(obj)


@pytest.fixture
async def shelf() -> Shelf:
    shelf = Shelf()
    await ensure(shelf, Catalog(RESOURCES), FACTS, NOW)
    shelf.writes.clear()
    return shelf


async def again(shelf: Shelf, facts: ClusterFacts = FACTS) -> list[tuple[str, str]]:
    """The writes of a restart, without the lease that every start renews."""
    await ensure(shelf, Catalog(RESOURCES), facts, LATER)
    return [write for write in shelf.writes if not write[1].startswith("apiserver-")]


def role(shelf: Shelf, name: str) -> Object:
    return shelf.objects[("clusterroles", "", name)]


async def test_a_new_cluster_gets_every_object(shelf: Shelf) -> None:
    assert len(shelf.objects) == len(bootstrap_objects(FACTS, NOW)) > 150


async def test_a_restart_changes_nothing_but_the_lease(shelf: Shelf) -> None:
    assert await again(shelf) == []
    lease = shelf.objects[("leases", "kube-system", FACTS.identity)]
    assert lease["spec"]["renewTime"] == "2026-11-23T09:00:00.000000Z"


async def test_a_role_gets_back_the_permissions_it_lost_and_keeps_its_own(shelf: Shelf) -> None:
    own = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}
    role(shelf, "system:kube-dns")["rules"] = [
        {"verbs": ["list"], "apiGroups": [""], "resources": ["services", "endpoints"]},
        own,
    ]
    assert await again(shelf) == [("update", "system:kube-dns")]
    rules = role(shelf, "system:kube-dns")["rules"]
    assert own in rules
    assert rules[2:] == [
        {"verbs": ["watch"], "apiGroups": [""], "resources": ["endpoints"]},
        {"verbs": ["watch"], "apiGroups": [""], "resources": ["services"]},
    ]


@pytest.mark.parametrize(
    "broader",
    [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["get", "update"], "apiGroups": ["policy", "*"], "resources": ["*/scale", "*"]},
    ],
)
async def test_a_broader_rule_covers_the_default_one(shelf: Shelf, broader: Object) -> None:
    current = role(shelf, "system:controller:horizontal-pod-autoscaler")
    current["rules"] = [broader, *[rule for rule in current["rules"] if rule["resources"] != ["*/scale"]]]
    assert await again(shelf) == []


async def test_a_protected_role_is_left_alone(shelf: Shelf) -> None:
    current = role(shelf, "system:kube-dns")
    current["rules"] = []
    current["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false"
    assert await again(shelf) == []


async def test_labels_of_the_owner_win_over_the_default_ones(shelf: Shelf) -> None:
    role(shelf, "view")["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] = "false"
    assert await again(shelf) == []


async def test_rules_that_a_controller_added_up_stay(shelf: Shelf) -> None:
    role(shelf, "admin")["rules"] = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    assert await again(shelf) == []


async def test_a_binding_gets_back_its_holders_and_keeps_others(shelf: Shelf) -> None:
    binding = shelf.objects[("clusterrolebindings", "", "cluster-admin")]
    ann = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}
    binding["subjects"] = [ann]
    assert await again(shelf) == [("update", "cluster-admin")]
    names = [subject["name"] for subject in shelf.objects[("clusterrolebindings", "", "cluster-admin")]["subjects"]]
    assert names == ["ann", "system:masters"]


async def test_a_binding_to_another_role_is_made_anew(shelf: Shelf) -> None:
    shelf.objects[("clusterrolebindings", "", "system:discovery")]["roleRef"]["name"] = "view"
    assert await again(shelf) == [("delete", "system:discovery"), ("create", "system:discovery")]


@pytest.mark.parametrize(
    ("annotation", "generation", "restored"),
    [("true", 2, True), ("false", 2, False), (None, 1, True), (None, 2, False)],
    ids=["follows", "opted out", "untouched", "edited"],
)
async def test_flow_schemas_follow_their_annotation(
    shelf: Shelf, annotation: str | None, generation: int, restored: bool
) -> None:
    key = ("flowschemas", "", "service-accounts")
    metadata = shelf.objects[key]["metadata"]
    metadata["generation"] = generation
    metadata["annotations"] = {"apf.kubernetes.io/autoupdate-spec": annotation} if annotation else {}
    shelf.objects[key]["spec"]["matchingPrecedence"] = 5
    await again(shelf)
    assert (shelf.objects[key]["spec"]["matchingPrecedence"] == 9000) is restored
    assert shelf.objects[key]["metadata"]["generation"] == generation + restored


async def test_seats_of_the_exempt_level_are_the_owners(shelf: Shelf) -> None:
    key = ("prioritylevelconfigurations", "", "exempt")
    shelf.objects[key]["spec"]["exempt"]["nominalConcurrencyShares"] = 10
    assert await again(shelf) == []


async def test_priority_classes_and_namespaces_are_never_overwritten(shelf: Shelf) -> None:
    shelf.objects[("priorityclasses", "", "system-node-critical")]["description"] = "mine"
    shelf.objects[("namespaces", "", "default")]["metadata"]["labels"]["a"] = "b"
    assert await again(shelf) == []


async def test_endpoints_name_the_servers_alive_now(shelf: Shelf) -> None:
    writes = await again(shelf, replace(FACTS, addresses=("192.0.2.2", "192.0.2.3")))
    assert writes == [("update", "kubernetes")] * 2
    subsets = shelf.objects[("endpoints", "default", "kubernetes")]["subsets"]
    assert subsets[0]["addresses"] == [{"ip": "192.0.2.2"}, {"ip": "192.0.2.3"}]
    assert shelf.objects[("endpointslices", "default", "kubernetes")]["metadata"]["generation"] == 2


async def test_authentication_gathers_the_certificates_of_all_servers() -> None:
    shelf = Shelf()
    first, second = (f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n" for body in ("QQ==", "Qg=="))
    for certificate in (first, second, first):
        await ensure(shelf, Catalog(RESOURCES), replace(FACTS, client_ca=certificate), NOW)
    data = shelf.objects[("configmaps", "kube-system", "extension-apiserver-authentication")]["data"]
    assert data == {"client-ca-file": first + second}


async def test_an_object_that_another_server_writes_first_is_reconciled() -> None:
    shelf = Shelf()
    cluster_admin = next(
        obj
        for obj in bootstrap_objects(FACTS, NOW)
        if (obj["kind"], obj["metadata"]["name"]) == ("ClusterRoleBinding", "system:kube-dns")
    )
    shelf.rival = {**cluster_admin, "subjects": []}
    await ensure(shelf, Catalog(RESOURCES), FACTS, NOW)
    assert role(shelf, "system:kube-dns")["rules"]


async def test_the_lease_is_renewed_in_place(shelf: Shelf) -> None:
    await renew_identity(shelf, Catalog(RESOURCES), FACTS, LATER)
    assert shelf.writes == [("update", FACTS.identity)]
