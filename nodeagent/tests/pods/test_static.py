from __future__ import annotations

from pathlib import Path

import pytest

from nodeagent.pods.static import NotAPod, is_mirror_of, make_static_pod, mirror_of, read_folder

POD = b"{kind: Pod, apiVersion: v1, metadata: {name: web}, spec: {containers: [{name: c, image: nginx}]}}"


def test_a_file_becomes_a_pod_of_the_node() -> None:
    pod = make_static_pod(POD, "/m/web.yaml", "Node-1")
    assert (pod["metadata"]["name"], pod["metadata"]["namespace"]) == ("web-node-1", "default")
    assert pod["spec"]["nodeName"] == "Node-1"
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert {"operator": "Exists", "effect": "NoExecute"} in pod["spec"]["tolerations"]


def test_other_content_is_another_pod() -> None:
    uids = {make_static_pod(content, "/m/web.yaml", "n")["metadata"]["uid"] for content in (POD, POD + b" ")}
    assert len(uids) == 2


def test_a_mirror_shows_the_content_it_was_made_of() -> None:
    pod, changed = (make_static_pod(content, "/m/web.yaml", "n") for content in (POD, POD + b" "))
    mirror = mirror_of(pod, {"metadata": {"name": "n", "uid": "node"}})
    assert "uid" not in mirror["metadata"]
    assert mirror["metadata"]["ownerReferences"][0]["uid"] == "node"
    assert is_mirror_of(mirror, pod) and not is_mirror_of(mirror, changed)


def test_files_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes(POD)
    (tmp_path / "other.yaml").write_text("kind: Service")
    (tmp_path / "broken.yaml").write_text("{")
    (tmp_path / ".hidden.yaml").write_bytes(POD)
    assert [pod["metadata"]["name"] for pod in read_folder(tmp_path, "n").values()] == ["web-n"]
    assert read_folder(tmp_path / "none", "n") == {}
    with pytest.raises(NotAPod, match="no Pod"):
        make_static_pod(b"kind: Service", "f", "n")
