"""batch: jobs and cron jobs."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import EVERYDAY, ApiGroup

BATCH = ApiGroup("batch", "v1", "io.k8s.api.batch.v1")

RESOURCES: tuple[Resource, ...] = (
    BATCH.row("cronjobs", "CronJob", "cj", categories=EVERYDAY, status=True),
    BATCH.row("jobs", "Job", categories=EVERYDAY, status=True),
)
