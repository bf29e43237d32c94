"""The names that Go has for the types of fields, as its decoding errors show them: `of type v1.PullPolicy`.

The definitions call every string "string"; here are the fields whose Go type has a name of its own. A field is found by
its definition and name first, then by its name alone.
"""

from __future__ import annotations

_BY_FIELD: dict[str, str] = {
    "accessModes": "[]v1.PersistentVolumeAccessMode",
    "allocationMode": "v1.DeviceAllocationMode",
    "dnsPolicy": "v1.DNSPolicy",
    "externalTrafficPolicy": "v1.ServiceExternalTrafficPolicy",
    "failurePolicy": "v1.FailurePolicyType",
    "fsGroupChangePolicy": "v1.PodFSGroupChangePolicy",
    "fsGroupPolicy": "v1.FSGroupPolicy",
    "imagePullPolicy": "v1.PullPolicy",
    "internalTrafficPolicy": "v1.ServiceInternalTrafficPolicy",
    "ipFamilies": "[]v1.IPFamily",
    "ipFamilyPolicy": "v1.IPFamilyPolicy",
    "ipMode": "v1.LoadBalancerIPMode",
    "matchPolicy": "v1.MatchPolicyType",
    "mountPropagation": "v1.MountPropagationMode",
    "nodeAffinityPolicy": "v1.NodeInclusionPolicy",
    "nodeTaintsPolicy": "v1.NodeInclusionPolicy",
    "parameterNotFoundAction": "v1.ParameterNotFoundActionType",
    "pathType": "v1.PathType",
    "persistentVolumeReclaimPolicy": "v1.PersistentVolumeReclaimPolicy",
    "podManagementPolicy": "v1.PodManagementPolicyType",
    "policyTypes": "[]v1.PolicyType",
    "preemptionPolicy": "v1.PreemptionPolicy",
    "procMount": "v1.ProcMountType",
    "propagationPolicy": "v1.DeletionPropagation",
    "protocol": "v1.Protocol",
    "qosClass": "v1.PodQOSClass",
    "reclaimPolicy": "v1.PersistentVolumeReclaimPolicy",
    "recursiveReadOnly": "v1.RecursiveReadOnlyMode",
    "reinvocationPolicy": "v1.ReinvocationPolicyType",
    "resourceName": "v1.ResourceName",
    "scheme": "v1.URIScheme",
    "seLinuxChangePolicy": "v1.PodSELinuxChangePolicy",
    "sessionAffinity": "v1.ServiceAffinity",
    "sideEffects": "v1.SideEffectClass",
    "stopSignal": "v1.Signal",
    "supplementalGroupsPolicy": "v1.SupplementalGroupsPolicy",
    "terminationMessagePolicy": "v1.TerminationMessagePolicy",
    "uid": "types.UID",
    "unhealthyPodEvictionPolicy": "v1.UnhealthyPodEvictionPolicyType",
    "usages": "[]v1.KeyUsage",
    "validationActions": "[]v1.ValidationAction",
    "volumeBindingMode": "v1.VolumeBindingMode",
    "volumeLifecycleModes": "[]v1.VolumeLifecycleMode",
    "volumeMode": "v1.PersistentVolumeMode",
    "whenUnsatisfiable": "v1.UnsatisfiableConstraintAction",
}

