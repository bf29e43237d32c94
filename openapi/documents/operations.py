"""The operations of the API, derived from the catalogue's rows: a neutral form that both OpenAPI versions render.

Follows: staging/src/k8s.io/apiserver/pkg/endpoints/installer.go; names and descriptions are what generated clients
build their methods from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from openapi.catalog import GroupVersionKind, Resource, Subresource
from openapi.documents import parameters as known
from openapi.documents.parameters import NAMESPACE, PRETTY, Parameter

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STRING = "string"  # a response that is text, not an object

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ANYTHING = ("*/*",)
PATCHES = ("application/json-patch+json", "application/merge-patch+json")
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
STREAMS = (JSON + ";stream=watch", PROTOBUF + ";stream=watch")

# Deleting one of these answers with the object; the other kinds answer with a Status.
RETURNED_WHEN_DELETED = frozenset(
    (
        "CSIDriver",
        "CSINode",
        "DeviceClass",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodTemplate",
        "ResourceClaim",
        "ResourceClaimTemplate",
        "ResourceQuota",
        "ResourceSlice",
        "Service",
        "ServiceAccount",
        "StorageClass",
        "VolumeAttachment",
        "VolumeAttributesClass",
    )
)

PROXIED = ("get", "put", "post", "delete", "options", "head", "patch")
DEPRECATED_WATCH = " deprecated: use the 'watch' parameter with a list operation instead"


@dataclass(frozen=True, slots=True)
class Operation:
    """`body` and the values of `responses` name definitions; '' is no body."""

    method: str
    id: str
    description: str
    tag: str
    responses: tuple[tuple[int, str], ...]
    action: str = ""
    gvk: GroupVersionKind | None = None
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    body_required: bool = True
    consumes: tuple[str, ...] = ANYTHING
    produces: tuple[str, ...] = (JSON, YAML, PROTOBUF)


class Path(NamedTuple):
    """`parameters` are those that all operations of the path share."""

    path: str
    parameters: tuple[Parameter, ...]
    operations: tuple[Operation, ...]


def path_of(path: str, operations: Sequence[Operation]) -> Path:
    """Moves what the operations share to the path; bodies always stay with them."""
    shared = [
        parameter
        for parameter in operations[0].parameters
        if all(parameter in operation.parameters for operation in operations)
    ]
    return Path(path, tuple(sorted(shared)), tuple(operations))


def group_words(group: str) -> str:
    """`core`, `rbacAuthorization`, `exampleCom`: the group in one word."""
    words = re.split(r"[^A-Za-z0-9]+", group.removesuffix(".k8s.io") or "core")
    return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])


def tag_of(group: str, version: str) -> str:
    return f"{group_words(group)}_{version}"


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _with_article(kind: str) -> str:
    if kind.endswith("s") and not kind.endswith("ss"):
        return kind
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


def base_path(group: str, version: str) -> str:
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def definition_of(group: str, version: str, kind: str) -> str:
    """The definition of a built-in kind that has no row of its own (Scale, Eviction)."""
    package = group.split(".")[0] or "core"
    return f"io.k8s.api.{package}.{version}.{kind}"


def row_paths(row: Resource) -> Iterator[Path]:
    """All paths of one resource, its subresources and its deprecated watches."""
    return _RowPaths(row).paths()


class _RowPaths:
    def __init__(self, row: Resource) -> None:
        self.row = row
        self.base = base_path(row.group, row.version)
        self.scope = "Namespaced" if row.namespaced else ""
        self.prefix = _capital(group_words(row.group)) + _capital(row.version)
        self.tag = tag_of(row.group, row.version)
        self.in_namespace = (NAMESPACE,) if row.namespaced else ()
        self.collection = f"/namespaces/{{namespace}}/{row.resource}" if row.namespaced else f"/{row.resource}"
        self.produces = (JSON, YAML) if row.custom else (JSON, YAML, PROTOBUF)
        self.patches = (*PATCHES, APPLY) if row.custom else (*PATCHES, STRATEGIC, APPLY)

    def paths(self) -> Iterator[Path]:
        yield from self._path(self.base + self.collection, self._collection_operations())
        yield from self._path(f"{self.base}{self.collection}/{{name}}", self._item_operations())
        for sub in self.row.subresources:
            path = f"{self.base}{self.collection}/{{name}}/{sub.name}"
            yield from self._path(path, self._subresource_operations(sub))
            if sub.name == "proxy":
                yield from self._path(path + "/{path}", self._connect(sub, "WithPath", (known.TAIL,)))
        if self.row.namespaced and "list" in self.row.verbs:
            everywhere = self._operation("get", "list", "list", suffix="ForAllNamespaces", namespaced=False)
            yield path_of(f"{self.base}/{self.row.resource}", [everywhere])
        if "watch" in self.row.verbs and not self.row.custom:
            yield from self._watches()

    def _path(self, path: str, operations: Iterator[Operation]) -> Iterator[Path]:
        found = list(operations)
        if found:
            yield path_of(path, found)

    def _collection_operations(self) -> Iterator[Operation]:
        verbs = self.row.verbs
        if "list" in verbs:
            yield self._operation("get", "list", "list")
        if "create" in verbs:
            yield self._operation("post", "create", "post")
        if "deletecollection" in verbs:
            yield self._operation("delete", "delete", "deletecollection", before_scope="Collection")

    def _item_operations(self) -> Iterator[Operation]:
        for verb, method, word in (
            ("get", "get", "read"),
            ("update", "put", "replace"),
            ("delete", "delete", "delete"),
            ("patch", "patch", "patch"),
        ):
            if verb in self.row.verbs:
                yield self._operation(method, word, method, item=True)

    def _operation(
        self,
        method: str,
        word: str,
        action: str,
        *,
        before_scope: str = "",
        suffix: str = "",
        item: bool = False,
        namespaced: bool = True,
        sub: Subresource | None = None,
    ) -> Operation:
        row = self.row
        kind, gvk = row.schema, row.gvk
        if sub is not None:
            gvk = GroupVersionKind(
                row.group if sub.group is None else sub.group,
                row.version if sub.version is None else sub.version,
                sub.kind,
            )
            kind = row.schema if sub.kind == row.kind else definition_of(*gvk)
            suffix += _capital(sub.name)
        addressed: tuple[Parameter, ...] = self.in_namespace if namespaced else ()
        if item or sub is not None:
            addressed = (known.name_of(gvk.kind), *addressed)
        body, required, consumes = self._body(action, kind)
        return Operation(
            method,
            f"{word}{self.prefix}{before_scope}{self.scope if namespaced else ''}{row.kind}{suffix}",
            self._description(action, sub),
            self.tag,
            self._responses(action, kind, sub),
            action,
            gvk,
            (*addressed, PRETTY, *_PARAMETERS[action], *(known.LOG if sub is not None and sub.name == "log" else ())),
            body,
            required,
            consumes,
            self._produces(action, sub),
        )

    def _description(self, action: str, sub: Subresource | None) -> str:
        kind = self.row.kind
        one = _with_article(kind)
        part = f"{sub.name} of " if sub is not None else ""
        watched = "list or watch" if "watch" in self.row.verbs and not self.row.custom else "list"
        return {
            "list": f"{watched} objects of kind {kind}",
            "post": f"create {part}{one}",
            "deletecollection": f"delete collection of {kind}",
            "get": f"read {part}the specified {kind}",
            "put": f"replace {part}the specified {kind}",
            "delete": f"delete {part}{one}",
            "patch": f"partially update {part}the specified {kind}",
        }[action]

    def _body(self, action: str, kind: str) -> tuple[str, bool, tuple[str, ...]]:
        if action in ("post", "put"):
            return kind, True, ANYTHING
        if action == "patch":
            return META + "Patch", True, self.patches
        if action in ("delete", "deletecollection"):
            return META + "DeleteOptions", False, ANYTHING
        return "", False, ANYTHING

    def _responses(self, action: str, kind: str, sub: Subresource | None) -> tuple[tuple[int, str], ...]:
        if sub is not None and sub.name == "log":
            return ((200, STRING),)
        if action == "list":
            return ((200, kind + "List"),)
        if action == "deletecollection":
            return ((200, META + "Status"),)
        if action == "delete":
            deleted = kind if self.row.kind in RETURNED_WHEN_DELETED and not self.row.custom else META + "Status"
            return ((200, deleted), (202, deleted))
        codes = {"post": (200, 201, 202), "put": (200, 201), "patch": (200, 201), "get": (200,)}[action]
        if self.row.custom and action == "patch":
            codes = (200,)
        return tuple((code, kind) for code in codes)

    def _produces(self, action: str, sub: Subresource | None) -> tuple[str, ...]:
        if sub is not None and sub.name == "log":
            return ("text/plain", *self.produces)
        return (*self.produces, *STREAMS) if action == "list" and not self.row.custom else self.produces

    def _subresource_operations(self, sub: Subresource) -> Iterator[Operation]:
        if sub.kind in known.OPTIONS:
            yield from self._connect(sub)
            return
        for verb, method, word in (
            ("get", "get", "read"),
            ("update", "put", "replace"),
            ("create", "post", "create"),
            ("patch", "patch", "patch"),
        ):
            if verb in sub.verbs:
                yield self._operation(method, word, method, sub=sub)

    def _connect(self, sub: Subresource, suffix: str = "", tail: tuple[Parameter, ...] = ()) -> Iterator[Operation]:
        """Connections are not described in the API's terms: any method, anything in, anything out."""
        for method in PROXIED if sub.name == "proxy" else ("get", "post"):
            yield Operation(
                method,
                f"connect{self.prefix}{_capital(method)}{self.scope}{self.row.kind}{_capital(sub.name)}{suffix}",
                f"connect {method.upper()} requests to {sub.name} of {self.row.kind}",
                self.tag,
                ((200, STRING),),
                "connect",
                GroupVersionKind(self.row.group, self.row.version, sub.kind),
                (known.name_of(sub.kind), *self.in_namespace, *tail, *known.OPTIONS[sub.kind]),
                produces=ANYTHING,
            )

    def _watches(self) -> Iterator[Path]:
        kind = self.row.kind
        name = f"watch{self.prefix}{self.scope}{kind}"
        of_list = f"watch individual changes to a list of {kind}.{DEPRECATED_WATCH}."
        of_one = (
            f"watch changes to an object of kind {kind}.{DEPRECATED_WATCH}, "
            "filtered to a single item with the 'fieldSelector' parameter."
        )
        watch = self.base + "/watch"
        yield path_of(watch + self.collection, [self._watch(name + "List", of_list, "watchlist", self.in_namespace)])
        one = (known.name_of(kind), *self.in_namespace)
        yield path_of(f"{watch}{self.collection}/{{name}}", [self._watch(name, of_one, "watch", one)])
        if self.row.namespaced:
            everywhere = f"watch{self.prefix}{kind}ListForAllNamespaces"
            yield path_of(f"{watch}/{self.row.resource}", [self._watch(everywhere, of_list, "watchlist", ())])

    def _watch(self, name: str, description: str, action: str, addressed: tuple[Parameter, ...]) -> Operation:
        return Operation(
            "get",
            name,
            description,
            self.tag,
            ((200, META + "WatchEvent"),),
            action,
            self.row.gvk,
            (*addressed, PRETTY, *known.LIST),
            produces=(*self.produces, *STREAMS),
        )


_PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "get": (),
    "list": known.LIST,
    "post": known.WRITE,
    "put": known.WRITE,
    "patch": known.PATCH,
    "delete": known.DELETE,
    "deletecollection": known.DELETE_COLLECTION,
}


def versions_path() -> Path:
    return _information("/api/", "getCoreAPIVersions", "get available API versions", "core", META + "APIVersions")


def groups_path() -> Path:
    return _information("/apis/", "getAPIVersions", "get available API versions", "apis", META + "APIGroupList")


def group_path(group: str) -> Path:
    words = group_words(group)
    name = f"get{_capital(words)}APIGroup"
    return _information(f"/apis/{group}/", name, "get information of a group", words, META + "APIGroup")


def resources_path(group: str, version: str) -> Path:
    name = f"get{_capital(group_words(group))}{_capital(version)}APIResources"
    text = "get available resources"
    return _information(base_path(group, version) + "/", name, text, tag_of(group, version), META + "APIResourceList")


def _information(path: str, name: str, description: str, tag: str, definition: str) -> Path:
    formats = (JSON, YAML, PROTOBUF)
    operation = Operation("get", name, description, tag, ((200, definition),), consumes=formats, produces=formats)
    return Path(path, (), (operation,))


def version_path() -> Path:
    text = "get the version information for this server"
    definition = "io.k8s.apimachinery.pkg.version.Info"
    operation = Operation(
        "get", "getCodeVersion", text, "version", ((200, definition),), consumes=(JSON,), produces=(JSON,)
    )
    return Path("/version/", (), (operation,))


def issuer_paths() -> tuple[Path, Path]:
    """What others need to check service account tokens: who issues them, and with which keys."""
    configuration = Operation(
        "get",
        "getServiceAccountIssuerOpenIDConfiguration",
        "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
        "WellKnown",
        ((200, STRING),),
        consumes=(),
        produces=(JSON,),
    )
    keys = Operation(
        "get",
        "getServiceAccountIssuerOpenIDKeyset",
        "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
        "openid",
        ((200, STRING),),
        consumes=(),
        produces=("application/jwk-set+json",),
    )
    return Path("/.well-known/openid-configuration/", (), (configuration,)), Path("/openid/v1/jwks/", (), (keys,))
