"""A whole pod: what may be wrong with it when it is created.

Follows: pkg/apis/core/validation/validation.go ValidatePodCreate, validatePodMetadataAndSpec
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.resources.object_meta import validate_object_meta
from apiserver.resources.pods.annotations import check_annotations, check_apparmor_agreement, check_seccomp_agreement
from apiserver.resources.pods.containers import check_image_padding
from apiserver.resources.pods.options import Errors, Options
from apiserver.resources.pods.spec import check_pod_spec
from openapi.meta.field import forbidden
from openapi.meta.names import name_is_dns_subdomain

Object = Mapping[str, Any]
EMPTY: Object = {}


def check_new_pod(pod: Object, options: Options, errors: Errors) -> None:
    spec = pod.get("spec") or EMPTY
    check_metadata_and_spec(pod, options, errors)
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    annotations = pod["metadata"].get("annotations")
    if annotations:
        check_seccomp_agreement(annotations, spec, "spec", errors)
        check_apparmor_agreement(annotations, spec, "spec", errors)


def check_metadata_and_spec(pod: Object, options: Options, errors: Errors) -> None:
    """The rules that hold for every pod at all times."""
    meta, spec = pod["metadata"], pod.get("spec") or EMPTY
    errors.extend(validate_object_meta(meta, namespaced=True, name=name_is_dns_subdomain))
    if meta.get("annotations"):
        check_annotations(meta["annotations"], spec, "metadata.annotations", options, errors)
    check_pod_spec(spec, meta, "spec", options, errors)
    if not spec.get("serviceAccountName"):
        _check_no_tokens(spec, errors)
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            check_image_padding(container, f"spec.{field}[{index}]", errors)


def _check_no_tokens(spec: Object, errors: Errors) -> None:
    """Without an account there is none to make tokens for."""
    for index, volume in enumerate(spec.get("volumes") or ()):
        for place, source in enumerate((volume.get("projected") or EMPTY).get("sources") or ()):
            if "serviceAccountToken" in source:
                where = f"spec.volumes[{index}].projected.sources[{place}].serviceAccountToken"
                errors.append(forbidden(where, "must not be specified when serviceAccountName is not set"))
