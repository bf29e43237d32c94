"""How a component and its supervisor speak: one line of JSON when it is ready or has failed, and a lifeline.

The line goes through a pipe whose descriptor is the component's `--ready-fd`. The lifeline is the component's
standard input: it ends when the supervisor does, however it ends, and then the component ends too. What comes through
it says that the component may begin: importing takes longest, and is done beside the start of what it needs.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time

GRACE_S = 10.0
"""How long a component may go on without its supervisor, to end in order."""


class Ready:
    """The component's end. Without a descriptor nobody listens and nothing is watched."""

    def __init__(self, descriptor: int | None, grace_s: float = GRACE_S) -> None:
        self.is_supervised = descriptor is not None
        self._descriptor = descriptor
        self._may_begin = threading.Event()
        if self.is_supervised:
            thread = threading.Thread(target=self._end_with_supervisor, args=(grace_s,), name="lifeline", daemon=True)
            thread.start()

    def wait_to_begin(self) -> None:
        """Return once the supervisor, if there is one, says that what the component needs is there."""
        if self.is_supervised:
            self._may_begin.wait()

    def tell(self, **facts: str | int) -> None:
        """Say that the component serves, with what the others need to know of it."""
        self._send(facts)

    def fail(self, message: str) -> None:
        self._send({"error": message})

    def _send(self, facts: dict[str, str | int] | dict[str, str]) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, json.dumps(facts).encode() + b"\n")
            os.close(self._descriptor)
            self._descriptor = None

    def _end_with_supervisor(self, grace_s: float) -> None:
        while os.read(0, 1024):
            self._may_begin.set()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(1)
