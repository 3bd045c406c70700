"""What an evaluation says, computed from its cases: scores, retrieval, slices, latency, faults.

Pure: no clock, no Redis, no printing. The command feeds it and shows what comes out.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from worker.evaluate.cases import Case
from worker.evaluate.faults import Fault, worst_faults
from worker.evaluate.metrics import (
    Score,
    adjusted_rand_index,
    b_cubed_each,
    mean_score,
    normalised_mutual_information,
    pairwise,
)
from worker.evaluate.watch import WIDTH
from worker.model import Outcome

RANKS = (8, 16, WIDTH)
_HOUR, _DAY = 3_600.0, 86_400.0
# Upper ends, inclusive. A day holds most follow-ups, three the usual life of a story, and
# seven the default window of the index.
_Classes = Sequence[tuple[float, str]]
_SIZES: _Classes = (
    (1, "1"),
    (2, "2"),
    (5, "3-5"),
    (10, "6-10"),
    (100, "11-100"),
    (math.inf, "over 100"),
)
_GAPS: _Classes = (
    (_HOUR, "to 1 h"),
    (6 * _HOUR, "1-6 h"),
    (_DAY, "6-24 h"),
    (3 * _DAY, "1-3 d"),
    (7 * _DAY, "3-7 d"),
    (math.inf, "over 7 d"),
)
_FIRST = "first of its story"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The scores of a part of the articles, each measured within the whole grouping."""

    name: str
    articles: int
    b_cubed: Score
    recall_at: dict[int, float] | None  # as in Retrieval; none when nothing was to be found


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """How well the index finds the right story, before anything is decided.

    Counted are probed articles of whose true story an earlier article was attached within the
    index window. ``recall_at[k]`` is the part of them for which a story that holds such an article
    is among the first k candidates, in the probe's order.
    """

    articles: int
    recall_at: dict[int, float] | None
    ids_read_median: float
    ids_read_p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds, median and 99th percentile.

    ``attach`` is one attach step: probe, decide, attach, with every retry. ``arrival`` is a
    simulation, none where all records have one time: each record arrives at its own time, waits
    for those before it, and takes the time that its attach step took in this run, and the mean of
    everything else. Polling and fetching are not in it.
    """

    attach: tuple[float, float]
    arrival: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that an evaluation says."""

    records: int
    true_stories: int
    found_stories: int
    rejected: int
    failed: int
    b_cubed: Score
    pairwise: Score
    nmi: float
    ari: float
    retrieval: Retrieval
    by_size: tuple[Slice, ...]
    by_gap: tuple[Slice, ...]
    by_language: tuple[Slice, ...]
    latency: Latency
    articles_per_s: float
    worst: tuple[Fault, ...]


def report(cases: Sequence[Case], *, run_s: float) -> Report:
    """Return what an evaluation says.

    Args:
        cases: of all records, in event order; at least one.
        run_s: seconds of the whole run.
    """
    true, found = [case.label for case in cases], [case.story for case in cases]
    each = b_cubed_each(true, found)
    sizes = Counter(true)
    languages = Counter(case.lang for case in cases)
    return Report(
        records=len(cases),
        true_stories=len(sizes),
        found_stories=len({story for story in found if story}),
        rejected=sum(case.outcome is Outcome.REJECTED for case in cases),
        failed=sum(case.outcome is Outcome.QUARANTINED for case in cases),
        b_cubed=mean_score(each),
        pairwise=pairwise(true, found),
        nmi=normalised_mutual_information(true, found),
        ari=adjusted_rand_index(true, found),
        retrieval=_retrieval(cases),
        by_size=_slices(
            cases,
            each,
            [name for _, name in _SIZES],
            lambda case: _class(sizes[case.label], _SIZES),
        ),
        by_gap=_slices(cases, each, [_FIRST, *(name for _, name in _GAPS)], _gap),
        by_language=_slices(
            cases, each, [name for name, _ in languages.most_common()], lambda case: case.lang
        ),
        latency=_latency(cases, run_s),
        articles_per_s=len(cases) / run_s,
        worst=worst_faults(cases),
    )


def recall_at(cases: Sequence[Case]) -> dict[int, float] | None:
    """Return the candidate recall of the cases that could have been found; none without any."""
    ranks = [case.rank for case in cases if case.seen and case.right]
    if not ranks:
        return None
    return {k: sum(rank is not None and rank <= k for rank in ranks) / len(ranks) for k in RANKS}


def waits(arrivals: Sequence[float], services: Sequence[float]) -> list[float]:
    """Return the time from arrival to the end of service of each customer of one queue.

    Args:
        arrivals: times, ascending.
        services: time that serving each takes.

    Source: Lindley 1952.
    """
    ends, end = [], float("-inf")
    for arrival, service in zip(arrivals, services, strict=True):
        end = max(arrival, end) + service
        ends.append(end - arrival)
    return ends


def _retrieval(cases: Sequence[Case]) -> Retrieval:
    probed = [case for case in cases if case.seen]
    median, p99 = _percentiles([case.seen.ids_read for case in probed if case.seen])
    return Retrieval(
        articles=sum(bool(case.right) for case in probed),
        recall_at=recall_at(probed),
        ids_read_median=median,
        ids_read_p99=p99,
    )


def _slices(
    cases: Sequence[Case],
    each: Sequence[Score],
    names: Sequence[str],
    name_of: Callable[[Case], str],
) -> tuple[Slice, ...]:
    """Return a slice for each name that a case has, in the order of the names."""
    members: dict[str, list[int]] = {name: [] for name in names}
    for i, case in enumerate(cases):
        members[name_of(case)].append(i)
    return tuple(
        Slice(
            name=name,
            articles=len(chosen),
            b_cubed=mean_score([each[i] for i in chosen]),
            recall_at=recall_at([cases[i] for i in chosen]),
        )
        for name, chosen in members.items()
        if chosen
    )


def _class(value: float, classes: _Classes) -> str:
    return next(name for end, name in classes if value <= end)


def _gap(case: Case) -> str:
    return _FIRST if case.gap_s is None else _class(case.gap_s, _GAPS)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile; of nothing, zeros."""
    if not values:
        return 0.0, 0.0
    median, p99 = np.percentile(values, (50, 99))
    return float(median), float(p99)


def _latency(cases: Sequence[Case], run_s: float) -> Latency:
    attach = [case.attach_s * 1e3 for case in cases if case.seen]
    if cases[0].at == cases[-1].at:  # records without times of their own, or a single one
        return Latency(attach=_percentiles(attach), arrival=None)
    rest_s = max(0.0, run_s - sum(case.attach_s for case in cases)) / len(cases)
    waited = waits([case.at for case in cases], [rest_s + case.attach_s for case in cases])
    return Latency(
        attach=_percentiles(attach), arrival=_percentiles([wait * 1e3 for wait in waited])
    )
