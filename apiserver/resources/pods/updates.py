"""What may change in a pod once it exists: by an ordinary update, by adding ephemeral containers, by resizing.

Follows: pkg/apis/core/validation/validation.go ValidatePodUpdate, ValidatePodEphemeralContainersUpdate,
ValidatePodResize
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.resources.go_values import go_struct
from apiserver.resources.object_meta import validate_object_meta_update
from apiserver.resources.pods.annotations import MIRROR, check_annotation_changes
from apiserver.resources.pods.options import Errors, Options
from apiserver.resources.pods.pod import EMPTY, check_metadata_and_spec
from apiserver.resources.pods.scheduling import check_tolerations
from openapi.kinds.pod_resources import qos_class
from openapi.meta.field import WHOLE, Verbatim, forbidden, invalid, quote, required
from openapi.meta.names import range_text
from openapi.schema.gostruct import internal_text

Object = Mapping[str, Any]

_MAX_INT32 = 2**31 - 1
_PADDED = "must not have leading or trailing whitespace"
_UPDATABLE = ",".join((
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
))  # fmt: skip
_NODE_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
_RESIZABLE = ("cpu", "memory")


def check_updated_pod(pod: Object, old: Object, options: Options, errors: Errors) -> None:
    spec, old_spec = pod.get("spec") or EMPTY, old.get("spec") or EMPTY
    errors.extend(validate_object_meta_update(pod["metadata"], old["metadata"]))
    check_metadata_and_spec(pod, options, errors)
    _check_annotations(pod, old, options, errors)
    if not _check_images(spec, old_spec, errors) or not _check_deadline(spec, old_spec, errors):
        return
    _check_tolerations(spec, old_spec, errors)
    _check_gates(spec, old_spec, errors)
    if spec == old_spec:
        return
    masked = _masked(spec, old_spec)
    if old_spec.get("schedulingGates"):
        _check_gated_changes(masked, old_spec, errors)
    if masked != old_spec:
        changes = struct_difference(old_spec, masked, "io.k8s.api.core.v1.PodSpec")
        errors.append(forbidden("spec", f"pod updates may not change fields other than {_UPDATABLE}\n{changes}"))


def _check_annotations(pod: Object, old: Object, options: Options, errors: Errors) -> None:
    annotations, before = pod["metadata"].get("annotations") or EMPTY, old["metadata"].get("annotations") or EMPTY
    if annotations or before:
        spec = pod.get("spec") or EMPTY
        check_annotation_changes(annotations, before, spec, "metadata.annotations", options, errors)


def struct_difference(old: Object, new: Object, definition: str) -> str:
    """As `difference`, of two structs in the form that the API's own Go structs have."""
    return difference(*(json.loads(internal_text(value, definition)) for value in (old, new)))


def difference(old: Any, new: Any) -> str:
    """The two values as indented JSON, line by line, as a unified difference without file names."""
    before, after = (json.dumps(value, indent=1, ensure_ascii=False).splitlines() for value in (old, new))
    return "".join(f"{line}\n" for line in list(difflib.unified_diff(before, after, lineterm=""))[2:])


def _check_images(spec: Object, old_spec: Object, errors: Errors) -> bool:
    """Images may change; containers may not come or go."""
    for field in ("containers", "initContainers"):
        containers = spec.get(field) or ()
        if len(containers) != len(old_spec.get(field) or ()):
            errors.append(forbidden(f"spec.{field}", "pod updates may not add or remove containers"))
            return False
        for index, container in enumerate(containers):
            image = container.get("image", "")
            if not image:
                errors.append(required(f"spec.{field}[{index}].image"))
            if image.strip() != image:
                errors.append(invalid(f"spec.{field}[{index}].image", image, _PADDED))
    return True


