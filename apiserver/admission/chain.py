"""The admission chain: plugins in Kubernetes' order, narrowed once per kind of question.

A question about a resource costs only the plugins that want it and that override the step.
"""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.admission.plugin import Attributes, Plugin, wants
from openapi.catalog import GroupResource

_Key = tuple[str, GroupResource, str]


class Chain:
    """Runs the given plugins in order."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._mutating: dict[_Key, tuple[Plugin, ...]] = {}
        self._validating: dict[_Key, tuple[Plugin, ...]] = {}

    def concerns(self, operation: str, gr: GroupResource, subresource: str) -> bool:
        """Whether any plugin would see such a question."""
        key = (operation, gr, subresource)
        return bool(self._chosen(key, mutating=True) or self._chosen(key, mutating=False))

    async def mutate(self, attributes: Attributes) -> None:
        key = (attributes.operation, attributes.resource.gr, attributes.subresource)
        plugins = self._chosen(key, mutating=True)
        for plugin in plugins:
            await plugin.mutate(attributes)
        if attributes.is_changed:
            attributes.round = 1
            for plugin in plugins:
                await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        key = (attributes.operation, attributes.resource.gr, attributes.subresource)
        for plugin in self._chosen(key, mutating=False):
            await plugin.validate(attributes)

    def _chosen(self, key: _Key, *, mutating: bool) -> tuple[Plugin, ...]:
        memo = self._mutating if mutating else self._validating
        chosen = memo.get(key)
        if chosen is None:
            step = "mutate" if mutating else "validate"
            chosen = tuple(
                p for p in self._plugins if getattr(type(p), step) is not getattr(Plugin, step) and wants(p, *key)
            )
            memo[key] = chosen
        return chosen
