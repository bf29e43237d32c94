"""How volumes fail, in the words of the events that tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SET_UP = "MountVolume.SetUp"
NEW_MOUNTER = "MountVolume.NewMounter initialization"
NODE_AFFINITY = "MountVolume.NodeAffinity check"
MOUNT_DEVICE = "MountVolume.MountDevice"
MAP_DEVICE = "MapVolume.MapPodDevice"


class VolumeProblem(Exception):
    """A volume could not be set up. `volume` names it as events do: a persistent one by its own name.

    `step` is what was being done, `message` why that failed, in upstream's words.
    """

    def __init__(self, volume: str, message: str, step: str = SET_UP) -> None:
        super().__init__(message)
        self.volume = volume
        self.message = message
        self.step = step

    @property
    def text(self) -> str:
        return f'{self.step} failed for volume "{self.volume}" : {self.message}'


class Unprocessed(VolumeProblem):
    """It cannot even be told what to mount: a claim is missing, or not bound."""


class NotYet(VolumeProblem):
    """Nothing is wrong, but others (an attacher) are not done yet: no event tells of it."""


class VolumesNotReady(Exception):
    """Some volumes of a pod could not be set up. `problems` by the names that the pod has for its volumes."""

    def __init__(self, problems: dict[str, VolumeProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems.values()))
        self.problems = problems

    @property
    def only_waits(self) -> bool:
        """Whether there is nothing to do but to look again soon."""
        return all(isinstance(problem, NotYet) for problem in self.problems.values())

    def texts(self) -> Sequence[str]:
        """The messages of the events: one for each failure, and one for all that could not be processed."""
        failed = [p.text for p in self.problems.values() if not isinstance(p, (Unprocessed, NotYet))]
        unprocessed = {name: p for name, p in self.problems.items() if isinstance(p, Unprocessed)}
        if not unprocessed:
            return failed
        waiting = [name for name, problem in self.problems.items() if isinstance(problem, NotYet)]
        reasons = "; ".join(problem.message for problem in unprocessed.values())
        lists = (
            f"unmounted volumes={_list(self.problems)}, unattached volumes={_list(waiting)}, "
            f"failed to process volumes={_list(unprocessed)}"
        )
        return [*failed, f"Unable to attach or mount volumes: {lists}: {reasons}"]


def _list(names: Iterable[str]) -> str:
    return f"[{' '.join(sorted(names))}]"
