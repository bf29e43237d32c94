"""Converting merged documents: what fits, and the words for what does not."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.catalog import GroupVersionKind
from openapi.schema.convert import ConversionError, convert
from openapi.schema.load import schema_for

DEPLOYMENT = schema_for(GroupVersionKind("apps", "v1", "Deployment"))
CONFIG_MAP = schema_for(GroupVersionKind("", "v1", "ConfigMap"))


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", **fields}]}}}}


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        ({"spec": {"replicas": "3"}}, "unrecognized type: int32"),
        ({"spec": {"replicas": True}}, "unrecognized type: int32"),
        ({"spec": {"replicas": 1.5}}, "cannot convert float64 to int32"),
        ({"spec": {"paused": "yes"}}, "unrecognized type: bool"),
        ({"spec": 5}, "cannot restore struct from: int64"),
        ({"metadata": {"labels": {"x": 5}}}, "cannot convert int64 to string"),
        ({"metadata": {"labels": {"x": 1.5}}}, "unrecognized type: string"),
        ({"metadata": {"labels": []}}, "cannot restore map from slice"),
        ({"metadata": {"creationTimestamp": 5}}, "json: cannot unmarshal number into Go value of type string"),
        (container(image=5), "cannot convert int64 to string"),
        (container(imagePullPolicy=5), "cannot convert int64 to v1.PullPolicy"),
        (container(image={}), "unrecognized type: string"),
        (container(command="x"), "cannot restore slice from string"),
        (container(env=[5]), "cannot restore struct from: int64"),
        (container(livenessProbe={"httpGet": {"port": True}}),
         "json: cannot unmarshal bool into Go value of type int32"),
        (container(livenessProbe={"httpGet": {"port": 1.5}}),
         "json: cannot unmarshal number 1.5 into Go value of type int32"),
        (container(resources={"limits": {"cpu": "lots"}}), "quantities must match the regular expression "
         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
    ],
)  # fmt: skip
def test_what_does_not_fit(obj: dict[str, Any], text: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(obj, DEPLOYMENT)
    assert str(caught.value) == text


def test_bytes_are_base64() -> None:
    with pytest.raises(ConversionError, match="error decoding from json: illegal base64 data at input byte 0"):
        convert({"binaryData": {"k": "!!"}}, CONFIG_MAP)


@pytest.mark.parametrize(
    ("given", "kept"), [(3.0, 3), (99999999999, 1215752191), (None, None), (-2147483649, 2147483647)]
)
def test_numbers_take_the_form_of_their_field(given: Any, kept: Any) -> None:
    obj = {"spec": {"replicas": given}}
    convert(obj, DEPLOYMENT)
    assert obj == {"spec": {"replicas": kept}} and type(obj["spec"]["replicas"]) is type(kept)
