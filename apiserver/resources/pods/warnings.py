"""What a pod or template is warned of though it is accepted.

Follows: pkg/api/pod/warnings.go, pkg/api/node/util.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.resources.node_selectors import DEPRECATED_LABELS, node_selector_term_warnings
from apiserver.resources.pods.annotations import APPARMOR, SECCOMP_CONTAINER, SECCOMP_POD
from apiserver.resources.pods.options import containers_with_paths
from openapi.meta.quantity import Quantity

Object = Mapping[str, Any]
Warnings = list[str]

_EMPTY: Object = {}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
# In the order in which they are looked for; the second text is how the message names the field.
_VOLUMES = (
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("ephemeral", "", ""),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)
_DEPRECATED_SOURCES = frozenset(name for name, _, _ in _VOLUMES)
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
APPARMOR_TEXT = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_NULL_SELECTOR = "a null labelSelector results in matching no pod"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def spec_warnings(spec: Object, meta: Object, path: str, *, is_template: bool) -> Warnings:
    """The Warning texts of a spec and its metadata. `path` is where both stand: '' or `spec.template`."""
    prefix = f"{path}." if path else ""
    warnings: Warnings = []
    if "nodeSelector" in spec:
        for key in spec["nodeSelector"]:
            if key in DEPRECATED_LABELS:
                warnings.append(f"{prefix}spec.nodeSelector[{key}]: {DEPRECATED_LABELS[key]}")
    affinity = spec.get("affinity") or _EMPTY
    if "nodeAffinity" in affinity:
        _node_affinity(affinity["nodeAffinity"], f"{prefix}spec.affinity.nodeAffinity", warnings)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        here, key = f"{prefix}spec.topologySpreadConstraints[{index}]", constraint.get("topologyKey")
        if key in DEPRECATED_LABELS:
            warnings.append(f"{here}.topologyKey: {key} is {DEPRECATED_LABELS[key]}")
        if "labelSelector" not in constraint:
            warnings.append(f"{here}.labelSelector: {_NULL_SELECTOR}")
    annotations = meta.get("annotations") or _EMPTY
    if annotations:
        for key, text in _ANNOTATIONS.items():
            if key in annotations:
                warnings.append(f"{prefix}metadata.annotations[{key}]: {text}")
    _volumes(spec.get("volumes") or (), f"{prefix}spec.volumes", warnings)
    _doubles(spec, prefix, warnings)
    _fractions(spec.get("overhead"), f"{prefix}spec.overhead", warnings)
    if SECCOMP_POD in annotations and "seccompProfile" not in (spec.get("securityContext") or ()):
        warnings.append(f"{prefix}metadata.annotations[{SECCOMP_POD}]: {_SECCOMP}")
    _containers(spec, annotations, prefix, warnings, is_template=is_template)
    _ports(spec, f"{prefix}spec", warnings)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        warnings.append(f"{prefix}spec.terminationGracePeriodSeconds: {text}")
    for kind in ("podAffinity", "podAntiAffinity"):
        if kind in affinity:
            _pod_affinity(affinity[kind], f"{prefix}spec.affinity.{kind}", warnings)
    return warnings


def _node_affinity(affinity: Object, path: str, warnings: Warnings) -> None:
    for index, term in enumerate((affinity.get(_REQUIRED) or _EMPTY).get("nodeSelectorTerms") or ()):
        here = f"{path}.{_REQUIRED}.nodeSelectorTerms[{index}]"
        warnings.extend(node_selector_term_warnings(term, here))
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        here = f"{path}.{_PREFERRED}[{index}].preference"
        warnings.extend(node_selector_term_warnings(term.get("preference") or _EMPTY, here, check_values=True))


def _volumes(volumes: Sequence[Object], path: str, warnings: Warnings) -> None:
    token_paths = set()
    for index, volume in enumerate(volumes):
        if not _DEPRECATED_SOURCES.isdisjoint(volume):
            _volume_sources(volume, f"{path}[{index}]", warnings)
        for source in (volume.get("projected") or _EMPTY).get("sources") or ():
            if "serviceAccountToken" in source:
                token_paths.add(source["serviceAccountToken"].get("path", ""))
    if not token_paths:
        return
    for index, volume in enumerate(volumes):
        for source in (volume.get("projected") or _EMPTY).get("sources") or ():
            for kind, shown in (("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")):
                for place, item in enumerate((source.get(kind) or _EMPTY).get("items") or ()):
                    if item.get("path", "") in token_paths:
                        here = f"{path}[{index}].projected.sources.{shown}[{place}]"
                        text = f'has duplicated path with ServiceAccountToken "{item.get("path", "")}"'
                        warnings.append(f"{here}: {text}")


def _volume_sources(volume: Object, path: str, warnings: Warnings) -> None:
    for field, shown, text in _VOLUMES:
        if field not in volume:
            continue
        if field != "ephemeral":
            warnings.append(f"{path}.{shown}: {text}")
        elif "volumeClaimTemplate" in volume["ephemeral"]:
            spec = volume["ephemeral"]["volumeClaimTemplate"].get("spec") or {}
            for kind in ("requests", "limits"):
                amounts = (spec.get("resources") or _EMPTY).get(kind)
                where = f"{path}.ephemeral.volumeClaimTemplate.spec.resources.{kind}"
                _fractions(amounts, where, warnings, names=("storage",))


def _doubles(spec: Object, prefix: str, warnings: Warnings) -> None:
    seen: set[str] = set()
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        if alias.get("ip", "") in seen:
            warnings.append(f'{prefix}spec.hostAliases[{index}].ip: duplicate ip "{alias.get("ip", "")}"')
        seen.add(alias.get("ip", ""))
    names: set[str] = set()
    secrets = spec.get("imagePullSecrets") or ()
    for index, secret in enumerate(secrets):
        if secret.get("name", "") in names:
            name = secret.get("name", "")
            warnings.append(f'{prefix}spec.imagePullSecrets[{index}].name: duplicate name "{name}"')
        names.add(secret.get("name", ""))
    for index, secret in enumerate(secrets):
        if not secret.get("name"):
            warnings.append(f'{prefix}spec.imagePullSecrets[{index}].name: invalid empty name ""')


def _fractions(
    amounts: Object | None, path: str, warnings: Warnings, names: Sequence[str] = ("memory", "ephemeral-storage")
) -> None:
    """Bytes are whole."""
    for name in names:
        text = amounts.get(name) if amounts else None
        if text and text[-1] in "mun.0123456789" and Quantity.parse(text).milli % 1000:
            warnings.append(f'{path}[{name}]: fractional byte value "{text}" is invalid, must be an integer')


def _containers(spec: Object, annotations: Object, prefix: str, warnings: Warnings, *, is_template: bool) -> None:
    has_pod_profile = "appArmorProfile" in (spec.get("securityContext") or ())
    for container, here in containers_with_paths(spec, f"{prefix}spec"):
        if annotations:
            context, name = container.get("securityContext") or _EMPTY, container.get("name", "")
            key = SECCOMP_CONTAINER + name
            if key in annotations and "seccompProfile" not in context:
                warnings.append(f"{prefix}metadata.annotations[{key}]: {_SECCOMP}")
            key = APPARMOR + name
            if is_template and key in annotations and not has_pod_profile and "appArmorProfile" not in context:
                warnings.append(f"{prefix}metadata.annotations[{key}]: {APPARMOR_TEXT}")
        resources = container.get("resources")
        if resources:
            _resource_fractions(resources, f"{here}.resources", warnings)
        if len(container.get("env") or ()) > 1:
            _hidden_variables(container["env"], f"{here}.env", warnings)


def _resource_fractions(resources: Object, path: str, warnings: Warnings) -> None:
    for name in ("memory", "ephemeral-storage"):
        for kind in ("limits", "requests"):
            amounts = resources.get(kind)
            if amounts and name in amounts:
                _fractions({name: amounts[name]}, f"{path}.{kind}", warnings)


def _hidden_variables(variables: Sequence[Object], path: str, warnings: Warnings) -> None:
    """A later variable of the same name is fine only where its value builds on the earlier one."""
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name, value = variable.get("name", ""), variable.get("value", "")
        if name not in seen:
            seen.add(name)
            continue
        reference = f"$({name})"
        if "valueFrom" in variable or value == reference or reference not in value:
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            warnings.append(f"{path}[{index}]: {text}")


def _ports(spec: Object, path: str, warnings: Warnings) -> None:
    known: dict[tuple[int, str], list[tuple[str, Object]]] = {}
    for container, here in containers_with_paths(spec, path):
        for index, port in enumerate(container.get("ports") or ()):
            where = f"{here}.ports[{index}]"
            ip, host = port.get("hostIP", ""), port.get("hostPort", 0)
            if ip and not host:
                warnings.append(f"{where}: hostIP set without hostPort: {_shown_port(port)}")
            others = known.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
            for other_where, other in others:
                other_ip, other_host = other.get("hostIP", ""), other.get("hostPort", 0)
                if ip == other_ip and host == other_host:
                    warnings.append(f"{where}: duplicate port definition with {other_where}")
                elif not host or not other_host:
                    warnings.append(f"{where}: overlapping port definition with {other_where}")
                elif host == other_host and (not ip) != (not other_ip):
                    warnings.append(f"{where}: dangerously ambiguous port definition with {other_where}")
            others.append((where, port))


def _shown_port(port: Object) -> str:
    """As Go prints a struct with its field names."""
    return (
        f"{{Name:{port.get('name', '')} HostPort:{port.get('hostPort', 0)} ContainerPort:"
        f"{port.get('containerPort', 0)} Protocol:{port.get('protocol', '')} HostIP:{port.get('hostIP', '')}}}"
    )


def _pod_affinity(affinity: Object, path: str, warnings: Warnings) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        if "labelSelector" not in term:
            warnings.append(f"{path}.{_REQUIRED}[{index}].labelSelector: {_NULL_SELECTOR}")
    for index, weighted in enumerate(affinity.get(_PREFERRED) or ()):
        if "labelSelector" not in (weighted.get("podAffinityTerm") or _EMPTY):
            here = f"{path}.{_PREFERRED}[{index}].podAffinityTerm.labelSelector"
            warnings.append(f"{here}: {_NULL_SELECTOR}")