def _check_deadline(spec: Object, old_spec: Object, errors: Errors) -> bool:
    """The deadline may be set once and come closer, never go away."""
    deadline, old_deadline = spec.get("activeDeadlineSeconds"), old_spec.get("activeDeadlineSeconds")
    where = "spec.activeDeadlineSeconds"
    if deadline is None:
        if old_deadline is not None:
            text = "must not update from a positive integer to nil value"
            errors.append(invalid(where, None, text))
        return True
    if not 0 <= deadline <= _MAX_INT32:
        errors.append(invalid(where, deadline, range_text(0, _MAX_INT32)))
        return False
    if old_deadline is not None and old_deadline < deadline:
        errors.append(invalid(where, deadline, "must be less than or equal to previous value"))
        return False
    return True


def _check_tolerations(spec: Object, old_spec: Object, errors: Errors) -> None:
    tolerations, old_tolerations = spec.get("tolerations") or [], old_spec.get("tolerations") or []
    if tolerations == old_tolerations:
        if tolerations:
            check_tolerations(tolerations, "spec.tolerations", errors)
        return
    kept = [_without_seconds(toleration) for toleration in tolerations]
    if any(_without_seconds(old) not in kept for old in old_tolerations):
        text = "existing toleration can not be modified except its tolerationSeconds"
        errors.append(forbidden("spec.tolerations", text))
        return
    check_tolerations(tolerations, "spec.tolerations", errors)


def _without_seconds(toleration: Object) -> dict[str, Any]:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _check_gates(spec: Object, old_spec: Object, errors: Errors) -> None:
    known = {gate.get("name") for gate in old_spec.get("schedulingGates") or ()}
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name", "")
        if name not in known:
            text = f"only deletion is allowed, but found new scheduling gate '{name}'"
            errors.append(forbidden(f"spec.schedulingGates[{index}].name", text))


def _masked(spec: Object, old_spec: Object) -> dict[str, Any]:
    """The new spec with all that may change set back to what it was."""
    masked = dict(spec)
    for field in ("containers", "initContainers"):
        if field in masked:
            pairs = zip(masked[field], old_spec[field], strict=True)
            masked[field] = [_with(container, "image", old) for container, old in pairs]
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        masked = _with(masked, field, old_spec)
    if old_spec.get("terminationGracePeriodSeconds", 0) < 0 and masked.get("terminationGracePeriodSeconds") == 1:
        masked = _with(masked, "terminationGracePeriodSeconds", old_spec)
    return masked


def _with(struct: Object, field: str, source: Object) -> dict[str, Any]:
    """A copy of `struct` whose `field` is as in `source`."""
    changed = dict(struct)
    if field in source:
        changed[field] = source[field]
    else:
        changed.pop(field, None)
    return changed


def _check_gated_changes(masked: dict[str, Any], old_spec: Object, errors: Errors) -> None:
    """A pod that is not yet for scheduling may narrow the nodes it wants; `masked` is set back in place."""
    selector, old_selector = masked.get("nodeSelector") or {}, old_spec.get("nodeSelector") or {}
    if selector != old_selector:
        if any(selector.get(key) != value for key, value in old_selector.items()):
            text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errors.append(invalid("spec.nodeSelector", masked.get("nodeSelector"), text))
        masked.pop("nodeSelector", None)
        if "nodeSelector" in old_spec:
            masked["nodeSelector"] = old_spec["nodeSelector"]
    affinity, old_affinity = masked.get("affinity") or {}, old_spec.get("affinity") or {}
    node, old_node = affinity.get("nodeAffinity"), old_affinity.get("nodeAffinity")
    if node == old_node:
        return
    _check_node_affinity(node or EMPTY, old_node or EMPTY, errors)
    restored = _with(affinity, "nodeAffinity", old_affinity)
    if restored or "affinity" in old_spec:
        masked["affinity"] = restored
    else:
        masked.pop("affinity", None)


def _check_node_affinity(affinity: Object, old: Object, errors: Errors) -> None:
    where = f"spec.affinity.nodeAffinity.{_NODE_TERMS}.nodeSelectorTerms"
    old_terms = (old.get(_NODE_TERMS) or EMPTY).get("nodeSelectorTerms") or []
    terms = (affinity.get(_NODE_TERMS) or EMPTY).get("nodeSelectorTerms") or []
    if not old_terms:
        return
    if len(terms) != len(old_terms):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        shown = Verbatim("[" + ",".join(map(_shown_term, terms)) + "]") if terms else None
        errors.append(invalid(where, shown, text))
        return
    for index, (term, old_term) in enumerate(zip(terms, old_terms, strict=True)):
        if not _only_adds(term, old_term):
            text = "only additions are allowed (no mutations or deletions)"
            errors.append(invalid(f"{where}[{index}]", Verbatim(_shown_term(term)), text))


