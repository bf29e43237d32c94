"""Which images to remove when the disk fills: unused ones, the longest unused first. Pure.

Follows: pkg/kubelet/images/image_gc_manager.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from nodeagent.runtime.protocol import Image

HIGH_SHARE, LOW_SHARE = 0.85, 0.80
"""Collection begins when the disk is fuller than the first, and frees down to the second."""
MIN_AGE_S = 120.0


def bytes_to_free(capacity: int, available: int) -> int:
    """How much has to go; 0 as long as the disk is not too full."""
    used = capacity - available
    return max(0, used - int(capacity * LOW_SHARE)) if used > capacity * HIGH_SHARE else 0


def images_to_remove(
    images: Sequence[Image], in_use: Set[str], last_used: Mapping[str, float], now_s: float, need: int
) -> list[Image]:
    """Enough images to free `need` bytes, as far as there are any that may go. Times are by image id."""
    free = [
        image
        for image in images
        if image.id not in in_use and not image.pinned and now_s - last_used.get(image.id, now_s) >= MIN_AGE_S
    ]
    found, freed = [], 0
    for image in sorted(free, key=lambda image: last_used.get(image.id, now_s)):
        if freed >= need:
            break
        found.append(image)
        freed += image.size
    return found
