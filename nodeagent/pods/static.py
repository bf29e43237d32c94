"""Static pods: files in a folder that the node runs without being told by the API, and their mirrors in the API.

A mirror shows a static pod to others; deleting it changes nothing, for it is made anew. The file alone decides.
Follows: pkg/kubelet/config/{file.go,common.go}, pkg/kubelet/pod/mirror_client.go
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import yaml

from nodeagent.pods.spec import CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, Object, View

log = logging.getLogger(__name__)

_SUFFIXES = (".yaml", ".yml", ".json")


class NotAPod(ValueError):
    """The file does not describe a pod."""


def read_folder(folder: Path, node: str) -> dict[str, Object]:
    """The static pods by uid. Files that make no sense are told in the log and left out."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or path.suffix not in _SUFFIXES:
            continue
        try:
            pod = make_static_pod(path.read_bytes(), str(path), node)
        except (OSError, ValueError, yaml.YAMLError) as error:
            log.error("not a static pod: %s", error, extra={"file": str(path)})
            continue
        found[pod["metadata"]["uid"]] = pod
    return found


def make_static_pod(content: bytes, file: str, node: str) -> Object:
    """The pod of a file as this node runs it. Raises NotAPod."""
    given = yaml.safe_load(content)
    if not isinstance(given, dict) or given.get("kind") != "Pod" or not given.get("spec"):
        raise NotAPod(f"{file}: no Pod")
    metadata = dict(given.get("metadata") or {})
    if not metadata.get("name"):
        raise NotAPod(f"{file}: the pod has no name")
    digest = hashlib.md5(b"\0".join((node.encode(), file.encode(), content)), usedforsecurity=False).hexdigest()
    metadata["name"] = f"{metadata['name']}-{node.lower()}"
    metadata.setdefault("namespace", "default")
    metadata["uid"] = digest
    metadata["annotations"] = {**(metadata.get("annotations") or {}), CONFIG_HASH: digest, CONFIG_SOURCE: "file"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": _spec(given["spec"], node)}


def _spec(given: View, node: str) -> Object:
    """With the defaults that the API would have set, and tolerating whatever would drive pods from the node."""
    spec: Object = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30}
    spec |= dict(given)
    spec["nodeName"] = node
    spec["tolerations"] = [*(spec.get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
    for field in ("initContainers", "containers"):
        if spec.get(field):
            spec[field] = [_container(container) for container in spec[field]]
    return spec


def _container(given: View) -> Object:
    image = str(given.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    policy = "IfNotPresent" if "@" in image or tag not in ("", "latest") else "Always"
    return {"imagePullPolicy": policy, **given}


def mirror_of(pod: View, node: View) -> Object:
    """The object that shows a static pod in the API; it belongs to the node."""
    metadata = {name: value for name, value in pod["metadata"].items() if name != "uid"}
    annotations: Mapping[str, str] = metadata["annotations"]
    metadata["annotations"] = {**annotations, CONFIG_MIRROR: annotations[CONFIG_HASH]}
    owner = node["metadata"]
    reference = {"apiVersion": "v1", "kind": "Node", "name": owner["name"], "uid": owner["uid"], "controller": True}
    metadata["ownerReferences"] = [reference]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": pod["spec"]}


def is_mirror_of(mirror: View, pod: View) -> bool:
    """Whether the mirror shows the present content of the file."""
    annotations = mirror["metadata"].get("annotations") or {}
    return bool(annotations.get(CONFIG_MIRROR) == pod["metadata"]["annotations"][CONFIG_HASH])