_BY_DEFINITION: dict[str, dict[str, str]] = {
    "AppArmorProfile": {"type": "v1.AppArmorProfileType"},
    "AzureDiskVolumeSource": {"cachingMode": "v1.AzureDataDiskCachingMode", "kind": "v1.AzureDataDiskKind"},
    "Capabilities": {"add": "[]v1.Capability", "drop": "[]v1.Capability"},
    "CertificateSigningRequestCondition": {"type": "v1.RequestConditionType"},
    "Container": {"restartPolicy": "v1.ContainerRestartPolicy"},
    "ContainerResizePolicy": {"restartPolicy": "v1.ResourceResizeRestartPolicy"},
    "ContainerResourceMetricSource": {"name": "v1.ResourceName"},
    "CronJobSpec": {"concurrencyPolicy": "v1.ConcurrencyPolicy"},
    "CustomResourceConversion": {"strategy": "v1.ConversionStrategyType"},
    "CustomResourceDefinitionSpec": {"scope": "v1.ResourceScope"},
    "DaemonSetUpdateStrategy": {"type": "v1.DaemonSetUpdateStrategyType"},
    "DeploymentStrategy": {"type": "v1.DeploymentStrategyType"},
    "DeviceTaint": {"effect": "v1.DeviceTaintEffect"},
    "DeviceToleration": {"effect": "v1.DeviceTaintEffect", "operator": "v1.DeviceTolerationOperator"},
    "EmptyDirVolumeSource": {"medium": "v1.StorageMedium"},
    "EndpointSlice": {"addressType": "v1.AddressType"},
    "EphemeralContainer": {"restartPolicy": "v1.ContainerRestartPolicy"},
    "FlowDistinguisherMethod": {"type": "v1.FlowDistinguisherMethodType"},
    "HPAScalingPolicy": {"type": "v2.HPAScalingPolicyType"},
    "HPAScalingRules": {"selectPolicy": "v2.ScalingPolicySelect"},
    "HorizontalPodAutoscalerCondition": {"type": "v2.HorizontalPodAutoscalerConditionType"},
    "HostPathVolumeSource": {"type": "v1.HostPathType"},
    "ImageVolumeSource": {"pullPolicy": "v1.PullPolicy"},
    "JobSpec": {"completionMode": "v1.CompletionMode", "podReplacementPolicy": "v1.PodReplacementPolicy"},
    "LabelSelectorRequirement": {"operator": "v1.LabelSelectorOperator"},
    "LeaseSpec": {"strategy": "v1.CoordinatedLeaseStrategy"},
    "LimitRangeItem": {
        "default": "v1.ResourceList",
        "defaultRequest": "v1.ResourceList",
        "max": "v1.ResourceList",
        "maxLimitRequestRatio": "v1.ResourceList",
        "min": "v1.ResourceList",
        "type": "v1.LimitType",
    },
    "LimitResponse": {"type": "v1.LimitResponseType"},
    "ManagedFieldsEntry": {"operation": "v1.ManagedFieldsOperationType"},
    "MetricSpec": {"type": "v2.MetricSourceType"},
    "MetricTarget": {"type": "v2.MetricTargetType"},
    "Mutation": {"patchType": "v1.PatchType"},
    "NamedRuleWithOperations": {"operations": "[]v1.OperationType", "scope": "v1.ScopeType"},
    "NamespaceSpec": {"finalizers": "[]v1.FinalizerName"},
    "NamespaceStatus": {"phase": "v1.NamespacePhase"},
    "NodeAddress": {"type": "v1.NodeAddressType"},
    "NodeSelectorRequirement": {"operator": "v1.NodeSelectorOperator"},
    "NodeStatus": {"allocatable": "v1.ResourceList", "capacity": "v1.ResourceList", "phase": "v1.NodePhase"},
    "Overhead": {"podFixed": "v1.ResourceList"},
    "PersistentVolumeClaimStatus": {
        "allocatedResources": "v1.ResourceList",
        "capacity": "v1.ResourceList",
        "phase": "v1.PersistentVolumeClaimPhase",
    },
    "PersistentVolumeSpec": {"capacity": "v1.ResourceList"},
    "PersistentVolumeStatus": {"phase": "v1.PersistentVolumePhase"},
    "PodFailurePolicyOnExitCodesRequirement": {"operator": "v1.PodFailurePolicyOnExitCodesOperator"},
    "PodFailurePolicyOnPodConditionsPattern": {"status": "v1.ConditionStatus", "type": "v1.PodConditionType"},
    "PodFailurePolicyRule": {"action": "v1.PodFailurePolicyAction"},
    "PodOS": {"name": "v1.OSName"},
    "PodSpec": {"overhead": "v1.ResourceList", "restartPolicy": "v1.RestartPolicy"},
    "PodStatus": {"phase": "v1.PodPhase"},
    "PriorityLevelConfigurationSpec": {"type": "v1.PriorityLevelEnablement"},
    "ResourceMetricSource": {"name": "v1.ResourceName"},
    "ResourceQuotaSpec": {"hard": "v1.ResourceList", "scopes": "[]v1.ResourceQuotaScope"},
    "ResourceQuotaStatus": {"hard": "v1.ResourceList", "used": "v1.ResourceList"},
    "ResourceRequirements": {"limits": "v1.ResourceList", "requests": "v1.ResourceList"},
    "RuleWithOperations": {"operations": "[]v1.OperationType", "scope": "v1.ScopeType"},
    "ScopedResourceSelectorRequirement": {
        "operator": "v1.ScopeSelectorOperator",
        "scopeName": "v1.ResourceQuotaScope",
    },
    "SeccompProfile": {"type": "v1.SeccompProfileType"},
    "Secret": {"type": "v1.SecretType"},
    "ServiceSpec": {"type": "v1.ServiceType"},
    "StatefulSetUpdateStrategy": {"type": "v1.StatefulSetUpdateStrategyType"},
    "SubjectAccessReviewSpec": {"extra": "map[string]v1.ExtraValue"},
    "Taint": {"effect": "v1.TaintEffect"},
    "Toleration": {"effect": "v1.TaintEffect", "operator": "v1.TolerationOperator"},
    "UserInfo": {"extra": "map[string]v1.ExtraValue"},
    "Validation": {"reason": "v1.StatusReason"},
    "VolumeResourceRequirements": {"limits": "v1.ResourceList", "requests": "v1.ResourceList"},
}


def go_type(struct: str, field: str, plain: str) -> str:
    """The Go type of a field of the Go struct `struct`, where `plain` is what its schema alone says."""
    named = _BY_DEFINITION.get(struct, {}).get(field)
    if named is None and struct.endswith("Condition"):
        if field == "status":
            return "v1.ConditionStatus"
        if field == "type" and struct != "Condition":
            return f"v1.{struct}Type"
    if named is None:
        named = _BY_FIELD.get(field)
    # The same name may stand for another sort of value elsewhere.
    if named is None or named.startswith("[]") != plain.startswith("[]"):
        return plain
    return named
