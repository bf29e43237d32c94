"""Asking the metrics APIs: what pods use, and what custom and external metrics say. Amounts are thousandths.

Follows: pkg/controller/podautoscaler/metrics/client.go, staging/src/k8s.io/metrics/pkg/client
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import orjson

from controllers.horizontal_pod_autoscaler.calculator import CannotCompute, Measurement
from controllers.runtime.client import Client, query_of
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.objects import View
from openapi.catalog import Resource
from openapi.meta.quantity import Quantity
from openapi.meta.selectors import LabelSelector
from openapi.meta.times import parse_time

_CUSTOM, _EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
_CUSTOM_VERSIONS = ("v1beta2", "v1beta1")
_DEFAULT_WINDOW_S = 60
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9.]+)(h|ms|m|s|us|µs|ns)")


def _duration(text: str) -> timedelta:
    """`1m30s` as Go writes it."""
    return timedelta(seconds=sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text)))


def _said(error: ApiError, resource: str) -> str:
    """The server's refusal, or what its client makes of an answer without one."""
    if error.reason:
        return error.message
    if error.code == 404:
        return f"the server could not find the requested resource (get {resource})"
    if error.code == 503:
        return f"the server is currently unable to handle the request (get {resource})"
    return error.message


class MetricsClient:
    """The three metrics APIs. Every method raises CannotCompute with the reason that there is nothing."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def of_resource(
        self, namespace: str, selector: LabelSelector, resource: str, container: str
    ) -> Mapping[str, Measurement]:
        """What the pods, or one container of each, use of the resource, by pod."""
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"
        items = await self._items(path, {"labelSelector": str(selector)}, "resource", "pods.metrics.k8s.io")
        return measured(items, resource, container)

    async def of_pods(
        self, namespace: str, selector: LabelSelector, metric: str, metric_selector: LabelSelector
    ) -> Mapping[str, Measurement]:
        """A custom metric of each pod."""
        query = {"labelSelector": str(selector), "metricLabelSelector": str(metric_selector)}
        path = f"{await self._custom_root()}/namespaces/{namespace}/pods/*/{quote(metric)}"
        items = await self._items(path, query, "custom", f"pods.{_CUSTOM}")
        return {
            item["describedObject"]["name"]: Measurement(
                Quantity.parse(item["value"]).milli,
                parse_time(item["timestamp"]),
                timedelta(seconds=item.get("windowSeconds") or item.get("window") or _DEFAULT_WINDOW_S),
            )
            for item in items
        }

    async def of_object(
        self, namespace: str, reference: View, target: Resource | None, metric: str, metric_selector: LabelSelector
    ) -> int:
        """A custom metric of one object; `target` is its resource, None if it is not served."""
        root, kind, name = await self._custom_root(), reference["kind"], reference["name"]
        if kind == "Namespace":
            path = f"{root}/namespaces/{namespace}/metrics/{quote(metric)}"
        elif target is None:
            group = reference.get("apiVersion", "").rpartition("/")[0]
            raise CannotCompute(
                f'unable to fetch metrics from custom metrics API: no matches for kind "{kind}" in group "{group}"'
            )
        else:
            word = f"{target.resource}.{target.group}" if target.group else target.resource
            path = f"{root}/namespaces/{namespace}/{word}/{quote(name)}/{quote(metric)}"
        query = {"metricLabelSelector": str(metric_selector)}
        items = await self._items(path, query, "custom", f"{kind.lower()}.{_CUSTOM}")
        return Quantity.parse(items[0]["value"]).milli

    async def of_outside(self, namespace: str, metric: str, selector: LabelSelector) -> Sequence[int]:
        """The values of an external metric."""
        path = f"/apis/{_EXTERNAL}/v1beta1/namespaces/{namespace}/{quote(metric)}"
        items = await self._items(path, {"labelSelector": str(selector)}, "external", f"{metric}.{_EXTERNAL}")
        return [Quantity.parse(item["value"]).milli for item in items]

    async def _items(self, path: str, query: Mapping[str, str], api: str, resource: str) -> list[Any]:
        try:
            answer = await self._client.raw("GET", path + query_of(query))
        except ApiError as error:
            raise CannotCompute(f"unable to fetch metrics from {api} metrics API: {_said(error, resource)}") from error
        items: list[Any] = orjson.loads(answer).get("items") or []
        if not items:
            raise CannotCompute(f"no metrics returned from {api} metrics API")
        return items

    async def _custom_root(self) -> str:
        """The path of the custom metrics API in the version that is served."""
        for version in _CUSTOM_VERSIONS:
            try:
                await self._client.raw("GET", f"/apis/{_CUSTOM}/{version}")
            except NotFound:
                continue
            except ApiError as error:
                raise CannotCompute(
                    f"unable to fetch metrics from custom metrics API: {_said(error, _CUSTOM)}"
                ) from error
            return f"/apis/{_CUSTOM}/{version}"
        text = "unable to fetch metrics from custom metrics API: no custom metrics API ({}) registered"
        raise CannotCompute(text.format(_CUSTOM))


def measured(items: Sequence[View], resource: str, container: str) -> Mapping[str, Measurement]:
    """The PodMetrics by pod; those that lack the resource, or the container, are left out."""
    found = {}
    for item in items:
        containers = item.get("containers") or ()
        if container:
            containers = [one for one in containers if one["name"] == container]
        amounts = [usage[resource] for one in containers if resource in (usage := one.get("usage") or {})]
        if not amounts or len(amounts) < len(containers):
            continue
        total = sum(Quantity.parse(amount).milli for amount in amounts)
        found[item["metadata"]["name"]] = Measurement(
            total, parse_time(item["timestamp"]), _duration(item.get("window", ""))
        )
    return found
