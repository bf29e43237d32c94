"""What a stored pod or template may keep although it could not be created so today.

Each flag is set when the stored spec already breaks the rule, so that updates of other fields go through.
Follows: pkg/api/pod/util.go GetValidationOptionsFromPodSpecAndMeta
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openapi.kinds.pod_resources import is_hugepages
from openapi.meta.field import INVALID, FieldError
from openapi.meta.names import is_label_value
from openapi.meta.quantity import Quantity
from openapi.meta.selectors import validate_label_selector

Errors = list[FieldError]
Spec = Mapping[str, Any]


@dataclass(slots=True)
class Options:
    is_pod: bool = False
    """The spec is a pod's own, not one embedded in another object."""
    any_deletion_cost: bool = False
    any_label_value_in_selector: bool = False
    any_hugepages_amount: bool = False
    any_spread_selector: bool = False
    any_token_path: bool = False
    host_sysctls: bool = False
    any_required_affinity_value: bool = False
    legacy_spread_keys: bool = False
    restart_on_init_resize: bool = False
    devices_without_host_users: bool = False
    empty_image_volume: bool = False
    sysadmin_without_escalation: bool = False
    any_selinux_policy: bool = False


NONE = Options()
FOR_POD = Options(is_pod=True)


def options_for(old_spec: Spec | None, old_meta: Mapping[str, Any] | None, *, is_pod: bool) -> Options:
    """The options for an update of what is stored, or for a create if that is None."""
    if old_spec is None:
        return FOR_POD if is_pod else NONE
    options = Options(is_pod=is_pod)
    annotations = (old_meta or {}).get("annotations")
    if annotations and deletion_cost_error(annotations):
        options.any_deletion_cost = True
    for volume in old_spec.get("volumes") or ():
        _volume_options(volume, options)
    containers = list(all_containers(old_spec))
    options.any_hugepages_amount = any(map(_has_odd_hugepages, containers))
    options.restart_on_init_resize = any(_restarts_on_resize(c) for c in old_spec.get("initContainers") or ())
    options.sysadmin_without_escalation = any(map(has_sysadmin_without_escalation, containers))
    if old_spec.get("hostUsers") is False:
        options.devices_without_host_users = any(c.get("volumeDevices") for c in containers)
    options.any_selinux_policy = "seLinuxChangePolicy" in (old_spec.get("securityContext") or ())
    options.host_sysctls = _has_host_sysctls(old_spec)
    if old_spec.get("affinity"):
        _affinity_options(old_spec["affinity"], options)
    if old_spec.get("topologySpreadConstraints"):
        _spread_options(old_spec["topologySpreadConstraints"], options)
    return options


_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def all_containers(spec: Spec) -> Iterator[Mapping[str, Any]]:
    """Init, regular and ephemeral containers, in this order."""
    for field in _CONTAINERS:
        yield from spec.get(field) or ()


def containers_with_paths(spec: Spec, path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """As `all_containers`, each with where it stands below `path`."""
    for field in _CONTAINERS:
        for index, container in enumerate(spec.get(field) or ()):
            yield container, f"{path}.{field}[{index}]"


DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def deletion_cost_error(annotations: Mapping[str, str]) -> bool:
    """The pod's deletion cost is no 32-bit integer in plain form."""
    text = annotations.get(DELETION_COST)
    if text is None:
        return False
    if not text or text[0] == "+" or (len(text) > 1 and text[0] == "0"):
        return True
    digits = text[1:] if text[0] == "-" else text
    return not (digits.isascii() and digits.isdigit() and -(2**31) <= int(text) < 2**31)


def _volume_options(volume: Mapping[str, Any], options: Options) -> None:
    image = volume.get("image")
    if image is not None and not image.get("reference"):
        options.empty_image_volume = True
    projected = volume.get("projected")
    for source in (projected or {}).get("sources") or ():
        token = source.get("serviceAccountToken")
        if token and _is_odd_path(token.get("path", "")):
            options.any_token_path = True


def _is_odd_path(path: str) -> bool:
    return path.startswith(("/", "..")) or ".." in path.split("/")


def hugepages_size(name: str) -> Quantity | None:
    """The page size in a resource's name, None if there is none in it."""
    try:
        return Quantity.parse(name.removeprefix("hugepages-"))
    except ValueError:
        return None


def is_whole_hugepages(name: str, amount: Quantity) -> bool:
    size = hugepages_size(name)
    if size is None:
        return False
    return size.value > 0 and size.nanos % 10**9 == 0 and amount.value % size.value == 0


def _has_odd_hugepages(container: Mapping[str, Any]) -> bool:
    resources = container.get("resources") or {}
    return any(
        is_hugepages(name) and not is_whole_hugepages(name, Quantity.parse(text))
        for kind in ("limits", "requests")
        for name, text in (resources.get(kind) or {}).items()
    )


def _restarts_on_resize(container: Mapping[str, Any]) -> bool:
    if container.get("restartPolicy") == "Always":
        return False
    return any(policy.get("restartPolicy") == "RestartContainer" for policy in container.get("resizePolicy") or ())


def has_sysadmin_without_escalation(container: Mapping[str, Any]) -> bool:
    context = container.get("securityContext") or {}
    added = (context.get("capabilities") or {}).get("add") or ()
    return context.get("allowPrivilegeEscalation") is False and "CAP_SYS_ADMIN" in added


def sysctl_namespace(name: str) -> str:
    """`net` or `ipc` for the sysctls of these namespaces, in dotted or slashed form."""
    dotted = name.replace("/", ".")
    if dotted.startswith("net."):
        return "net"
    if dotted == "kernel.sem" or dotted.startswith(("kernel.shm", "kernel.msg", "fs.mqueue.")):
        return "ipc"
    return ""


def _has_host_sysctls(spec: Spec) -> bool:
    sysctls = (spec.get("securityContext") or {}).get("sysctls") or ()
    namespaces = {sysctl_namespace(sysctl.get("name", "")) for sysctl in sysctls}
    return bool((spec.get("hostNetwork") and "net" in namespaces) or (spec.get("hostIPC") and "ipc" in namespaces))


def _affinity_options(affinity: Mapping[str, Any], options: Options) -> None:
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for expression in term.get("matchExpressions") or ():
            if any(is_label_value(value) for value in expression.get("values") or ()):
                options.any_required_affinity_value = True
    for kind in ("podAffinity", "podAntiAffinity"):
        group = affinity.get(kind) or {}
        terms = list(group.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = group.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms.extend(weighted.get("podAffinityTerm") or {} for weighted in preferred)
        if any(_has_odd_values(term.get("labelSelector")) for term in terms):
            options.any_label_value_in_selector = True


def _has_odd_values(selector: Mapping[str, Any] | None) -> bool:
    expressions = (selector or {}).get("matchExpressions") or ()
    return any(is_label_value(value) for e in expressions for value in e.get("values") or ())


def _spread_options(constraints: list[Mapping[str, Any]], options: Options) -> None:
    for constraint in constraints:
        selector = constraint.get("labelSelector")
        if any(validate_label_selector(selector, "")):
            options.any_spread_selector = True
        seen = set((selector or {}).get("matchLabels") or ())
        for expression in (selector or {}).get("matchExpressions") or ():
            key = expression.get("key")
            if key in seen and key in (constraint.get("matchLabelKeys") or ()):
                options.legacy_spread_keys = True
            seen.add(key)


Check = Callable[[str], list[str]]


def check_format(value: str, path: str, check: Check, errors: Errors) -> None:
    """Report `value` for each of its problems."""
    for problem in check(value):
        errors.append(FieldError(INVALID, path, value, problem))
