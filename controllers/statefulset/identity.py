"""Who a pod of a StatefulSet is: its ordinal, names, labels and volumes.

Follows: pkg/controller/statefulset/stateful_set_utils.go
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from controllers.runtime.kinds import STATEFUL_SETS
from controllers.runtime.objects import Object, View, controller_reference, labels_of, name_of, namespace_of
from controllers.workloads.history import REVISION_LABEL
from controllers.workloads.pods import pod_from_template

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"

_NAME = re.compile(r"(.*)-([0-9]+)")
_LARGEST_ORDINAL = 2**31 - 1


def parent_and_ordinal(pod: View) -> tuple[str, int]:
    """The name of the set that a pod's name points to, and its ordinal; -1 where the name has none."""
    match = _NAME.fullmatch(name_of(pod))
    if match is None or int(match[2]) > _LARGEST_ORDINAL:
        return "", -1
    return match[1], int(match[2])


def ordinal_of(pod: View) -> int:
    return parent_and_ordinal(pod)[1]


def is_member(stateful_set: View, pod: View) -> bool:
    """Whether the pod's name is one that the set gives."""
    return parent_and_ordinal(pod)[0] == name_of(stateful_set)


def start_of(stateful_set: View) -> int:
    """The first ordinal."""
    return int((stateful_set["spec"].get("ordinals") or {}).get("start") or 0)


def wanted(stateful_set: View) -> int:
    return int(stateful_set["spec"].get("replicas", 1))


def is_in_range(stateful_set: View, pod: View) -> bool:
    start = start_of(stateful_set)
    return start <= ordinal_of(pod) < start + wanted(stateful_set)


def revision_of(pod: View) -> str:
    return labels_of(pod).get(REVISION_LABEL, "")


def claim_templates(stateful_set: View) -> Sequence[Object]:
    return stateful_set["spec"].get("volumeClaimTemplates") or ()


def claim_name(stateful_set: View, template: View, ordinal: int) -> str:
    return f"{name_of(template)}-{name_of(stateful_set)}-{ordinal}"


def new_pod(stateful_set: View, template: View, revision: str, ordinal: int) -> Object:
    """The pod of that ordinal by a revision's template."""
    pod = pod_from_template(template, stateful_set, controller_reference(STATEFUL_SETS, stateful_set))
    name = f"{name_of(stateful_set)}-{ordinal}"
    pod["metadata"]["name"] = name
    pod["spec"] = {**pod["spec"], "hostname": name}
    if stateful_set["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = stateful_set["spec"]["serviceName"]
    pod = with_storage(stateful_set, with_identity(stateful_set, pod))
    pod["metadata"]["labels"][REVISION_LABEL] = revision
    return pod


def has_identity(stateful_set: View, pod: View) -> bool:
    """Whether name and labels are those of the ordinal."""
    parent, ordinal = parent_and_ordinal(pod)
    is_named = ordinal >= 0 and parent == name_of(stateful_set) and namespace_of(pod) == namespace_of(stateful_set)
    return is_named and labels_of(pod).get(POD_NAME_LABEL) == name_of(pod)


def with_identity(stateful_set: View, pod: View) -> Object:
    metadata = pod["metadata"]
    labels = {**labels_of(pod), POD_NAME_LABEL: name_of(pod), POD_INDEX_LABEL: str(ordinal_of(pod))}
    return {**pod, "metadata": {**metadata, "namespace": namespace_of(stateful_set), "labels": labels}}


def has_storage(stateful_set: View, pod: View) -> bool:
    """Whether each claim template is a volume of the pod with the claim of its ordinal."""
    ordinal = ordinal_of(pod)
    claims = {
        volume["name"]: (volume.get("persistentVolumeClaim") or {}).get("claimName")
        for volume in pod["spec"].get("volumes") or ()
    }
    templates = claim_templates(stateful_set)
    return ordinal >= 0 and all(claims.get(name_of(one)) == claim_name(stateful_set, one, ordinal) for one in templates)


def with_storage(stateful_set: View, pod: View) -> Object:
    """With the claims' volumes before its own; own volumes of those names give way."""
    templates, ordinal = claim_templates(stateful_set), ordinal_of(pod)
    if not templates:
        return dict(pod)
    taken = {name_of(one) for one in templates}
    volumes: list[Object] = [
        {"name": name_of(one), "persistentVolumeClaim": {"claimName": claim_name(stateful_set, one, ordinal)}}
        for one in templates
    ]
    volumes += [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in taken]
    return {**pod, "spec": {**pod["spec"], "volumes": volumes}}
