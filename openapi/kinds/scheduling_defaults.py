"""Defaults of priority classes.

Follows: pkg/apis/scheduling/v1/defaults.go
"""

from __future__ import annotations

from openapi.kinds.row import Defaults

DEFAULTS: Defaults = {
    "io.k8s.api.scheduling.v1.PriorityClass": ({"preemptionPolicy": "PreemptLowerPriority"},),
}
