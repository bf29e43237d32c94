"""Defaults of custom resource definitions.

Follows: apiextensions-apiserver/pkg/apis/apiextensions/v1/defaults.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

APIEXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."


def _stored_versions(definition: Object) -> None:
    """A definition without stored versions stores what its storage version says."""
    status = definition.get("status")
    if status is None or status.get("storedVersions"):
        return
    for version in (definition.get("spec") or {}).get("versions") or ():
        if version.get("storage"):
            status["storedVersions"] = [version.get("name", "")]
            return


def _spec(spec: Object) -> None:
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    names = spec.get("names")
    if names is None:
        return
    kind = names.get("kind", "")
    if not names.get("singular") and kind:
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"


DEFAULTS: Defaults = {
    APIEXTENSIONS + "CustomResourceDefinition": (_stored_versions,),
    APIEXTENSIONS + "CustomResourceDefinitionSpec": (_spec,),
    APIEXTENSIONS + "ServiceReference": ({"port": 443},),
}
