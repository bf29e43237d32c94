"""What may be wrong with the volumes of a pod: their names, their one source each, and what each source demands.

Follows: pkg/apis/core/validation/validation.go ValidateVolumes
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apiserver.resources.core.persistentvolumeclaims import validate_claim_spec
from apiserver.resources.pods.options import Errors, Options, check_format
from apiserver.resources.pods.paths import check_descending_path, check_mode, check_no_backsteps
from apiserver.resources.pods.projections import (
    check_config_map_source,
    check_downward_api,
    check_projected,
    check_secret_source,
)
from openapi.meta.field import duplicate, forbidden, invalid, not_supported, required, too_long
from openapi.meta.metadata import validate_annotations, validate_labels
from openapi.meta.names import is_dns1123_label, is_dns1123_subdomain, name_is_dns_subdomain, range_text, size
from openapi.meta.quantity import Quantity

Object = Mapping[str, Any]
Source = Callable[[Object, str, Errors], None]
ONE_SOURCE = "may not specify more than 1 volume type"

_is_iqn = re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)$", re.ASCII).search
_is_eui = re.compile(r"^eui.[A-Za-z0-9]{16}$").search
_is_naa = re.compile(r"^naa.[A-Za-z0-9]{32}$").search
_HOST_PATH_TYPES = frozenset(
    ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
)
_CACHING_MODES = ("None", "ReadOnly", "ReadWrite")
_DISK_KINDS = ("Dedicated", "Managed", "Shared")
_MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_PULL_POLICIES = frozenset(("Always", "IfNotPresent", "Never"))
_GO_FIELDS = {"uid": "uID"}
# What the metadata of a claim template may not say, in the order of the server's own type.
_CLAIM_META = (
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers", "managedFields",
)  # fmt: skip
_HOST_PORTS = "must be a host:port pair or multiple pairs separated by commas"


def check_volumes(
    volumes: Sequence[Object], meta: Object | None, path: str, options: Options, errors: Errors
) -> dict[str, Object]:
    """Report what is wrong; the sound volumes by name. `meta` is the pod's, None inside a template."""
    sound: dict[str, Object] = {}
    pod_name = meta.get("name", "") if meta else ""
    claims = {f"{pod_name}-{v.get('name', '')}" for v in volumes if "ephemeral" in v} if pod_name else ()
    for index, volume in enumerate(volumes):
        before = len(errors)
        name = volume.get("name", "")
        check_source(volume, f"{path}[{index}]", pod_name, options, errors)
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif problems := is_dns1123_label(name):
            errors.extend(invalid(f"{path}[{index}].name", name, problem) for problem in problems)
        if name in sound:
            errors.append(duplicate(f"{path}[{index}].name", name))
        if len(errors) == before:
            sound[name] = volume
        claim = volume.get("persistentVolumeClaim")
        if claims and claim is not None and claim.get("claimName", "") in claims:
            text = "must not reference a PVC that gets created for an ephemeral volume"
            where = f"{path}[{index}].persistentVolumeClaim.claimName"
            errors.append(invalid(where, claim.get("claimName", ""), text))
    return sound


def check_source(volume: Object, path: str, pod_name: str, options: Options, errors: Errors) -> None:
    """A volume has exactly one source; the first in the fixed order counts, further ones are refused."""
    found = False
    given = [name for name in SOURCE_ORDER if name in volume] if len(volume) != 2 else _single(volume)
    for name in given:
        source = volume[name]
        if found:
            errors.append(forbidden(f"{path}.{_REFUSED_AS.get(name, name)}", ONE_SOURCE))
        else:
            found = True
            check = _SOURCES.get(name)
            if check is not None:
                check(source, f"{path}.{_CHECKED_AS.get(name, name)}", errors)
            else:
                _check_with_context(name, volume, path, pod_name, options, errors)
        if name == "iscsi" and "initiatorName" in source:
            _check_iscsi_length(volume, path, errors)
    if not found:
        errors.append(required(path, "must specify a volume type"))


def _single(volume: Object) -> Sequence[str]:
    """The source of an ordinary volume: a name and one source."""
    return [key for key in volume if key in _KNOWN]


def _check_with_context(
    name: str, volume: Object, path: str, pod_name: str, options: Options, errors: Errors
) -> None:
    source = volume[name]
    if name == "projected":
        check_projected(source, f"{path}.projected", options, errors)
    elif name == "image":
        if not options.empty_image_volume and not source.get("reference"):
            errors.append(required(f"{path}.image.reference"))
        check_pull_policy(source.get("pullPolicy", ""), f"{path}.image.pullPolicy", errors)
    elif name == "ephemeral":
        _check_ephemeral(source, f"{path}.ephemeral", errors)
        volume_name = volume.get("name", "")
        if pod_name and volume_name:
            claim = f"{pod_name}-{volume_name}"
            for problem in name_is_dns_subdomain(claim, False):
                errors.append(invalid(f"{path}.name", volume_name, f'PVC name "{claim}": {problem}'))


