"""One write on its way through the registry: who asks what of which endpoint, and the warnings gathered on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apiserver.admission.plugin import Form
from apiserver.registry.endpoint import Endpoint
from apiserver.registry.options import WriteOptions
from apiserver.resources.strategy import Strategy, User, WriteContext
from openapi.meta.times import format_time

Object = dict[str, Any]


@dataclass(slots=True)
class Call:
    """`strategy` is the subresource's own where it has one. `manager` is who owns what this call writes."""

    endpoint: Endpoint
    strategy: Strategy
    subresource: str
    namespace: str
    name: str
    user: User
    now: datetime
    options: WriteOptions
    manager: str
    tracks_ownership: bool = True
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    form: Form | None = None
    """How webhooks and policies see the object, where the subresource has a kind of its own."""
    admits: bool = True
    """Whether the admission chain is asked; not where it has been already, about another object."""
    is_complete: bool = False
    """Whether the object that is to be changed is in canonical form and has all its defaults."""
    _context: WriteContext | None = field(init=False, default=None)
    _now_text: str = field(init=False, default="")

    @property
    def now_text(self) -> str:
        """`now` as it is written."""
        if not self._now_text:
            self._now_text = format_time(self.now)
        return self._now_text

    def context(self) -> WriteContext:
        """What strategies may know; the same for all steps of the write."""
        if self._context is None:
            self._context = WriteContext(
                self.user, self.now, self.namespace, self.name, self.options.dry_run, self.warnings
            )
        return self._context
