"""The status of a job: whoever runs the job may report only what fits together, and never go back on it.

A rule that a stored status already breaks is not held against a change of something else.
Follows: pkg/registry/batch/job/strategy.go getStatusValidationOptions,
pkg/apis/batch/validation/validation.go validateJobStatus
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.resources.batch.indexes import IndexesError, count_indexes, first_overlap
from apiserver.resources.object_meta import validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY, condition_is_true, nonnegative_fields, verbatim
from apiserver.resources.strategy import Object, StatusOf, WriteContext
from openapi.meta.field import OMIT, FieldError, duplicate, invalid, required
from openapi.meta.times import parse_time

Struct = Mapping[str, Any]

_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")
_FINAL = ("Failed", "Complete", "FailureTarget")


class JobStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        change = _Change(obj, old)
        yield from nonnegative_fields(change.new, _COUNTS, "status")
        yield from _uncounted(change.new)
        yield from _completion(change)
        yield from _finish(change)
        yield from _indexes(change)
        yield from _pods(change)
        yield from _success(change)
        yield from _transition(change)


class _Change:
    """The two statuses side by side, and the conditions that the rules ask for."""

    def __init__(self, obj: Object, old: Object) -> None:
        self.spec: Struct = obj.get("spec") or EMPTY
        self.new: Struct = obj.get("status") or EMPTY
        self.old: Struct = old.get("status") or EMPTY

    def has(self, kind: str) -> bool:
        return condition_is_true(self.new.get("conditions"), kind)

    def had(self, kind: str) -> bool:
        return condition_is_true(self.old.get("conditions"), kind)

    def changed(self, *names: str) -> bool:
        """Whether any of the fields, or of the conditions (capitalised), is another than before."""
        for name in names:
            if name[0].isupper():
                if self.has(name) != self.had(name):
                    return True
            elif self.new.get(name) != self.old.get(name):
                return True
        return False

    @property
    def is_finished(self) -> bool:
        return self.has("Complete") or self.has("Failed")

    @property
    def finish_changed(self) -> bool:
        return self.is_finished != (self.had("Complete") or self.had("Failed"))


def _conditions(text: str) -> FieldError:
    return invalid("status.conditions", OMIT, text)


def _uncounted(status: Struct) -> Iterator[FieldError]:
    pods = status.get("uncountedTerminatedPods") or EMPTY
    seen: set[str] = set()
    for name in ("succeeded", "failed"):
        for index, uid in enumerate(pods.get(name) or ()):
            path = f"status.uncountedTerminatedPods.{name}[{index}]"
            if not uid:
                yield invalid(path, uid, "must not be empty")
            elif uid in seen:
                yield duplicate(path, uid)
            seen.add(uid)


def _completion(change: _Change) -> Iterator[FieldError]:
    complete, done_at = change.has("Complete"), change.new.get("completionTime")
    if change.changed("Complete", "Failed") and complete and change.has("Failed"):
        yield _conditions("cannot set Complete=True and Failed=true conditions")
    if change.changed("Complete", "FailureTarget") and complete and change.has("FailureTarget"):
        yield _conditions("cannot set Complete=True and FailureTarget=true conditions")
    if change.changed("Complete", "completionTime"):
        if done_at and not complete:
            text = "cannot set completionTime when there is no Complete=True condition"
            yield invalid("status.completionTime", done_at, text)
        if complete and not done_at:
            yield required("status.completionTime", "completionTime is required for Complete jobs")
    start = change.new.get("startTime")
    if change.changed("startTime", "completionTime") and start and done_at and parse_time(done_at) < parse_time(start):
        yield invalid("status.completionTime", done_at, "completionTime cannot be set before startTime")
    if change.changed("Failed", "FailureTarget") and change.has("Failed") and not change.has("FailureTarget"):
        yield _conditions("cannot set Failed=True condition without the FailureTarget=true condition")
    if change.changed("Complete", "SuccessCriteriaMet") and complete and not change.has("SuccessCriteriaMet"):
        yield _conditions("cannot set Complete=True condition without the SuccessCriteriaMet=true condition")


def _finish(change: _Change) -> Iterator[FieldError]:
    """A finished job has a start and no pods left."""
    if not change.is_finished:
        return
    active, uncounted = change.new.get("active", 0), change.new.get("uncountedTerminatedPods") or EMPTY
    if (change.finish_changed or change.changed("active")) and active > 0:
        yield invalid("status.active", active, "active>0 is invalid for finished job")
    if (change.finish_changed or change.changed("startTime")) and not change.new.get("startTime"):
        yield required("status.startTime", "startTime is required for finished job")
    if (change.finish_changed or change.changed("uncountedTerminatedPods")) and any(uncounted.values()):
        shown = verbatim({"Succeeded": uncounted.get("succeeded"), "Failed": uncounted.get("failed")})
        text = "uncountedTerminatedPods needs to be empty for finished job"
        yield invalid("status.uncountedTerminatedPods", shown, text)


def _indexes(change: _Change) -> Iterator[FieldError]:
    completions, per_index = change.spec.get("completions"), "backoffLimitPerIndex" in change.spec
    completed, failed = change.new.get("completedIndexes", ""), change.new.get("failedIndexes")
    completed_changed, failed_changed = change.changed("completedIndexes"), change.changed("failedIndexes")
    if completed_changed and completions is not None:
        yield from _readable("completedIndexes", completed, completions)
    if failed_changed and completions is not None and per_index and failed is not None:
        yield from _readable("failedIndexes", failed, completions)
    if completed_changed and completed and change.spec.get("completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        yield invalid("status.completedIndexes", completed, text)
    if failed_changed and not per_index and failed is not None:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        yield invalid("status.failedIndexes", failed, text)
    if (completed_changed or failed_changed) and completions is not None and failed is not None:
        index = first_overlap(completed, failed, completions)
        if index is not None:
            text = f"failedIndexes and completedIndexes overlap at index: {index}"
            yield invalid("status.failedIndexes", failed, text)


def _readable(name: str, indexes: str, completions: int) -> Iterator[FieldError]:
    try:
        count_indexes(indexes, completions)
    except IndexesError as error:
        yield invalid(f"status.{name}", indexes, f"error parsing {name}: {error}")


def _pods(change: _Change) -> Iterator[FieldError]:
    terminating, ready = change.new.get("terminating", 0), change.new.get("ready")
    if change.is_finished and (change.finish_changed or change.changed("terminating")) and terminating > 0:
        yield invalid("status.terminating", terminating, "terminating>0 is invalid for finished job")
    if change.changed("ready", "active") and ready is not None and ready > change.new.get("active", 0):
        yield invalid("status.ready", ready, "cannot set more ready pods than active")


def _success(change: _Change) -> Iterator[FieldError]:
    met = change.has("SuccessCriteriaMet")
    if met and change.has("Failed"):
        yield _conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if met and change.has("FailureTarget"):
        yield _conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if "successPolicy" in change.spec and not met and change.has("Complete"):
        yield _conditions("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")


def _transition(change: _Change) -> Iterator[FieldError]:
    """What was reported once stays: final conditions, counters, times."""
    for kind in _FINAL:
        if change.had(kind) and not change.has(kind):
            yield _conditions(f"cannot disable the terminal {kind}=True condition")
    failed, succeeded = change.new.get("failed", 0), change.new.get("succeeded", 0)
    if failed < change.old.get("failed", 0):
        yield invalid("status.failed", failed, "cannot decrease the failed counter")
    spec = change.spec
    # An elastic indexed job that was scaled down forgets successes beyond its end.
    is_elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if not is_elastic and succeeded < change.old.get("succeeded", 0):
        yield invalid("status.succeeded", succeeded, "cannot decrease the succeeded counter")
    done_at, old_done_at = change.new.get("completionTime"), change.old.get("completionTime")
    if done_at and old_done_at and done_at != old_done_at:
        yield invalid("status.completionTime", done_at, "completionTime cannot be mutated")
    # A job that was suspended begins anew.
    runs = not spec.get("suspend") and not change.had("Suspended")
    if change.old.get("startTime") and change.changed("startTime") and runs:
        start = change.new.get("startTime")
        yield invalid("status.startTime", start, "field is immutable for unsuspended job once set")
    if change.had("SuccessCriteriaMet") and not change.has("SuccessCriteriaMet"):
        yield _conditions("cannot disable the SuccessCriteriaMet=True condition")
    if change.had("Complete") and not change.had("SuccessCriteriaMet") and change.has("SuccessCriteriaMet"):
        yield _conditions("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")
