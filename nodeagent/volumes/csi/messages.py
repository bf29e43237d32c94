"""The messages of CSI's node service and of plugin registration (see `nodeagent.runtime.messages`).

Follows: container-storage-interface/spec csi.proto; staging/src/k8s.io/kubelet/pkg/apis/pluginregistration/v1/api.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from nodeagent.runtime.messages import build

CSI_PACKAGE = "csi.v1"
CSI_TABLE = """
Topology segments:map=1
NodeGetInfoRequest
NodeGetInfoResponse node_id=1 max_volumes_per_node:int64=2 accessible_topology:Topology=3
NodeServiceRpc type:int32=1
NodeServiceCapability rpc:NodeServiceRpc=1
NodeGetCapabilitiesRequest
NodeGetCapabilitiesResponse capabilities:NodeServiceCapability*=1
BlockVolume
MountVolume fs_type=1 mount_flags*=2 volume_mount_group=3
AccessMode mode:int32=1
VolumeCapability block:BlockVolume=1 mount:MountVolume=2 access_mode:AccessMode=3
NodeStageVolumeRequest volume_id=1 publish_context:map=2 staging_target_path=3 volume_capability:VolumeCapability=4 \
secrets:map=5 volume_context:map=6
NodeStageVolumeResponse
NodeUnstageVolumeRequest volume_id=1 staging_target_path=2
NodeUnstageVolumeResponse
NodePublishVolumeRequest volume_id=1 publish_context:map=2 staging_target_path=3 target_path=4 \
volume_capability:VolumeCapability=5 readonly:bool=6 secrets:map=7 volume_context:map=8
NodePublishVolumeResponse
NodeUnpublishVolumeRequest volume_id=1 target_path=2
NodeUnpublishVolumeResponse
NodeGetVolumeStatsRequest volume_id=1 volume_path=2 staging_target_path=3
VolumeUsage available:int64=1 total:int64=2 used:int64=3 unit:int32=4
VolumeCondition abnormal:bool=1 message=2
NodeGetVolumeStatsResponse usage:VolumeUsage*=1 volume_condition:VolumeCondition=2
CapacityRange required_bytes:int64=1 limit_bytes:int64=2
NodeExpandVolumeRequest volume_id=1 volume_path=2 capacity_range:CapacityRange=3 staging_target_path=4 \
volume_capability:VolumeCapability=5 secrets:map=6
NodeExpandVolumeResponse capacity_bytes:int64=1
"""
STAGE_UNSTAGE, VOLUME_STATS, EXPAND, SINGLE_NODE_MULTI_WRITER, VOLUME_MOUNT_GROUP = 1, 2, 3, 5, 6
"""What a driver's node service may be able to do."""
BYTES, INODES = 1, 2
"""Units of usage."""

REGISTRATION_PACKAGE = "pluginregistration"
REGISTRATION_TABLE = """
InfoRequest
PluginInfo type=1 name=2 endpoint=3 supported_versions*=4
RegistrationStatus plugin_registered:bool=1 error=2
RegistrationStatusResponse
"""


@cache
def csi_messages() -> Mapping[str, Any]:
    return build(CSI_PACKAGE, CSI_TABLE)


@cache
def registration_messages() -> Mapping[str, Any]:
    return build(REGISTRATION_PACKAGE, REGISTRATION_TABLE)
