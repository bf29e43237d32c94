"""What an expression can cost at most, before it ever runs, from its text and the sizes of what it looks at.

Costs are those of Kubernetes' own estimate, where this knows a function; where it does not, they are lower rather than
higher, so that nothing is refused that Kubernetes takes.
Follows: github.com/google/cel-go/checker/cost.go, staging/src/k8s.io/apiserver/pkg/cel/library/cost.go
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from openapi.cel import syntax
from openapi.cel.sizes import BYTES, DYN, LIST, MAP, OBJECT, STRING, Sized
from openapi.cel.syntax import Tree

MOST: Final = 2**64 - 1
_TRAVERSAL, _REGEX = 0.1, 0.25
_SCALARS: Final = frozenset(("bool", "int", "uint", "double", "duration", "timestamp"))
_AROUND: Final = {"all": (3, 1), "exists": (4, 1), "exists_one": (2, 2), "existsOne": (2, 2), "filter": (13, 11)}
"""What a macro's loop adds to each round, and what is around it."""
_MACROS: Final = frozenset((*_AROUND, "map", "transformList", "transformMap"))
_NAMESPACES: Final = frozenset(("base64", "cel", "format", "lists", "math", "optional", "sets", "strings"))
_ALIKE: Final = frozenset(("lowerAscii", "upperAscii", "substring", "trim"))
_OF_ITEMS: Final = frozenset(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"))
_ORDERS: Final = frozenset(("<", "<=", ">", ">="))
_CONVERSIONS: Final = {"int": "int", "double": "double", "uint": "uint", "bool": "bool", "size": "int"}


@dataclass(frozen=True, slots=True)
class Estimate:
    """`size` is None where nothing is known of it: it may be anything. `place` is the part of the object it is."""

    cost: int
    kind: str = DYN
    size: int | None = None
    place: Sized | None = None
    item: Estimate | None = None

    @property
    def largest(self) -> int:
        return MOST if self.size is None else self.size


def estimate(tree: Tree, given: Mapping[str, Sized]) -> int:
    """The most that an expression over these variables can cost."""
    return _Coster(given).of(tree).cost


def _times(count: int, factor: float) -> int:
    return MOST if count >= MOST else min(math.ceil(count * factor), MOST)


def _at(cost: int, place: Sized | None) -> Estimate:
    """The part of an object at a place."""
    if place is None:
        return Estimate(cost)
    known = 1 if place.kind in _SCALARS and not place.most else place.most
    return Estimate(cost, place.kind, None if place.kind == DYN and not place.most else known, place)


def _entry(of: Estimate) -> Estimate:
    """What an iteration over it goes through: items of a list, keys of a map."""
    if of.item is not None:
        return of.item
    if of.kind == MAP:
        return Estimate(0, STRING, 0)
    return _at(0, of.place.item) if of.place is not None else Estimate(0)


class _Coster:
    def __init__(self, given: Mapping[str, Sized]) -> None:
        self._given = given
        self._local: list[tuple[str, Estimate]] = []

    def of(self, tree: Tree) -> Estimate:
        found: Estimate = getattr(self, f"_{tree.kind}")(tree)
        return Estimate(min(found.cost, MOST), found.kind, found.size, found.place, found.item)

    def _literal(self, tree: Tree) -> Estimate:
        name = tree.name
        if name.endswith(("'", '"')):
            return Estimate(0, STRING, max(len(name) - 2, 0))
        return Estimate(0, "bool" if name in ("true", "false") else "int", 1)

    def _name(self, tree: Tree) -> Estimate:
        for name, known in reversed(self._local):
            if name == tree.name:
                return Estimate(1, known.kind, known.size, known.place, known.item)
        return _at(1, self._given.get(tree.name))

    def _group(self, tree: Tree) -> Estimate:
        return self.of(tree.parts[0])

    def _select(self, tree: Tree) -> Estimate:
        below = self.of(tree.parts[0])
        cost = below.cost + (below.kind in (MAP, OBJECT))
        place = below.place
        if place is None:
            return Estimate(cost)
        return _at(cost, place.item if place.kind == MAP else place.fields.get(tree.name))

    def _index(self, tree: Tree) -> Estimate:
        of, index = map(self.of, tree.parts)
        cost = of.cost + index.cost + 1
        if of.place is not None and of.place.kind in (LIST, MAP):
            return _at(cost, of.place.item)
        return Estimate(cost) if of.item is None else Estimate(cost, of.item.kind, of.item.size, of.item.place)

    def _list(self, tree: Tree) -> Estimate:
        parts = [self.of(part) for part in tree.parts]
        largest = max(parts, key=lambda part: part.largest) if parts else Estimate(0, size=0)
        return Estimate(10 + sum(part.cost for part in parts), LIST, len(parts), None, largest)

    def _map(self, tree: Tree) -> Estimate:
        return Estimate(30 + sum(self.of(part).cost for part in tree.parts), MAP, len(tree.parts) // 2)

    def _struct(self, tree: Tree) -> Estimate:
        return Estimate(40 + sum(self.of(part).cost for part in tree.parts[2::2]), OBJECT)

    def _unary(self, tree: Tree) -> Estimate:
        below = self.of(tree.parts[0])
        return Estimate(below.cost + 1, below.kind, 1)

    def _choice(self, tree: Tree) -> Estimate:
        condition, first, second = map(self.of, tree.parts)
        larger = max(first, second, key=lambda part: part.largest)
        cost = condition.cost + max(first.cost, second.cost)
        return Estimate(cost, larger.kind, larger.size, larger.place, larger.item)

    def _binary(self, tree: Tree) -> Estimate:
        left, right = map(self.of, tree.parts)
        cost, operator = left.cost + right.cost, tree.name
        if operator in ("&&", "||"):
            return Estimate(cost, "bool", 1)
        if operator == "in":
            is_map = right.kind == MAP
            return Estimate(cost + (1 if is_map else right.largest), "bool", 1)
        if operator in ("==", "!=") or (operator in _ORDERS and STRING in (left.kind, right.kind)):
            return Estimate(cost + _times(min(left.largest, right.largest), _TRAVERSAL), "bool", 1)
        if operator == "+" and {left.kind, right.kind} & {STRING, BYTES}:
            size = min(left.largest + right.largest, MOST)
            return Estimate(cost + _times(size, _TRAVERSAL), STRING, size)
        if operator == "+" and LIST in (left.kind, right.kind):
            return Estimate(cost + 1, LIST, min(left.largest + right.largest, MOST), None, left.item or right.item)
        return Estimate(cost + 1, "bool" if operator in _ORDERS else left.kind, 1)

    def _call(self, tree: Tree) -> Estimate:
        if tree.name == "has" and len(tree.parts) == 1 and tree.parts[0].kind == syntax.SELECT:
            return Estimate(self.of(tree.parts[0].parts[0]).cost, "bool", 1)
        parts = [self.of(part) for part in tree.parts]
        cost = 1 + sum(part.cost for part in parts)
        if tree.name == "dyn" and len(parts) == 1:
            return Estimate(cost, DYN, parts[0].size, parts[0].place, parts[0].item)
        if tree.name == "string" and parts:
            return Estimate(cost, STRING, parts[0].size if parts[0].kind == STRING else None)
        return Estimate(cost, _CONVERSIONS.get(tree.name, DYN), 1)

    def _method(self, tree: Tree) -> Estimate:
        name = tree.name
        if name in _MACROS and len(tree.parts) >= 3:
            return self._macro(tree)
        if name == "bind" and tree.parts[0].name == "cel" and len(tree.parts) == 4:
            bound = self.of(tree.parts[2])
            self._local.append((tree.parts[1].name, bound))
            made = self.of(tree.parts[3])
            self._local.pop()
            return Estimate(10 + bound.cost + made.cost, made.kind, made.size, made.place, made.item)
        if tree.parts[0].kind == syntax.NAME and tree.parts[0].name in _NAMESPACES:
            return self._namespaced(tree)
        of, *arguments = map(self.of, tree.parts)
        cost = of.cost + sum(part.cost for part in arguments)
        first = arguments[0].largest if arguments else 0
        if name in ("matches", "find", "findAll") and arguments:
            cost += _times(min(of.largest + 1, MOST), _TRAVERSAL) * _times(first, _REGEX)
            return Estimate(cost, "bool", 1) if name == "matches" else Estimate(cost, STRING, of.size)
        if name == "contains" and arguments:
            return Estimate(cost + _times(of.largest, _TRAVERSAL) * _times(first, _TRAVERSAL), "bool", 1)
        if name in ("startsWith", "endsWith") and arguments:
            return Estimate(cost + _times(first, _TRAVERSAL), "bool", 1)
        if name in _ALIKE:
            return Estimate(cost + _times(of.largest, _TRAVERSAL), STRING, of.size)
        if name == "split":
            piece = Estimate(0, STRING, of.size)
            return Estimate(cost + _times(of.largest, 2 * _TRAVERSAL), LIST, of.size, None, piece)
        if name in _OF_ITEMS and of.kind == LIST:
            each = _entry(of)
            unit = max(_times(each.largest, _TRAVERSAL), 1) if each.kind in (STRING, BYTES) else 1
            return Estimate(cost + of.largest * unit, each.kind, each.size)
        return Estimate(cost + 1, "int" if name == "size" else DYN, 1)

    def _namespaced(self, tree: Tree) -> Estimate:
        """A function whose name has a dot: `sets.contains(a, b)`."""
        parts = [self.of(part) for part in tree.parts[1:]]
        cost = 1 + sum(part.cost for part in parts)
        if tree.parts[0].name == "sets" and len(parts) == 2:
            return Estimate(cost + parts[0].largest * parts[1].largest, "bool", 1)
        if tree.parts[0].name == "optional" and parts:
            return Estimate(cost, parts[0].kind, parts[0].size, parts[0].place, parts[0].item)
        return Estimate(cost, DYN, 1)

    def _macro(self, tree: Tree) -> Estimate:
        of = self.of(tree.parts[0])
        pairs = tree.name.startswith("transform") or (len(tree.parts) == 4 and tree.name not in ("map", "filter"))
        names = [part.name for part in tree.parts[1 : 3 if pairs else 2]]
        key = Estimate(0, "int", 1) if of.kind == LIST else Estimate(0, STRING, 0)
        values = [key, _value(of)] if pairs else [_entry(of)]
        self._local += zip(names, values, strict=True)
        bodies = [self.of(part) for part in tree.parts[1 + len(names) :]]
        del self._local[len(self._local) - len(names) :]
        body = sum(each.cost for each in bodies)
        each, around = _AROUND.get(tree.name, (12, 11))
        cost = of.cost + around + min(of.largest * (body + each), MOST)
        if tree.name in ("all", "exists", "exists_one", "existsOne"):
            return Estimate(cost, "bool", 1)
        item = _entry(of) if tree.name == "filter" else bodies[-1]
        return Estimate(cost, MAP if tree.name == "transformMap" else LIST, of.size, None, item)


def _value(of: Estimate) -> Estimate:
    if of.item is not None:
        return of.item
    return _at(0, of.place.item) if of.place is not None else Estimate(0)
