"""The claim of a pod's own volume."""

from __future__ import annotations

from controllers.ephemeral_volume.controller import claim_of


def test_claim_follows_the_template_and_belongs_to_the_pod() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    pod = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {}}
    claim = claim_of(pod, {"name": "v", "ephemeral": {"volumeClaimTemplate": template}})
    assert claim["metadata"]["name"] == "p-v"
    assert claim["metadata"]["labels"] == {"a": "b"}
    assert "annotations" not in claim["metadata"]
    assert claim["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"]}
