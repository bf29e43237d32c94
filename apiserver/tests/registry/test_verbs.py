"""The verbs on stored objects, through the whole server."""

from __future__ import annotations

import asyncio

import pytest

from apiserver.storage.store import Store
from apiserver.tests.conftest import Client
from openapi.catalog import Resource

MAPS = "/api/v1/namespaces/ns/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/ns/deployments"


def config(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str) -> dict[str, object]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def test_what_is_created_can_be_read_again_as_it_was_answered(client: Client) -> None:
    made = await client.create(MAPS, config("a", k="v"))
    assert (await client.ask("GET", f"{MAPS}/a")).json == made


async def test_sending_an_object_back_unchanged_changes_nothing(client: Client) -> None:
    made = await client.create(DEPLOYMENTS, deployment("a"))
    answer = await client.ask("PUT", f"{DEPLOYMENTS}/a", made)
    assert answer.json["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_stale_resource_version_conflicts(client: Client) -> None:
    made = await client.create(MAPS, config("a", k="v"))
    await client.patch(f"{MAPS}/a", {"data": {"k": "w"}})
    answer = await client.ask("PUT", f"{MAPS}/a", made)
    assert answer.code == 409
    assert answer.json["message"].startswith('Operation cannot be fulfilled on configmaps "a": the object has been')


@pytest.mark.parametrize(("path", "code"), [(MAPS, 404), ("/api/v1/namespaces/ns/services", 409)])
async def test_an_object_that_is_gone_is_not_put_back(client: Client, path: str, code: int) -> None:
    """Also where an update may create, but then it tells of the other object."""
    sent = {"metadata": {"name": "a", "uid": "x"}, "spec": {"ports": [{"port": 1}]}}
    answer = await client.ask("PUT", f"{path}/a", sent)
    text = "Precondition failed: UID in precondition: x, UID in object meta: "
    assert (answer.code, answer.json["message"].endswith(text)) == (code, code == 409)
    assert (await client.ask("GET", f"{path}/a")).code == 404


@pytest.mark.parametrize("subresource", ["", "/status", "/scale"])
async def test_an_update_may_name_the_one_object_that_it_means(client: Client, subresource: str) -> None:
    made = await client.create(DEPLOYMENTS, deployment("a"))
    path = f"{DEPLOYMENTS}/a{subresource}"
    sent = (await client.ask("GET", path)).json
    for uid, code in ((made["metadata"]["uid"], 200), ("x", 409)):
        sent["metadata"]["uid"] = uid
        assert (await client.ask("PUT", path, sent)).code == code


async def test_concurrent_patches_without_a_version_are_all_kept(client: Client) -> None:
    await client.create(MAPS, config("a"))
    answers = await asyncio.gather(*(client.patch(f"{MAPS}/a", {"data": {f"k{i}": "v"}}) for i in range(20)))
    assert {a.code for a in answers} == {200}
    assert len((await client.ask("GET", f"{MAPS}/a")).json["data"]) == 20


async def test_generated_names_differ(client: Client) -> None:
    made = [await client.create(MAPS, {"metadata": {"generateName": "x-"}}) for _ in range(5)]
    names = {m["metadata"]["name"] for m in made}
    assert len(names) == 5 and all(n.startswith("x-") and len(n) == 7 for n in names)


async def test_a_dry_run_stores_nothing(client: Client) -> None:
    answer = await client.ask("POST", f"{MAPS}?dryRun=All", config("a"))
    assert answer.code == 201 and "resourceVersion" not in answer.json["metadata"]
    assert (await client.ask("GET", f"{MAPS}/a")).code == 404


@pytest.mark.parametrize(
    ("kind", "patch", "data"),
    [
        ("merge", {"data": {"a": None, "b": "2"}}, {"b": "2"}),
        ("json", [{"op": "replace", "path": "/data/a", "value": "3"}], {"a": "3"}),
        ("strategic", {"data": {"b": "2"}}, {"a": "1", "b": "2"}),
    ],
)
async def test_patches(client: Client, kind: str, patch: object, data: dict[str, str]) -> None:
    await client.create(MAPS, config("a", a="1"))
    assert (await client.patch(f"{MAPS}/a", patch, kind)).json["data"] == data


async def test_an_applied_field_is_owned_and_conflicts(client: Client) -> None:
    first = await client.patch(f"{MAPS}/a?fieldManager=one", config("a", k="1"), "apply")
    assert first.code == 201
    again = await client.patch(f"{MAPS}/a?fieldManager=one", config("a", k="1"), "apply")
    assert again.json["metadata"]["resourceVersion"] == first.json["metadata"]["resourceVersion"]
    refused = await client.patch(f"{MAPS}/a?fieldManager=two", config("a", k="2"), "apply")
    assert refused.code == 409
    forced = await client.patch(f"{MAPS}/a?fieldManager=two&force=true", config("a", k="2"), "apply")
    assert forced.json["data"] == {"k": "2"}


async def test_status_and_spec_are_written_apart(client: Client) -> None:
    await client.create(DEPLOYMENTS, deployment("a"))
    answer = await client.patch(f"{DEPLOYMENTS}/a/status", {"spec": {"replicas": 7}, "status": {"replicas": 3}})
    assert answer.json["spec"]["replicas"] == 1 and answer.json["status"]["replicas"] == 3
    answer = await client.patch(f"{DEPLOYMENTS}/a", {"spec": {"replicas": 7}, "status": {"replicas": 9}})
    assert answer.json["status"]["replicas"] == 3 and answer.json["metadata"]["generation"] == 2


async def test_scaling_goes_through_a_scale(client: Client) -> None:
    await client.create(DEPLOYMENTS, deployment("a"))
    scaled = await client.patch(f"{DEPLOYMENTS}/a/scale", {"spec": {"replicas": 4}})
    assert scaled.json["kind"] == "Scale" and scaled.json["spec"] == {"replicas": 4}
    assert (await client.ask("GET", f"{DEPLOYMENTS}/a")).json["spec"]["replicas"] == 4


async def test_an_object_with_finalizers_waits_for_them(client: Client) -> None:
    made = config("a")
    made["metadata"] = {"name": "a", "finalizers": ["example.com/x"]}
    await client.create(MAPS, made)
    deleted = await client.ask("DELETE", f"{MAPS}/a")
    assert deleted.json["metadata"]["deletionTimestamp"]
    refused = await client.patch(f"{MAPS}/a", {"metadata": {"finalizers": ["example.com/x", "example.com/y"]}})
    assert refused.code == 422
    await client.patch(f"{MAPS}/a", {"metadata": {"finalizers": None}})
    assert (await client.ask("GET", f"{MAPS}/a")).code == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_propagation_policies_become_finalizers(client: Client, policy: str, finalizer: str) -> None:
    await client.create(MAPS, config("a"))
    answer = await client.ask("DELETE", f"{MAPS}/a", {"propagationPolicy": policy})
    assert answer.json["metadata"]["finalizers"] == [finalizer]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"uid": "x"}, 'namespaces "n": Precondition failed: UID in precondition: x, UID in object meta: '),
        ({"resourceVersion": "1"},
         'namespaces "n": Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: '),
    ],
)  # fmt: skip
async def test_what_is_emptied_first_has_its_own_words_for_preconditions(
    client: Client, given: dict[str, str], text: str
) -> None:
    await client.create("/api/v1/namespaces", {"metadata": {"name": "n"}})
    answer = await client.ask("DELETE", "/api/v1/namespaces/n", {"preconditions": given})
    assert answer.code == 409
    assert answer.json["message"].startswith(f"Operation cannot be fulfilled on {text}")


