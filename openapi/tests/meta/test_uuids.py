from __future__ import annotations

from uuid import UUID

from openapi.meta.uuids import random_uuid


def test_random_uuids_are_of_version_4_and_differ() -> None:
    made = {random_uuid() for _ in range(100)}
    assert len(made) == 100
    for text in made:
        uuid = UUID(text)
        assert str(uuid) == text
        assert (uuid.version, uuid.variant) == (4, "specified in RFC 4122")
