"""Lists and watches, through the whole server."""

from __future__ import annotations

import asyncio

from apiserver.app import ApiServer
from apiserver.registry.list_options import encode_token
from apiserver.tests.conftest import Client

MAPS = "/api/v1/namespaces/ns/configmaps"


async def fill(client: Client, *names: str) -> None:
    for name in names:
        await client.create(MAPS, {"metadata": {"name": name, "labels": {"n": name}}})


def names(answer: object) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]  # type: ignore[index]


async def test_chunks_show_one_state(client: Client) -> None:
    await fill(client, "a", "c", "e")
    first = (await client.ask("GET", f"{MAPS}?limit=2")).json
    assert names(first) == ["a", "c"] and first["metadata"]["remainingItemCount"] == 1
    await fill(client, "b", "d", "f")
    rest = (await client.ask("GET", f"{MAPS}?limit=2&continue={first['metadata']['continue']}")).json
    assert names(rest) == ["e"] and "continue" not in rest["metadata"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_an_exact_list_shows_the_past(client: Client) -> None:
    await fill(client, "a")
    version = (await client.ask("GET", MAPS)).json["metadata"]["resourceVersion"]
    await fill(client, "b")
    query = f"resourceVersion={version}&resourceVersionMatch=Exact"
    assert names((await client.ask("GET", f"{MAPS}?{query}")).json) == ["a"]


async def test_a_token_whose_state_is_gone_is_expired_and_offers_another(api: ApiServer, client: Client) -> None:
    await fill(client, "a", "b", "c")
    first = (await client.ask("GET", f"{MAPS}?limit=1")).json
    await fill(client, "d")
    await api.store.backend.compact(api.store.revision)
    api.store.cache(next(r for r in api.catalog.rows() if r.resource == "configmaps")).forget_oldest()
    answer = await client.ask("GET", f"{MAPS}?limit=1&continue={first['metadata']['continue']}")
    if answer.code == 410:
        assert answer.json["reason"] == "Expired"
        again = answer.json["metadata"]["continue"]
        assert names((await client.ask("GET", f"{MAPS}?continue={again}")).json)[0] == "b"
    else:
        assert names(answer.json) == ["b"]


async def test_selectors_choose(client: Client) -> None:
    await fill(client, "a", "b", "c")
    for query, expected in (
        ("labelSelector=n=b", ["b"]),
        ("labelSelector=n!=b", ["a", "c"]),
        ("labelSelector=n in (a,c)", ["a", "c"]),
        ("fieldSelector=metadata.name=c", ["c"]),
        ("fieldSelector=metadata.name!=c&labelSelector=n", ["a", "b"]),
    ):
        assert names((await client.ask("GET", f"{MAPS}?{query.replace(' ', '%20')}")).json) == expected, query


async def test_a_watch_shows_what_is_there_and_what_happens(client: Client) -> None:
    await fill(client, "a")
    watching = asyncio.ensure_future(client.ask("GET", f"{MAPS}?watch=1&timeoutSeconds=1"))
    await asyncio.sleep(0.05)
    await client.patch(f"{MAPS}/a", {"data": {"k": "v"}})
    await client.ask("DELETE", f"{MAPS}/a")
    events = (await watching).events
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(versions) and len(set(versions)) == 3


async def test_a_watch_resumes_where_it_is_told_to(client: Client) -> None:
    await fill(client, "a")
    version = (await client.ask("GET", MAPS)).json["metadata"]["resourceVersion"]
    await fill(client, "b", "c")
    answer = await client.ask("GET", f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={version}")
    assert [e["object"]["metadata"]["name"] for e in answer.events] == ["b", "c"]


async def test_leaving_a_selector_shows_as_deleted(client: Client) -> None:
    await fill(client, "a")
    version = (await client.ask("GET", MAPS)).json["metadata"]["resourceVersion"]
    await client.patch(f"{MAPS}/a", {"metadata": {"labels": {"n": "x"}}})
    query = f"watch=1&timeoutSeconds=1&labelSelector=n=a&resourceVersion={version}"
    events = (await client.ask("GET", f"{MAPS}?{query}")).events
    assert [e["type"] for e in events] == ["DELETED"]
    assert events[0]["object"]["metadata"]["labels"] == {"n": "a"}


async def test_initial_events_end_with_a_marked_bookmark(client: Client) -> None:
    await fill(client, "a", "b")
    query = "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1"
    events = (await client.ask("GET", f"{MAPS}?{query}")).events
    assert [e["type"] for e in events[:3]] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_tables_have_columns_once_in_a_watch(client: Client) -> None:
    await fill(client, "a", "b")
    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
    table = (await client.ask("GET", MAPS, accept=accept)).json
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [r["cells"][0] for r in table["rows"]] == ["a", "b"]
    events = (await client.ask("GET", f"{MAPS}?watch=1&timeoutSeconds=1", accept=accept)).events
    assert [bool(e["object"]["columnDefinitions"]) for e in events] == [True, False]


async def test_metadata_only_forms(client: Client) -> None:
    await fill(client, "a")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    item = (await client.ask("GET", MAPS, accept=accept)).json["items"][0]
    assert item["kind"] == "PartialObjectMetadata" and "data" not in item


async def test_a_watch_of_lists_of_metadata_ends_at_its_first_event(client: Client) -> None:
    await fill(client, "a")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    answer = await client.ask("GET", f"{MAPS}?watch=1&timeoutSeconds=60", accept=accept)
    assert (answer.code, answer.body) == (200, b"")


async def test_limits_at_versions(client: Client) -> None:
    await fill(client, "a", "b")
    version = (await client.ask("GET", f"{MAPS}/a")).json["metadata"]["resourceVersion"]

    async def names(query: str) -> tuple[list[str], bool]:
        listed = (await client.ask("GET", f"{MAPS}?limit=1&{query}")).json
        return [item["metadata"]["name"] for item in listed["items"]], "continue" in listed["metadata"]

    assert await names("resourceVersion=0") == (["a", "b"], False)
    assert await names(f"resourceVersion={version}") == (["a"], False)
    assert await names(f"resourceVersion={version}&resourceVersionMatch=NotOlderThan") == (["a"], True)
    await client.patch(f"{MAPS}/a", {"metadata": {"labels": {"x": "y"}}})
    assert await names("labelSelector=x") == (["a"], True)


async def test_a_future_version_is_waited_for_and_then_refused(client: Client) -> None:
    answer = await client.ask("GET", f"{MAPS}?resourceVersion=999999&resourceVersionMatch=Exact")
    assert answer.code == 504
    assert answer.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_what_was_before_the_cluster_is_no_history(client: Client) -> None:
    await fill(client, "a")
    event = (await client.ask("GET", f"{MAPS}?watch=1&resourceVersion=1&timeoutSeconds=1")).events[0]
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: 1 (")
    answer = await client.ask("GET", f"{MAPS}?resourceVersion=1&resourceVersionMatch=Exact")
    text = "The resourceVersion for the provided list is too old."
    assert (answer.code, answer.json["reason"], answer.json["message"]) == (410, "Expired", text)
    answer = await client.ask("GET", f"{MAPS}?continue={encode_token(1, 'a')}")
    assert (answer.code, answer.json["reason"]) == (410, "Expired")
    assert "or use the continue token in this response to retrieve the remainder" in answer.json["message"]
    token = answer.json["metadata"]["continue"]
    assert (await client.ask("GET", f"{MAPS}?continue={token}")).json["items"] == []