async def test_preconditions_of_a_deletion(client: Client) -> None:
    made = await client.create(MAPS, config("a"))
    refused = await client.ask("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "other"}})
    assert refused.code == 409
    meta = made["metadata"]
    right = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
    assert (await client.ask("DELETE", f"{MAPS}/a", right)).json["status"] == "Success"


async def test_a_collection_is_deleted_by_selector(client: Client) -> None:
    for name in ("a", "b"):
        await client.create(MAPS, {"metadata": {"name": name, "labels": {"l": name}}})
    answer = await client.ask("DELETE", f"{MAPS}?labelSelector=l=a")
    assert [i["metadata"]["name"] for i in answer.json["items"]] == ["a"]
    assert [i["metadata"]["name"] for i in (await client.ask("GET", MAPS)).json["items"]] == ["b"]


async def test_a_service_gets_an_address_of_its_own_and_gives_it_back(client: Client) -> None:
    path = "/api/v1/namespaces/ns/services"
    body = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}
    address = (await client.create(path, body))["spec"]["clusterIP"]
    taken = {"metadata": {"name": "b"}, "spec": {"ports": [{"port": 80}], "clusterIP": address}}
    assert (await client.ask("POST", path, taken)).code == 422
    await client.ask("DELETE", f"{path}/a")
    assert (await client.ask("POST", path, taken)).code == 201


@pytest.mark.parametrize("ends", [True, False])
async def test_a_pod_that_others_end_or_change_meanwhile_is_deleted(
    client: Client, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """The mark of a deletion is seen before the object goes: by the garbage collector of pods, by its node."""
    pods = "/api/v1/namespaces/ns/pods"
    await client.create(pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    delete = Store.delete

    async def later(store: Store, row: Resource, namespace: str, name: str, revision: int) -> int:
        monkeypatch.undo()
        if ends:
            await delete(store, row, namespace, name, revision)
        else:
            label = b'{"metadata": {"labels": {"a": "b"}}}'
            await client.ask("PATCH", f"{pods}/p", label, content_type="application/merge-patch+json")
        return await delete(store, row, namespace, name, revision)

    monkeypatch.setattr(Store, "delete", later)
    answer = await client.ask("DELETE", f"{pods}/p", {"gracePeriodSeconds": 0})
    assert answer.code == 200 and answer.json["metadata"]["name"] == "p"
    assert (await client.ask("GET", f"{pods}/p")).code == 404
