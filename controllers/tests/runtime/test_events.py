"""Events: repeated ones are counted, similar ones combined, too many of one object cut off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controllers.runtime.events import COMBINED, Correlator
from controllers.runtime.objects import unversioned

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def event(message: str, name: str = "x", number: int = 0) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}.{number}", "namespace": "n"},
        "involvedObject": {"kind": "Pod", "namespace": "n", "name": name, "uid": name, "apiVersion": "v1"},
        "reason": "R",
        "type": "Normal",
        "message": message,
        "source": {"component": "c"},
        "firstTimestamp": f"t{number}",
        "lastTimestamp": f"t{number}",
        "count": 1,
    }


def test_a_repeated_event_is_one_with_a_count() -> None:
    correlator = Correlator(Clock())
    first = correlator.correlate(event("m", number=1))
    second = correlator.correlate(event("m", number=2))
    assert first is not None and second is not None
    assert (first[1], second[1]) == (False, True)
    assert second[0]["metadata"]["name"] == "x.1"
    assert (second[0]["count"], second[0]["firstTimestamp"], second[0]["lastTimestamp"]) == (2, "t1", "t2")


def test_the_tenth_similar_event_is_combined() -> None:
    correlator = Correlator(Clock())
    outcomes = [correlator.correlate(event(f"m{number}", number=number)) for number in range(11)]
    messages = [outcome[0]["message"] for outcome in outcomes if outcome is not None]
    assert messages[:9] == [f"m{number}" for number in range(9)]
    assert messages[9:] == [f"{COMBINED}m9", f"{COMBINED}m10"]
    assert outcomes[10] is not None and outcomes[10][0]["count"] == 2


def test_similar_events_long_ago_do_not_count() -> None:
    clock = Clock()
    correlator = Correlator(clock)
    for number in range(9):
        correlator.correlate(event(f"m{number}"))
    clock.now += timedelta(minutes=11)
    outcome = correlator.correlate(event("m9"))
    assert outcome is not None and outcome[0]["message"] == "m9"


def test_an_object_with_too_many_events_is_cut_off_and_another_is_not() -> None:
    correlator = Correlator(Clock())
    outcomes = [correlator.correlate(event("m", number=number)) for number in range(30)]
    assert [outcome is not None for outcome in outcomes] == [True] * 25 + [False] * 5
    assert correlator.correlate(event("m", name="y")) is not None


def test_an_object_named_without_its_version() -> None:
    metadata = {"name": "x", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {}}
    named = {"name": "x", "namespace": "n", "uid": "u"}
    assert unversioned(pod) == {"kind": "Pod", "apiVersion": "v1", "metadata": named}
