"""The containers of a pod: what all of them must have, and what sets regular, init and ephemeral ones apart.

Follows: pkg/apis/core/validation/validation.go validateContainers, validateInitContainers,
validateEphemeralContainers, validateContainerCommon
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.resources.pods.environment import check_environment, check_environment_from
from apiserver.resources.pods.mounts import check_devices, check_mounts
from apiserver.resources.pods.options import Errors, Options
from apiserver.resources.pods.probes import check_lifecycle, check_probes
from apiserver.resources.pods.resources import check_requirements
from apiserver.resources.pods.security import check_container_context
from apiserver.resources.pods.volumes import check_pull_policy
from openapi.meta.field import (
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    not_supported_listed,
    required,
    too_many,
)
from openapi.meta.names import is_dns1123_label, is_port_name, is_port_number

Object = Mapping[str, Any]

_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_RULE_ACTIONS = ("Restart", "RestartAllContainers")
_RULE_OPERATORS = ("In", "NotIn")
_MAX_RULES = 20
_MAX_EXIT_CODES = 255
_RESIZABLE = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
_SIDECAR_ONLY = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_SIDECAR_TEXT = "may not be set for init containers without restartPolicy=Always"
_RULES_ALONE = "must specify restartPolicy when restart rules are used"
_PADDED = "must not have leading or trailing whitespace"
_EPHEMERAL_TEXT = "cannot be set for an Ephemeral Container"
# In the order in which the server's own type declares them.
_NOT_EPHEMERAL = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe",
    "startupProbe", "lifecycle",
)  # fmt: skip


@dataclass(slots=True)
class Surroundings:
    """What the rules of one container look up in its pod."""

    volumes: Mapping[str, Object]
    claim_names: set[str]
    grace_s: int | None
    restart_policy: str
    host_users: bool
    options: Options


def check_containers(containers: Sequence[Object], path: str, pod: Surroundings, errors: Errors) -> None:
    """The regular containers."""
    if not containers:
        errors.append(required(path))
        return
    names: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        check_common(container, here, pod, errors)
        name = container.get("name", "")
        if name in names:
            errors.append(duplicate(f"{here}.name", name))
        names.add(name)
        _check_life(container, here, pod, errors)
        if "restartPolicyRules" in container or "restartPolicy" in container:
            _check_restart_policy(container, here, errors)
    check_host_ports(containers, path, errors)


def _check_life(container: Object, path: str, pod: Surroundings, errors: Errors) -> None:
    if "lifecycle" in container:
        check_lifecycle(container["lifecycle"], pod.grace_s, f"{path}.lifecycle", errors)
    check_probes(container, pod.grace_s, path, errors)


def check_init_containers(
    containers: Sequence[Object], regular: Sequence[Object], path: str, pod: Surroundings, errors: Errors
) -> None:
    names = {container.get("name", "") for container in regular}
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        check_common(container, here, pod, errors)
        if "restartPolicy" in container:
            _check_restart_policy(container, here, errors)
        elif container.get("restartPolicyRules"):
            errors.append(required(f"{here}.restartPolicy", _RULES_ALONE))
        name = container.get("name", "")
        if name in names:
            errors.append(duplicate(f"{here}.name", name))
        elif name:
            names.add(name)
        check_host_ports((container,), path, errors)
        if container.get("restartPolicy") == "Always":
            _check_life(container, here, pod, errors)
            continue
        errors.extend(forbidden(f"{here}.{field}", _SIDECAR_TEXT) for field in _SIDECAR_ONLY if field in container)
        if not pod.options.restart_on_init_resize:
            _check_init_resize(container, here, errors)


def _check_init_resize(container: Object, path: str, errors: Errors) -> None:
    for index, policy in enumerate(container.get("resizePolicy") or ()):
        if policy.get("restartPolicy") == "RestartContainer":
            text = "must not be set to 'RestartContainer' for non-sidecar initContainers"
            errors.append(invalid(f"{path}.resizePolicy[{index}].restartPolicy", "RestartContainer", text))


def check_ephemeral_containers(spec: Object, path: str, pod: Surroundings, errors: Errors) -> None:
    """`path` is the list's."""
    others = {c.get("name", "") for field in ("containers", "initContainers") for c in spec.get(field) or ()}
    names = set(others)
    for index, container in enumerate(spec["ephemeralContainers"]):
        here = f"{path}[{index}]"
        check_common(container, here, pod, errors)
        check_image_padding(container, here, errors)
        name, target = container.get("name", ""), container.get("targetContainerName", "")
        if name in names:
            errors.append(duplicate(f"{here}.name", name))
        names.add(name)
        if target and target not in others:
            errors.append(not_found(f"{here}.targetContainerName", target))
        for field in _NOT_EPHEMERAL:
            if container.get(field) or (field == "lifecycle" and field in container):
                errors.append(forbidden(f"{here}.{field}", _EPHEMERAL_TEXT))
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    errors.append(forbidden(f"{here}.volumeMounts[{place}].{field}", _EPHEMERAL_TEXT))


