"""Defaults of jobs and cron jobs. The job inside a cron job keeps its gaps: they are filled when the job is made.

Follows: pkg/apis/batch/v1/defaults.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

BATCH = "io.k8s.api.batch.v1."
UNLIMITED = 2**31 - 1


def _job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    # With a limit for each index the overall one must not strike first.
    spec.setdefault("backoffLimit", UNLIMITED if "backoffLimitPerIndex" in spec else 6)
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    if labels and not (obj.get("metadata") or {}).get("labels"):
        # Shared on purpose: labels generated for the template then show on the job as well.
        obj.setdefault("metadata", {})["labels"] = labels
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")


def _condition_pattern(pattern: Object) -> None:
    if not pattern.get("status"):
        pattern["status"] = "True"


def _cron_job(spec: Object) -> None:
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"


DEFAULTS: Defaults = {
    BATCH + "CronJobSpec": (
        _cron_job,
        {"suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1},
    ),
    BATCH + "Job": (_job,),
    BATCH + "PodFailurePolicyOnPodConditionsPattern": (_condition_pattern,),
}
