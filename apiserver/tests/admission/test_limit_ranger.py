from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openapi.meta.status import StatusError

Object = dict[str, Any]
Make = Callable[..., Object]


async def limit(cluster: Any, *limits: Object) -> None:
    await cluster.namespace()
    await cluster.put("limitranges", {"metadata": {"name": "l", "namespace": "ns"}, "spec": {"limits": list(limits)}})


def container(name: str = "c", **resources: Any) -> Object:
    return {"name": name, "image": "i", "resources": resources}


def claim(size: str) -> Object:
    return {"metadata": {"name": "a", "namespace": "ns"}, "spec": {"resources": {"requests": {"storage": size}}}}


async def test_containers_get_what_they_leave_out(cluster: Any, make_pod: Make) -> None:
    await limit(
        cluster, {"type": "Container", "default": {"cpu": "500m", "memory": "1Mi"}, "defaultRequest": {"cpu": "1m"}}
    )
    made = await cluster.create(
        "pods", make_pod(containers=[container(limits={"cpu": "2"})], initContainers=[container("i")])
    )
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "2", "memory": "1Mi"},
        "requests": {"cpu": "1m"},
    }
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container c; memory limit for container c; "
        "cpu request for init container i; cpu, memory limit for init container i"
    )


@pytest.mark.parametrize(
    ("limits", "resources", "why"),
    [
        ({"min": {"cpu": "1"}}, {}, "minimum cpu usage per Container is 1.  No request is specified"),
        (
            {"min": {"cpu": "1"}},
            {"requests": {"cpu": "10m"}},
            "minimum cpu usage per Container is 1, but request is 10m",
        ),
        ({"max": {"cpu": "1"}}, {}, "maximum cpu usage per Container is 1.  No limit is specified"),
        (
            {"max": {"cpu": "1"}, "min": {"cpu": "1"}},
            {"requests": {"cpu": "500m"}, "limits": {"cpu": "2"}},
            "[minimum cpu usage per Container is 1, but request is 500m, "
            "maximum cpu usage per Container is 1, but limit is 2]",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "1"}, "limits": {"cpu": "5"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"limits": {"cpu": "5"}},
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
    ],
)
async def test_containers_beyond_their_limits_are_refused(
    cluster: Any, make_pod: Make, limits: Object, resources: Object, why: str
) -> None:
    await limit(cluster, {"type": "Container", **limits})
    with pytest.raises(StatusError) as caught:
        await cluster.create("pods", make_pod(containers=[container(**resources)]))
    assert caught.value.message == f'pods "a" is forbidden: {why}'


async def test_pods_count_as_a_whole(cluster: Any, make_pod: Make) -> None:
    await limit(cluster, {"type": "Pod", "max": {"cpu": "1"}})
    two = [container("c", limits={"cpu": "800m"}), container("d", limits={"cpu": "800m"})]
    with pytest.raises(StatusError, match="maximum cpu usage per Pod is 1, but limit is 1600m"):
        await cluster.create("pods", make_pod(containers=two))
    first = container("i", limits={"cpu": "1"})
    await cluster.create("pods", make_pod(containers=two[:1], initContainers=[first]))


async def test_claims_have_limits(cluster: Any) -> None:
    await limit(cluster, {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}})
    await cluster.create("persistentvolumeclaims", claim("2Gi"))
    with pytest.raises(StatusError, match="maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"):
        await cluster.create("persistentvolumeclaims", claim("3Gi"))
    with pytest.raises(StatusError, match="minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"):
        await cluster.create("persistentvolumeclaims", claim("1Mi"))


async def test_pods_that_are_there_may_change(cluster: Any, make_pod: Make) -> None:
    await limit(cluster, {"type": "Container", "min": {"cpu": "1"}})
    await cluster.update("pods", make_pod(), make_pod())
    with pytest.raises(StatusError):
        await cluster.update("pods", make_pod(), make_pod(), subresource="resize")
