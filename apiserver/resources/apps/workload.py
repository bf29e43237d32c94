"""What the workloads of apps have in common: a strict selector, a pod template that never ends, and its Table cells.

Follows: pkg/apis/apps/validation/validation.go ValidatePodTemplateSpecForReplicaSet,
pkg/printers/internalversion/printers.go layoutContainerCells
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.resources.field_rules import immutable
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.pods.template import drop_disabled_template_fields, validate_pod_template
from apiserver.resources.spec_rules import (
    EMPTY,
    INVALID_SELECTOR,
    SELECTOR_MISMATCH,
    is_empty_selector,
    labels_of,
    selector_of,
    show_selector,
)
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, not_supported, required
from openapi.meta.names import name_is_dns_subdomain
from openapi.meta.selectors import validate_label_selector

Struct = Mapping[str, Any]


class FixedSelector(WithStatus, ABC):
    """A workload named by a DNS subdomain whose selector may not change."""

    @abstractmethod
    def validate_spec(self, spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
        """What is wrong with the spec alone; `old_spec` is None for a new object."""

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
            yield from self.validate_spec(spec, None)
            return
        old_spec = old.get("spec") or EMPTY
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from self.validate_spec(spec, old_spec)
        selector = spec.get("selector")
        yield from immutable(selector, old_spec.get("selector"), "spec.selector", show_selector(selector))


def drop_disabled(obj: dict[str, Any], old: Struct | None) -> None:
    """Clear the template, in place, of what only features that are off would use."""
    template = (obj.get("spec") or EMPTY).get("template")
    if template is not None:
        drop_disabled_template_fields(template, None if old is None else (old.get("spec") or EMPTY).get("template"))


def validate_selected_template(
    spec: Struct,
    old_spec: Struct | None,
    path: str,
    *,
    kind: str,
    empty_kind: str,
    unreadable: str = INVALID_SELECTOR,
    template: Struct | None = None,
) -> Iterator[FieldError]:
    """The selector, required and strict, and the template that it must match.

    `kind` and `empty_kind` name the workload in the messages; `unreadable` says of a selector that it is none;
    `template` is checked instead of the spec's own.
    """
    selector = spec.get("selector")
    if selector is None:
        yield required(f"{path}.selector")
    else:
        yield from validate_label_selector(selector, f"{path}.selector")
        if is_empty_selector(selector):
            text = f"empty selector is invalid for {empty_kind}"
            yield invalid(f"{path}.selector", show_selector(selector), text)
    compiled = selector_of(selector)
    if compiled is None:
        yield invalid(f"{path}.selector", show_selector(selector), unreadable)
        return
    own = spec.get("template") or EMPTY
    labels = labels_of(own)
    if not compiled.empty and not compiled.matches(labels):
        yield invalid(f"{path}.template.metadata.labels", labels, SELECTOR_MISMATCH)
    old = None if old_spec is None else old_spec.get("template")
    yield from validate_pod_template(own if template is None else template, f"{path}.template", old)
    yield from validate_endless(own, f"{path}.template.spec", kind)


def validate_endless(template: Struct, path: str, kind: str) -> Iterator[FieldError]:
    """Pods of a workload are restarted for ever and have no deadline; `path` is the pod spec's."""
    pod_spec = template.get("spec") or EMPTY
    restart_policy = pod_spec.get("restartPolicy", "")
    if restart_policy != "Always":
        yield not_supported(f"{path}.restartPolicy", restart_policy, ("Always",))
    if "activeDeadlineSeconds" in pod_spec:
        yield forbidden(f"{path}.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")


def container_cells(template: Struct | None) -> tuple[str, str]:
    """Names and images of a template's containers, as wide tables show them."""
    containers = ((template or EMPTY).get("spec") or EMPTY).get("containers") or ()
    names = ",".join(container.get("name", "") for container in containers)
    return names, ",".join(container.get("image", "") for container in containers)


def selector_cell(selector: Struct | None) -> str:
    """A label selector in a table."""
    compiled = selector_of(selector)
    if compiled is None:
        return "<error>"
    return "<none>" if selector is None else str(compiled) or "<none>"