_REQUIREMENT_FIELDS = (("Key", "key", ""), ("Operator", "operator", ""), ("Values", "values", None))
_TERM_FIELDS = ("MatchExpressions", "matchExpressions", None), ("MatchFields", "matchFields", None)


def _shown_term(term: Object) -> str:
    plain = {
        field: [{go: r.get(name, absent) for go, name, absent in _REQUIREMENT_FIELDS} for r in requirements]
        for field, requirements in term.items()
    }
    return str(go_struct(plain, _TERM_FIELDS))


def _only_adds(term: Object, old: Object) -> bool:
    fields = ("matchExpressions", "matchFields")
    if not any(old.get(field) for field in fields):
        return not any(term.get(field) for field in fields)
    return all((term.get(field) or [])[: len(old.get(field) or [])] == (old.get(field) or []) for field in fields)


def check_ephemeral_update(pod: Object, old: Object, options: Options, errors: Errors) -> None:
    """Ephemeral containers are only ever added."""
    if MIRROR in (old["metadata"].get("annotations") or ()):
        errors.append(forbidden(WHOLE, "static pods do not support ephemeral containers"))
        return
    errors.extend(validate_object_meta_update(pod["metadata"], old["metadata"]))
    check_metadata_and_spec(pod, options, errors)
    _check_annotations(pod, old, options, errors)
    new = {container.get("name", ""): container for container in pod["spec"].get("ephemeralContainers") or ()}
    for container in old["spec"].get("ephemeralContainers") or ():
        name = container.get("name", "")
        if name not in new:
            text = f"existing ephemeral containers {quote(name)} may not be removed\n"
            errors.append(forbidden("spec.ephemeralContainers", text))
        elif new[name] != container:
            text = f"existing ephemeral containers {quote(name)} may not be changed\n"
            text += struct_difference(container, new[name], "io.k8s.api.core.v1.EphemeralContainer")
            errors.append(forbidden("spec.ephemeralContainers", text))


def check_resize(pod: Object, old: Object, options: Options, errors: Errors) -> None:
    """Only amounts of cpu and memory may change, and the class of service that follows from them may not."""
    spec, old_spec = pod["spec"], old["spec"]
    if MIRROR in (old["metadata"].get("annotations") or ()):
        errors.append(forbidden(WHOLE, "static pods cannot be resized"))
        return
    if (old_spec.get("os") or EMPTY).get("name") == "windows":
        errors.append(forbidden(WHOLE, "windows pods cannot be resized"))
        return
    errors.extend(validate_object_meta_update(pod["metadata"], old["metadata"]))
    check_metadata_and_spec(pod, options, errors)
    status = old.get("status") or EMPTY
    if (status.get("qosClass") or qos_class(old_spec)) != qos_class(spec):
        text = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", (pod.get("status") or EMPTY).get("qosClass", ""), text))
    running = [c for c in status.get("containerStatuses") or () if "running" in (c.get("state") or ())]
    if running and "resources" not in running[0]:
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    masked = dict(spec)
    if old_spec.get("resources") or spec.get("resources"):
        _check_pod_level_resize(masked, old_spec, errors)
    if not _check_same_containers(spec, old_spec, errors):
        return
    _check_container_resizes(masked, old_spec, errors)
    if not errors and masked != old_spec:
        errors.append(forbidden("spec", "only cpu and memory resources are mutable"))


