"""Columns of a snapshot: one array per thing that rules ask about, one row per node, updated as nodes and pods change.

Rows are handed out by `Snapshot`; a row in use keeps its number. Arrays grow together by `resize`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controllers.scheduler.resources import HostPort
from controllers.scheduler.selection import Labels, PodSelection, PodTerm, Taint

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

ABSENT = -1
ANY_IP = "0.0.0.0"
MAX_COUNTERS = 2048


def grown(array: NDArray[Any], size: int, fill: Any = 0) -> NDArray[Any]:
    """A copy of `size` rows, the new ones filled."""
    result = np.full(size, fill, dtype=array.dtype)
    result[: len(array)] = array
    return result


class LabelColumns:
    """Node labels. A column of value numbers is made when a key is first asked for; -1 stands for a missing label."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._labels: dict[int, Labels] = {}
        self._columns: dict[str, Ints] = {}
        self._values: dict[str, dict[str, int]] = {}
        self._unique: dict[str, bool] = {}

    def resize(self, size: int) -> None:
        self.size = size
        for key, column in self._columns.items():
            self._columns[key] = grown(column, size, ABSENT)

    def set(self, row: int, labels: Labels) -> None:
        self._labels[row] = labels
        self._unique.clear()
        for key, column in self._columns.items():
            column[row] = self._number(key, labels.get(key))

    def drop(self, row: int) -> None:
        self.set(row, {})
        del self._labels[row]

    def column(self, key: str) -> Ints:
        """The number of each row's value; numbers are below `domains(key)`."""
        column = self._columns.get(key)
        if column is None:
            column = np.full(self.size, ABSENT, dtype=np.int64)
            self._values[key] = {}
            for row, labels in self._labels.items():
                column[row] = self._number(key, labels.get(key))
            self._columns[key] = column
        return column

    def is_unique(self, key: str) -> bool:
        """Whether no two rows have the same value."""
        known = self._unique.get(key)
        if known is None:
            column = self.column(key)
            present = column[column >= 0]
            known = self._unique[key] = len(np.unique(present)) == len(present)
        return known

    def domains(self, key: str) -> int:
        """How many values of the label have been seen so far."""
        self.column(key)
        return len(self._values[key])

    def where(self, key: str, test: Callable[[str], bool]) -> Bools:
        """The rows whose value passes the test; it is asked once per value."""
        column = self.column(key)
        verdicts = np.zeros(len(self._values[key]) + 1, dtype=np.bool_)
        for value, number in self._values[key].items():
            verdicts[number] = test(value)
        return verdicts[column]  # a missing label is -1, the last one, False

    def among(self, key: str, values: Sequence[str]) -> Bools:
        column = self.column(key)
        known = self._values[key]
        numbers = [known[value] for value in values if value in known]
        if len(numbers) == 1:
            return np.equal(column, numbers[0])
        return np.isin(column, numbers)

    def _number(self, key: str, value: str | None) -> int:
        if value is None:
            return ABSENT
        values = self._values[key]
        return values.setdefault(value, len(values))


class TaintColumns:
    """For each taint in the cluster, the rows that have it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: dict[Taint, Bools] = {}
        self._taints: dict[int, tuple[Taint, ...]] = {}

    def resize(self, size: int) -> None:
        self.size = size
        for taint, rows in self.rows.items():
            self.rows[taint] = grown(rows, size)

    def set(self, row: int, taints: tuple[Taint, ...]) -> None:
        for taint in self._taints.get(row, ()):
            self.rows[taint][row] = False
            if not self.rows[taint].any():
                del self.rows[taint]
        for taint in taints:
            self.rows.setdefault(taint, np.zeros(self.size, dtype=np.bool_))[row] = True
        self._taints[row] = taints


class PortColumns:
    """Host ports in use: how many pods of a row hold a port at an address."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._held: dict[tuple[str, int], dict[str, Ints]] = {}

    def resize(self, size: int) -> None:
        self.size = size
        for by_ip in self._held.values():
            for ip, counts in by_ip.items():
                by_ip[ip] = grown(counts, size)

    def count(self, row: int, ports: Iterable[HostPort], change: int) -> None:
        for ip, protocol, port in ports:
            by_ip = self._held.setdefault((protocol, port), {})
            counts = by_ip.get(ip)
            if counts is None:
                counts = by_ip[ip] = np.zeros(self.size, dtype=np.int64)
            counts[row] += change

    def conflicts(self, ports: Iterable[HostPort]) -> Bools:
        """The rows where one of the ports is taken."""
        result = np.zeros(self.size, dtype=np.bool_)
        for ip, protocol, port in ports:
            for held_ip, counts in self._held.get((protocol, port), {}).items():
                if ip in (ANY_IP, held_ip) or held_ip == ANY_IP:
                    result |= counts > 0
        return result


