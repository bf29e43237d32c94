"""The names that Go has for the types of fields, as its decoding errors show them: `of type v1.PullPolicy`.

The definitions call every string "string"; here are the fields whose Go type has a name of its own. A field is found by
its definition and name first, then by its name alone.
"""

from __future__ import annotations

_BY_FIELD: dict[str, str] = {
    "accessModes": "[]v1.PersistentVolumeAccessMode",
    "dnsPolicy": "v1.DNSPolicy",
    "externalTrafficPolicy": "v1.ServiceExternalTrafficPolicy",
    "finalizers": "[]string",
    "fsGroupChangePolicy": "v1.PodFSGroupChangePolicy",
    "imagePullPolicy": "v1.PullPolicy",
    "internalTrafficPolicy": "v1.ServiceInternalTrafficPolicy",
    "ipFamilies": "[]v1.IPFamily",
    "ipFamilyPolicy": "v1.IPFamilyPolicy",
    "ipMode": "v1.LoadBalancerIPMode",
    "mountPropagation": "v1.MountPropagationMode",
    "nodeAffinityPolicy": "v1.NodeInclusionPolicy",
    "nodeTaintsPolicy": "v1.NodeInclusionPolicy",
    "pathType": "v1.PathType",
    "persistentVolumeReclaimPolicy": "v1.PersistentVolumeReclaimPolicy",
    "podManagementPolicy": "v1.PodManagementPolicyType",
    "policyTypes": "[]v1.PolicyType",
    "preemptionPolicy": "v1.PreemptionPolicy",
    "procMount": "v1.ProcMountType",
    "protocol": "v1.Protocol",
    "qosClass": "v1.PodQOSClass",
    "reclaimPolicy": "v1.PersistentVolumeReclaimPolicy",
    "recursiveReadOnly": "v1.RecursiveReadOnlyMode",
    "scheme": "v1.URIScheme",
    "seLinuxChangePolicy": "v1.PodSELinuxChangePolicy",
    "sessionAffinity": "v1.ServiceAffinity",
    "stopSignal": "v1.Signal",
    "supplementalGroupsPolicy": "v1.SupplementalGroupsPolicy",
    "terminationMessagePolicy": "v1.TerminationMessagePolicy",
    "uid": "types.UID",
    "unhealthyPodEvictionPolicy": "v1.UnhealthyPodEvictionPolicyType",
    "usages": "[]v1.KeyUsage",
    "volumeBindingMode": "v1.VolumeBindingMode",
    "volumeMode": "v1.PersistentVolumeMode",
    "whenUnsatisfiable": "v1.UnsatisfiableConstraintAction",
}

_BY_DEFINITION: dict[str, dict[str, str]] = {
    "AppArmorProfile": {"type": "v1.AppArmorProfileType"},
    "Capabilities": {"add": "[]v1.Capability", "drop": "[]v1.Capability"},
    "Container": {"restartPolicy": "v1.ContainerRestartPolicy"},
    "CronJobSpec": {"concurrencyPolicy": "v1.ConcurrencyPolicy"},
    "DaemonSetUpdateStrategy": {"type": "v1.DaemonSetUpdateStrategyType"},
    "DeploymentStrategy": {"type": "v1.DeploymentStrategyType"},
    "EmptyDirVolumeSource": {"medium": "v1.StorageMedium"},
    "EndpointSlice": {"addressType": "v1.AddressType"},
    "EphemeralContainer": {"restartPolicy": "v1.ContainerRestartPolicy"},
    "HostPathVolumeSource": {"type": "v1.HostPathType"},
    "ImageVolumeSource": {"pullPolicy": "v1.PullPolicy"},
    "JobSpec": {"completionMode": "v1.CompletionMode", "podReplacementPolicy": "v1.PodReplacementPolicy"},
    "LabelSelectorRequirement": {"operator": "v1.LabelSelectorOperator"},
    "LimitRangeItem": {
        "default": "v1.ResourceList",
        "defaultRequest": "v1.ResourceList",
        "max": "v1.ResourceList",
        "maxLimitRequestRatio": "v1.ResourceList",
        "min": "v1.ResourceList",
        "type": "v1.LimitType",
    },
    "MutatingWebhook": {
        "failurePolicy": "v1.FailurePolicyType",
        "matchPolicy": "v1.MatchPolicyType",
        "reinvocationPolicy": "v1.ReinvocationPolicyType",
        "sideEffects": "v1.SideEffectClass",
    },
    "NamespaceSpec": {"finalizers": "[]v1.FinalizerName"},
    "NamespaceStatus": {"phase": "v1.NamespacePhase"},
    "NodeSelectorRequirement": {"operator": "v1.NodeSelectorOperator"},
    "NodeStatus": {"allocatable": "v1.ResourceList", "capacity": "v1.ResourceList", "phase": "v1.NodePhase"},
    "PersistentVolumeClaimStatus": {"capacity": "v1.ResourceList", "phase": "v1.PersistentVolumeClaimPhase"},
    "PersistentVolumeSpec": {"capacity": "v1.ResourceList"},
    "PersistentVolumeStatus": {"phase": "v1.PersistentVolumePhase"},
    "PodSpec": {"overhead": "v1.ResourceList", "restartPolicy": "v1.RestartPolicy"},
    "PodStatus": {"phase": "v1.PodPhase"},
    "ResourceQuotaSpec": {"hard": "v1.ResourceList", "scopes": "[]v1.ResourceQuotaScope"},
    "ResourceQuotaStatus": {"hard": "v1.ResourceList", "used": "v1.ResourceList"},
    "ResourceRequirements": {"limits": "v1.ResourceList", "requests": "v1.ResourceList"},
    "RuleWithOperations": {"operations": "[]v1.OperationType", "scope": "v1.ScopeType"},
    "SeccompProfile": {"type": "v1.SeccompProfileType"},
    "Secret": {"type": "v1.SecretType"},
    "ServiceSpec": {"type": "v1.ServiceType"},
    "StatefulSetUpdateStrategy": {"type": "v1.StatefulSetUpdateStrategyType"},
    "Taint": {"effect": "v1.TaintEffect"},
    "Toleration": {"effect": "v1.TaintEffect", "operator": "v1.TolerationOperator"},
    "ValidatingWebhook": {
        "failurePolicy": "v1.FailurePolicyType",
        "matchPolicy": "v1.MatchPolicyType",
        "sideEffects": "v1.SideEffectClass",
    },
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
