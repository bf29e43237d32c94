"""All documents about the API itself, ready to send: discovery, OpenAPI, the version.

Everything is built when first asked for, kept as bytes, and built again once the catalogue has changed; version 3
documents are kept while the rows and schemas of their own group version stay the same. Nothing here does I/O.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from openapi.catalog import Catalog, Resource
from openapi.documents import discovery, gnostic, operations, render
from openapi.documents.accept import JSON, PROTOBUF, YAML, Wanted, parse_accept
from openapi.documents.custom import custom_definition_name, custom_definitions
from openapi.documents.definitions import Definitions
from openapi.documents.foreign import ForeignVersion, aggregated_group, by_group, group_of, merge_swagger
from openapi.meta import status
from openapi.schema.protobuf import encode_protobuf
from openapi.schema.yamlbody import dump_yaml

Object = dict[str, Any]
DefinitionsOf = Callable[[Resource], Mapping[str, Object]]

GIT_VERSION = "v1.36.2"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TEXT = "text/plain; charset=utf-8"
PROTOBUF_V2 = (
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
)
"""What the second is answered with too: its @ is not allowed in media types, but clients still ask with it."""
YEAR_S = 365 * 24 * 3600
OFFERED = f"{JSON}, {YAML}, {PROTOBUF}"


@dataclass(frozen=True, slots=True)
class Document:
    """An answer as it goes out. `etag` has its quotes, '' is none; `headers` are further ones (lower-case names)."""

    content_type: str
    body: bytes
    etag: str = ""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def any_fields(row: Resource) -> Mapping[str, Object]:
    """The definitions of a custom kind whose schema nobody knows."""
    return custom_definitions(row, None)


class Documents:
    """`definitions_of` gives the definitions of a custom row, as `custom_definitions` makes them."""

    def __init__(self, catalog: Catalog, definitions_of: DefinitionsOf = any_fields) -> None:
        self._catalog = catalog
        self._definitions_of = definitions_of
        self._seen = catalog.version
        self._foreign: tuple[ForeignVersion, ...] = ()
        self._kept: dict[tuple[str, ...], Document] = {}
        self._groups: dict[str, tuple[str, Document]] = {}
        self._hashes: dict[str, str] = {}

    def show_foreign(self, foreign: tuple[ForeignVersion, ...]) -> None:
        """What other servers serve, to be shown with our own."""
        ours = set(self._catalog.group_names())
        foreign = tuple(each for each in foreign if each.group not in ours)
        if foreign != self._foreign:
            self._foreign = foreign
            self._kept.clear()

    def discover(self, path: str, accept: str, server_address: str = "") -> Document | None:
        """The answer to a GET below /api or /apis that names no resource; None if there is no such group or version.

        Raises NotAcceptable. `server_address` is host and port as the client knows them.
        """
        self._forget_if_changed()
        parts = path.strip("/").split("/")
        wanted = self._wanted(accept, aggregated=len(parts) == 1)
        if wanted is None:
            if self._discovery(parts, False, server_address) is None:
                return None
            raise status.not_acceptable(f"only the following media types are accepted: {OFFERED}")
        key = (*parts, wanted.media, str(wanted.aggregated), server_address if parts == ["api"] else "")
        document = self._kept.get(key)
        if document is None:
            found = self._discovery(parts, wanted.aggregated, server_address)
            if found is None:
                return None
            document = self._kept[key] = _aggregated(found) if wanted.aggregated else _plain(found, wanted.media)
        return document

    def _wanted(self, accept: str, *, aggregated: bool) -> Wanted | None:
        for wanted in parse_accept(accept):
            if wanted.media and (aggregated or not wanted.aggregated):
                return wanted
        return None

    def _discovery(self, parts: list[str], aggregated: bool, server_address: str) -> Object | None:
        catalog = self._catalog
        match parts:
            case ["api"]:
                found = discovery.aggregated_core(catalog) if aggregated else None
                return found or discovery.core_versions(catalog, server_address)
            case ["apis"]:
                return self._groups_document(aggregated=aggregated)
            case ["api", version] if version in catalog.versions(""):
                return discovery.resource_list(catalog, "", version)
            case ["apis", group] if group and catalog.versions(group):
                return discovery.group(catalog, group)
            case ["apis", group] if group in (others := by_group(self._foreign)):
                return {"kind": "APIGroup", "apiVersion": "v1", **group_of(group, others[group])}
            case ["apis", group, version] if group and version in catalog.versions(group):
                return discovery.resource_list(catalog, group, version)
        return None

    def _groups_document(self, *, aggregated: bool) -> Object:
        found = discovery.aggregated_groups(self._catalog) if aggregated else discovery.group_list(self._catalog)
        shown = aggregated_group if aggregated else group_of
        found["items" if aggregated else "groups"] += [shown(*each) for each in by_group(self._foreign).items()]
        return found

    def version(self) -> Document:
        return Document(JSON, orjson.dumps(version_info(), option=orjson.OPT_INDENT_2))

    def openapi_v2(self, accept: str) -> Document:
        """The one document of version 2, as JSON where that is taken, else in the protobuf form of kubectl."""
        as_json = _takes_json(accept)
        if not as_json and not any(name in accept for name in PROTOBUF_V2):
            return Document("", b"", status=406)
        self._forget_if_changed()
        key = ("openapi", "v2", JSON if as_json else PROTOBUF_V2[0])
        document = self._kept.get(key)
        if document is None:
            paths = [path for name in self._names() for path in self._paths(name)]
            found = render.swagger(paths, Definitions(self._custom_definitions(self._custom_rows())))
            merge_swagger(found, self._foreign)
            body = _encode(found) if as_json else gnostic.encode(found)
            document = Document(key[2], body, _etag(_hash(body)), headers=(("vary", "Accept"),))
            self._kept[key] = document
        return document

    def openapi_v3_index(self) -> Document:
        """The paths of the version 3 documents, each with the hash that its present content is known by."""
        self._forget_if_changed()
        document = self._kept.get(("openapi", "v3"))
        if document is None:
            paths = {name: {"serverRelativeURL": self._v3_url(name)} for name in sorted(self._names())}
            for each in self._foreign:
                if each.openapi_v3:
                    paths[f"apis/{each.group}/{each.version}"] = {"serverRelativeURL": each.openapi_v3}
            document = self._kept[("openapi", "v3")] = Document(TEXT, _encode({"paths": paths}))
        return document

    def openapi_v3(self, name: str, accept: str, known_hash: str = "") -> Document | None:
        """The document `name` (`api/v1`, `apis/apps/v1`), asked for with `?hash=known_hash`; None if there is none.

        An outdated hash is redirected; with the present one the answer may be kept for a year.
        """
        self._forget_if_changed()
        if name not in self._names():
            return None
        if not _takes_json(accept):
            return Document("", b"", status=406)
        current = self._v3_hash(name)
        if known_hash and known_hash != current:
            return Document("", b"", status=301, headers=(("location", self._v3_url(name)),))
        document = self._v3_document(name, current)
        if known_hash:
            expires = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + YEAR_S))
            kept = (("cache-control", "public, immutable"), ("expires", expires))
            return replace(document, headers=(*document.headers, *kept))
        return document

    def _v3_document(self, name: str, current: str) -> Document:
        built_from, document = self._groups.get(name, ("", None))
        if document is None or built_from != current:
            rows = self._rows(name)
            custom = self._custom_definitions([row for row in rows if row.custom])
            group_version = (rows[0].group, rows[0].version) if rows else ("", "v1")
            body = _encode(render.openapi(self._paths(name), Definitions(custom), group_version))
            document = Document(JSON, body, _etag(current), headers=(("vary", "Accept"),))
            self._groups[name] = (current, document)
        return document

    def _v3_url(self, name: str) -> str:
        return f"/openapi/v3/{name}?hash={self._v3_hash(name)}"

    def _v3_hash(self, name: str) -> str:
        """Names what the document is built from, so that it need not be built to be listed."""
        found = self._hashes.get(name)
        if found is None:
            rows = self._rows(name)
            custom = self._custom_definitions([row for row in rows if row.custom])
            sources = (GIT_VERSION, name, repr(rows), _encode(custom).decode())
            found = self._hashes[name] = _hash("\n".join(sources).encode())
        return found

    def _names(self) -> list[str]:
        """All documents of version 3; a custom group has none of its own, only its versions have."""
        names = [".well-known/openid-configuration", "openid/v1/jwks", "version", "api", "apis"]
        for group in self._catalog.group_names():
            if group and not all(row.custom for row in self._catalog.rows() if row.group == group):
                names.append(f"apis/{group}")
            names += [operations.base_path(group, version)[1:] for version in self._catalog.versions(group)]
        return names

    def _paths(self, name: str) -> list[operations.Path]:
        rows = self._rows(name)
        if rows:
            found = [path for row in rows for path in operations.row_paths(row)]
            if not all(row.custom for row in rows):
                found.append(operations.resources_path(rows[0].group, rows[0].version))
            return found
        issuer, keys = operations.issuer_paths()
        fixed = {
            ".well-known/openid-configuration": issuer,
            "openid/v1/jwks": keys,
            "version": operations.version_path(),
            "api": operations.versions_path(),
            "apis": operations.groups_path(),
        }
        return [fixed.get(name) or operations.group_path(name.removeprefix("apis/"))]

    def _rows(self, name: str) -> list[Resource]:
        match name.split("/"):
            case ["api", version]:
                rows = self._catalog.of_group_version("", version)
            case ["apis", group, version]:
                rows = self._catalog.of_group_version(group, version)
            case _:
                rows = ()
        return [_with_definition_name(row) for row in rows]

    def _custom_rows(self) -> list[Resource]:
        return [row for row in self._catalog.rows() if row.custom]

    def _custom_definitions(self, rows: list[Resource]) -> dict[str, Object]:
        return {name: found for row in rows for name, found in self._definitions_of(row).items()}

    def _forget_if_changed(self) -> None:
        if self._seen != self._catalog.version:
            self._seen = self._catalog.version
            self._kept.clear()
            self._hashes.clear()
            names = set(self._names())
            for gone in self._groups.keys() - names:
                del self._groups[gone]


def version_info() -> Object:
    """What /version answers. The API is Kubernetes'; what runs it is named honestly."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION + "+wherry",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": "gc",
        "platform": f"{sys.platform}/{machine}",
    }


def _with_definition_name(row: Resource) -> Resource:
    return replace(row, schema=custom_definition_name(*row.gvk)) if row.custom else row


def _aggregated(found: Object) -> Document:
    body = _encode(found)
    return Document(AGGREGATED, body, _etag(_hash(body)), headers=(("vary", "Accept"),))


def _plain(found: Object, media: str) -> Document:
    if media == YAML:
        return Document(media, dump_yaml(found))
    if media == PROTOBUF:
        return Document(media, encode_protobuf({"apiVersion": "v1", **found}))
    return Document(media, _encode(found))


def _takes_json(accept: str) -> bool:
    return any(wanted.is_json for wanted in parse_accept(accept))


def _encode(found: object) -> bytes:
    return orjson.dumps(found)


def _hash(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest().upper()


def _etag(digest: str) -> str:
    return f'"{digest}"'
