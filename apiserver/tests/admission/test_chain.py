from __future__ import annotations

from typing import Any

from apiserver.admission.chain import Chain
from apiserver.admission.plugin import Attributes, Plugin
from apiserver.admission.plugins import admission_plugins
from openapi.catalog import GroupResource


class Recorder(Plugin):
    resources = frozenset((GroupResource("", "pods"),))

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self._log = log

    async def mutate(self, attributes: Attributes) -> None:
        self._log.append(f"{self.name} mutates")

    async def validate(self, attributes: Attributes) -> None:
        self._log.append(f"{self.name} validates")


async def test_plugins_run_in_order_and_only_where_they_want(cluster: Any) -> None:
    log: list[str] = []
    chain = Chain([Recorder("a", log), Recorder("b", log)])
    for resource in ("pods", "configmaps"):
        asked = cluster.ask("CREATE", resource, {"metadata": {"name": "x", "namespace": "ns"}})
        await chain.mutate(asked)
        await chain.validate(asked)
    assert log == ["a mutates", "b mutates", "a validates", "b validates"]


def test_quotas_come_last_and_namespaces_first(cluster: Any) -> None:
    plugins = admission_plugins(cluster.store, cluster.catalog, lambda *asked: (False, ""), cluster.versions)
    names = [plugin.name for plugin in plugins]
    assert (names[0], names[-1]) == ("NamespaceLifecycle", "ResourceQuota")
    assert len(set(names)) == len(names)