def check_pull_policy(policy: str, path: str, errors: Errors) -> None:
    if policy in _PULL_POLICIES:
        return
    errors.append(not_supported(path, policy, _PULL_POLICIES) if policy else required(path))


def _check_empty_dir(source: Object, path: str, errors: Errors) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and Quantity.parse(limit).sign < 0:
        errors.append(forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def check_host_path(source: Object, path: str, errors: Errors) -> None:
    where = source.get("path", "")
    if not where:
        errors.append(required(f"{path}.path"))
        return
    check_no_backsteps(where, f"{path}.path", errors)
    kind = source.get("type")
    if kind is not None and kind not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))


def _check_git_repo(source: Object, path: str, errors: Errors) -> None:
    _require(source, path, errors, "repository")
    check_descending_path(source.get("directory", ""), f"{path}.directory", errors)


def _require(source: Object, path: str, errors: Errors, *names: str) -> None:
    for name in names:
        if not source.get(name):
            errors.append(required(f"{path}.{name}"))


def _requires(*names: str) -> Source:
    def check(source: Object, path: str, errors: Errors) -> None:
        _require(source, path, errors, *names)

    return check


def check_iscsi_name(name: str, path: str, unknown_text: str, errors: Errors) -> None:
    """An iSCSI qualified name of one of the three families."""
    if name.startswith("iqn"):
        sound = _is_iqn(name)
    elif name.startswith("eui"):
        sound = _is_eui(name)
    elif name.startswith("naa"):
        sound = _is_naa(name)
    else:
        errors.append(invalid(path, name, unknown_text))
        return
    if not sound:
        errors.append(invalid(path, name, "must be valid format"))


def _check_iscsi(source: Object, path: str, errors: Errors) -> None:
    unknown = "must be valid format starting with iqn, eui, or naa"
    _require(source, path, errors, "targetPortal")
    if not source.get("iqn"):
        errors.append(required(f"{path}.iqn"))
    else:
        check_iscsi_name(source["iqn"], f"{path}.iqn", unknown, errors)
    lun = source.get("lun", 0)
    if not 0 <= lun <= 255:
        errors.append(invalid(f"{path}.lun", lun, range_text(0, 255)))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and "secretRef" not in source:
        errors.append(required(f"{path}.secretRef"))
    if "initiatorName" in source:
        check_iscsi_name(source["initiatorName"], f"{path}.initiatorname", unknown, errors)


def _check_iscsi_length(volume: Object, path: str, errors: Errors) -> None:
    name = volume.get("name", "")
    if size(f"{name}:{volume['iscsi'].get('targetPortal', '')}") > 64:
        text = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
            "if iscsi.initiatorName is specified."
        )
        errors.append(invalid(f"{path}.name", name, text))


def check_fc(source: Object, path: str, errors: Errors) -> None:
    names, ids = source.get("targetWWNs") or (), source.get("wwids") or ()
    if not names and not ids:
        errors.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if names and ids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(invalid(f"{path}.targetWWNs", names, text))
    if names:
        lun = source.get("lun")
        if lun is None:
            errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errors.append(invalid(f"{path}.lun", lun, range_text(0, 255)))


def _disk(name: str) -> Source:
    def check(source: Object, path: str, errors: Errors) -> None:
        _require(source, path, errors, name)
        partition = source.get("partition", 0)
        if not 0 <= partition <= 255:
            errors.append(invalid(f"{path}.partition", partition, range_text(1, 255)))

    return check


def check_nfs(source: Object, path: str, errors: Errors) -> None:
    _require(source, path, errors, "server", "path")
    where = source.get("path", "")
    if not where.startswith("/"):
        errors.append(invalid(f"{path}.path", where, "must be an absolute path"))


def check_quobyte(source: Object, path: str, errors: Errors) -> None:
    registry = source.get("registry", "")
    if not registry:
        errors.append(required(f"{path}.registry", _HOST_PORTS))
    elif size(source.get("tenant", "")) >= 65:
        text = "must be a UUID and may not exceed a length of 64 characters"
        errors.append(required(f"{path}.tenant", text))
    else:
        for pair in registry.split(","):
            if not _is_host_port(pair):
                errors.append(invalid(f"{path}.registry", registry, _HOST_PORTS))
    _require(source, path, errors, "volume")


def _is_host_port(text: str) -> bool:
    """Whether Go's net.SplitHostPort takes it: one colon before the port, IPv6 in brackets."""
    host, colon, _ = text.rpartition(":")
    if not colon:
        return False
    if host.startswith("["):
        return host.endswith("]") and "[" not in host[1:] and "]" not in host[:-1]
    return not any(c in host for c in ":[]")


def check_flocker(source: Object, path: str, errors: Errors) -> None:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        errors.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        errors.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))


def check_cinder(source: Object, path: str, errors: Errors) -> None:
    _require(source, path, errors, "volumeID")
    _check_secret_name(source, path, errors)


