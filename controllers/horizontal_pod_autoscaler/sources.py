"""The metrics that an autoscaler names, each with its own way from the API to a number of replicas.

Follows: pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetrics and what it calls)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.horizontal_pod_autoscaler import calculator
from controllers.horizontal_pod_autoscaler.calculator import CannotCompute, Proposal, Tolerance
from controllers.horizontal_pod_autoscaler.metrics import MetricsClient
from controllers.runtime.objects import Object, View
from openapi.catalog import Resource
from openapi.meta.quantity import BINARY, DECIMAL, Quantity
from openapi.meta.selectors import EVERYTHING, LabelSelector, from_label_selector

ResourceOf = Callable[[str, str], Awaitable[Resource | None]]
"""The served resource of an apiVersion and a kind."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled: its pods, their selector, and how many replicas it wants and has."""

    namespace: str
    selector: LabelSelector
    pods: Sequence[View]
    wanted: int
    present: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one metric calls for: replicas, the metric's name in messages, its status."""

    replicas: int
    name: str
    status: Object


class MetricFailed(Exception):
    """A metric cannot be read: `reason` and `cause` are for the condition, the text for the sum of all metrics."""

    def __init__(self, message: str, reason: str, cause: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.cause = cause


_REASONS = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}


class Sources:
    """Reads metrics for one decision."""

    def __init__(self, metrics: MetricsClient, resource_of: ResourceOf, tolerance: Tolerance, now: datetime) -> None:
        self._metrics = metrics
        self._resource_of = resource_of
        self._tolerance = tolerance
        self._now = now

    async def read(self, spec: View, target: Target) -> Reading:
        """One of `spec.metrics`. Raises MetricFailed."""
        kind = spec["type"]
        readers = {
            "Resource": self._resource,
            "ContainerResource": self._container,
            "Pods": self._pods,
            "Object": self._object,
            "External": self._external,
        }
        if kind not in readers:
            text = f'unknown metric source type "{kind}"'
            raise MetricFailed(text, "InvalidMetricSourceType", text)
        try:
            return await readers[kind](spec, target)
        except CannotCompute as error:
            cause = str(error.__cause__) if isinstance(error.__cause__, CannotCompute) else str(error)
            raise MetricFailed(f"failed to get {_subject(spec)} value: {error}", _REASONS[kind], cause) from error

    async def _resource(self, spec: View, target: Target) -> Reading:
        source = spec["resource"]
        current, proposal = await self._usage(source, target, "")
        named = f"{source['name']} resource"
        if "averageUtilization" in current:
            named += " utilization (percentage of request)"
        status = {"type": "Resource", "resource": {"name": source["name"], "current": current}}
        return Reading(proposal.replicas, named, status)

    async def _container(self, spec: View, target: Target) -> Reading:
        source = spec["containerResource"]
        current, proposal = await self._usage(source, target, source["container"])
        named = f"{source['name']} resource"
        if "averageUtilization" in current:
            named = f"{source['name']} container resource utilization (percentage of request)"
        found = {"name": source["name"], "container": source["container"], "current": current}
        return Reading(proposal.replicas, named, {"type": "ContainerResource", "containerResource": found})

    async def _usage(self, source: View, target: Target, container: str) -> tuple[Object, Proposal]:
        """The current value of a resource metric, and what follows."""
        name, wanted = source["name"], source["target"]
        average, share = wanted.get("averageValue"), wanted.get("averageUtilization")
        if average is None and share is None:
            raise CannotCompute(
                "invalid resource metric source: neither an average utilization target nor an average value (usage) "
                "target was set"
            )
        noun = "usage" if average is not None else "utilization"
        try:
            measured = await self._measured(target, name, container)
            if average is not None:
                proposal = self._by_average(target, measured, name, Quantity.parse(average).milli)
                return {"averageValue": _amount(name, proposal.usage)}, proposal
            proposal = calculator.by_utilization(
                target.pods,
                measured,
                lambda: calculator.requests_of(target.pods, name, container),
                resource=name,
                target=share,
                current=target.wanted,
                tolerance=self._tolerance,
                now=self._now,
            )
        except CannotCompute as error:
            raise CannotCompute(f"failed to get {name} {noun}: {error}") from None
        return {"averageUtilization": proposal.utilization, "averageValue": _amount(name, proposal.usage)}, proposal

    async def _measured(self, target: Target, name: str, container: str) -> Mapping[str, calculator.Measurement]:
        try:
            return await self._metrics.of_resource(target.namespace, target.selector, name, container)
        except CannotCompute as error:
            raise CannotCompute(f"unable to get metrics for resource {name}: {error}") from None

    def _by_average(
        self, target: Target, measured: Mapping[str, calculator.Measurement], resource: str, wanted: int
    ) -> Proposal:
        return calculator.by_average(
            target.pods,
            measured,
            resource=resource,
            target=wanted,
            current=target.wanted,
            tolerance=self._tolerance,
            now=self._now,
        )

    async def _pods(self, spec: View, target: Target) -> Reading:
        metric, wanted = spec["pods"]["metric"], spec["pods"]["target"]
        try:
            measured = await self._metrics.of_pods(target.namespace, target.selector, metric["name"], _selector(metric))
        except CannotCompute as error:
            raise CannotCompute(f"unable to get metric {metric['name']}: {error}") from None
        proposal = self._by_average(target, measured, "", Quantity.parse(wanted["averageValue"]).milli)
        found = {"metric": dict(metric), "current": {"averageValue": _amount("", proposal.usage)}}
        return Reading(proposal.replicas, f"pods metric {metric['name']}", {"type": "Pods", "pods": found})

    async def _object(self, spec: View, target: Target) -> Reading:
        source = spec["object"]
        metric, reference, wanted = source["metric"], source["describedObject"], source["target"]
        by_value = wanted["type"] == "Value" and wanted.get("value") is not None
        if not by_value and not (wanted["type"] == "AverageValue" and wanted.get("averageValue") is not None):
            raise CannotCompute(
                "invalid object metric source: neither a value target nor an average value target was set"
            )
        name = metric["name"]
        try:
            resource = await self._resource_of(reference.get("apiVersion", ""), reference["kind"])
            usage = await self._metrics.of_object(target.namespace, reference, resource, name, _selector(metric))
        except CannotCompute as error:
            where = f"{reference['kind']} {target.namespace}/{reference['name']}"
            problem = CannotCompute(f"unable to get metric {name} on {where}: {error}")
            if by_value:
                raise problem from None
            raise CannotCompute(f"failed to get {name} object metric: {problem}") from problem
        proposal, current = self._single(target, usage, wanted, by_value)
        found = {"metric": dict(metric), "describedObject": dict(reference), "current": current}
        named = f"{reference['kind']} metric {name}" if by_value else _external_name(metric)
        return Reading(proposal.replicas, named, {"type": "Object", "object": found})

    async def _external(self, spec: View, target: Target) -> Reading:
        metric, wanted = spec["external"]["metric"], spec["external"]["target"]
        name = metric["name"]
        by_value = wanted.get("averageValue") is None
        if by_value and wanted.get("value") is None:
            raise CannotCompute(
                "invalid external metric source: neither a value target nor an average value target was set"
            )
        try:
            usage = sum(await self._metrics.of_outside(target.namespace, name, _selector(metric)))
        except CannotCompute as error:
            where = f"{target.namespace}/{name}/{selector_text(metric.get('selector'))}"
            problem = CannotCompute(f"unable to get external metric {where}: {error}")
            words = f"external metric {name}" if by_value else f"{name} external metric"
            raise CannotCompute(f"failed to get {words}: {problem}") from problem
        proposal, current = self._single(target, usage, wanted, by_value)
        found = {"metric": dict(metric), "current": current}
        return Reading(proposal.replicas, _external_name(metric), {"type": "External", "external": found})

    def _single(self, target: Target, usage: int, wanted: View, by_value: bool) -> tuple[Proposal, Object]:
        """What follows from one value for all pods."""
        if by_value:
            goal = Quantity.parse(wanted["value"]).milli
            proposal = calculator.by_total(
                target.pods, usage, target=goal, current=target.wanted, tolerance=self._tolerance
            )
            return proposal, {"value": _amount("", proposal.usage)}
        goal = Quantity.parse(wanted["averageValue"]).milli
        proposal = calculator.by_share(usage, target=goal, current=target.present, tolerance=self._tolerance)
        return proposal, {"averageValue": _amount("", proposal.usage)}


def _subject(spec: View) -> str:
    """What could not be read, in messages."""
    kind = spec["type"]
    if kind == "Resource":
        return f"{spec['resource']['name']} resource metric"
    if kind == "ContainerResource":
        return f"{spec['containerResource']['container']} container metric"
    if kind == "External":
        return f"{spec['external']['metric']['name']} external metric"
    return f"{kind.lower()} metric"


def _selector(metric: View) -> LabelSelector:
    spec = metric.get("selector")
    return EVERYTHING if spec is None else from_label_selector(spec)


def _external_name(metric: View) -> str:
    return f"external metric {metric['name']}({selector_text(metric.get('selector'))})"


def selector_text(spec: Mapping[str, Any] | None) -> str:
    """A label selector as Go prints it."""
    if spec is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((spec.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in spec.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def _amount(resource: str, milli: int) -> str:
    return str(Quantity.of_milli(milli, BINARY if resource == "memory" else DECIMAL))