def check_common(container: Object, path: str, pod: Surroundings, errors: Errors) -> None:
    """The rules of every container. Only fields that are there cost time."""
    name = container.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    else:
        for problem in is_dns1123_label(name):
            errors.append(invalid(f"{path}.name", name, problem))
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy", "")
    if policy not in _MESSAGE_POLICIES:
        where = f"{path}.terminationMessagePolicy"
        errors.append(not_supported_listed(where, policy, _MESSAGE_POLICIES) if policy else required(where))
    if "ports" in container:
        _check_ports(container["ports"], f"{path}.ports", errors)
    if "env" in container:
        check_environment(container["env"], f"{path}.env", errors)
    if "envFrom" in container:
        check_environment_from(container["envFrom"], f"{path}.envFrom", errors)
    if "volumeMounts" in container:
        check_mounts(container, pod.volumes, f"{path}.volumeMounts", errors)
    if "volumeDevices" in container:
        check_devices(container, pod.volumes, f"{path}.volumeDevices", errors)
    check_pull_policy(container.get("imagePullPolicy", ""), f"{path}.imagePullPolicy", errors)
    if container.get("resources"):
        check_requirements(container["resources"], pod.claim_names, f"{path}.resources", pod.options, errors)
    if "resizePolicy" in container:
        _check_resize_policy(container["resizePolicy"], f"{path}.resizePolicy", pod.restart_policy, errors)
    if "securityContext" in container:
        check_container_context(
            container["securityContext"], f"{path}.securityContext", pod.options, errors, host_users=pod.host_users
        )


def _check_ports(ports: Sequence[Object], path: str, errors: Errors) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        name, number, host = port.get("name", ""), port.get("containerPort", 0), port.get("hostPort", 0)
        if name:
            problems = is_port_name(name)
            if problems:
                errors.extend(invalid(f"{here}.name", name, problem) for problem in problems)
            elif name in names:
                errors.append(duplicate(f"{here}.name", name))
            else:
                names.add(name)
        if not number:
            errors.append(required(f"{here}.containerPort"))
        else:
            errors.extend(invalid(f"{here}.containerPort", number, text) for text in is_port_number(number))
        if host:
            errors.extend(invalid(f"{here}.hostPort", host, text) for text in is_port_number(host))
        protocol = port.get("protocol", "")
        if protocol not in _PROTOCOLS:
            where = f"{here}.protocol"
            errors.append(not_supported(where, protocol, _PROTOCOLS) if protocol else required(where))


def check_host_ports(containers: Sequence[Object], path: str, errors: Errors) -> None:
    """No two ports may want the same one of the host."""
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for place, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            wanted = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if wanted in seen:
                errors.append(duplicate(f"{path}[{index}].ports[{place}].hostPort", wanted))
            seen.add(wanted)


def _check_resize_policy(policies: Sequence[Object], path: str, restart_policy: str, errors: Errors) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
        if name not in _RESIZABLE:
            errors.append(not_supported(path, name, _RESIZABLE) if name else required(path))
        if restart not in _RESIZE_POLICIES:
            errors.append(not_supported(path, restart, _RESIZE_POLICIES) if restart else required(path))
        if restart_policy == "Never" and restart != "NotRequired":
            text = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errors.append(invalid(path, restart, text))


def _check_restart_policy(container: Object, path: str, errors: Errors) -> None:
    """A container's own restart policy and the rules that refine it."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if not rules:
            return
        errors.append(required(f"{path}.restartPolicy", _RULES_ALONE))
    elif policy not in _RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    if len(rules) > _MAX_RULES:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), _MAX_RULES))
    for index, rule in enumerate(rules):
        here = f"{path}.restartPolicyRules[{index}]"
        if rule.get("action", "") not in _RULE_ACTIONS:
            errors.append(not_supported(f"{here}.action", rule.get("action", ""), _RULE_ACTIONS))
        codes = rule.get("exitCodes")
        if codes is None:
            errors.append(required(f"{here}.exitCodes", "must be specified"))
            continue
        if codes.get("operator", "") not in _RULE_OPERATORS:
            errors.append(not_supported(f"{here}.exitCodes.operator", codes.get("operator", ""), _RULE_OPERATORS))
        values = codes.get("values") or ()
        if len(values) > _MAX_EXIT_CODES:
            errors.append(too_many(f"{here}.exitCodes.values", len(values), _MAX_EXIT_CODES))


def check_image_padding(container: Object, path: str, errors: Errors) -> None:
    """Only real pods are held to it: some controllers keep a blank image in their templates."""
    image = container.get("image", "")
    if image and (image[0].isspace() or image[-1].isspace()):
        errors.append(invalid(f"{path}.image", image, _PADDED))
