"""The environment of a container: from services, whole config maps and secrets, single values, and what they refer to.

Pure but for `Sources`, through which config maps, secrets and files are read.
Follows: pkg/kubelet/kubelet_pods.go makeEnvironmentVariables, pkg/kubelet/envvars, third_party/forked/golang/expansion
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from openapi.meta.quantity import Quantity

log = logging.getLogger(__name__)


class ConfigProblem(Exception):
    """A container cannot be made as its spec says: CreateContainerConfigError, with this message."""


class Sources(Protocol):
    """Where values outside the pod come from. None: there is no such object."""

    async def config_map(self, namespace: str, name: str) -> View | None: ...

    async def secret(self, namespace: str, name: str) -> View | None: ...

    def file_in(self, pod: View, volume: str, path: str) -> Path | None:
        """Where a file in a volume of the pod would be, never outside; None without such a volume."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the downward API tells of the node. `allocatable` stands in for limits that are not set."""

    name: str
    host_ips: Sequence[str]
    allocatable: Mapping[str, str]


async def make_environment(
    pod: View, container: View, *, services: Mapping[str, str], ips: Sequence[str], sources: Sources, node: NodeFacts
) -> dict[str, str]:
    """The variables in the order in which they are given. Raises ConfigProblem."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for key, value in (await _whole(pod, source, sources)).items():
            found[source.get("prefix", "") + key] = value
    for variable in container.get("env") or ():
        name = variable["name"]
        if variable.get("value"):
            found[name] = expand(variable["value"], found, services)
        elif variable.get("valueFrom"):
            referred = await _referred(pod, container, variable, ips=ips, sources=sources, node=node)
            if referred is not None:
                found[name] = referred
        else:
            found[name] = ""
    return {**found, **{name: value for name, value in services.items() if name not in found}}


def expand(text: str, *known: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the first known value; `$$` stands for `$`, and names not known stay as they are."""
    if "$" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match[1]
        return next((values[name] for values in known if name in values), match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def unknown_names(text: str, known: Mapping[str, str]) -> list[str]:
    """The names that `expand` would leave in place."""
    return [name for name in re.findall(r"\$\$|\$\(([^)]*)\)", text) if name and name not in known]


async def _whole(pod: View, source: View, sources: Sources) -> dict[str, str]:
    """All entries of a config map or secret, by key in order."""
    namespace = pod["metadata"]["namespace"]
    is_secret = "secretRef" in source
    reference = source.get("secretRef") or source.get("configMapRef") or {}
    read = sources.secret if is_secret else sources.config_map
    found = await read(namespace, reference.get("name", ""))
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigProblem(f'{"secret" if is_secret else "configmap"} "{reference.get("name", "")}" not found')
    data = found.get("data") or {}
    return {key: _text(data[key]) if is_secret else data[key] for key in sorted(data)}


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="surrogateescape")


async def _referred(
    pod: View, container: View, variable: View, *, ips: Sequence[str], sources: Sources, node: NodeFacts
) -> str | None:
    """The value that a variable's `valueFrom` points to; None where it is missing and may be."""
    origin = variable["valueFrom"]
    if "fieldRef" in origin:
        return field_value(pod, origin["fieldRef"]["fieldPath"], ips=ips, node=node)
    if "resourceFieldRef" in origin:
        return resource_value(pod, container, origin["resourceFieldRef"], node)
    if "fileKeyRef" in origin:
        return _file_value(pod, origin["fileKeyRef"], sources)
    is_secret = "secretKeyRef" in origin
    reference = origin.get("secretKeyRef") or origin.get("configMapKeyRef") or {}
    namespace, name, key = pod["metadata"]["namespace"], reference.get("name", ""), reference["key"]
    found = await (sources.secret if is_secret else sources.config_map)(namespace, name)
    data = (found or {}).get("data") or {}
    if key in data:
        return _text(data[key]) if is_secret else str(data[key])
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigProblem(f'{"secret" if is_secret else "configmap"} "{name}" not found')
    raise ConfigProblem(f"couldn't find key {key} in {'Secret' if is_secret else 'ConfigMap'} {namespace}/{name}")


def field_value(pod: View, path: str, *, ips: Sequence[str], node: NodeFacts) -> str:
    """What a downward API `fieldPath` says of the pod."""
    metadata = pod["metadata"]
    match = re.fullmatch(r"metadata\.(labels|annotations)(?:\['(.*)'\])?", path)
    if match is not None:
        values = metadata.get(match[1]) or {}
        return str(values.get(match[2], "")) if match[2] else format_map(values)
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.hostIP": node.host_ips[0] if node.host_ips else "",
        "status.hostIPs": ",".join(node.host_ips),
        "status.podIP": ips[0] if ips else "",
        "status.podIPs": ",".join(ips),
    }
    if path not in simple:
        raise ConfigProblem(f"unsupported fieldPath: {path}")
    return str(simple[path])


