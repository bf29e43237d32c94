"""What a pod's status may say, and how it may change.

Follows: pkg/apis/core/validation/validation.go ValidatePodStatusUpdate
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from apiserver.resources.addresses import strict_ip
from apiserver.resources.go_values import go_struct
from apiserver.resources.object_meta import validate_object_meta_update
from apiserver.resources.pods.annotations import check_annotation_changes
from apiserver.resources.pods.options import Errors, Options, check_format
from openapi.meta.field import Verbatim, duplicate, forbidden, internal, invalid, not_supported, required, too_long
from openapi.meta.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name, parse_ip, range_text, size

Object = Mapping[str, Any]

_EMPTY: Object = {}
_SYSTEM_CONDITIONS = frozenset(("PodScheduled", "Ready", "Initialized"))
_NEGATIVE = "must be a non-negative integer"
_TRANSITION = "may not be transitioned to non-terminated state"
_MAX_ID = 2**31 - 1
_MAX_IMAGE_REFERENCE = 256
_MAX_HEALTH_MESSAGE = 4096
_HEALTHS = ("Healthy", "Unhealthy", "Unknown")
_STATUS_LISTS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def check_status_update(pod: Object, old: Object, options: Options, errors: Errors) -> None:
    meta, old_meta = pod["metadata"], old["metadata"]
    spec, status, old_status = pod.get("spec") or _EMPTY, pod.get("status") or _EMPTY, old.get("status") or _EMPTY
    errors.extend(validate_object_meta_update(meta, old_meta))
    annotations, before = meta.get("annotations") or _EMPTY, old_meta.get("annotations") or _EMPTY
    if annotations or before:
        check_annotation_changes(annotations, before, spec, "metadata.annotations", options, errors)
    _check_conditions(status.get("conditions") or (), errors)
    _check_nomination(spec, status, old_status, errors)
    generation = status.get("observedGeneration", 0)
    if generation < 0:
        errors.append(invalid("status.observedGeneration", generation, _NEGATIVE))
    if status.get("qosClass", "") != old_status.get("qosClass", ""):
        errors.append(invalid("status.qosClass", status.get("qosClass", ""), "field is immutable"))
    _check_transitions(spec, status, old_status, errors)
    _check_claim_statuses(status.get("resourceClaimStatuses") or (), spec.get("resourceClaims") or (), errors)
    if "extendedResourceClaimStatus" in status:
        _check_extended_claim(status["extendedResourceClaimStatus"], spec, errors)
    _check_addresses(status.get("podIPs") or (), old_status.get("podIPs") or (), "status.podIPs", errors)
    _check_host_addresses(status, old_status, errors)
    for field in _STATUS_LISTS:
        _check_users(status.get(field) or (), f"status.{field}", spec, errors)
    _check_allocated(status, spec, errors)
    for field in _STATUS_LISTS:
        _check_mounted_images(status.get(field) or (), f"status.{field}", errors)


def _check_conditions(conditions: Sequence[Object], errors: Errors) -> None:
    for index, condition in enumerate(conditions):
        generation = condition.get("observedGeneration", 0)
        if generation < 0:
            errors.append(invalid(f"status.conditions[{index}].observedGeneration", generation, _NEGATIVE))
        kind = condition.get("type", "")
        if kind not in _SYSTEM_CONDITIONS:
            check_format(kind, f"status.conditions[{index}].Type", is_qualified_name, errors)


def _check_nomination(spec: Object, status: Object, old_status: Object, errors: Errors) -> None:
    node, old_node = status.get("nominatedNodeName", ""), old_status.get("nominatedNodeName", "")
    if not node or node == old_node:
        return
    check_format(node, "status.nominatedNodeName", is_dns1123_subdomain, errors)
    if spec.get("nodeName"):
        text = "may not be set on pods that are already bound to a node"
        errors.append(forbidden("status.nominatedNodeName", text))


def _check_transitions(spec: Object, status: Object, old_status: Object, errors: Errors) -> None:
    """A container that ended for good stays ended."""
    if not _can_restart_all(spec):
        for field, listed in (("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")):
            containers = {container.get("name"): container for container in spec.get(listed) or ()}
            for index, old in _revived(status.get(field) or (), old_status.get(field) or ()):
                container = containers.get(old.get("name"))
                code = old["state"]["terminated"].get("exitCode", 0)
                if container is None or not _should_restart(container, spec, code):
                    errors.append(forbidden(f"status.{field}[{index}].state", _TRANSITION))
    field = "ephemeralContainerStatuses"
    for index, _ in _revived(status.get(field) or (), old_status.get(field) or ()):
        errors.append(forbidden(f"status.{field}[{index}].state", _TRANSITION))


def _revived(statuses: Sequence[Object], old_statuses: Sequence[Object]) -> list[tuple[int, Object]]:
    """The old statuses that were of an ended container and are not any more."""
    found = []
    for index, old in enumerate(old_statuses):
        if "terminated" not in (old.get("state") or ()):
            continue
        for new in statuses:
            if new.get("name") == old.get("name"):
                if "terminated" not in (new.get("state") or ()):
                    found.append((index, old))
                break
    return found


def _can_restart_all(spec: Object) -> bool:
    return any(
        rule.get("action") == "RestartAllContainers"
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
        for rule in container.get("restartPolicyRules") or ()
    )


def _should_restart(container: Object, spec: Object, exit_code: int) -> bool:
    """By the first rule that fits, else by the container's policy, else by the pod's."""
    own = container.get("restartPolicy")
    if own is not None:
        for rule in container.get("restartPolicyRules") or ():
            codes = rule.get("exitCodes") or _EMPTY
            listed = exit_code in (codes.get("values") or ())
            fits = listed if codes.get("operator") == "In" else codes.get("operator") == "NotIn" and not listed
            if fits and rule.get("action") == "Restart":
                return True
    policy = own or spec.get("restartPolicy")
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _check_claim_statuses(statuses: Sequence[Object], claims: Sequence[Object], errors: Errors) -> None:
    known = {claim.get("name", "") for claim in claims}
    seen: set[str] = set()
    for index, status in enumerate(statuses):
        here, name = f"status.resourceClaimStatuses[{index}]", status.get("name", "")
        if name not in known:
            text = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid(f"{here}.name", name, text))
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
        if "resourceClaimName" in status:
            check_format(status["resourceClaimName"], f"{here}.resourceClaimName", is_dns1123_subdomain, errors)


def _check_extended_claim(status: Object, spec: Object, errors: Errors) -> None:
    path = "status.extendedResourceClaimStatus"
    mappings = status.get("requestMappings") or ()
    if not mappings:
        errors.append(required(f"{path}.requestMappings", "at least one request mapping is required"))
    fields = ("initContainers", "containers")
    containers = {c.get("name", ""): c for field in fields for c in spec.get(field) or ()}
    seen: set[tuple[str, str, str]] = set()
    for index, mapping in enumerate(mappings):
        here = f"{path}.requestMappings[{index}]"
        name, resource, request = (mapping.get(f, "") for f in ("containerName", "resourceName", "requestName"))
        container = containers.get(name)
        if container is None:
            text = "must match the name of an entry in spec.initContainers.name or spec.containers.name"
            errors.append(invalid(f"{here}.containerName", name, text))
        elif resource not in ((container.get("resources") or _EMPTY).get("requests") or ()):
            text = (
                "must match the extended resource name of an entry in spec.initContainers.resources.requests "
                "or spec.containers.resources.requests"
            )
            errors.append(invalid(f"{here}.resourceName", resource, text))
        check_format(request, f"{path}.requestName", is_dns1123_label, errors)
        if (name, resource, request) in seen:
            values = (("containerName", name), ("resourceName", resource), ("requestName", request))
            errors.extend(duplicate(f"{here}.{field}", value) for field, value in values)
        seen.add((name, resource, request))
    claim = status.get("resourceClaimName", "")
    if not claim:
        errors.append(required(f"{path}.resourceClaimName"))
    else:
        check_format(claim, f"{path}.resourceClaimName", is_dns1123_subdomain, errors)


_IP_FIELDS = (("IP", "ip", ""),)


def _check_addresses(addresses: Sequence[Object], old: Sequence[Object], path: str, errors: Errors) -> None:
    """One address of each family at most."""
    if not addresses:
        return
    stored = [address.get("ip", "") for address in old]
    texts = [address.get("ip", "") for address in addresses]
    for index, text in enumerate(texts):
        errors.extend(strict_ip(text, f"{path}[{index}]", stored))
    if len(texts) == 1:
        return
    families: list[bool] = []
    for text in texts:
        parsed = parse_ip(text)
        if parsed is None:
            why = f"failed to check for dual stack with error:invalid IP: {text}"
            errors.append(internal(path, why))
            families = []
            break
        families.append(isinstance(parsed, IPv4Address))
    if len(set(families)) < 2 or len(texts) > 2:
        shown = Verbatim("[" + ",".join(go_struct(address, _IP_FIELDS) for address in addresses) + "]")
        errors.append(invalid(path, shown, "may specify no more than one IP for each IP family"))


def _check_host_addresses(status: Object, old_status: Object, errors: Errors) -> None:
    addresses = status.get("hostIPs") or ()
    if not addresses:
        return
    first = addresses[0].get("ip", "")
    if status.get("hostIP", "") != first:
        errors.append(invalid("status.hostIPs[0].ip", first, "must be equal to `hostIP`"))
    _check_addresses(addresses, old_status.get("hostIPs") or (), "status.hostIPs", errors)


def _check_users(statuses: Sequence[Object], path: str, spec: Object, errors: Errors) -> None:
    is_windows = (spec.get("os") or _EMPTY).get("name") == "windows"
    for index, status in enumerate(statuses):
        user = (status.get("user") or _EMPTY).get("linux")
        if user is None:
            continue
        here = f"{path}[{index}].user.linux"
        if is_windows:
            errors.append(forbidden(here, "cannot be set for a windows pod"))
            continue
        _check_id(user.get("uid", 0), f"{here}.uid", errors)
        _check_id(user.get("gid", 0), f"{here}.gid", errors)
        for place, group in enumerate(user.get("supplementalGroups") or ()):
            _check_id(group, f"{here}.supplementalGroups[{place}]", errors)


def _check_id(value: int, path: str, errors: Errors) -> None:
    if not 0 <= value <= _MAX_ID:
        errors.append(invalid(path, value, range_text(0, _MAX_ID)))


def _check_allocated(status: Object, spec: Object, errors: Errors) -> None:
    """The health of devices is told per resource that the container has."""
    extended = status.get("extendedResourceClaimStatus")
    for field, listed in (("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")):
        containers = {container.get("name"): container for container in spec.get(listed) or ()}
        for index, entry in enumerate(status.get(field) or ()):
            for place, resource in enumerate(entry.get("allocatedResourcesStatus") or ()):
                here = f"status.{field}[{index}].allocatedResourcesStatus[{place}]"
                container = containers.get(entry.get("name"))
                if container is not None:
                    _check_allocated_name(resource.get("name", ""), container, extended, here, errors)
                _check_healths(resource.get("resources") or (), f"{here}.resources", errors)
    for index, entry in enumerate(status.get("ephemeralContainerStatuses") or ()):
        if entry.get("allocatedResourcesStatus"):
            where = f"status.ephemeralContainerStatuses[{index}].allocatedResourcesStatus"
            errors.append(forbidden(where, "must not be specified in container status"))


def _check_allocated_name(name: str, container: Object, extended: Object | None, path: str, errors: Errors) -> None:
    resources = container.get("resources") or _EMPTY
    if not name.startswith("claim:"):
        if name not in (resources.get("requests") or ()):
            errors.append(invalid(f"{path}.name", name, "must match one of the container's resource requests"))
        return
    claims = [
        f"claim:{c.get('name', '')}/{c['request']}" if c.get("request") else f"claim:{c.get('name', '')}"
        for c in resources.get("claims") or ()
    ]
    if extended is not None:
        claims.extend(
            f"claim:{extended.get('resourceClaimName', '')}/{m.get('requestName', '')}"
            for m in extended.get("requestMappings") or ()
            if m.get("containerName") == container.get("name")
        )
    if name not in claims:
        text = (
            "must match one of the container's resource claims as 'claim:<claimName>/<requestName>' when "
            "container.resources.claims[*].request is set or 'claim:<claimName>' when it is empty"
        )
        errors.append(invalid(f"{path}.name", name, text))


def _check_healths(resources: Sequence[Object], path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for index, resource in enumerate(resources):
        here, health, message = f"{path}[{index}]", resource.get("health", ""), resource.get("message")
        if health not in _HEALTHS:
            errors.append(not_supported(f"{here}.health", health, _HEALTHS))
        if message is not None:
            if not message:
                errors.append(required(f"{here}.message", "must be non-empty if specified"))
            elif size(message) > _MAX_HEALTH_MESSAGE:
                errors.append(too_long(f"{here}.message", _MAX_HEALTH_MESSAGE))
        identity = resource.get("resourceID", "")
        if identity in seen:
            errors.append(duplicate(f"{here}.resourceID", identity))
        seen.add(identity)


def _check_mounted_images(statuses: Sequence[Object], path: str, errors: Errors) -> None:
    for index, status in enumerate(statuses):
        for place, mount in enumerate(status.get("volumeMounts") or ()):
            image = (mount.get("volumeStatus") or _EMPTY).get("image")
            if image is None:
                continue
            where = f"{path}[{index}].volumeMounts[{place}].volumeStatus.image.imageRef"
            reference = image.get("imageRef", "")
            if not reference:
                errors.append(required(where, "imageRef must not be empty"))
            if size(reference) > _MAX_IMAGE_REFERENCE:
                errors.append(too_long(where, _MAX_IMAGE_REFERENCE))
