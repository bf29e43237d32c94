"""Expressions in other words, where the CEL library lacks a macro or is stricter than Kubernetes.

- Macros with an index or key beside the value (`l.all(i, v, ...)`) run over `indices__(l)`.
- `l.sortBy(x, key)` sorts a list by the list of its keys.
- Orders between numbers of two types are compared dynamically.
- Methods of lists whose names the library knows for strings alone, and `string` of an address, get names of their own.
- Formats and what they find wrong are optional values, which functions of our own cannot return.

Kubernetes' own environment: cel.CrossTypeNumericComparisons, ext.TwoVarComprehensions, ext.Lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from openapi.cel.syntax import BINARY, CALL, METHOD, NAME, NotParsed, Tree, parse

Made = TypeVar("Made")

_TWO_VARIABLES: Final = {"all": "all", "exists": "exists", "existsOne": "exists_one"}
_MACROS: Final = frozenset((*_TWO_VARIABLES, "transformList", "transformMap", "sortBy", "validate", "named"))
_HINTS: Final = re.compile("transformList|transformMap|sortBy|existsOne|format|" + r"\.(?:all|exists)\s*\(")
LIST_METHODS: Final = {"indexOf": "list_index_of__", "lastIndexOf": "list_last_index_of__", "reverse": "list_reverse__"}
_NUMERIC: Final = re.compile(
    r"ERROR: <input>:(\d+):(\d+): found no matching overload for '_(<|<=|>|>=)_' applied to "
    r"'\((?:int|uint|double), (?:int|uint|double)\)'"
)
_OF_LIST: Final = re.compile(
    r"ERROR: <input>:(\d+):(\d+): found no matching overload for '(indexOf|lastIndexOf|reverse)' applied to '\(list"
)

_TO_STRING: Final = re.compile(
    r"ERROR: <input>:(\d+):(\d+): found no matching overload for 'string' applied to '\(net\.(?:IP|CIDR)\)'"
)

HIDDEN: Final = "c3l"
"""What `cel` is called where it means nothing."""


def without_bindings(text: str) -> str:
    """The expression with its `cel.bind` under another name, which no macro has."""
    if "bind" not in text:
        return text
    try:
        tree = parse(text)
    except NotParsed:
        return text
    for part in tree.walk():
        if part.kind == METHOD and part.name == "bind" and (part.parts[0].kind, part.parts[0].name) == (NAME, "cel"):
            start = part.parts[0].start
            text = text[:start] + HIDDEN + text[start + len("cel") :]
    return text


def without_new_macros(text: str) -> str:
    """The expression without macros that the library does not have."""
    if not _HINTS.search(text):
        return text
    try:
        tree = parse(text)
    except NotParsed:
        return text
    if not any(_is_macro(part) for part in tree.walk()):
        return text
    return _render(text, tree)


def _is_macro(tree: Tree) -> bool:
    if tree.kind != METHOD or tree.name not in _MACROS:
        return False
    names = [part.kind == NAME for part in tree.parts[1:3]]
    if tree.name == "validate":
        return len(tree.parts) == 2
    if tree.name == "named":
        return len(tree.parts) == 2 and tree.parts[0].kind == NAME and tree.parts[0].name == "format"
    if tree.name == "sortBy":
        return len(tree.parts) == 3 and names[0]
    if tree.name == "existsOne" and len(tree.parts) == 3:
        return names[0]
    longest = 5 if tree.name.startswith("transform") else 4
    return 4 <= len(tree.parts) <= longest and all(names)


def _render(text: str, tree: Tree) -> str:
    if _is_macro(tree):
        parts = [_render(text, part) for part in tree.parts]
        if tree.name == "sortBy":
            return _sorted_by(*parts)
        if tree.name == "validate":
            return f"optional.ofNonZeroValue(validate__({parts[0]}, {parts[1]}))"
        if tree.name == "named":
            choice = "is_format__(name__) ? optional.of(format__(name__)) : optional.none()"
            return f"cel.bind(name__, {parts[1]}, {choice})"
        if len(parts) == 3:
            return f"{parts[0]}.exists_one({parts[1]}, {parts[2]})"
        return _over_indices(tree.name, *parts)
    out, position = [], tree.start
    for part in tree.parts:
        out += [text[position : part.start], _render(text, part)]
        position = part.end
    return "".join([*out, text[position : tree.end]])


def _sorted_by(items: str, name: str, key: str) -> str:
    return f"cel.bind(sorted__, {items}, sort_by__(sorted__, sorted__.map({name}, {key})))"


def _over_indices(macro: str, items: str, key: str, value: str, *rest: str) -> str:
    inner = [f"cel.bind({value}, all__[{key}], {each})" for each in rest]
    if macro in _TWO_VARIABLES:
        made = f"indices__(all__).{_TWO_VARIABLES[macro]}({key}, {inner[0]})"
    else:
        made = f"indices__(all__).map({key}, {', '.join(inner)})"
        if macro == "transformMap":
            kept = f"indices__(all__).filter({key}, {inner[0]})" if len(inner) == 2 else "indices__(all__)"
            made = f"zip__({kept}, {made})"
    return f"cel.bind(all__, {items}, {made})"


def compiled(text: str, compile_text: Callable[[str], Made]) -> Made:
    """What `compile_text` makes of an expression, after the changes that only its types tell of.

    Raises the first RuntimeError of `compile_text` where that does not help.
    """
    try:
        return compile_text(text)
    except RuntimeError as err:
        first = err
        while True:
            changed = _changed(text, str(err))
            if changed is None:
                break
            text = changed
            try:
                return compile_text(text)
            except RuntimeError as again:
                err = again
        raise first from None


def _changed(text: str, complaint: str) -> str | None:
    """The text without the first thing complained of that can be helped; None if nothing can."""
    numeric, to_string = _NUMERIC.search(complaint), _TO_STRING.search(complaint)
    found = numeric or to_string or _OF_LIST.search(complaint)
    if found is None:
        return None
    lines = text.split("\n")
    at = sum(len(each) + 1 for each in lines[: int(found[1]) - 1]) + int(found[2]) - 1
    try:
        tree = parse(text)
    except NotParsed:
        return None
    if numeric is not None:
        operators = (part for part in tree.walk() if part.kind == BINARY and part.at == at)
        return next((_with_dynamic(text, part.parts[0]) for part in operators), None)
    if to_string is not None:
        calls = (part for part in tree.walk() if part.kind == CALL and text.index("(", part.start) == at)
        return next((f"{text[: part.start]}string__{text[at:]}" for part in calls), None)
    methods = (part for part in tree.walk() if part.kind == METHOD and part.name in LIST_METHODS)
    for part in methods:
        begin = text.index(part.name, part.at)
        if text[begin + len(part.name) : at].strip() == "" and begin < at:
            # The library hands values of any type over only inside of a list.
            arguments = f"([{text[at + 1 : part.end - 1]}])" if len(part.parts) > 1 else text[at : part.end]
            return f"{text[:begin]}{LIST_METHODS[part.name]}{arguments}{text[part.end :]}"
    return None


def _with_dynamic(text: str, side: Tree) -> str:
    return f"{text[: side.start]}dyn({text[side.start : side.end]}){text[side.end :]}"
