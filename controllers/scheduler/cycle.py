"""The placing of one pod from top to bottom: rules out nodes, ranks those that are left, picks one.

Pure: reads the world, decides, changes nothing. Rules that see one node at a time are kept per workload and refreshed
only for rows that changed, so the cost of a pod hardly grows with the cluster.
Follows: pkg/scheduler/schedule_one.go
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from controllers.scheduler.framework import (
    ALL,
    SKIP,
    Bools,
    Cycle,
    Diagnosis,
    Filter,
    Finding,
    Ints,
    NodeScore,
    Only,
    PreFilter,
    Refuse,
    Rejection,
    Rows,
    SchedulingError,
    Score,
)

NO_NODES = "no nodes available to schedule pods"
FEWEST_SAMPLED = 100
"""So many feasible nodes are always ranked, whatever percentage is enough."""
FEW_CHANGES = 4
"""So few changed rows are looked at one by one: for them arrays cost more than they save."""
MANY_CHANGES = 64
"""With more changed rows than this a fresh look at all of them costs less."""


@dataclass(slots=True)
class NodeView:
    """What the per-node rules of a profile say about such pods, row by row, as of `position` in the log of changes."""

    position: int
    failing: Bools
    total: Ints
    """The weighted sum of the scores that need no normalising."""
    raw: list[Ints | None]
    """The others, in the order of their plugins."""


def feasible_rows(cycle: Cycle) -> Ints | Diagnosis:
    """The rows where the pod fits, or why there are none. Where it fits on its nominated node, only that one."""
    snapshot = cycle.snapshot
    diagnosis = cycle.diagnosis = Diagnosis(len(snapshot.rows))
    if not snapshot.rows:
        diagnosis.refusal = NO_NODES
        return diagnosis
    limit = _pre_filter(cycle, diagnosis)
    if diagnosis.refusal:
        return diagnosis
    cycle.candidates = snapshot.alive if limit is None else snapshot.alive & snapshot.named(limit)
    nominated = snapshot.rows.get(cycle.pod.nominated, -1)
    if nominated >= 0 and fits_row(cycle, nominated):
        return np.array([nominated])
    return rows_anywhere(cycle)


def rows_anywhere(cycle: Cycle) -> Ints | Diagnosis:
    """As `feasible_rows`, after it, and whatever node the pod is nominated for."""
    snapshot, candidates = cycle.snapshot, cycle.candidates
    fitting = _fitting(cycle, candidates)
    cycle.blocked = []
    for row in cycle.nominations.rows(snapshot, cycle.pod):
        if candidates[row]:
            found = row_findings(cycle, row)
            if found:
                fitting[row] = False
                cycle.blocked += found
    rows = np.flatnonzero(fitting)
    return _sample(cycle, rows) if len(rows) else explained(cycle, rows)


def _sample(cycle: Cycle, rows: Ints) -> Ints:
    """As many of the rows as the profile wants to be ranked, going on where the last cycle ended.

    A look at all nodes costs little here, so only a percentage that was asked for leaves some out.
    """
    wanted = sample_size(cycle.profile.percentage, int(np.count_nonzero(cycle.candidates)))
    if wanted >= len(rows):
        return rows
    start = int(np.searchsorted(rows, cycle.world.next_row))
    chosen = np.roll(rows, -start)[:wanted]
    cycle.world.next_row = int(chosen[-1]) + 1
    return np.sort(chosen)


def sample_size(percentage: int, nodes: int) -> int:
    """How many feasible nodes are enough; a percentage of 0 stands for all."""
    if not percentage or nodes < FEWEST_SAMPLED:
        return nodes
    return max(nodes * percentage // 100, FEWEST_SAMPLED)


def _pre_filter(cycle: Cycle, diagnosis: Diagnosis) -> frozenset[str] | None:
    """Ask the plugins about the pod itself. The names of the only nodes left, if they limit them."""
    limit: frozenset[str] | None = None
    limiting: set[str] = set()
    for plugin in _concerned(cycle):
        try:
            answer = plugin.pre_filter(cycle)
        except SchedulingError as error:
            raise SchedulingError(f'running PreFilter plugin "{plugin.name}": {error}') from error
        if answer is None:
            continue
        if answer is SKIP:
            cycle.skipped.add(plugin.name)
        elif isinstance(answer, Only):
            limit = answer.names if limit is None else limit & answer.names
            limiting.add(plugin.name)
            if not limit:
                diagnosis.refusal = _no_common_node(limiting)
                diagnosis.plugins |= limiting
                return limit
        elif isinstance(answer, Refuse):
            diagnosis.refusal = answer.reason
            diagnosis.plugins.add(plugin.name)
            return limit
    if limit is not None:
        diagnosis.plugins |= limiting
        diagnosis.absent = len(cycle.snapshot.rows) - sum(name in cycle.snapshot.rows for name in limit)
        diagnosis.absent_reason = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(limiting))}]"
    return limit


def _concerned(cycle: Cycle) -> tuple[PreFilter, ...]:
    """The plugins that may have something to say about such pods; the others are noted as skipped."""
    key = (cycle.profile, "concerned")
    known: tuple[tuple[PreFilter, ...], frozenset[str]] | None = cycle.template.memo.get(key)
    if known is None:
        plugins = cycle.profile.of(PreFilter)  # type: ignore[type-abstract]
        concerned = tuple(plugin for plugin in plugins if plugin.concerns(cycle.template))
        known = cycle.template.memo[key] = (concerned, frozenset(p.name for p in plugins if p not in concerned))
    cycle.skipped |= known[1]
    return known[0]


def _no_common_node(limiting: Iterable[str]) -> str:
    names = sorted(limiting)
    if len(names) == 1:
        return f"node(s) didn't satisfy plugin {names[0]}"
    return f"node(s) didn't satisfy plugin(s) [{' '.join(names)}] simultaneously"


def _fitting(cycle: Cycle, candidates: Bools) -> Bools:
    """The candidates that no plugin turns away, leaving nominated pods aside."""
    fitting = candidates & ~_node_view(cycle).failing
    for plugin in cycle.profile.of(Filter):  # type: ignore[type-abstract]
        if plugin.per_node or plugin.name in cycle.skipped or not fitting.any():
            continue
        for rejection in _rejections(plugin, cycle, ALL):
            fitting = fitting & ~rejection.failing
    return fitting


def _rejections(plugin: Filter, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
    try:
        return plugin.filter(cycle, rows)
    except SchedulingError as error:
        raise SchedulingError(f'running "{plugin.name}" filter plugin: {error}') from error


def _node_view(cycle: Cycle) -> NodeView:
    template, snapshot = cycle.template, cycle.snapshot
    view: NodeView | None = template.memo.get(cycle.profile)
    changed = None if view is None or len(view.failing) != snapshot.size else snapshot.changed_since(view.position)
    if view is None or changed is None or len(changed) > MANY_CHANGES:
        return _new_view(cycle)
    if changed and len(changed) <= FEW_CHANGES:
        for row in set(changed):
            if not _refresh_row(cycle, view, row):
                return _new_view(cycle)
        view.position = snapshot.position
    elif changed:
        rows = np.array(sorted(set(changed)))
        view.failing[rows] = _node_failing(cycle, rows)
        view.total[rows] = _node_total(cycle, rows)
        for index, fresh in enumerate(_node_raw(cycle, rows)):
            kept = view.raw[index]
            if fresh is not None and kept is not None:
                kept[rows] = fresh
            elif fresh is not kept:
                return _new_view(cycle)
        view.position = snapshot.position
    return view


def _refresh_row(cycle: Cycle, view: NodeView, row: int) -> bool:
    """Look anew at one row; False where that does not do."""
    profile = cycle.profile
    view.failing[row] = not cycle.snapshot.alive[row] or any(
        plugin.per_node and plugin.name not in cycle.skipped and plugin.fails(cycle, row)
        for plugin in profile.of(Filter)  # type: ignore[type-abstract]
    )
    total, index = 0, 0
    for plugin in profile.of(NodeScore):  # type: ignore[type-abstract]
        score = plugin.row_score(cycle, row)
        if not plugin.is_normalized:
            total += (score or 0) * profile.weight(plugin)
            continue
        kept = view.raw[index]
        if (kept is None) != (score is None):
            return False
        if kept is not None and score is not None:
            kept[row] = score
        index += 1
    view.total[row] = total
    return True


def _new_view(cycle: Cycle) -> NodeView:
    view = NodeView(cycle.snapshot.position, _node_failing(cycle, ALL), _node_total(cycle, ALL), _node_raw(cycle, ALL))
    cycle.template.memo[cycle.profile] = view
    return view


def _node_failing(cycle: Cycle, rows: Rows) -> Bools:
    failing = ~cycle.snapshot.alive[rows]
    for plugin in cycle.profile.of(Filter):  # type: ignore[type-abstract]
        if plugin.per_node and plugin.name not in cycle.skipped:
            for rejection in _rejections(plugin, cycle, rows):
                failing = failing | rejection.failing
    return failing


def _node_total(cycle: Cycle, rows: Rows) -> Ints:
    total = np.zeros(cycle.snapshot.size, dtype=np.int64)[rows]
    for plugin in cycle.profile.of(NodeScore):  # type: ignore[type-abstract]
        if not plugin.is_normalized:
            scores = plugin.raw_score(cycle, rows)
            if scores is not None:
                total = total + scores * cycle.profile.weight(plugin)
    return total


def _node_raw(cycle: Cycle, rows: Rows) -> list[Ints | None]:
    plugins = cycle.profile.of(NodeScore)  # type: ignore[type-abstract]
    return [plugin.raw_score(cycle, rows) for plugin in plugins if plugin.is_normalized]


def findings(cycle: Cycle, rows: Ints) -> list[Finding]:
    """What turns down which of `rows`: of the plugins in order, each row's first, with all its reasons."""
    found: list[Finding] = []
    left = rows
    for plugin in cycle.profile.of(Filter):  # type: ignore[type-abstract]
        if plugin.name in cycle.skipped or not len(left):
            continue
        failing = np.zeros(len(left), dtype=np.bool_)
        for rejection in _rejections(plugin, cycle, left):
            mask = np.zeros(cycle.snapshot.size, dtype=np.bool_)
            mask[left[rejection.failing]] = True
            found.append(Finding(plugin.name, mask, rejection.reason, rejection.final))
            failing |= rejection.failing
        left = left[~failing]
    return found