class ImageColumns:
    """Container images on nodes: their size on each row."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._sizes: dict[str, Ints] = {}
        self._names: dict[int, list[str]] = {}

    def resize(self, size: int) -> None:
        self.size = size
        for name, sizes in self._sizes.items():
            self._sizes[name] = grown(sizes, size)

    def set(self, row: int, images: Iterable[Mapping[str, Any]]) -> None:
        for name in self._names.pop(row, ()):
            sizes = self._sizes[name]
            sizes[row] = 0
            if not sizes.any():
                del self._sizes[name]
        for image in images:
            for name in image.get("names") or ():
                sizes = self._sizes.setdefault(name, np.zeros(self.size, dtype=np.int64))
                sizes[row] = image.get("sizeBytes") or 0
                self._names.setdefault(row, []).append(name)

    def sizes(self, name: str) -> Ints | None:
        return self._sizes.get(name)


class PodClass:
    """Pods of one namespace with the same labels: how many stay and how many leave on each row."""

    __slots__ = ("counters", "labels", "leaving", "namespace", "staying", "total")

    def __init__(self, namespace: str, labels: Labels) -> None:
        self.namespace = namespace
        self.labels = labels
        self.staying: dict[int, int] = {}
        self.leaving: dict[int, int] = {}
        self.total = 0
        self.counters: list[PodCounter] = []


class PodCounter:
    """How many pods that a rule selects are on each row. `counts` is kept up to date."""

    __slots__ = ("counts", "selections", "with_leaving")

    def __init__(self, selections: tuple[PodSelection, ...], with_leaving: bool, size: int) -> None:
        self.selections = selections
        self.with_leaving = with_leaving
        self.counts: Ints = np.zeros(size, dtype=np.int64)


class PodCounters:
    """Counts of pods by label rules, per row: made when first asked for, then kept up to date."""

    def __init__(self, size: int, namespace_labels: Callable[[str], Labels]) -> None:
        self.size = size
        self._namespace_labels = namespace_labels
        self._classes: dict[tuple[str, frozenset[tuple[str, str]]], PodClass] = {}
        self._counters: dict[tuple[tuple[PodSelection, ...], bool], PodCounter] = {}

    def resize(self, size: int) -> None:
        self.size = size
        for counter in self._counters.values():
            counter.counts = grown(counter.counts, size)

    def class_of(self, namespace: str, labels: Labels) -> PodClass:
        key = (namespace, frozenset(labels.items()))
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = PodClass(namespace, labels)
            found.counters = [counter for counter in self._counters.values() if self._selects(counter, found)]
        return found

    def count(self, row: int, namespace: str, labels: Labels, is_leaving: bool, change: int) -> None:
        """Note that a pod came to (1) or left (-1) the row."""
        group = self.class_of(namespace, labels)
        rows = group.leaving if is_leaving else group.staying
        rows[row] = rows.get(row, 0) + change
        if not rows[row]:
            del rows[row]
        group.total += change
        for counter in group.counters:
            if counter.with_leaving or not is_leaving:
                counter.counts[row] += change
        if not group.total:
            del self._classes[(namespace, frozenset(labels.items()))]

    def counts(self, selections: tuple[PodSelection, ...], *, with_leaving: bool) -> Ints:
        """Per row, the pods that all `selections` choose. Shared: not to be changed."""
        key = (selections, with_leaving)
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= MAX_COUNTERS:
                self.forget(lambda _: True)
            counter = self._counters[key] = PodCounter(selections, with_leaving, self.size)
            for group in self._classes.values():
                if self._selects(counter, group):
                    group.counters.append(counter)
                    self._fill(counter, group)
        return counter.counts

    def forget(self, test: Callable[[PodCounter], bool]) -> None:
        """Drop the counters that pass the test; they are counted anew when asked for."""
        self._counters = {key: counter for key, counter in self._counters.items() if not test(counter)}
        for group in self._classes.values():
            group.counters = [counter for counter in group.counters if not test(counter)]

    def namespace_changed(self) -> None:
        """Forget what depends on the labels of namespaces."""
        self.forget(lambda counter: any(s.namespace_selector is not None for s in counter.selections))

    def _selects(self, counter: PodCounter, group: PodClass) -> bool:
        return all(s.matches(group.namespace, group.labels, self._namespace_labels) for s in counter.selections)

    @staticmethod
    def _fill(counter: PodCounter, group: PodClass) -> None:
        for row, number in group.staying.items():
            counter.counts[row] += number
        if counter.with_leaving:
            for row, number in group.leaving.items():
                counter.counts[row] += number


class TermUse:
    """How many pods of each row carry a term of affinity."""

    __slots__ = ("counts", "term", "total")

    def __init__(self, term: PodTerm, size: int) -> None:
        self.term = term
        self.counts: Ints = np.zeros(size, dtype=np.int64)
        self.total = 0


class TermColumns:
    """The affinity terms that pods on nodes carry. `version` changes whenever a term comes or goes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.uses: dict[PodTerm, TermUse] = {}
        self.version = 0

    def resize(self, size: int) -> None:
        self.size = size
        for use in self.uses.values():
            use.counts = grown(use.counts, size)

    def count(self, row: int, terms: Iterable[PodTerm], change: int) -> None:
        for term in terms:
            use = self.uses.get(term)
            if use is None:
                use = self.uses[term] = TermUse(term, self.size)
                self.version += 1
            use.counts[row] += change
            use.total += change
            if not use.total:
                del self.uses[term]
                self.version += 1
