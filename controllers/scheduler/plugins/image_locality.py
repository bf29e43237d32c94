"""ImageLocality: rather where large images of the pod are already.

Follows: pkg/scheduler/framework/plugins/imagelocality/image_locality.go
"""

from __future__ import annotations

import numpy as np

from controllers.scheduler.framework import MAX_SCORE, Cycle, Ints, Score

SMALLEST_BYTES = 23 * 1024 * 1024
LARGEST_BYTES_PER_CONTAINER = 1000 * 1024 * 1024


class ImageLocality(Score):
    name = "ImageLocality"

    def score(self, cycle: Cycle, feasible: Ints) -> Ints | None:
        memo = cycle.template.memo
        known = memo.get("images")
        if known is None or known[0] != cycle.snapshot.generation:
            known = memo["images"] = (cycle.snapshot.generation, self._scores(cycle))
        return None if known[1] is None else known[1][feasible]

    @staticmethod
    def _scores(cycle: Cycle) -> Ints | None:
        images, snapshot = cycle.template.images, cycle.snapshot
        found = [sizes for sizes in (snapshot.images.sizes(normalized(image)) for image in images) if sizes is not None]
        if not found:
            return None
        total, nodes = np.zeros(snapshot.size, dtype=np.int64), len(snapshot.rows)
        for sizes in found:
            spread = np.count_nonzero(sizes) / nodes
            total += (sizes * spread).astype(np.int64)
        most = LARGEST_BYTES_PER_CONTAINER * len(images)
        clipped = np.clip(total, SMALLEST_BYTES, most)
        return MAX_SCORE * (clipped - SMALLEST_BYTES) // (most - SMALLEST_BYTES)


def normalized(image: str) -> str:
    """The image's name with a tag, as nodes report it."""
    return image if image.rfind(":") > image.rfind("/") else image + ":latest"
