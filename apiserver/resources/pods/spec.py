"""A pod spec from top to bottom, wherever it stands.

Follows: pkg/apis/core/validation/validation.go ValidatePodSpec
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson

from apiserver.resources.addresses import strict_ip
from apiserver.resources.pods.containers import (
    Surroundings,
    check_containers,
    check_ephemeral_containers,
    check_init_containers,
)
from apiserver.resources.pods.environment import check_environment_files
from apiserver.resources.pods.options import FOR_POD, NONE, Errors, Options, all_containers, check_format
from apiserver.resources.pods.resources import check_container_resource_name, check_pod_claims, check_pod_resources
from apiserver.resources.pods.resources import check_requirements as check_resources
from apiserver.resources.pods.scheduling import (
    check_affinity,
    check_scheduling_gates,
    check_spread,
    check_tolerations,
)
from apiserver.resources.pods.security import check_host_users, check_pod_context, check_shared_process_namespace
from apiserver.resources.pods.volumes import check_volumes
from apiserver.resources.pods.windows import check_host_process, check_os
from openapi.meta.field import forbidden, invalid, not_supported_listed, required, too_long
from openapi.meta.metadata import validate_labels
from openapi.meta.names import (
    is_dns1123_label,
    is_dns1123_subdomain,
    is_dns1123_subdomain_with_underscore,
    is_qualified_name,
    range_text,
    size,
)

Object = Mapping[str, Any]

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_MAX_INT32 = 2**31 - 1
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_CHARACTERS = 2048
_MAX_HOSTNAME = 64
_NO_VOLUMES: dict[str, Object] = {}
_NO_NAMES: set[str] = set()
_MOST_SOUND = 4096
_sound: dict[tuple[bool, bytes], None] = {}
"""Digests of specs in which nothing was wrong, of pods and of templates: the same one comes with every update of its
object, and in all that is made of it. The oldest go first. New pods are not looked up: each names a token's volume of
its own."""


def check_pod_spec(spec: Object, meta: Object | None, path: str, options: Options, errors: Errors) -> None:
    """Report all that is wrong, in the API's order. `meta` is the pod's own, None inside a template."""
    key = None
    if options is not FOR_POD and not _depends_on_metadata(spec):
        # `options` never ask for more than without them.
        key = (options.is_pod, sha256(orjson.dumps(spec)).digest())
        if key in _sound:
            return
    before = len(errors)
    _check_pod_spec(spec, meta, path, options, errors)
    if key is not None and len(errors) == before and options == (FOR_POD if options.is_pod else NONE):
        if len(_sound) >= _MOST_SOUND:
            del _sound[next(iter(_sound))]
        _sound[key] = None


def _depends_on_metadata(spec: Object) -> bool:
    """Whether the metadata of its pod has a say in what is right."""
    return "resourceClaims" in spec or any("ephemeral" in volume for volume in spec.get("volumes") or ())


def _check_pod_spec(spec: Object, meta: Object | None, path: str, options: Options, errors: Errors) -> None:
    grace_s = spec.get("terminationGracePeriodSeconds")
    if grace_s is None:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    volumes = spec.get("volumes")
    sound = check_volumes(volumes, meta, f"{path}.volumes", options, errors) if volumes else _NO_VOLUMES
    claims = spec.get("resourceClaims")
    claim_names = check_pod_claims(claims, meta, f"{path}.resourceClaims", errors) if claims else _NO_NAMES
    surroundings = Surroundings(
        sound, claim_names, grace_s, spec.get("restartPolicy", ""), spec.get("hostUsers") is not False, options
    )
    _check_all_containers(spec, path, surroundings, errors)
    if "resources" in spec:
        check_pod_resources(spec, claim_names, f"{path}.resources", options, errors)
    _check_policies(spec, path, options, errors)
    _check_placement(spec, path, options, errors)
    _check_identity(spec, path, errors)
    _check_classes(spec, path, options, errors)
    if any("valueFrom" in variable for c in all_containers(spec) for variable in c.get("env") or ()):
        check_environment_files(spec, path, errors)


def _check_all_containers(spec: Object, path: str, surroundings: Surroundings, errors: Errors) -> None:
    containers: Sequence[Object] = spec.get("containers") or ()
    check_containers(containers, f"{path}.containers", surroundings, errors)
    if "initContainers" in spec:
        where = f"{path}.initContainers"
        check_init_containers(spec["initContainers"], containers, where, surroundings, errors)
    if spec.get("ephemeralContainers"):
        check_ephemeral_containers(spec, f"{path}.ephemeralContainers", surroundings, errors)


def _check_policies(spec: Object, path: str, options: Options, errors: Errors) -> None:
    if spec.get("hostNetwork"):
        _check_host_network_ports(spec, path, options, errors)
    _check_listed(spec.get("restartPolicy", ""), _RESTART_POLICIES, f"{path}.restartPolicy", errors)
    _check_listed(spec.get("dnsPolicy", ""), _DNS_POLICIES, f"{path}.dnsPolicy", errors)
    if "nodeSelector" in spec:
        errors.extend(validate_labels(spec["nodeSelector"], f"{path}.nodeSelector"))
    if spec.get("securityContext"):
        check_pod_context(spec, path, options, errors)
    elif "shareProcessNamespace" in spec:
        check_shared_process_namespace(spec, f"{path}.securityContext", errors)


def _check_listed(value: str, listed: Sequence[str], path: str, errors: Errors) -> None:
    if value not in listed:
        errors.append(not_supported_listed(path, value, listed) if value else required(path))


def _check_host_network_ports(spec: Object, path: str, options: Options, errors: Errors) -> None:
    """On the host's network the host's port is the container's; a template may leave it out."""
    for index, container in enumerate(spec.get("containers") or ()):
        for place, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (options.is_pod or host) and host != port.get("containerPort", 0):
                text = "must match `containerPort` when `hostNetwork` is true"
                errors.append(invalid(f"{path}.containers[{index}].ports[{place}].hostPort", host, text))


