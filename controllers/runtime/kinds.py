"""The rows of the catalogue that controllers name, each found by its constant."""

from __future__ import annotations

from openapi.catalog import GroupVersionResource, Resource
from openapi.kinds import RESOURCES

_ROWS = {row.gvr: row for row in RESOURCES}


def resource(group: str, version: str, name: str) -> Resource:
    """The built-in row of `name` (the plural path word). Raises KeyError where there is none."""
    return _ROWS[GroupVersionResource(group, version, name)]


CONFIG_MAPS = resource("", "v1", "configmaps")
ENDPOINTS = resource("", "v1", "endpoints")
EVENTS = resource("", "v1", "events")
LIMIT_RANGES = resource("", "v1", "limitranges")
NAMESPACES = resource("", "v1", "namespaces")
NODES = resource("", "v1", "nodes")
PERSISTENT_VOLUME_CLAIMS = resource("", "v1", "persistentvolumeclaims")
PERSISTENT_VOLUMES = resource("", "v1", "persistentvolumes")
PODS = resource("", "v1", "pods")
REPLICATION_CONTROLLERS = resource("", "v1", "replicationcontrollers")
RESOURCE_QUOTAS = resource("", "v1", "resourcequotas")
SECRETS = resource("", "v1", "secrets")
SERVICE_ACCOUNTS = resource("", "v1", "serviceaccounts")
SERVICES = resource("", "v1", "services")

CONTROLLER_REVISIONS = resource("apps", "v1", "controllerrevisions")
DAEMON_SETS = resource("apps", "v1", "daemonsets")
DEPLOYMENTS = resource("apps", "v1", "deployments")
REPLICA_SETS = resource("apps", "v1", "replicasets")
STATEFUL_SETS = resource("apps", "v1", "statefulsets")

CRON_JOBS = resource("batch", "v1", "cronjobs")
JOBS = resource("batch", "v1", "jobs")

HORIZONTAL_POD_AUTOSCALERS = resource("autoscaling", "v2", "horizontalpodautoscalers")
CERTIFICATE_SIGNING_REQUESTS = resource("certificates.k8s.io", "v1", "certificatesigningrequests")
ENDPOINT_SLICES = resource("discovery.k8s.io", "v1", "endpointslices")
LEASES = resource("coordination.k8s.io", "v1", "leases")
POD_DISRUPTION_BUDGETS = resource("policy", "v1", "poddisruptionbudgets")
PRIORITY_CLASSES = resource("scheduling.k8s.io", "v1", "priorityclasses")
SUBJECT_ACCESS_REVIEWS = resource("authorization.k8s.io", "v1", "subjectaccessreviews")
CSI_DRIVERS = resource("storage.k8s.io", "v1", "csidrivers")
RESOURCE_CLAIM_TEMPLATES = resource("resource.k8s.io", "v1", "resourceclaimtemplates")
RESOURCE_SLICES = resource("resource.k8s.io", "v1", "resourceslices")
RESOURCE_CLAIMS = resource("resource.k8s.io", "v1", "resourceclaims")
STORAGE_CLASSES = resource("storage.k8s.io", "v1", "storageclasses")
VOLUME_ATTRIBUTES_CLASSES = resource("storage.k8s.io", "v1", "volumeattributesclasses")
VOLUME_ATTACHMENTS = resource("storage.k8s.io", "v1", "volumeattachments")
CLUSTER_ROLES = resource("rbac.authorization.k8s.io", "v1", "clusterroles")
API_SERVICES = resource("apiregistration.k8s.io", "v1", "apiservices")
CUSTOM_RESOURCE_DEFINITIONS = resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
SERVICE_CIDRS = resource("networking.k8s.io", "v1", "servicecidrs")
IP_ADDRESSES = resource("networking.k8s.io", "v1", "ipaddresses")
VALIDATING_ADMISSION_POLICIES = resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
