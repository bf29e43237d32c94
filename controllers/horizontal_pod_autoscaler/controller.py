"""Scales what HorizontalPodAutoscalers name, every 15 seconds and at once after a change of their spec.

Follows: pkg/controller/podautoscaler/horizontal.go
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from controllers.horizontal_pod_autoscaler.behavior import Bounds, History, decide, tolerance_of
from controllers.horizontal_pod_autoscaler.metrics import MetricsClient
from controllers.horizontal_pod_autoscaler.sources import MetricFailed, Reading, Sources, Target
from controllers.horizontal_pod_autoscaler.status import Status
from controllers.runtime.controller import Controller, For, Reads, Requeue, Runtime
from controllers.runtime.discovery import Discovery
from controllers.runtime.errors import ApiError, Conflict
from controllers.runtime.informer import Change
from controllers.runtime.kinds import HORIZONTAL_POD_AUTOSCALERS, PODS
from controllers.runtime.objects import Key, Object, View, key_of, labels_of, namespace_of
from openapi.catalog import Resource, split_api_version
from openapi.kinds import RESOURCES
from openapi.meta.selectors import LabelSelector, SelectorError, parse_label_selector

log = logging.getLogger(__name__)

_NO_SCALE = "the HPA controller was unable to get the target's current scale: "
_MAX_TRIES = 5


class _Unscalable(Exception):
    """The target cannot be found."""


class _Stop(Exception):
    """Nothing more can be done this time; the status says why."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What all metrics together call for; `failure` when some could not be read."""

    replicas: int
    metric: str
    statuses: Sequence[Object]
    failure: str = ""


