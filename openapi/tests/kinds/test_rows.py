from collections import defaultdict

from openapi.kinds import RESOURCES


def test_no_resource_has_two_rows() -> None:
    assert len({row.gvr for row in RESOURCES}) == len(RESOURCES)


def test_stored_resources_share_a_prefix_only_as_versions_of_one_kind() -> None:
    kinds = defaultdict(set)
    for row in RESOURCES:
        if row.prefix:
            kinds[row.prefix].add((row.kind, row.storage_version))
    assert all(len(found) == 1 for found in kinds.values())


def test_resources_that_are_only_answered_have_no_storage() -> None:
    computed = {row.resource for row in RESOURCES if not row.prefix}
    assert "subjectaccessreviews" in computed and "bindings" in computed and "componentstatuses" in computed
    assert all("watch" not in row.verbs for row in RESOURCES if not row.prefix)


def test_prefixes_that_are_not_the_plural() -> None:
    odd = {row.resource: row.prefix for row in RESOURCES if row.prefix and row.prefix != row.resource}
    assert odd == {
        "replicationcontrollers": "controllers",
        "endpoints": "services/endpoints",
        "nodes": "minions",
        "services": "services/specs",
        "ingresses": "ingress",
        "customresourcedefinitions": "apiextensions.k8s.io/customresourcedefinitions",
        "apiservices": "apiregistration.k8s.io/apiservices",
    }


def test_subresources_are_listed_by_name() -> None:
    for row in RESOURCES:
        names = [sub.name for sub in row.subresources]
        assert names == sorted(names)
