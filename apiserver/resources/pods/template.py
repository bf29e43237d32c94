"""Pod templates, as every workload carries one: what is wrong with them and what they should warn of.

`old` is the template as stored, or None on create: some rules are laxer for a value that was already there.
Follows: pkg/apis/core/validation/validation.go ValidatePodTemplateSpec, pkg/api/pod/util.go,
pkg/registry/core/podtemplate/strategy.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.pods.annotations import check_annotations, check_seccomp_agreement
from apiserver.resources.pods.features import drop_disabled_fields
from apiserver.resources.pods.options import Errors, options_for
from apiserver.resources.pods.spec import check_pod_spec
from apiserver.resources.pods.warnings import spec_warnings
from apiserver.resources.strategy import NAME_COLUMN, Column, Object, Strategy, WriteContext
from openapi.meta.field import FieldError, forbidden
from openapi.meta.metadata import validate_annotations, validate_labels
from openapi.meta.names import name_is_dns_subdomain

Template = Mapping[str, Any]

_EMPTY: Template = {}


def drop_disabled_template_fields(template: Object, old: Template | None = None) -> None:
    """Remove in place what only features that are off would use, unless the stored template already uses it."""
    if "spec" in template:
        drop_disabled_fields(template["spec"], old.get("spec") if old else None)


def validate_pod_template(template: Template, path: str, old: Template | None = None) -> Iterator[FieldError]:
    """All that is wrong with a template at `path` (`spec.template`): labels, annotations, spec."""
    meta, spec = template.get("metadata") or _EMPTY, template.get("spec") or _EMPTY
    annotations = meta.get("annotations") or _EMPTY
    old_meta = (old.get("metadata") or _EMPTY) if old else None
    options = options_for((old.get("spec") or _EMPTY) if old else None, old_meta, is_pod=False)
    errors: Errors = []
    errors.extend(validate_labels(meta.get("labels"), f"{path}.labels"))
    if annotations:
        errors.extend(validate_annotations(annotations, f"{path}.annotations"))
        check_annotations(annotations, spec, f"{path}.annotations", options, errors)
    check_pod_spec(spec, None, f"{path}.spec", options, errors)
    if annotations:
        check_seccomp_agreement(annotations, spec, f"{path}.spec", errors)
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        errors.append(forbidden(f"{path}.spec.ephemeralContainers", text))
    yield from errors


def pod_template_warnings(template: Template, path: str, old: Template | None = None) -> list[str]:
    """The Warning texts of a template at `path`."""
    return spec_warnings(template.get("spec") or _EMPTY, template.get("metadata") or _EMPTY, path, is_template=True)


def container_cells(template: Template) -> tuple[str, str]:
    """The names and the images of a template's containers, as tables show them."""
    containers = (template.get("spec") or _EMPTY).get("containers") or ()
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)


class PodTemplateStrategy(Strategy):
    returns_deleted = True
    """Templates as objects of their own."""

    columns = (
        NAME_COLUMN,
        Column("Containers", "string", "Names of each container in the template."),
        Column("Images", "string", "Images referenced by each container in the template."),
        Column("Pod Labels", "string", "The labels for the pod template."),
    )

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        template = obj.setdefault("template", {})
        drop_disabled_template_fields(template, old.get("template") if old else None)
        if old is None:
            obj["metadata"]["generation"] = 1
            return
        changed = template != old.get("template")
        obj["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + changed

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        else:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from validate_pod_template(obj["template"], "template", (old.get("template") or _EMPTY) if old else None)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return pod_template_warnings(obj["template"], "template")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        template = obj.get("template") or _EMPTY
        labels = (template.get("metadata") or _EMPTY).get("labels") or _EMPTY
        shown = ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or "<none>"
        return [obj["metadata"].get("name", ""), *container_cells(template), shown]
