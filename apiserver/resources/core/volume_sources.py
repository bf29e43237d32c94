"""Where a persistent volume's data is: one rule for each kind of source, of which a volume has exactly one.

Follows: pkg/apis/core/validation/validation.go ValidatePersistentVolumeSpec and the functions it calls
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from apiserver.resources.field_rules import named, one_of, required_texts
from openapi.meta import names
from openapi.meta.field import FieldError, forbidden, invalid, required, too_long

Object = dict[str, Any]
Rule = Callable[[Object, str], Iterator[FieldError]]

_HOST_PATH_TYPES = (
    "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
)
_PARTITION = "must be between 1 and 255, inclusive"
_LUN = "must be between 0 and 255, inclusive"
_ISCSI_START = "must be valid format starting with iqn, eui, or naa"
_ISCSI_FORMS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9.-]+)(:[^,;*&$|\s]+)", re.ASCII).fullmatch,
    "eui": re.compile(r"eui.[0-9a-fA-F]{16}").fullmatch,
    "naa": re.compile(r"naa.[0-9a-fA-F]{32}").fullmatch,
}
_REGISTRY = "must be a host:port pair or multiple pairs separated by commas"
_PAIR = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):[^:\[\]]*").fullmatch


def no_backsteps(path: str, where: str) -> Iterator[FieldError]:
    if ".." in path.split("/"):
        yield invalid(where, path, "must not contain '..'")


def _host_path(source: Object, path: str) -> Iterator[FieldError]:
    if not source.get("path"):
        yield required(f"{path}.path")
        return
    yield from no_backsteps(source["path"], f"{path}.path")
    if source.get("type") is not None:
        yield from one_of(source["type"], _HOST_PATH_TYPES, f"{path}.type")


def _partitioned(id_field: str) -> Rule:
    def check(source: Object, path: str) -> Iterator[FieldError]:
        yield from required_texts(source, path, id_field)
        partition = source.get("partition", 0)
        if not 0 <= partition <= 255:
            yield invalid(f"{path}.partition", partition, _PARTITION)

    return check


def _needs(*fields: str) -> Rule:
    def check(source: Object, path: str) -> Iterator[FieldError]:
        yield from required_texts(source, path, *fields)

    return check


def _glusterfs(source: Object, path: str) -> Iterator[FieldError]:
    yield from required_texts(source, path, "endpoints", "path")
    namespace = source.get("endpointsNamespace")
    if namespace == "":
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        yield invalid(f"{path}.endpointsNamespace", namespace, text)
    elif namespace is not None:
        yield from named(names.is_dns1123_label, namespace, f"{path}.endpointsNamespace")


def _flocker(source: Object, path: str) -> Iterator[FieldError]:
    name, uid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uid:
        yield required(path, "one of datasetName and datasetUUID is required")
    if name and uid:
        yield invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        yield invalid(f"{path}.datasetName", name, "must not contain '/'")


def _nfs(source: Object, path: str) -> Iterator[FieldError]:
    yield from required_texts(source, path, "server", "path")
    if not source.get("path", "").startswith("/"):
        yield invalid(f"{path}.path", source.get("path", ""), "must be an absolute path")


def _quobyte(source: Object, path: str) -> Iterator[FieldError]:
    registry = source.get("registry", "")
    if not registry:
        yield required(f"{path}.registry", _REGISTRY)
    elif len(source.get("tenant", "")) >= 65:
        yield required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if not _PAIR(pair):
                yield invalid(f"{path}.registry", registry, _REGISTRY)
    yield from required_texts(source, path, "volume")


def _iscsi(source: Object, path: str) -> Iterator[FieldError]:
    yield from required_texts(source, path, "targetPortal")
    iqn = source.get("iqn", "")
    if not iqn:
        yield required(f"{path}.iqn")
    elif not iqn.startswith(tuple(_ISCSI_FORMS)):
        yield invalid(f"{path}.iqn", iqn, _ISCSI_START)
    elif not _ISCSI_FORMS[iqn[:3]](iqn):
        yield invalid(f"{path}.iqn", iqn, "must be valid format")
    lun = source.get("lun", 0)
    if not 0 <= lun <= 255:
        yield invalid(f"{path}.lun", lun, _LUN)
    secret = source.get("secretRef")
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and secret is None:
        yield required(f"{path}.secretRef")
    if secret is not None:
        yield from required_texts(secret, f"{path}.secretRef", "name")
    initiator = source.get("initiatorName")
    if initiator is None:
        return
    if not initiator.startswith(tuple(_ISCSI_FORMS)) or not _ISCSI_FORMS[initiator[:3]](initiator):
        yield invalid(f"{path}.initiatorname", initiator, "must be valid format")


def _cinder(source: Object, path: str) -> Iterator[FieldError]:
    yield from required_texts(source, path, "volumeID")
    if source.get("secretRef") is not None:
        yield from required_texts(source["secretRef"], f"{path}.secretRef", "name", "namespace")


def _fibre_channel(source: Object, path: str) -> Iterator[FieldError]:
    targets, wwids = source.get("targetWWNs") or [], source.get("wwids") or []
    where = f"{path}.targetWWNs"
    if not targets and not wwids:
        yield required(where, "must specify either targetWWNs or wwids, but not both")
    if targets and wwids:
        yield invalid(where, targets, "targetWWNs and wwids can not be specified simultaneously")
    if targets:
        lun = source.get("lun")
        if lun is None:
            yield required(f"{path}.lun", "lun is required if targetWWNs is specified")
        elif not 0 <= lun <= 255:
            yield invalid(f"{path}.lun", lun, _LUN)


def _flex(source: Object, path: str) -> Iterator[FieldError]:
    yield from required_texts(source, path, "driver")
    for key in sorted(source.get("options") or ()):
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            yield invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved")


def _azure_file(source: Object, path: str) -> Iterator[FieldError]:
    yield from required_texts(source, path, "secretName", "shareName")
    if source.get("secretNamespace") == "":
        yield required(f"{path}.secretNamespace")


def _azure_disk(source: Object, path: str) -> Iterator[FieldError]:
    yield from required_texts(source, path, "diskName", "diskURI")
    kind, uri = source.get("kind"), source.get("diskURI", "")
    if source.get("cachingMode") is not None:
        yield from one_of(source["cachingMode"], ("None", "ReadOnly", "ReadWrite"), f"{path}.cachingMode")
    if kind is None:
        return
    yield from one_of(kind, ("Shared", "Dedicated", "Managed"), f"{path}.kind")
    managed = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
    blob = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
    start, form = ("/subscriptions/", managed) if kind == "Managed" else ("https://", blob)
    if not uri.startswith(start):
        yield from one_of(uri, (form,), f"{path}.diskURI")


def _local(source: Object, path: str) -> Iterator[FieldError]:
    if not source.get("path"):
        yield required(f"{path}.path")
    else:
        yield from no_backsteps(source["path"], f"{path}.path")


def _storage_os(source: Object, path: str) -> Iterator[FieldError]:
    if not source.get("volumeName"):
        yield required(f"{path}.volumeName")
    else:
        yield from named(names.is_dns1123_label, source["volumeName"], f"{path}.volumeName")
    if source.get("volumeNamespace"):
        yield from named(names.is_dns1123_label, source["volumeNamespace"], f"{path}.volumeNamespace")
    if source.get("secretRef") is not None:
        yield from required_texts(source["secretRef"], f"{path}.secretRef", "name", "namespace")


def validate_csi_driver_name(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
        return
    if names.size(name) > 63:
        yield too_long(path, 63)
    for text in names.is_dns1123_subdomain(name.lower()):
        yield invalid(path, name, text)


def _csi(source: Object, path: str) -> Iterator[FieldError]:
    yield from validate_csi_driver_name(source.get("driver", ""), f"{path}.driver")
    yield from required_texts(source, path, "volumeHandle")
    for field in (
        "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef",
    ):
        if source.get(field) is not None:
            yield from _secret_reference(source[field], f"{path}.{field}")


def _secret_reference(reference: Object, path: str) -> Iterator[FieldError]:
    for field, check in (("name", names.is_dns1123_subdomain), ("namespace", names.is_dns1123_label)):
        if reference.get(field):
            yield from named(check, reference[field], f"{path}.{field}")
        else:
            yield required(f"{path}.{field}")


# In the order in which they are looked for: field, path in messages about its content, rule.
_SOURCES: tuple[tuple[str, str, Rule], ...] = (
    ("hostPath", "hostPath", _host_path),
    ("gcePersistentDisk", "persistentDisk", _partitioned("pdName")),
    ("awsElasticBlockStore", "awsElasticBlockStore", _partitioned("volumeID")),
    ("glusterfs", "glusterfs", _glusterfs),
    ("flocker", "flocker", _flocker),
    ("nfs", "nfs", _nfs),
    ("rbd", "rbd", _needs("monitors", "image")),
    ("quobyte", "quobyte", _quobyte),
    ("cephfs", "cephfs", _needs("monitors")),
    ("iscsi", "iscsi", _iscsi),
    ("cinder", "cinder", _cinder),
    ("fc", "fc", _fibre_channel),
    ("flexVolume", "flexVolume", _flex),
    ("azureFile", "azureFile", _azure_file),
    ("vsphereVolume", "vsphereVolume", _needs("volumePath")),
    ("photonPersistentDisk", "photonPersistentDisk", _needs("pdID")),
    ("portworxVolume", "portworxVolume", _needs("volumeID")),
    ("azureDisk", "azureDisk", _azure_disk),
    ("scaleIO", "scaleIO", _needs("gateway", "system", "volumeName")),
    ("local", "local", _local),
    ("storageos", "storageos", _storage_os),
    ("csi", "csi", _csi),
)
_SECOND_PATHS = {"cephfs": "cephFS"}
SOURCE_FIELDS = tuple(field for field, _, _ in _SOURCES)


def source_of(spec: Object) -> Object:
    """The sources of a volume's spec."""
    return {field: spec[field] for field in SOURCE_FIELDS if spec.get(field) is not None}


def validate_volume_sources(spec: Object, name: str, path: str) -> Iterator[FieldError]:
    """`name` is the volume's, `path` that of its spec."""
    count = 0
    affinity = (spec.get("nodeAffinity") or None) is not None
    for field, shown, rule in _SOURCES:
        source = spec.get(field)
        if source is None:
            continue
        count += 1
        if count > 1 and field != "flexVolume":
            yield forbidden(f"{path}.{_SECOND_PATHS.get(field, field)}", "may not specify more than 1 volume type")
            continue
        if field == "iscsi":
            yield from _iscsi_name(source, name, f"{path}.iscsi")
        yield from rule(source, f"{path}.{shown}")
        if field == "local" and not affinity:
            yield required(f"{path}.nodeAffinity", "Local volume requires node affinity")
    if not count:
        yield required(path, "must specify a volume type")


def _iscsi_name(source: Object, name: str, path: str) -> Iterator[FieldError]:
    portal = source.get("targetPortal", "")
    if source.get("initiatorName") is not None and len(f"{name}:{portal}") > 64:
        text = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
            "specified."
        )
        yield invalid(f"{path}.targetportal", portal, text)
