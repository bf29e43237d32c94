from __future__ import annotations

from uuid import UUID

from openapi.meta.randoms import LETTERS, random_letters, random_uuid


def test_random_uuids_are_of_version_4_and_differ() -> None:
    made = {random_uuid() for _ in range(100)}
    assert len(made) == 100
    for text in made:
        uuid = UUID(text)
        assert str(uuid) == text
        assert (uuid.version, uuid.variant) == (4, "specified in RFC 4122")


def test_random_letters_are_any_of_the_letters() -> None:
    made = [random_letters(5) for _ in range(1000)]
    assert {len(text) for text in made} == {5}
    assert set("".join(made)) == set(LETTERS)