def _check_placement(spec: Object, path: str, options: Options, errors: Errors) -> None:
    if "affinity" in spec:
        check_affinity(spec["affinity"], f"{path}.affinity", options, errors)
    if "dnsConfig" in spec or spec.get("dnsPolicy") == "None":
        _check_dns(spec.get("dnsConfig"), spec.get("dnsPolicy", ""), f"{path}.dnsConfig", errors)
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        where = f"{path}.readinessGates[{index}].conditionType"
        check_format(gate.get("conditionType", ""), where, is_qualified_name, errors)
    if "schedulingGates" in spec:
        check_scheduling_gates(spec["schedulingGates"], f"{path}.schedulingGates", errors)
    if "topologySpreadConstraints" in spec:
        where = f"{path}.topologySpreadConstraints"
        check_spread(spec["topologySpreadConstraints"], where, options, errors)
    check_host_process(spec, path, errors)
    check_host_users(spec, path, options, errors)
    if "hostnameOverride" in spec:
        _check_hostname_override(spec, f"{path}.hostnameOverride", errors)


def _check_dns(config: Object | None, policy: str, path: str, errors: Errors) -> None:
    if policy == "None":
        if config is None:
            errors.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(required(f"{path}.nameservers", text))
            return
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > _MAX_NAMESERVERS:
        text = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        errors.append(invalid(f"{path}.nameservers", servers, text))
    for index, server in enumerate(servers):
        errors.extend(strict_ip(server, f"{path}.nameservers[{index}]"))
    if len(searches) > _MAX_SEARCHES:
        errors.append(invalid(f"{path}.searches", searches, f"must not have more than {_MAX_SEARCHES} search paths"))
    if size(" ".join(searches)) > _MAX_SEARCH_CHARACTERS:
        text = f"must not have more than {_MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(invalid(f"{path}.searches", searches, text))
    for index, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            check_format(name, f"{path}.searches[{index}]", is_dns1123_subdomain_with_underscore, errors)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))


def _check_hostname_override(spec: Object, path: str, errors: Errors) -> None:
    name = spec["hostnameOverride"]
    if spec.get("setHostnameAsFQDN"):
        errors.append(forbidden(path, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        errors.append(forbidden(path, "may not be specified when hostNetwork is true"))
    if size(name) > _MAX_HOSTNAME:
        errors.append(too_long(path, _MAX_HOSTNAME))
    check_format(name, path, is_dns1123_subdomain, errors)


def _check_identity(spec: Object, path: str, errors: Errors) -> None:
    account, node = spec.get("serviceAccountName"), spec.get("nodeName")
    # The account of nearly every pod needs no expression run over it.
    if account and account != "default":
        check_format(account, f"{path}.serviceAccountName", is_dns1123_subdomain, errors)
    if node:
        check_format(node, f"{path}.nodeName", is_dns1123_subdomain, errors)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, range_text(1, _MAX_INT32)))
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            check_format(spec[field], f"{path}.{field}", is_dns1123_label, errors)
    if "tolerations" in spec:
        check_tolerations(spec["tolerations"], f"{path}.tolerations", errors)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        errors.extend(strict_ip(alias.get("ip", ""), f"{path}.hostAliases[{index}].ip"))
        for place, name in enumerate(alias.get("hostnames") or ()):
            check_format(name, f"{path}.hostAliases[{index}].hostnames[{place}]", is_dns1123_subdomain, errors)


def _check_classes(spec: Object, path: str, options: Options, errors: Errors) -> None:
    if spec.get("priorityClassName"):
        check_format(spec["priorityClassName"], f"{path}.priorityClassName", is_dns1123_subdomain, errors)
    if "runtimeClassName" in spec:
        check_format(spec["runtimeClassName"], f"{path}.runtimeClassName", is_dns1123_subdomain, errors)
    if "preemptionPolicy" in spec:
        _check_listed(spec["preemptionPolicy"], _PREEMPTION_POLICIES, f"{path}.preemptionPolicy", errors)
    if "overhead" in spec:
        limits = {"limits": spec["overhead"]}
        where = f"{path}.overhead"
        check_resources(limits, _NO_NAMES, where, options, errors, check_name=check_container_resource_name)
    if "os" in spec:
        check_os(spec, path, errors)
