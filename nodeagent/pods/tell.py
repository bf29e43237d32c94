"""Events about pods and their containers, in the name of the kubelet."""

from __future__ import annotations

from typing import Literal, cast

from controllers.runtime.events import Recorder
from nodeagent.pods import spec
from nodeagent.pods.spec import View

COMPONENT = "kubelet"


class PodEvents:
    """Records what happens to one node's pods."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def pod(self, pod: View, kind: str, reason: str, message: str) -> None:
        self._recorder.event(_whole(pod), _kind(kind), reason, message)

    def container(self, pod: View, container: View, kind: str, reason: str, message: str) -> None:
        path = spec.field_path(pod, container["name"])
        self._recorder.event(_whole(pod), _kind(kind), reason, message, path)


def _kind(kind: str) -> Literal["Normal", "Warning"]:
    return cast("Literal['Normal', 'Warning']", kind)


def _whole(pod: View) -> View:
    return pod if "kind" in pod else {"kind": "Pod", "apiVersion": "v1", **pod}
