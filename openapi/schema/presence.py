"""What the published definitions do not say of the Go types, and the wire format shows: what is there when it is empty.

Go writes a field that has no `omitempty` even when nothing is in it, a struct by value always (as {}), and a pointer
whenever it points at something, be it 0 or "". These tables name the exceptions to the rules of `field_presence`; a
definition is named without its `io.k8s.` or `io.k8s.api.` prefix.
Follows: staging/src/k8s.io/api/*/*/types.go
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

_APIEXTENSIONS = "apiextensions-apiserver.pkg.apis.apiextensions.v1."
_META = "apimachinery.pkg.apis.meta.v1."

_VALUE_NAMES = frozenset(("metadata", "spec", "status"))
"""Fields that are structs by value wherever they occur, but for one pointer: see `_STRUCT_POINTERS`."""

_STRUCT_POINTERS: dict[str, str] = {
    _APIEXTENSIONS + "CustomResourceSubresources": "status",
}

_STRUCT_VALUES: dict[str, str] = {
    "admissionregistration.v1.MutatingWebhook": "clientConfig",
    "admissionregistration.v1.ValidatingWebhook": "clientConfig",
    "apps.v1.DaemonSetSpec": "template updateStrategy",
    "apps.v1.DeploymentSpec": "strategy template",
    "apps.v1.ReplicaSetSpec": "template",
    "apps.v1.StatefulSetSpec": "template updateStrategy",
    "authentication.v1.SelfSubjectReviewStatus": "userInfo",
    "authentication.v1.TokenReviewStatus": "user",
    "autoscaling.v1.HorizontalPodAutoscalerSpec": "scaleTargetRef",
    "autoscaling.v2.ContainerResourceMetricSource": "target",
    "autoscaling.v2.ContainerResourceMetricStatus": "current",
    "autoscaling.v2.ExternalMetricSource": "metric target",
    "autoscaling.v2.ExternalMetricStatus": "current metric",
    "autoscaling.v2.HorizontalPodAutoscalerSpec": "scaleTargetRef",
    "autoscaling.v2.ObjectMetricSource": "describedObject metric target",
    "autoscaling.v2.ObjectMetricStatus": "current describedObject metric",
    "autoscaling.v2.PodsMetricSource": "metric target",
    "autoscaling.v2.PodsMetricStatus": "current metric",
    "autoscaling.v2.ResourceMetricSource": "target",
    "autoscaling.v2.ResourceMetricStatus": "current",
    "batch.v1.CronJobSpec": "jobTemplate",
    "batch.v1.JobSpec": "template",
    "core.v1.Binding": "target",
    "core.v1.Container": "resources",
    "core.v1.ContainerStatus": "lastState state",
    "core.v1.EphemeralContainer": "resources",
    "core.v1.Event": "involvedObject source",
    "core.v1.NodeDaemonEndpoints": "kubeletEndpoint",
    "core.v1.NodeStatus": "daemonEndpoints nodeInfo",
    "core.v1.PersistentVolumeClaimSpec": "resources",
    "core.v1.PodTemplate": "template",
    "core.v1.PreferredSchedulingTerm": "preference",
    "core.v1.ServiceStatus": "loadBalancer",
    "core.v1.WeightedPodAffinityTerm": "podAffinityTerm",
    "discovery.v1.Endpoint": "conditions",
    "events.v1.Event": "deprecatedSource regarding",
    "flowcontrol.v1.FlowSchemaSpec": "priorityLevelConfiguration",
    "flowcontrol.v1.LimitedPriorityLevelConfiguration": "limitResponse",
    "networking.v1.HTTPIngressPath": "backend",
    "networking.v1.IngressServiceBackend": "port",
    "networking.v1.IngressStatus": "loadBalancer",
    "networking.v1.NetworkPolicySpec": "podSelector",
    "rbac.v1.ClusterRoleBinding": "roleRef",
    "rbac.v1.RoleBinding": "roleRef",
    "resource.v1.AllocationResult": "devices",
    "resource.v1.ResourceClaimSpec": "devices",
    "resource.v1.ResourceSliceSpec": "pool",
    "storage.v1.VolumeAttachmentSpec": "source",
    _APIEXTENSIONS + "CustomResourceDefinitionSpec": "names",
    _APIEXTENSIONS + "CustomResourceDefinitionStatus": "acceptedNames",
    _META + "APIGroup": "preferredVersion",
}
"""Further structs by value."""

_LEAF_VALUES: dict[str, str] = {
    "apps.v1.DaemonSetCondition": "lastTransitionTime",
    "apps.v1.DeploymentCondition": "lastTransitionTime lastUpdateTime",
    "apps.v1.ReplicaSetCondition": "lastTransitionTime",
    "apps.v1.StatefulSetCondition": "lastTransitionTime",
    "authentication.v1.TokenRequestStatus": "expirationTimestamp",
    "autoscaling.v2.HorizontalPodAutoscalerCondition": "lastTransitionTime",
    "batch.v1.JobCondition": "lastProbeTime lastTransitionTime",
    "certificates.v1.CertificateSigningRequestCondition": "lastTransitionTime lastUpdateTime",
    "core.v1.ContainerStateRunning": "startedAt",
    "core.v1.ContainerStateTerminated": "finishedAt startedAt",
    "core.v1.Event": "eventTime firstTimestamp lastTimestamp",
    "core.v1.EventSeries": "lastObservedTime",
    "core.v1.HTTPGetAction": "port",
    "core.v1.NamespaceCondition": "lastTransitionTime",
    "core.v1.NodeCondition": "lastHeartbeatTime lastTransitionTime",
    "core.v1.PersistentVolumeClaimCondition": "lastProbeTime lastTransitionTime",
    "core.v1.PodCondition": "lastProbeTime lastTransitionTime",
    "core.v1.ReplicationControllerCondition": "lastTransitionTime",
    "core.v1.ResourceFieldSelector": "divisor",
    "core.v1.ServicePort": "targetPort",
    "core.v1.TCPSocketAction": "port",
    "events.v1.Event": "deprecatedFirstTimestamp deprecatedLastTimestamp eventTime",
    "events.v1.EventSeries": "lastObservedTime",
    "flowcontrol.v1.FlowSchemaCondition": "lastTransitionTime",
    "flowcontrol.v1.PriorityLevelConfigurationCondition": "lastTransitionTime",
    "resource.v1.Counter": "value",
    "resource.v1.DeviceCapacity": "value",
    "storage.v1.VolumeError": "time",
    _APIEXTENSIONS + "CustomResourceDefinitionCondition": "lastTransitionTime",
    _META + "Condition": "lastTransitionTime",
    "kube-aggregator.pkg.apis.apiregistration.v1.APIServiceCondition": "lastTransitionTime",
}
"""Times, quantities and numbers-or-strings by value: written as null, "0" and 0 when they are not set."""

_ALWAYS: dict[str, str] = {
    "apps.v1.ControllerRevision": "data",
    "apps.v1.StatefulSetOrdinals": "start",
    "apps.v1.StatefulSetSpec": "serviceName",
    "apps.v1.StatefulSetStatus": "availableReplicas",
    "authentication.v1.TokenRequestSpec": "audiences boundObjectRef expirationSeconds",
    "authentication.v1.TokenRequestStatus": "token",
    "autoscaling.v2.HorizontalPodAutoscalerStatus": "currentMetrics",
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": "status",
    "core.v1.AzureFilePersistentVolumeSource": "secretNamespace",
    "core.v1.ContainerImage": "names",
    "core.v1.Event": "reportingComponent reportingInstance",
    "core.v1.GRPCAction": "service",
    "core.v1.NodeRuntimeHandler": "name",
    "core.v1.ProjectedVolumeSource": "sources",
    "core.v1.TypedLocalObjectReference": "apiGroup",
    "core.v1.TypedObjectReference": "apiGroup",
    "discovery.v1.EndpointSlice": "endpoints ports",
    "flowcontrol.v1.FlowSchemaSpec": "matchingPrecedence",
    "flowcontrol.v1.LimitedPriorityLevelConfiguration": "nominalConcurrencyShares",
    "flowcontrol.v1.QueuingConfiguration": "handSize queueLengthLimit queues",
    "flowcontrol.v1.ResourcePolicyRule": "namespaces",
    "networking.v1.IngressClassParametersReference": "scope",
    "policy.v1.PodDisruptionBudgetStatus": "currentHealthy desiredHealthy disruptionsAllowed expectedPods",
    "rbac.v1.ClusterRole": "rules",
    "rbac.v1.Role": "rules",
    "rbac.v1.RoleRef": "apiGroup",
    "resource.v1.AllocatedDeviceStatus": "conditions",
    "resource.v1.CapacityRequestPolicy": "default",
    "resource.v1.DeviceClaim": "requests",
    "scheduling.v1.PriorityClass": "value",
    "storage.v1.CSINodeDriver": "topologyKeys",
    _APIEXTENSIONS + "CustomResourceDefinitionStatus": "conditions storedVersions",
}
"""Optional fields that are written even when empty."""

_OMITTED: dict[str, str] = {
    "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": "policyName validationActions",
    "authentication.v1.TokenReviewSpec": "token",
    "core.v1.ContainerRestartRule": "action",
    "core.v1.ContainerRestartRuleOnExitCodes": "operator",
    "core.v1.ImageVolumeStatus": "imageRef",
    "core.v1.PodCertificateProjection": "keyType signerName",
    "networking.v1.IPAddressSpec": "parentRef",
    "networking.v1.ParentReference": "name resource",
    "resource.v1.CapacityRequestPolicyRange": "min",
    "resource.v1.CounterSet": "counters",
    "resource.v1.DeviceCounterConsumption": "counters",
}
"""Required fields that are left out when empty all the same."""

_POINTERS: dict[str, str] = {
    "admissionregistration.v1.MatchResources": "matchPolicy",
    "admissionregistration.v1.MutatingAdmissionPolicySpec": "failurePolicy",
    "admissionregistration.v1.MutatingWebhook": (
        "failurePolicy matchPolicy reinvocationPolicy sideEffects timeoutSeconds"
    ),
    "admissionregistration.v1.NamedRuleWithOperations": "scope",
    "admissionregistration.v1.ParamRef": "parameterNotFoundAction",
    "admissionregistration.v1.RuleWithOperations": "scope",
    "admissionregistration.v1.ServiceReference": "path port",
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": "failurePolicy",
    "admissionregistration.v1.ValidatingWebhook": "failurePolicy matchPolicy sideEffects timeoutSeconds",
    "admissionregistration.v1.Validation": "reason",
    "admissionregistration.v1.WebhookClientConfig": "url",
    "apps.v1.DaemonSetSpec": "revisionHistoryLimit",
    "apps.v1.DaemonSetStatus": "collisionCount",
    "apps.v1.DeploymentSpec": "progressDeadlineSeconds replicas revisionHistoryLimit",
    "apps.v1.DeploymentStatus": "collisionCount terminatingReplicas",
    "apps.v1.ReplicaSetSpec": "replicas",
    "apps.v1.ReplicaSetStatus": "terminatingReplicas",
    "apps.v1.RollingUpdateStatefulSetStrategy": "partition",
    "apps.v1.StatefulSetSpec": "replicas revisionHistoryLimit",
    "apps.v1.StatefulSetStatus": "collisionCount",
    "authentication.v1.TokenRequestSpec": "expirationSeconds",
    "autoscaling.v1.HorizontalPodAutoscalerSpec": "minReplicas targetCPUUtilizationPercentage",
    "autoscaling.v1.HorizontalPodAutoscalerStatus": "currentCPUUtilizationPercentage observedGeneration",
    "autoscaling.v2.HPAScalingRules": "selectPolicy stabilizationWindowSeconds",
    "autoscaling.v2.HorizontalPodAutoscalerSpec": "minReplicas",
    "autoscaling.v2.HorizontalPodAutoscalerStatus": "observedGeneration",
    "autoscaling.v2.MetricTarget": "averageUtilization",
    "autoscaling.v2.MetricValueStatus": "averageUtilization",
    "batch.v1.CronJobSpec": (
        "failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit suspend timeZone"
    ),
    "batch.v1.JobSpec": (
        "activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions managedBy manualSelector "
        "maxFailedIndexes parallelism podReplacementPolicy suspend ttlSecondsAfterFinished"
    ),
    "batch.v1.JobStatus": "failedIndexes ready terminating",
    "batch.v1.PodFailurePolicyOnExitCodesRequirement": "containerName",
    "batch.v1.SuccessPolicyRule": "succeededCount succeededIndexes",
    "certificates.v1.CertificateSigningRequestSpec": "expirationSeconds",
    "coordination.v1.LeaseSpec": "holderIdentity leaseDurationSeconds leaseTransitions preferredHolder strategy",
    "core.v1.AppArmorProfile": "localhostProfile",
    "core.v1.AzureDiskVolumeSource": "cachingMode fsType kind readOnly",
    "core.v1.AzureFilePersistentVolumeSource": "secretNamespace",
    "core.v1.CSIVolumeSource": "fsType readOnly",
    "core.v1.ClientIPConfig": "timeoutSeconds",
    "core.v1.ClusterTrustBundleProjection": "name optional signerName",
    "core.v1.ConfigMap": "immutable",
    "core.v1.ConfigMapEnvSource": "optional",
    "core.v1.ConfigMapKeySelector": "optional",
    "core.v1.ConfigMapProjection": "optional",
    "core.v1.ConfigMapVolumeSource": "defaultMode optional",
    "core.v1.Container": "restartPolicy",
    "core.v1.ContainerStatus": "started stopSignal",
    "core.v1.DownwardAPIVolumeFile": "mode",
    "core.v1.DownwardAPIVolumeSource": "defaultMode",
    "core.v1.EndpointAddress": "nodeName",
    "core.v1.EndpointPort": "appProtocol",
    "core.v1.EphemeralContainer": "restartPolicy",
    "core.v1.FCVolumeSource": "lun",
    "core.v1.FileKeySelector": "optional",
    "core.v1.GRPCAction": "service",
    "core.v1.GlusterfsPersistentVolumeSource": "endpointsNamespace",
    "core.v1.HostPathVolumeSource": "type",
    "core.v1.ISCSIPersistentVolumeSource": "initiatorName",
    "core.v1.ISCSIVolumeSource": "initiatorName",
    "core.v1.KeyToPath": "mode",
    "core.v1.Lifecycle": "stopSignal",
    "core.v1.LoadBalancerIngress": "ipMode",
    "core.v1.LocalVolumeSource": "fsType",
    "core.v1.NodeFeatures": "supplementalGroupsPolicy",
    "core.v1.NodeRuntimeHandlerFeatures": "recursiveReadOnlyMounts userNamespaces",
    "core.v1.NodeSwapStatus": "capacity",
    "core.v1.PersistentVolumeClaimSpec": "storageClassName volumeAttributesClassName volumeMode",
    "core.v1.PersistentVolumeClaimStatus": "currentVolumeAttributesClassName",
    "core.v1.PersistentVolumeSpec": "volumeAttributesClassName volumeMode",
    "core.v1.PodCertificateProjection": "maxExpirationSeconds",
    "core.v1.PodDNSConfigOption": "value",
    "core.v1.PodResourceClaim": "resourceClaimName resourceClaimTemplateName",
    "core.v1.PodResourceClaimStatus": "resourceClaimName",
    "core.v1.PodSchedulingGroup": "podGroupName",
    "core.v1.PodSecurityContext": (
        "fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy supplementalGroupsPolicy"
    ),
    "core.v1.PodSpec": (
        "activeDeadlineSeconds automountServiceAccountToken enableServiceLinks hostUsers hostnameOverride "
        "preemptionPolicy priority runtimeClassName setHostnameAsFQDN shareProcessNamespace "
        "terminationGracePeriodSeconds"
    ),
    "core.v1.PortStatus": "error",
    "core.v1.Probe": "terminationGracePeriodSeconds",
    "core.v1.ProjectedVolumeSource": "defaultMode",
    "core.v1.ReplicationControllerSpec": "replicas",
    "core.v1.ResourceHealth": "message",
    "core.v1.SeccompProfile": "localhostProfile",
    "core.v1.Secret": "immutable",
    "core.v1.SecretEnvSource": "optional",
    "core.v1.SecretKeySelector": "optional",
    "core.v1.SecretProjection": "optional",
    "core.v1.SecretVolumeSource": "defaultMode optional",
    "core.v1.SecurityContext": (
        "allowPrivilegeEscalation privileged procMount readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser"
    ),
    "core.v1.ServiceAccount": "automountServiceAccountToken",
    "core.v1.ServiceAccountTokenProjection": "expirationSeconds",
    "core.v1.ServicePort": "appProtocol",
    "core.v1.ServiceSpec": (
        "allocateLoadBalancerNodePorts internalTrafficPolicy ipFamilyPolicy loadBalancerClass trafficDistribution"
    ),
    "core.v1.Toleration": "tolerationSeconds",
    "core.v1.TopologySpreadConstraint": "minDomains nodeAffinityPolicy nodeTaintsPolicy",
    "core.v1.TypedLocalObjectReference": "apiGroup",
    "core.v1.TypedObjectReference": "apiGroup namespace",
    "core.v1.VolumeMount": "mountPropagation recursiveReadOnly",
    "core.v1.VolumeMountStatus": "recursiveReadOnly",
    "core.v1.WindowsSecurityContextOptions": (
        "gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName"
    ),
    "discovery.v1.Endpoint": "hostname nodeName zone",
    "discovery.v1.EndpointConditions": "ready serving terminating",
    "discovery.v1.EndpointPort": "appProtocol name port protocol",
    "flowcontrol.v1.ExemptPriorityLevelConfiguration": "lendablePercent nominalConcurrencyShares",
    "flowcontrol.v1.LimitedPriorityLevelConfiguration": (
        "borrowingLimitPercent lendablePercent nominalConcurrencyShares"
    ),
    "networking.v1.HTTPIngressPath": "pathType",
    "networking.v1.IngressClassParametersReference": "apiGroup namespace scope",
    "networking.v1.IngressPortStatus": "error",
    "networking.v1.IngressSpec": "ingressClassName",
    "networking.v1.NetworkPolicyPort": "endPort protocol",
    "policy.v1.PodDisruptionBudgetSpec": "unhealthyPodEvictionPolicy",
    "resource.v1.AllocatedDeviceStatus": "shareID",
    "resource.v1.Device": "allNodes allowMultipleAllocations bindsToNode nodeName",
    "resource.v1.DeviceAttribute": "bool int string version",
    "resource.v1.DeviceClassSpec": "extendedResourceName",
    "resource.v1.DeviceConstraint": "distinctAttribute matchAttribute",
    "resource.v1.DeviceRequestAllocationResult": "adminAccess shareID",
    "resource.v1.DeviceToleration": "tolerationSeconds",
    "resource.v1.ExactDeviceRequest": "adminAccess",
    "resource.v1.NodeAllocatableResourceMapping": "capacityKey",
    "resource.v1.ResourceSliceSpec": "allNodes nodeName perDeviceNodeSelection",
    "scheduling.v1.PriorityClass": "preemptionPolicy",
    "storage.v1.CSIDriverSpec": (
        "attachRequired fsGroupPolicy nodeAllocatableUpdatePeriodSeconds podInfoOnMount "
        "preventPodSchedulingIfMissing requiresRepublish seLinuxMount serviceAccountTokenInSecrets storageCapacity"
    ),
    "storage.v1.StorageClass": "allowVolumeExpansion reclaimPolicy volumeBindingMode",
    "storage.v1.TokenRequest": "expirationSeconds",
    "storage.v1.VolumeAttachmentSource": "persistentVolumeName",
    "storage.v1.VolumeError": "errorCode",
    "storage.v1.VolumeNodeResources": "count",
    _APIEXTENSIONS + "CustomResourceDefinitionVersion": "deprecationWarning",
    _APIEXTENSIONS + "CustomResourceSubresourceScale": "labelSelectorPath",
    _APIEXTENSIONS + "JSONSchemaProps": (
        "maxItems maxLength maxProperties maximum minItems minLength minProperties minimum multipleOf "
        "x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-preserve-unknown-fields"
    ),
    _APIEXTENSIONS + "ServiceReference": "path port",
    _APIEXTENSIONS + "ValidationRule": "optionalOldSelf reason",
    _APIEXTENSIONS + "WebhookClientConfig": "url",
    _META + "DeleteOptions": (
        "gracePeriodSeconds ignoreStoreReadErrorWithClusterBreakingPotential orphanDependents propagationPolicy"
    ),
    _META + "ListMeta": "remainingItemCount",
    _META + "ObjectMeta": "deletionGracePeriodSeconds",
    _META + "OwnerReference": "blockOwnerDeletion controller",
    _META + "Preconditions": "resourceVersion uid",
    "kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference": "port",
}
"""Strings, numbers and booleans behind a pointer: 0, false and "" are kept."""


class Presence(NamedTuple):
    """`always`: written even when empty. `pointer`: null when empty, and 0, "" and false are kept. `value`: a struct,
    time, quantity or number-or-string by value, so never left out."""

    always: bool
    pointer: bool
    value: bool


@cache
def _names(table: str, definition: str) -> frozenset[str]:
    return frozenset(_TABLES[table].get(definition, "").split())


_TABLES = {
    "struct pointers": _STRUCT_POINTERS,
    "struct values": _STRUCT_VALUES,
    "leaf values": _LEAF_VALUES,
    "always": _ALWAYS,
    "omitted": _OMITTED,
    "pointers": _POINTERS,
}


def field_presence(definition: str, field: str, *, required: bool, refers: bool, leaf: bool) -> Presence:
    """How a field of a definition (its full name) appears when it is empty.

    `refers` says that it refers to another definition, `leaf` that this one is no struct (a time, a quantity).
    """
    name = definition.removeprefix("io.k8s.").removeprefix("api.")
    if leaf:
        value = field in _names("leaf values", name)
    elif refers:
        by_value = field in _VALUE_NAMES or field in _names("struct values", name)
        value = by_value and field not in _names("struct pointers", name)
    else:
        value = False
    if required:
        always = field not in _names("omitted", name)
    else:
        always = field in _names("always", name)
    pointer = not value if refers else field in _names("pointers", name)
    return Presence(always or value, pointer, value)
