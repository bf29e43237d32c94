"""Names, templates and reservations of resource claims."""

from __future__ import annotations

from typing import Any

from controllers.resource_claim.plan import (
    FINALIZER,
    claim_from_template,
    claim_name,
    claim_names,
    is_done,
    released_claim,
    reserved_for,
)


def pod(name: str = "p", **status: Any) -> dict[str, Any]:
    claims = [{"name": "a", "resourceClaimName": "given"}, {"name": "b", "resourceClaimTemplateName": "t"}]
    metadata = {"name": name, "namespace": "n", "uid": "u"}
    return {"metadata": metadata, "spec": {"resourceClaims": claims}, "status": status}


def test_generated_name_is_read_from_the_status() -> None:
    known = pod(resourceClaimStatuses=[{"name": "b", "resourceClaimName": "p-b-x"}])
    assert claim_name(pod(), pod()["spec"]["resourceClaims"][1]) == (None, True)
    assert list(claim_names(pod())) == ["n/given"]
    assert list(claim_names(known)) == ["n/given", "n/p-b-x"]


def test_claim_that_is_not_needed_has_no_name() -> None:
    assert list(claim_names(pod(resourceClaimStatuses=[{"name": "b"}]))) == ["n/given"]


def test_claim_for_extended_resources_counts() -> None:
    found = pod(extendedResourceClaimStatus={"resourceClaimName": "p-extended"})
    assert list(claim_names(found)) == ["n/p-extended", "n/given"]


def test_long_names_are_shortened_both() -> None:
    template = {"spec": {"metadata": {"labels": {"l": "m"}}, "spec": {"devices": {}}}}
    claim = claim_from_template(pod("p" * 60), {"name": "c" * 30}, template)
    assert claim["metadata"]["generateName"] == "p" * 37 + "-" + "c" * 18
    assert claim["metadata"]["labels"] == {"l": "m"}
    assert claim["metadata"]["annotations"] == {"resource.kubernetes.io/pod-claim-name": "c" * 30}
    assert claim["spec"] == {"devices": {}}


def test_only_an_allocated_claim_is_reserved_and_once() -> None:
    assert reserved_for(pod(), {"status": {}}) is None
    claim = reserved_for(pod(), {"status": {"allocation": {"devices": {}}}})
    assert claim is not None
    assert claim["status"]["reservedFor"] == [{"resource": "pods", "name": "p", "uid": "u"}]
    assert reserved_for(pod(), claim) is None


def test_last_consumer_frees_the_allocation() -> None:
    status = {"allocation": {"devices": {}}, "reservedFor": [{"uid": "u"}]}
    claim = {"metadata": {"finalizers": [FINALIZER]}, "status": status}
    assert released_claim(claim, [])["status"] == {}
    assert "allocation" in released_claim(claim, [{"uid": "u"}])["status"]


def test_deleted_pod_is_done_only_if_it_never_ran() -> None:
    deleted = {"metadata": {"deletionTimestamp": "t"}, "spec": {}}
    assert is_done(deleted)
    assert not is_done({**deleted, "spec": {"nodeName": "n"}})
    assert is_done(pod(phase="Failed"))