class HorizontalController(Controller):
    name = "horizontal-pod-autoscaler"
    account = "horizontal-pod-autoscaler"
    watches: ClassVar = (
        For(HORIZONTAL_POD_AUTOSCALERS, when=lambda change: _has_new_spec(change)),
        Reads(PODS),
    )

    def __init__(self, runtime: Runtime, period_s: float) -> None:
        super().__init__(runtime)
        self._period_s = period_s
        self._metrics = MetricsClient(self.client)
        self._discovery = Discovery(self.client)
        self._histories: dict[Key, History] = {}
        self._selectors: dict[Key, LabelSelector] = {}

    async def reconcile(self, key: Key) -> Requeue | None:
        autoscaler = self.store(HORIZONTAL_POD_AUTOSCALERS).get(*key)
        if autoscaler is None:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            return None
        status = Status(autoscaler, self.clock())
        try:
            await self._scale(autoscaler, status)
        except _Stop:
            log.debug("not scaled", extra={"key": str(key)})
        changed = status.changed()
        if changed is not None:
            await self._write_status(changed)
        return Requeue(self._period_s)

    async def _write_status(self, changed: Object) -> None:
        try:
            await self.client.update(HORIZONTAL_POD_AUTOSCALERS, changed, "status")
        except Conflict:
            raise
        except ApiError as error:
            self.events.warning(changed, "FailedUpdateStatus", str(error))
            raise

    async def _scale(self, autoscaler: Object, status: Status) -> None:
        """Decide and act; every way out has left its mark in `status`."""
        spec, key = autoscaler["spec"], key_of(autoscaler)
        resource, scale = await self._get_scale(autoscaler, status)
        current = (scale.get("spec") or {}).get("replicas", 0)
        bounds = Bounds(current, spec.get("minReplicas", 1), spec["maxReplicas"])
        history = self._histories.setdefault(key, History())
        history.begin(current, self.clock())
        statuses: Sequence[Object] | None = None
        if current == 0:
            text = "scaling is disabled since the replica count of the target is zero"
            status.condition("ScalingActive", "False", "ScalingDisabled", text)
            desired, reason = 0, ""
        elif current > bounds.most:
            desired, reason = bounds.most, "Current number of replicas above Spec.MaxReplicas"
        elif current < bounds.least:
            desired, reason = bounds.least, "Current number of replicas below Spec.MinReplicas"
        else:
            outcome = await self._measure(autoscaler, scale, status)
            statuses = outcome.statuses
            desired, reason = self._decide(spec, bounds, outcome, history, status)
        status.counts(current, statuses)
        if desired != current:
            await self._rescale(autoscaler, resource, scale, desired, reason, status)
            history.scaled(spec.get("behavior"), current, desired, self.clock())
            status.rescaled()
        status.counts(current, statuses, desired)

    def _decide(
        self, spec: View, bounds: Bounds, outcome: _Outcome, history: History, status: Status
    ) -> tuple[int, str]:
        """The replicas to have, and why they are others than now."""
        reason = ""
        if outcome.replicas > bounds.current:
            reason = f"{outcome.metric} above target"
        elif outcome.replicas < bounds.current:
            reason = "All metrics below target"
        decision = decide(spec.get("behavior"), bounds, outcome.replicas, history, self.clock())
        status.condition("AbleToScale", "True", *decision.able)
        status.condition("ScalingLimited", "True" if decision.is_limited else "False", *decision.limit)
        return decision.replicas, reason

    # The target

    async def _get_scale(self, autoscaler: Object, status: Status) -> tuple[Resource, Object]:
        reference = autoscaler["spec"]["scaleTargetRef"]
        try:
            resource = await self._target_resource(reference)
            scale = await self.client.get(resource, namespace_of(autoscaler), reference["name"], "scale")
        except (ApiError, _Unscalable) as error:
            self.events.warning(autoscaler, "FailedGetScale", str(error))
            status.condition("AbleToScale", "False", "FailedGetScale", f"{_NO_SCALE}{error}")
            raise _Stop from error
        text = "the HPA controller was able to get the target's current scale"
        status.condition("AbleToScale", "True", "SucceededGetScale", text)
        return resource, scale

    async def _target_resource(self, reference: View) -> Resource:
        """The resource of the target's kind. Raises _Unscalable."""
        api_version, kind = reference.get("apiVersion", ""), reference["kind"]
        if api_version.count("/") > 1:
            raise _Unscalable(f"unexpected GroupVersion string: {api_version}")
        resource = await self._resource_of(api_version, kind)
        if resource is None:
            group, _ = split_api_version(api_version)
            raise _Unscalable(f'no matches for kind "{kind}" in group "{group}"')
        return resource

    async def _resource_of(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind in that group, whatever the version: built in, or else as the server tells."""
        group, version = split_api_version(api_version)
        rows = [row for row in RESOURCES if row.group == group and row.kind == kind]
        if not rows:
            served = await self._discovery.look()
            rows = [row for row in served.resources if row.group == group and row.kind == kind]
        rows.sort(key=lambda row: row.version != version)
        return rows[0] if rows else None

    async def _rescale(
        self, autoscaler: Object, resource: Resource, scale: Object, desired: int, reason: str, status: Status
    ) -> None:
        """Write the wanted number into the target's scale; somebody else's change in between is taken over."""
        for attempt in range(1, _MAX_TRIES + 1):
            try:
                wanted = {**scale, "spec": {**(scale.get("spec") or {}), "replicas": desired}}
                await self.client.update(resource, wanted, "scale")
                break
            except ApiError as error:
                if not isinstance(error, Conflict) or attempt == _MAX_TRIES:
                    text = f"New size: {desired}; reason: {reason}; error: {error}"
                    self.events.warning(autoscaler, "FailedRescale", text)
                    text = f"the HPA controller was unable to update the target scale: {error}"
                    status.condition("AbleToScale", "False", "FailedUpdateScale", text)
                    raise _Stop from error
            scale = await self.client.get(resource, *key_of(scale), "scale")
        text = f"the HPA controller was able to update the target scale to {desired}"
        status.condition("AbleToScale", "True", "SucceededRescale", text)
        self.events.normal(autoscaler, "SuccessfulRescale", f"New size: {desired}; reason: {reason}")

    # Metrics

    async def _measure(self, autoscaler: Object, scale: Object, status: Status) -> _Outcome:
        """Read all metrics. Raises _Stop where nothing follows from them."""
        outcome = await self._read_all(autoscaler, self._target(autoscaler, scale, status), status)
        if outcome.metric:
            text = f"the HPA was able to successfully calculate a replica count from {outcome.metric}"
            status.condition("ScalingActive", "True", "ValidMetricFound", text)
            return outcome
        status.counts((scale.get("spec") or {}).get("replicas", 0), outcome.statuses)
        self.events.warning(autoscaler, "FailedComputeMetricsReplicas", outcome.failure)
        raise _Stop

    async def _read_all(self, autoscaler: Object, target: Target, status: Status) -> _Outcome:
        """The most that any metric calls for; one that fails forbids to scale down."""
        spec = autoscaler["spec"]
        sources = Sources(self._metrics, self._resource_of, tolerance_of(spec.get("behavior")), self.clock())
        metrics = spec.get("metrics") or ()
        statuses: list[Object] = []
        failures: list[MetricFailed] = []
        best: Reading | None = None
        for metric in metrics:
            try:
                reading = await sources.read(metric, target)
            except MetricFailed as error:
                self.events.warning(autoscaler, error.reason, error.cause)
                failures.append(error)
                statuses.append({"type": ""})
                continue
            statuses.append(reading.status)
            if best is None or reading.replicas > best.replicas:
                best = reading
        if failures and (best is None or best.replicas < target.wanted):
            failure = f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: {failures[0]}"
            text = f"the HPA was unable to compute the replica count: {failures[0].cause}"
            status.condition("ScalingActive", "False", failures[0].reason, text)
            return _Outcome(target.wanted, "", statuses, failure)
        if best is None:
            return _Outcome(target.wanted, "", statuses, "invalid metrics (0 invalid out of 0)")
        return _Outcome(best.replicas, best.name, statuses)

    def _target(self, autoscaler: Object, scale: Object, status: Status) -> Target:
        namespace = namespace_of(autoscaler)
        scale_status = scale.get("status") or {}
        text = scale_status.get("selector") or ""
        selector = self._selector(autoscaler, scale, text, status)
        self._selectors[key_of(autoscaler)] = selector
        pods = [pod for pod in self.store(PODS).all(namespace) if selector.matches(labels_of(pod))]
        rivals = self._selecting(namespace, pods)
        if len(rivals) > 1:
            keys = " ".join(f"{{{rival.name} {rival.namespace}}}" for rival in rivals[:2])
            message = f"pods by selector {text} are controlled by more than one HPA (e.g. [{keys}])"
            self._refuse(autoscaler, scale, status, ("AmbiguousSelector", "AmbiguousSelector"), (message, message))
        present = scale_status.get("replicas", 0)
        return Target(namespace, selector, pods, (scale.get("spec") or {}).get("replicas", 0), present)

    def _selector(self, autoscaler: Object, scale: Object, text: str, status: Status) -> LabelSelector:
        if not text:
            told = ("selector is required", "the HPA target's scale is missing a selector")
            self._refuse(autoscaler, scale, status, ("SelectorRequired", "InvalidSelector"), told)
        try:
            return parse_label_selector(text)
        except SelectorError as error:
            message = f"couldn't convert selector into a corresponding internal selector object: {error}"
            self._refuse(autoscaler, scale, status, ("InvalidSelector", "InvalidSelector"), (message, message))
            raise AssertionError("unreachable: refusing raises") from error

    def _refuse(
        self, autoscaler: Object, scale: Object, status: Status, reasons: tuple[str, str], texts: tuple[str, str]
    ) -> None:
        """Tell that no pods can be measured, in an event and a condition, and raise _Stop."""
        self.events.warning(autoscaler, reasons[0], texts[0])
        status.condition("ScalingActive", "False", reasons[1], texts[1])
        status.counts((scale.get("spec") or {}).get("replicas", 0), None)
        self.events.warning(autoscaler, "FailedComputeMetricsReplicas", texts[0])
        raise _Stop

    def _selecting(self, namespace: str, pods: Iterable[View]) -> list[Key]:
        """The autoscalers of the namespace whose selectors match any of the pods."""
        sets = [labels_of(pod) for pod in pods]
        return sorted(
            key
            for key, selector in self._selectors.items()
            if key.namespace == namespace and any(selector.matches(labels) for labels in sets)
        )


def _has_new_spec(change: Change) -> bool:
    """Our own writes of the status must not call for us: the next look comes in time."""
    return change.type != "MODIFIED" or change.old is None or bool(change.old["spec"] != change.obj["spec"])
