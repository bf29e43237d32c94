"""Device classes, claims and slices, as the server answers for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apiserver.tests.conftest import Client

VERSION = "resource.k8s.io/v1"
CLAIMS = f"/apis/{VERSION}/namespaces/default/resourceclaims"
SLICES = f"/apis/{VERSION}/resourceslices"
MERGE = "application/merge-patch+json"


def claim(*requests: dict[str, Any], name: str = "a", **devices: Any) -> dict[str, Any]:
    spec = {"devices": {"requests": list(requests), **devices}}
    return {"apiVersion": VERSION, "kind": "ResourceClaim", "metadata": {"name": name}, "spec": spec}


def request(**exactly: Any) -> dict[str, Any]:
    return {"name": "r", "exactly": {"deviceClassName": "c", **exactly}}


def device_slice(**spec: Any) -> dict[str, Any]:
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "d.example.com", "pool": pool, "nodeName": "n", "devices": [{"name": "x"}], **spec}
    return {"apiVersion": VERSION, "kind": "ResourceSlice", "metadata": {"name": "a"}, "spec": spec}


async def problems(client: Client, path: str, obj: dict[str, Any]) -> list[str]:
    answer = await client.ask("POST", path, obj)
    assert answer.code == 422, answer.body
    return [f"{c['field']}: {c['message']}" for c in answer.json["details"]["causes"]]


async def test_a_request_is_for_one_device_unless_it_says_more(client: Client) -> None:
    made = (await client.ask("POST", CLAIMS, claim(request()))).json["spec"]["devices"]["requests"][0]["exactly"]
    assert (made["allocationMode"], made["count"]) == ("ExactCount", 1)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"name": "r"}, ": Required value: exactly one of `exactly` or `firstAvailable` is required"),
        (request(allocationMode="All", count=2),
         ".exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"),
        (request(selectors=[{"cel": {"expression": "1"}}]),
         '.exactly.selectors[0].cel.expression: Invalid value: "1": must evaluate to bool or the unknown type, not '
         "int"),
        (request(tolerations=[{"operator": "Exists", "value": "v"}]),
         '.exactly.tolerations[0].value: Invalid value: "v": must be empty for operator `Exists`'),
    ],
)  # fmt: skip
async def test_requests_are_judged(client: Client, wanted: dict[str, Any], problem: str) -> None:
    assert await problems(client, CLAIMS, claim(wanted)) == [f"spec.devices.requests[0]{problem}"]


TEN = [*range(10)]
LOOPS = f"{TEN}.all(a, {TEN}.all(b, {TEN}.all(c, {TEN}.all(d, {TEN}.all(e, a + b + c + d + e < 0)))))"


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("device.capacity['d'].mem.compareTo(quantity('1Gi')) >= 0 && device.attributes['d'].x == 'a'", ""),
        ("has(device.attributes) && device.allowMultipleAllocations", ""),
        ("cel.bind(d, device.attributes['d'], d.a && d.b.startsWith('x'))", ""),
        ("device.capacity['d'].mem > 5",
         "found no matching overload for '_>_' applied to '(kubernetes.Quantity, int)'"),
        ("device.attributes['d']", "must evaluate to bool or the unknown type, not map(string, any)"),
        (LOOPS, "Forbidden: too complex, exceeds cost limit"),
        ("device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, "
         "a + b + c + d != ''))))", "Forbidden: too complex, exceeds cost limit"),
    ],
)  # fmt: skip
async def test_selectors_are_compiled(client: Client, expression: str, problem: str) -> None:
    wanted = request(selectors=[{"cel": {"expression": expression}}])
    answer = await client.ask("POST", CLAIMS, claim(wanted))
    assert answer.code == (422 if problem else 201), answer.body
    assert problem in answer.json.get("message", "")


async def test_a_request_of_both_forms_has_the_problems_of_both(client: Client) -> None:
    wanted = {**request(count=-1), "firstAvailable": [{"name": "s"}]}
    found = await problems(client, CLAIMS, claim(wanted))
    assert [problem.removeprefix("spec.devices.requests[0]").split(":")[0] for problem in found] == [
        ".firstAvailable[0].deviceClassName",
        ".exactly.count",
        "",
    ]


async def test_constraints_speak_of_requests_that_exist(client: Client) -> None:
    constraints = [{"requests": ["nope"], "matchAttribute": "d.example.com/x"}]
    found = await problems(client, CLAIMS, claim(request(), constraints=constraints))
    assert found[0].startswith('spec.devices.constraints[0].requests[0]: Invalid value: "nope": must be the name of')


async def test_an_allocation_is_made_once(client: Client) -> None:
    await client.ask("POST", CLAIMS, claim(request()))
    result = {"request": "r", "driver": "d.example.com", "pool": "p", "device": "x"}
    status = {"allocation": {"devices": {"results": [result]}}}
    path = f"{CLAIMS}/a/status"
    assert (await client.ask("PATCH", path, {"status": status}, content_type=MERGE)).code == 200
    status["allocation"]["devices"]["results"] = [{**result, "device": "y"}]
    answer = await client.ask("PATCH", path, {"status": status}, content_type=MERGE)
    assert answer.json["details"]["causes"][0]["field"] == "status.allocation"
    table = await client.ask("GET", CLAIMS, accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    assert table.json["rows"][0]["cells"][1] == "allocated"


@pytest.mark.parametrize(
    ("share", "problem"),
    [
        ("x", "invalid UUID length: 1"),
        ("x" * 36, "invalid UUID format"),
        ("x" * 45, 'invalid urn prefix: "xxxxxxxxx"'),
        ("[" + 36 * "0" + "]", "invalid bracketed UUID format"),
        ("{11111111-1111-4111-8111-111111111111}", ""),
        ("11111111-1111-4111-8111-111111111111", None),
    ],
)
async def test_shares_are_told_by_a_uuid_in_its_usual_form(client: Client, share: str, problem: str | None) -> None:
    await client.ask("POST", CLAIMS, claim(request()))
    result = {"request": "r", "driver": "d.example.com", "pool": "p", "device": "x", "shareID": share}
    status = {"allocation": {"devices": {"results": [result]}}}
    answer = await client.ask("PATCH", f"{CLAIMS}/a/status", {"status": status}, content_type=MERGE)
    if problem is None:
        assert answer.code == 200
        return
    cause = answer.json["details"]["causes"][0]
    told = f"error validating uid: {problem}" if problem else "uid must be in RFC 4122 normalized form"
    assert cause["field"] == "status.allocation.devices.results[0].shareID"
    assert cause["message"].startswith(f"Invalid value: {json.dumps(share)}: {told}")


async def test_slices_are_found_by_driver_and_node(client: Client) -> None:
    await client.ask("POST", SLICES, device_slice())
    for selector, count in (("spec.driver=d.example.com", 1), ("spec.nodeName=other", 0)):
        assert len((await client.ask("GET", f"{SLICES}?fieldSelector={selector}")).json["items"]) == count


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"allNodes": True}, 'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of'),
        ({"devices": [{"name": "d"}, {"name": "d"}]}, 'spec.devices[1]: Duplicate value: "d"'),
        ({"devices": [{"name": "d", "attributes": {"v": {"version": "x"}}}]},
         'spec.devices[0].attributes[v].version: Invalid value: "x": must be a string compatible with semver.org'),
        ({"devices": [{"name": "d", "capacity": {"c": {"value": "1", "requestPolicy": {}}}}]},
         "spec.devices[0].capacity[c].requestPolicy: Forbidden: allowMultipleAllocations must be true"),
    ],
)  # fmt: skip
async def test_slices_are_judged(client: Client, spec: dict[str, Any], problem: str) -> None:
    found = await problems(client, SLICES, device_slice(**spec))
    assert len(found) == 1
    assert found[0].startswith(problem)


async def test_admin_access_needs_a_label_of_the_namespace(client: Client) -> None:
    wanted = claim(request(adminAccess=True))
    text = (
        "[]: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the "
        "containing namespace"
    )
    template = {**wanted, "kind": "ResourceClaimTemplate", "spec": {"spec": wanted["spec"]}}
    assert await problems(client, CLAIMS, wanted) == [text]
    assert await problems(client, CLAIMS.replace("claims", "claimtemplates"), template) == [text]
    labels = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
    await client.ask("PATCH", "/api/v1/namespaces/default", labels, content_type=MERGE)
    assert (await client.ask("POST", CLAIMS, wanted)).code == 201


async def test_what_is_told_of_devices_goes_with_them(client: Client) -> None:
    await client.ask("POST", CLAIMS, claim(request()))
    device = {"driver": "d.example.com", "pool": "p", "device": "x"}
    allocation = {"devices": {"results": [{"request": "r", **device}]}}
    status = {"status": {"allocation": allocation, "devices": [device]}}
    made = await client.ask("PATCH", f"{CLAIMS}/a/status", status, content_type=MERGE)
    assert made.json["status"]["devices"] == [{**device, "conditions": None}]
    freed = await client.ask("PATCH", f"{CLAIMS}/a/status", {"status": {"allocation": None}}, content_type=MERGE)
    assert (freed.code, freed.json["status"]) == (200, {})
