"""Who is asked once more after somebody changed the object behind him.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/mutating/reinvocationcontext.go
"""

from __future__ import annotations

import copy
from typing import Any

from apiserver.admission.plugin import Attributes


class Rounds:
    """One plugin's webhooks or policies over both rounds of one question."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._previous: set[str] = set()
        self._again: set[str] = set()
        self._left: Any = None

    @classmethod
    def of(cls, attributes: Attributes, plugin: str) -> Rounds:
        """Those of the plugin: new ones in the first round. A change between the rounds concerns all that wish."""
        rounds: Rounds | None = attributes.memory.get(plugin)
        if rounds is None:
            rounds = attributes.memory[plugin] = cls(attributes)
        elif attributes.round and rounds._left != attributes.obj:
            rounds.changed()
        return rounds

    def wants(self, key: str) -> bool:
        """Whether it is asked in this round."""
        return not self._attributes.round or key in self._again

    def asked(self, key: str) -> None:
        """It has been asked, and wishes to be asked again after later changes."""
        self._previous.add(key)

    def changed(self) -> None:
        """The object is another now: whoever was asked before is to see it."""
        self._again |= self._previous
        self._previous = set()

    def end(self) -> None:
        """Remember how this round left the object."""
        if not self._attributes.round:
            self._left = copy.deepcopy(self._attributes.obj)
