"""What a policy's mutation makes of an object: a configuration merged into it, or a JSON patch.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch/{smd,json_patch}.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.admission.plugin import Attributes
from apiserver.admission.policies.evaluation import Evaluation
from apiserver.admission.policies.views import Versions
from openapi.catalog import GroupVersionKind, split_api_version
from openapi.cel.errors import EvaluationError
from openapi.meta import status
from openapi.schema import node as types
from openapi.schema.copies import copied
from openapi.schema.decode import DecodeError, decode
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, JsonTestFailed, json_patch
from openapi.schema.load import schema_for
from openapi.schema.node import Node
from openapi.schema.typedcheck import misfit
from openapi.schema.typedmerge import typed_merge

Object = dict[str, Any]


class PatchFailed(Exception):
    """The text says why an object cannot be changed so."""


def patched(view: Attributes, versions: Versions, mutation: Mapping[str, Any], run: Evaluation) -> Object:
    """The object as the mutation leaves it. Raises PatchFailed, EvaluationError, and 500 for what is no such object."""
    assert view.obj is not None
    node, gvk = _schema(view, view.obj, versions)
    if mutation["patchType"] == "JSONPatch":
        patch = _evaluated(run, mutation["jsonPatch"]["expression"])
        try:
            changed = copied(json_patch(view.obj, patch))
        except JsonTestFailed:
            return view.obj
        except (JsonPatchError, InvalidPatch) as err:
            raise PatchFailed(f"JSONPath: {err}") from err
        _decode_strictly(changed, node, gvk)
    else:
        config = _evaluated(run, mutation["applyConfiguration"]["expression"])
        _check_configuration(config, node)
        changed = copied(typed_merge(node, view.obj, config))
        try:
            decode(changed, node, gvk)
        except DecodeError as err:
            raise PatchFailed(str(err)) from err
    result: Object = changed
    return result


def _schema(view: Attributes, obj: Object, versions: Versions) -> tuple[Node, GroupVersionKind]:
    row = view.resource
    if view.form is not None:
        return schema_for(view.form.gvk), view.form.gvk
    if obj.get("kind", row.kind) == row.kind:
        return versions.node(row), row.gvk
    gvk = GroupVersionKind(*split_api_version(obj["apiVersion"]), obj["kind"])
    return schema_for(gvk), gvk


def _evaluated(run: Evaluation, text: str) -> Any:
    text = text.strip()
    try:
        return run.run(text)
    except EvaluationError as err:
        raise EvaluationError(f"expression '{text}' resulted in error: {err}") from err


def _decode_strictly(changed: Any, node: Node, gvk: GroupVersionKind) -> None:
    """A patch must leave an object of its kind, whatever the policy says of failures."""
    try:
        unknown = decode(changed, node, gvk)
    except DecodeError as err:
        raise status.internal_error(str(err)) from err
    if unknown:
        raise status.internal_error(f"strict decoding error: {', '.join(unknown)}")


def _check_configuration(config: Any, node: Node) -> None:
    """A configuration fits the schema, and sets nothing that would replace more than it says."""
    problem = misfit(node, config)
    if problem:
        raise PatchFailed(f"error applying patch: failed to convert patch object to typed object: {problem}")
    atomics = list(_atomics(node, config, ""))
    if atomics:
        text = f"may not mutate atomic arrays, maps or structs: {', '.join(atomics)}"
        raise PatchFailed(f"error applying patch: invalid ApplyConfiguration: {text}")


def _atomics(node: Node, value: Any, path: str) -> Iterator[str]:
    """Where a configuration has values that can only be replaced as a whole."""
    if isinstance(value, dict):
        if node.type not in (types.STRUCT, types.MAP) or node.map_type == "atomic":
            yield path
        for name, below in value.items():
            field = node.fields.get(name)
            if field is not None:
                yield from _atomics(field.node, below, f"{path}.{name}")
    elif isinstance(value, list):
        if node.type != types.LIST or node.list_type == "atomic":
            yield path
        for index, item in enumerate(value):
            if node.items is not None:
                yield from _atomics(node.items, item, f"{path}[{index}]")