def format_map(values: Mapping[str, str]) -> str:
    """Labels or annotations as lines of `key="value"`, with Go's quoting, by key in order."""
    return "\n".join(f"{key}={quote(values[key])}" for key in sorted(values))


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_ESCAPES |= {"\\": "\\\\", '"': '\\"'}


def quote(text: str) -> str:
    """The text as a Go string literal."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_STAND_IN = ("cpu", "memory", "ephemeral-storage")
"""Of these a container without a limit may use what the node has; huge pages are never more than what is asked."""


def resource_value(pod: View, container: View, reference: View, node: NodeFacts) -> str:
    """A request or limit of a container, divided and rounded up."""
    name = reference.get("containerName")
    owner = container if not name else spec.container_named(pod, name)
    if owner is None:
        raise ConfigProblem(f"container {name} not found")
    sort, _, resource = reference["resource"].partition(".")
    given = spec.resources_of(owner, sort)
    text = given.get(resource)
    if sort == "limits" and resource in _STAND_IN and (text is None or Quantity.parse(text).is_zero):
        text = node.allocatable.get(resource)
    amount = Quantity.parse(text or "0")
    divisor = Quantity.parse(reference.get("divisor") or "1")
    if divisor.is_zero:
        divisor = Quantity.parse("1")
    return str(-(-amount.nanos // divisor.nanos))


def _file_value(pod: View, reference: View, sources: Sources) -> str | None:
    """A variable from a file in a volume, which an init container may have written, in shell-like lines."""
    volume, path, key = reference["volumeName"], reference["path"], reference["key"]
    try:
        file = sources.file_in(pod, volume, path)
        if file is None:
            raise ConfigProblem(f'cannot find the volume "{volume}" referenced by FileKeyRef')
        value = value_in_env_file(file.read_bytes().decode(errors="surrogateescape"), key)
    except (OSError, ValueError) as error:
        log.info("no variable from file %s of volume %s: %s", path, volume, error)
        raise ConfigProblem("couldn't parse env file") from None
    if value:
        return value
    if reference.get("optional"):
        return None
    raise ConfigProblem(f'environment variable key "{key}" not found in file "{file}"')


_ASSIGNMENT = re.compile(r"[ \t]*([^=\n]*[^=\s])=(?:'([^']*)'[ \t]*(?:#[^\n]*)?(?=\n|\Z)|(?=[ \t])[^\n]*)")
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")


def value_in_env_file(content: str, key: str) -> str:
    """The first value of `key`, '' where there is none. Raises ValueError for a bad line before it.

    Lines are `NAME='value'`, of which the value may go over several lines; comments and empty lines do not count.
    A value that does not follow at once is an empty one.
    Follows: pkg/kubelet/util/env/env_util.go
    """
    text, at = content.replace("\r\n", "\n"), 0
    while at < len(text):
        line = _NOTHING.match(text, at)
        if line is None:
            line = _ASSIGNMENT.match(text, at)
            if line is None:
                raise ValueError(f"invalid environment variable format at line {text.count(chr(10), 0, at) + 1}")
            if line[1] == key:
                return line[2] or ""
        at = line.end() + 1
    return ""


# -- services --------------------------------------------------------------------------------------------------


def service_environment(pod: View, services: Iterable[View]) -> dict[str, str]:
    """The variables by which a container finds services: all of its namespace, or only the API server's."""
    links = pod["spec"].get("enableServiceLinks")
    namespace = pod["metadata"]["namespace"]
    chosen: dict[str, View] = {}
    for service in services:
        metadata = service["metadata"]
        ip = service["spec"].get("clusterIP")
        if not ip or ip == "None":
            continue
        is_master = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        if metadata["namespace"] == namespace and (links is None or links):
            chosen[metadata["name"]] = service
        elif is_master:
            chosen.setdefault(metadata["name"], service)
    found: dict[str, str] = {}
    for name in sorted(chosen):
        found |= _service_variables(chosen[name])
    return found


def _service_variables(service: View) -> dict[str, str]:
    prefix = service["metadata"]["name"].upper().replace("-", "_")
    ip, ports = service["spec"]["clusterIP"], service["spec"].get("ports") or ()
    host = f"[{ip}]" if ":" in ip else ip
    found = {f"{prefix}_SERVICE_HOST": ip}
    if not ports:
        return found
    found[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            found[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for position, port in enumerate(ports):
        protocol = port.get("protocol") or "TCP"
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if position == 0:
            found[f"{prefix}_PORT"] = url
        link = f"{prefix}_PORT_{port['port']}_{protocol}"
        found |= {
            link: url,
            f"{link}_PROTO": protocol.lower(),
            f"{link}_PORT": str(port["port"]),
            f"{link}_ADDR": ip,
        }
    return found
