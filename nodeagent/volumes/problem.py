"""How a volume fails."""

from __future__ import annotations


class VolumeProblem(Exception):
    """A volume could not be set up; `volume` names it, the text says why in upstream's words."""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(message)
        self.volume = volume
        self.message = message
