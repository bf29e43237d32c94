"""Writes operations down as OpenAPI: version 2 (one document for all) and version 3 (one for each group version)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from openapi.documents.definitions import V2_REF, V3_REF, Definitions
from openapi.documents.operations import STRING, Operation, Path
from openapi.documents.parameters import Parameter

Object = dict[str, Any]

INFO = {"title": "Kubernetes", "version": "1.36"}
BEARER = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "type": "apiKey",
        "name": "authorization",
        "in": "header",
    }
}
CODES = {200: "OK", 201: "Created", 202: "Accepted"}
UNAUTHORIZED = {"description": "Unauthorized"}


def definition_names(paths: Iterable[Path]) -> Iterator[str]:
    """What the operations' bodies and answers are."""
    for path in paths:
        for operation in path.operations:
            if operation.body:
                yield operation.body
            for _, name in operation.responses:
                if name != STRING:
                    yield name


def swagger(paths: list[Path], definitions: Definitions) -> Object:
    """The version 2 document."""
    shared: dict[str, Object] = {}
    rendered = {path.path: _v2_path(path, shared) for path in sorted(paths)}
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": rendered,
        "definitions": definitions.v2(definition_names(paths)),
        "parameters": dict(sorted(shared.items())),
        "securityDefinitions": BEARER,
        "security": [{"BearerToken": []}],
    }


def openapi(paths: list[Path], definitions: Definitions, group_version: tuple[str, str]) -> Object:
    """The version 3 document of a group version, with all that its paths need."""
    schemas = definitions.v3(definition_names(paths), group_version)
    return {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": {path.path: _v3_path(path) for path in sorted(paths)},
        "components": {"schemas": schemas, "securitySchemes": BEARER},
    }


def _head(operation: Operation) -> Object:
    return {"description": operation.description, "tags": [operation.tag], "operationId": operation.id}


def _extensions(operation: Operation) -> Object:
    found: Object = {}
    if operation.action:
        found["x-kubernetes-action"] = operation.action
    if operation.gvk is not None:
        found["x-kubernetes-group-version-kind"] = operation.gvk._asdict()
    return found


def _own(path: Path, operation: Operation) -> list[Parameter]:
    return sorted(parameter for parameter in operation.parameters if parameter not in path.parameters)


def _v2_path(path: Path, shared: dict[str, Object]) -> Object:
    found: Object = {operation.method: _v2_operation(path, operation, shared) for operation in path.operations}
    if path.parameters:
        found["parameters"] = [_v2_parameter(parameter, shared) for parameter in path.parameters]
    return found


def _v2_operation(path: Path, operation: Operation, shared: dict[str, Object]) -> Object:
    found = _head(operation)
    if operation.consumes:
        found["consumes"] = list(operation.consumes)
    found["produces"] = list(operation.produces)
    found["schemes"] = ["https"]
    parameters: list[Object] = []
    if operation.body:
        body: Object = {"name": "body", "in": "body", "schema": {"$ref": V2_REF + operation.body}}
        if operation.body_required:
            body["required"] = True
        parameters.append(body)
    parameters += [_v2_parameter(parameter, shared) for parameter in _own(path, operation)]
    if parameters:
        found["parameters"] = parameters
    responses: Object = {
        str(code): {"description": CODES[code], "schema": _schema(name, V2_REF)} for code, name in operation.responses
    }
    found["responses"] = {**responses, "401": UNAUTHORIZED}
    return {**found, **_extensions(operation)}


def _v2_parameter(parameter: Parameter, shared: dict[str, Object]) -> Object:
    """Parameters are shared by reference, but for names, whose text says of what kind."""
    found: Object = {
        "uniqueItems": True,
        "type": parameter.type,
        "description": parameter.description,
        "name": parameter.name,
        "in": parameter.where,
    }
    if parameter.required:
        found["required"] = True
    if parameter.name == "name":
        return found
    digest = hashlib.sha256(repr(parameter).encode()).digest()[:6]
    key = f"{parameter.name}-{base64.urlsafe_b64encode(digest).decode()}"
    shared[key] = found
    return {"$ref": f"#/parameters/{key}"}


def _v3_path(path: Path) -> Object:
    found: Object = {operation.method: _v3_operation(path, operation) for operation in path.operations}
    if path.parameters:
        found["parameters"] = [_v3_parameter(parameter) for parameter in path.parameters]
    return found


def _v3_operation(path: Path, operation: Operation) -> Object:
    found = _head(operation)
    parameters = [_v3_parameter(parameter) for parameter in _own(path, operation)]
    if parameters:
        found["parameters"] = parameters
    if operation.body:
        body: Object = {"content": _content(operation.consumes, operation.body)}
        if operation.body_required:
            body["required"] = True
        found["requestBody"] = body
    responses: Object = {
        str(code): {"description": CODES[code], "content": _content(operation.produces, name)}
        for code, name in operation.responses
    }
    found["responses"] = {**responses, "401": UNAUTHORIZED}
    return {**found, **_extensions(operation)}


def _v3_parameter(parameter: Parameter) -> Object:
    found: Object = {"name": parameter.name, "in": parameter.where, "description": parameter.description}
    if parameter.required:
        found["required"] = True
    found["schema"] = {"type": parameter.type, "uniqueItems": True}
    return found


def _content(media_types: Iterable[str], name: str) -> Object:
    schema = _schema(name, V3_REF)
    return {media_type: {"schema": schema} for media_type in sorted(media_types)}


def _schema(name: str, prefix: str) -> Object:
    return {"type": "string"} if name == STRING else {"$ref": prefix + name}
