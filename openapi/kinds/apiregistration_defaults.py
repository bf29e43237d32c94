"""Defaults of API services.

Follows: staging/src/k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/defaults.go
"""

from __future__ import annotations

from openapi.kinds.row import Defaults

DEFAULTS: Defaults = {
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference": ({"port": 443},),
}
