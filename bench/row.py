"""One line of what `python -m bench` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `rate` is per second; both may be absent."""

    work: str
    measured: float
    unit: str
    budget: float | None
    rate: float | None = None
    failed: int = 0

    def line(self) -> str:
        budget = f"{self.budget:g} {self.unit}" if self.budget is not None else ""
        verdict = "" if self.budget is None else ("ok" if self.measured <= self.budget else "over")
        rate = f"{self.rate:,.0f}/s" if self.rate is not None else ""
        failures = f"  {self.failed} failed" if self.failed else ""
        return f"{self.work:<44} {self.measured:>9.3f} {self.unit:<4} {budget:>10}  {verdict:<5} {rate:>10}{failures}"


Show = Callable[[Row], None]
