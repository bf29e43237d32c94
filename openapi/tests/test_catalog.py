from dataclasses import replace

import pytest

from openapi.catalog import Catalog, GroupVersionKind, Resource, version_rank
from openapi.kinds import RESOURCES


def widget(version: str = "v1", resource: str = "widgets") -> Resource:
    return Resource("example.com", version, resource, "Widget", "", True, custom=True)


def test_rows_are_found_by_resource_and_by_kind() -> None:
    catalog = Catalog(RESOURCES)
    pods = catalog.by_gvr("", "v1", "pods")
    assert pods is not None and pods.gvk == GroupVersionKind("", "v1", "Pod")
    assert catalog.by_gvk("", "v1", "Pod") is pods
    assert catalog.by_gvr("", "v2", "pods") is None


def test_versions_of_one_resource_come_preferred_first() -> None:
    rows = Catalog(RESOURCES).of_group_resource("autoscaling", "horizontalpodautoscalers")
    assert [row.version for row in rows] == ["v2", "v1"]
    assert {(row.prefix, row.storage_version) for row in rows} == {("horizontalpodautoscalers", "autoscaling/v2")}


def test_added_rows_are_served_after_the_built_in_groups_and_can_go_again() -> None:
    catalog = Catalog(RESOURCES)
    before = catalog.group_names()
    catalog.add(widget("v1beta1"), widget("v1"))
    assert catalog.group_names() == (*before, "example.com")
    assert catalog.versions("example.com") == ("v1", "v1beta1")
    assert catalog.by_gvk("example.com", "v1", "Widget") == widget("v1")
    catalog.remove(widget("v1"), widget("v1beta1"))
    assert catalog.group_names() == before
    assert catalog.by_gvr("example.com", "v1", "widgets") is None


def test_every_change_raises_the_version() -> None:
    catalog = Catalog(RESOURCES)
    seen = {catalog.version}
    catalog.add(widget())
    seen.add(catalog.version)
    catalog.add(replace(widget(), short_names=("w",)))
    seen.add(catalog.version)
    catalog.remove(widget())
    seen.add(catalog.version)
    assert len(seen) == 4


def test_a_row_with_the_same_address_is_replaced() -> None:
    catalog = Catalog(RESOURCES)
    catalog.add(widget())
    catalog.add(replace(widget(), short_names=("w",)))
    row = catalog.by_gvr("example.com", "v1", "widgets")
    assert row is not None and row.short_names == ("w",)


@pytest.mark.parametrize(
    "ordered", [["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]]
)
def test_stable_versions_outrank_beta_alpha_and_other_names(ordered: list[str]) -> None:
    assert sorted(reversed(ordered), key=version_rank) == ordered