def _check_secret_name(source: Object, path: str, errors: Errors) -> None:
    secret = source.get("secretRef")
    if secret is not None and not secret.get("name"):
        errors.append(required(f"{path}.secretRef.name"))


def check_flex(source: Object, path: str, errors: Errors) -> None:
    _require(source, path, errors, "driver")
    for key in source.get("options") or ():
        namespace = "." + key.partition("/")[0].lower()
        if namespace.endswith((".kubernetes.io", ".k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(f"{path}.options[{key}]", key, text))


def check_azure_disk(source: Object, path: str, errors: Errors) -> None:
    _require(source, path, errors, "diskName", "diskURI")
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI", "")
    if caching is not None and caching not in _CACHING_MODES:
        errors.append(not_supported(f"{path}.cachingMode", caching, _CACHING_MODES))
    if kind is None:
        return
    if kind not in _DISK_KINDS:
        errors.append(not_supported(f"{path}.kind", kind, _DISK_KINDS))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(not_supported(f"{path}.diskURI", uri, (_MANAGED_DISK,)))
    if kind != "Managed" and not uri.startswith("https://"):
        errors.append(not_supported(f"{path}.diskURI", uri, (_BLOB_DISK,)))


def _check_storage_os(source: Object, path: str, errors: Errors) -> None:
    name, namespace = source.get("volumeName", ""), source.get("volumeNamespace", "")
    if not name:
        errors.append(required(f"{path}.volumeName"))
    else:
        check_format(name, f"{path}.volumeName", is_dns1123_label, errors)
    if namespace:
        check_format(namespace, f"{path}.volumeNamespace", is_dns1123_label, errors)
    _check_secret_name(source, path, errors)


def check_csi_driver_name(driver: str, path: str, errors: Errors) -> None:
    if not driver:
        errors.append(required(path))
    if size(driver) > 63:
        errors.append(too_long(path, 63))
    for problem in is_dns1123_subdomain(driver.lower()):
        errors.append(invalid(path, driver, problem))


def _check_csi(source: Object, path: str, errors: Errors) -> None:
    check_csi_driver_name(source.get("driver", ""), f"{path}.driver", errors)
    secret = source.get("nodePublishSecretRef")
    if secret is None:
        return
    if not secret.get("name"):
        errors.append(required(f"{path}.nodePublishSecretRef.name"))
    else:
        check_format(secret["name"], f"{path}.name", is_dns1123_subdomain, errors)


def _check_ephemeral(source: Object, path: str, errors: Errors) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        errors.append(required(f"{path}.volumeClaimTemplate"))
        return
    check_claim_template(template, f"{path}.volumeClaimTemplate", errors)


def check_claim_template(template: Object, path: str, errors: Errors) -> None:
    """A claim template takes labels, annotations and a claim's spec, nothing else."""
    meta = template.get("metadata") or {}
    errors.extend(validate_annotations(meta.get("annotations"), f"{path}.metadata.annotations"))
    errors.extend(validate_labels(meta.get("labels"), f"{path}.metadata.labels"))
    for field in _CLAIM_META:
        if meta.get(field):
            errors.append(forbidden(f"{path}.metadata.{_GO_FIELDS.get(field, field)}", "cannot be set"))
    errors.extend(validate_claim_spec(template.get("spec") or {}, f"{path}.spec"))


def _downward_api(source: Object, path: str, errors: Errors) -> None:
    check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
    check_downward_api(source.get("items") or (), path, errors)


# The order in which sources are looked at.
SOURCE_ORDER = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip
_KNOWN = frozenset(SOURCE_ORDER)
# Where the API's messages name a source otherwise than its field is called.
_CHECKED_AS = {"gcePersistentDisk": "persistentDisk"}
_REFUSED_AS = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}

_SOURCES: dict[str, Source] = {
    "emptyDir": _check_empty_dir,
    "hostPath": check_host_path,
    "gitRepo": _check_git_repo,
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "secret": check_secret_source,
    "nfs": check_nfs,
    "iscsi": _check_iscsi,
    "glusterfs": _requires("endpoints", "path"),
    "flocker": check_flocker,
    "persistentVolumeClaim": _requires("claimName"),
    "rbd": _requires("monitors", "image"),
    "cinder": check_cinder,
    "cephfs": _requires("monitors"),
    "quobyte": check_quobyte,
    "downwardAPI": _downward_api,
    "fc": check_fc,
    "flexVolume": check_flex,
    "configMap": check_config_map_source,
    "azureFile": _requires("secretName", "shareName"),
    "vsphereVolume": _requires("volumePath"),
    "photonPersistentDisk": _requires("pdID"),
    "portworxVolume": _requires("volumeID"),
    "azureDisk": check_azure_disk,
    "storageos": _check_storage_os,
    "scaleIO": _requires("gateway", "system", "volumeName"),
    "csi": _check_csi,
}