def row_findings(cycle: Cycle, row: int) -> list[Finding]:
    """What turns down one row, with the pods that are to come there; they must neither hinder nor be needed."""
    rows, node = np.array([row]), cycle.snapshot.names[row]
    guests = cycle.nominations.at_least_as_important(node, cycle.pod)
    if guests:
        with cycle.snapshot.with_pods(guests, node):
            found = findings(cycle, rows)
        if found:
            return found
    return findings(cycle, rows)


def fits_row(cycle: Cycle, row: int) -> bool:
    """Whether nothing turns down one row: as `row_findings`, without reasons."""
    guests = cycle.nominations.at_least_as_important(cycle.snapshot.names[row], cycle.pod)
    if guests:
        with cycle.snapshot.with_pods(guests, cycle.snapshot.names[row]):
            if not _passes(cycle, row):
                return False
    return _passes(cycle, row)


def _passes(cycle: Cycle, row: int) -> bool:
    for plugin in cycle.profile.of(Filter):  # type: ignore[type-abstract]
        if plugin.name not in cycle.skipped:
            try:
                if plugin.fails(cycle, row):
                    return False
            except SchedulingError as error:
                raise SchedulingError(f'running "{plugin.name}" filter plugin: {error}') from error
    return True


def explained(cycle: Cycle, feasible: Ints) -> Diagnosis:
    """Why each candidate but `feasible` was turned down."""
    rest = cycle.candidates.copy()
    rest[feasible] = False
    for finding in cycle.blocked:
        rest &= ~finding.rows
    diagnosis = cycle.diagnosis
    diagnosis.findings = [*cycle.blocked, *findings(cycle, np.flatnonzero(rest))]
    diagnosis.plugins |= {finding.plugin for finding in diagnosis.findings}
    return diagnosis


def choose(cycle: Cycle, rows: Ints, extra: Ints | None, rng: random.Random) -> int:
    """The best of the feasible rows; of several that are equally good any one. `extra` are points of extenders."""
    if len(rows) == 1:
        return int(rows[0])
    total = total_scores(cycle, rows)
    if extra is not None:
        total = total + extra
    best = np.flatnonzero(total == total.max())
    return int(rows[best[0] if len(best) == 1 else best[rng.randrange(len(best))]])


def total_scores(cycle: Cycle, rows: Ints) -> Ints:
    """The weighted sum of all scores for each feasible row."""
    view = _node_view(cycle)
    total = view.total[rows]
    normalized = [plugin for plugin in cycle.profile.of(NodeScore) if plugin.is_normalized]  # type: ignore[type-abstract]
    for plugin, raw in zip(normalized, view.raw, strict=True):
        if raw is not None and raw.any():  # where nobody has points all are equal
            total += plugin.normalize(raw[rows]) * cycle.profile.weight(plugin)
    for scorer in cycle.profile.of(Score):  # type: ignore[type-abstract]
        scores = scorer.score(cycle, rows)
        if scores is not None:
            total += scores * cycle.profile.weight(scorer)
    return total
