"""A profile: the plugins that serve the pods of one scheduler name, point by point, in their order and with weights.

Follows: pkg/scheduler/apis/config/v1/default_plugins.go, pkg/scheduler/framework/runtime/framework.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from controllers.scheduler.framework import (
    Bind,
    Filter,
    NodeScore,
    Plugin,
    PostFilter,
    PreBind,
    PreEnqueue,
    PreFilter,
    Reserve,
    Score,
)

P = TypeVar("P", bound=Plugin)

POINTS: Mapping[str, tuple[type[Plugin], ...]] = {
    "preEnqueue": (PreEnqueue,),
    "preFilter": (PreFilter,),
    "filter": (Filter,),
    "postFilter": (PostFilter,),
    "score": (Score, NodeScore),
    "reserve": (Reserve,),
    "preBind": (PreBind,),
    "bind": (Bind,),
}
"""The points of the configuration and the classes that serve them."""


class Profile:
    """The plugins of one scheduler name. `enabled` names them per point, in order.

    percentage: of the nodes, so many that fit are enough to rank; 0: all are ranked.
    """

    def __init__(
        self,
        scheduler_name: str,
        plugins: Mapping[str, Plugin],
        enabled: Mapping[str, Sequence[str]],
        weights: Mapping[str, int],
        percentage: int = 0,
    ) -> None:
        self.scheduler_name = scheduler_name
        self.percentage = percentage
        self.plugins = plugins
        self._weights = weights
        self._by_class: dict[type[Plugin], tuple[Any, ...]] = {}
        for point, classes in POINTS.items():
            serving = [plugins[name] for name in enabled.get(point, ())]
            for kind in classes:
                self._by_class[kind] = tuple(plugin for plugin in serving if isinstance(plugin, kind))

    def of(self, kind: type[P]) -> tuple[P, ...]:
        """The plugins of one point, in their order."""
        return self._by_class[kind]

    def weight(self, plugin: Plugin) -> int:
        return self._weights.get(plugin.name, 1)