def _check_pod_level_resize(masked: dict[str, Any], old_spec: Object, errors: Errors) -> None:
    resources, old_resources = masked.get("resources"), old_spec.get("resources")
    if old_resources is not None:
        if resources is None:
            errors.append(forbidden("spec.resources", "pod-level resources cannot be removed"))
            return
        for kind, words in (("requests", "requests"), ("limits", "limits")):
            if _is_removed(resources.get(kind), old_resources.get(kind)):
                text = f"pod-level resource {words} cannot be removed"
                errors.append(forbidden(f"spec.resources.{kind}", text))
    restored = _with_old_amounts(resources or EMPTY, old_resources or EMPTY)
    if restored or old_resources is not None:
        masked["resources"] = restored
    else:
        masked.pop("resources", None)
    if masked.get("resources") != old_resources:
        errors.append(forbidden("spec", "only cpu and memory resources are mutable at pod-level"))


def _is_removed(amounts: Object | None, old: Object | None) -> bool:
    return any(name not in (amounts or ()) for name in old or ())


def _with_old_amounts(resources: Object, old: Object) -> dict[str, Any]:
    """The requirements with cpu and memory as they were."""
    restored = dict(resources)
    for kind in ("limits", "requests"):
        amounts = {n: q for n, q in (resources.get(kind) or EMPTY).items() if n not in _RESIZABLE}
        amounts.update({n: q for n, q in (old.get(kind) or EMPTY).items() if n in _RESIZABLE})
        if amounts:
            restored[kind] = amounts
        else:
            restored.pop(kind, None)
    return restored


def _check_same_containers(spec: Object, old_spec: Object, errors: Errors) -> bool:
    before = len(errors)
    for field in ("containers", "initContainers"):
        containers, old_containers = spec.get(field) or (), old_spec.get(field) or ()
        if len(containers) != len(old_containers):
            errors.append(forbidden(f"spec.{field}", f"{field} may not be added or removed on resize"))
            continue
        for index, (container, old) in enumerate(zip(containers, old_containers, strict=True)):
            if container.get("name") != old.get("name"):
                text = f"{field} may not be renamed or reordered on resize"
                errors.append(forbidden(f"spec.{field}[{index}].name", text))
    return len(errors) == before


def _is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _check_container_resizes(masked: dict[str, Any], old_spec: Object, errors: Errors) -> None:
    """`masked` gets containers whose cpu and memory are as before."""
    for field in ("initContainers", "containers"):
        for index, (container, old) in enumerate(_pairs(masked, old_spec, field)):
            _check_not_removed(container, old, f"spec.{field}[{index}].resources", errors)
    for field in ("containers", "initContainers"):
        if field not in masked:
            continue
        restored: list[Object] = []
        for index, (container, old) in enumerate(_pairs(masked, old_spec, field)):
            same = _with_old_resources(container, old)
            if field == "initContainers":
                _check_init_resize(container, old, same, f"spec.initContainers[{index}]", errors)
            elif same != old:
                errors.append(forbidden("spec", "only cpu and memory resources are mutable"))
            restored.append(same)
        masked[field] = restored


def _check_init_resize(container: Object, old: Object, same: Object, path: str, errors: Errors) -> None:
    """`same` is the container with its cpu and memory as before."""
    if same != old:
        text = "only cpu and memory resources for init or sidecar containers are mutable"
        errors.append(forbidden(path, text))
    if container != old and not _is_sidecar(container):
        text = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
        for policy in container.get("resizePolicy") or ():
            if policy.get("restartPolicy") == "RestartContainer":
                errors.append(forbidden(path, text))


def _pairs(spec: Object, old_spec: Object, field: str) -> Sequence[tuple[Object, Object]]:
    return list(zip(spec.get(field) or (), old_spec.get(field) or (), strict=True))


def _with_old_resources(container: Object, old: Object) -> dict[str, Any]:
    restored = dict(container)
    amounts = _with_old_amounts(container.get("resources") or EMPTY, old.get("resources") or EMPTY)
    # Claims do not survive the comparison, so containers with claims cannot be resized.
    amounts.pop("claims", None)
    restored["resources"] = amounts
    if not restored["resources"] and "resources" not in old:
        del restored["resources"]
    return restored


def _check_not_removed(container: Object, old: Object, path: str, errors: Errors) -> None:
    resources, old_resources = container.get("resources") or EMPTY, old.get("resources") or EMPTY
    for kind in ("requests", "limits"):
        if _is_removed(resources.get(kind), old_resources.get(kind)):
            errors.append(forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed"))
