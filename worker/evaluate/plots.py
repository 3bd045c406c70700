"""The pictures of an evaluation, each as PNG and SVG. Needs matplotlib, the extra `plot`.

Backgrounds are transparent and all colours of middle lightness, so that they can be read on light
and on dark pages. The same cases give the same SVG to the byte.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from worker.evaluate.cases import Case, groups

# Of the colours that Okabe and Ito (2008) chose for colour-blind readers, the ones that have a
# contrast of about 3 against white and against black.
_BLUE, _ORANGE, _GREEN, _GREY = "#0f82c8", "#d55e00", "#009e73", "#808080"
_STYLE = {
    "axes.edgecolor": _GREY,
    "axes.grid": True,
    "axes.labelcolor": _GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _GREY,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.3,
    "grid.color": _GREY,
    "legend.frameon": False,
    "legend.labelcolor": _GREY,
    "savefig.transparent": True,
    "svg.hashsalt": "samestory",  # ids in the SVG are random without
    "text.color": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}
_BINS = 50
_MARKS = (0.1, 0.3, 0.7, 0.9)  # thresholds marked on the curve, beside the one in use
_BIGGEST = 12  # stories of the timeline
_NAME = 28  # characters of a story's name that are shown


@dataclass(frozen=True, slots=True)
class Choices:
    """Best candidates' scores of the articles that are no reprints, by what the candidate is."""

    true: tuple[float, ...]  # holds an earlier article of the true story
    other: tuple[float, ...]  # does not, though another story does
    new: tuple[float, ...]  # no story of the window does
    findable: int  # articles whose true story is in the window, with a candidate or without


def choices(cases: Iterable[Case]) -> Choices:
    """Sort the recorded best candidates by what joining them would have been."""
    true: list[float] = []
    other: list[float] = []
    new: list[float] = []
    findable = 0
    for case in cases:
        if case.seen is None or case.seen.is_copy:
            continue
        findable += bool(case.right)
        if case.seen.best is not None:
            kind = true if case.seen.best in case.right else other if case.right else new
            kind.append(case.seen.score)
    return Choices(tuple(true), tuple(other), tuple(new), findable)


def precision_recall(of: Choices) -> list[tuple[float, float, float]]:
    """Return (threshold, precision, recall) of the links at every score, highest score first.

    A link is an article that joins its best candidate; it is right when that holds an earlier
    article of the true story. Recall counts articles whose story can be found.
    """
    wrong = np.sort([*of.other, *of.new])
    right = np.sort(of.true)
    thresholds = np.unique(np.concatenate([wrong, right]))[::-1]
    rights = len(right) - np.searchsorted(right, thresholds)
    wrongs = len(wrong) - np.searchsorted(wrong, thresholds)
    precision = rights / np.maximum(rights + wrongs, 1)
    recall = rights / max(of.findable, 1)
    return list(zip(thresholds.tolist(), precision.tolist(), recall.tolist(), strict=True))


def draw(cases: Sequence[Case], folder: Path, *, threshold: float) -> list[Path]:
    """Write every picture and return their files.

    Args:
        cases: of all records, in event order.
        folder: is there.
        threshold: score from which the run joined an article to a story.

    Raises:
        OSError: a file cannot be written.
    """
    of = choices(cases)
    files = []
    with mpl.rc_context(_STYLE):
        for name, figure in (
            ("precision_recall", _precision_recall(of, threshold)),
            ("scores", _scores(of, threshold)),
            ("sizes", _sizes(cases)),
            ("timeline", _timeline(cases)),
        ):
            for ending, metadata in (("png", {}), ("svg", {"Date": None})):
                files.append(folder / f"{name}.{ending}")
                figure.savefig(files[-1], dpi=144, metadata=metadata)
    return files


def _axes(
    title: str, x: str, y: str, size: tuple[float, float] = (7.0, 5.0)
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def _caption(figure: Figure, text: str) -> None:
    figure.supxlabel(text, fontsize=8.5, x=0.02, ha="left")


def _precision_recall(of: Choices, threshold: float) -> Figure:
    figure, axes = _axes("Precision and recall of links", "recall", "precision")
    points = precision_recall(of)
    lowest = 1.0  # nothing but the part of the marks is worth its room
    axes.plot([r for _, _, r in points], [p for _, p, _ in points], color=_BLUE)
    for wanted in sorted({*_MARKS, threshold}):
        reached = [(p, r) for score, p, r in points if score >= wanted]
        if not reached:
            continue
        precision, recall = reached[-1]
        lowest = min(lowest, precision, recall)
        own = wanted == threshold
        axes.plot(recall, precision, "o", color=_ORANGE if own else _BLUE, ms=9 if own else 5)
        axes.annotate(
            f"{wanted:g}" + (" (this run)" if own else ""),
            (recall, precision),
            xytext=(-8, -4) if own else (8, 3),
            textcoords="offset points",
            ha="right" if own else "left",
            va="top" if own else "bottom",
        )
    start = max(0.0, math.floor(10.0 * lowest - 1.0) / 10.0)
    axes.set(xlim=(start, 1.01), ylim=(start, 1.01))
    _caption(
        figure,
        "A link joins an article to its best candidate; numbers are thresholds. An approximation: the\n"
        f"scores are those of one run at {threshold:g}; another threshold makes other stories, and so other\n"
        "candidates later on. Reprints are left out.",
    )
    return figure


def _scores(of: Choices, threshold: float) -> Figure:
    figure, axes = _axes("Scores of best candidates", "score", "articles")
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    for scores, name, colour in (
        (of.true, "the true story", _GREEN),
        (of.other, "another story, though the true one is in the window", _ORANGE),
        (of.new, "another story, for the true one is not there yet", _BLUE),
    ):
        counts, _ = np.histogram(scores, edges)
        axes.stairs(counts, edges, color=colour, lw=1.8, label=f"{name} ({len(scores)})")
        axes.stairs(counts, edges, color=colour, alpha=0.15, fill=True)
    axes.axvline(threshold, color=_GREY, ls="--", lw=1.2, label=f"threshold {threshold:g}")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set(xlim=(0.0, 1.0), ylim=(0.0, None))
    figure.legend(loc="outside lower left", fontsize=9)
    return figure


def _sizes(cases: Sequence[Case]) -> Figure:
    figure, axes = _axes("Story sizes", "articles", "stories with at least so many")
    found = Counter(case.story for case in cases if case.story)
    for sizes, name, colour in (
        (Counter(case.label for case in cases), "true", _GREEN),
        (found, "found", _ORANGE),
    ):
        values = np.sort(list(sizes.values()))
        steps = np.unique(values)
        at_least = len(values) - np.searchsorted(values, steps)
        label = f"{name}: {len(values)} stories"
        axes.plot(steps, at_least, "o-", ms=3.5, color=colour, label=label)
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.legend()
    return figure


def _timeline(cases: Sequence[Case]) -> Figure:
    stories = groups([case.label for case in cases], cases)
    biggest = sorted(stories.items(), key=lambda item: -len(item[1]))[:_BIGGEST]
    figure, axes = _axes(
        "The biggest true stories, and where their articles went",
        "",
        "",
        size=(9.0, 1.6 + 0.42 * len(biggest)),
    )
    kinds = ("in the found story that holds most", "in another story", "in none")
    points: dict[str, list[tuple[datetime, int]]] = {kind: [] for kind in kinds}
    for row, (_, members) in enumerate(biggest):
        main = Counter(case.story for case in members if case.story).most_common(1)
        for case in members:
            home = kinds[2] if case.story is None else kinds[case.story != main[0][0]]
            points[home].append((datetime.fromtimestamp(case.at, tz=timezone.utc), row))
    for (kind, where), colour, mark in zip(
        points.items(), (_GREEN, _ORANGE, _GREY), ("|", "d", "x"), strict=True
    ):
        if where:
            axes.plot(*zip(*where, strict=True), mark, color=colour, ms=8, label=kind, alpha=0.8)
    axes.set_yticks(
        range(len(biggest)), [_named(label, len(m)) for label, m in biggest], fontsize=9
    )
    axes.invert_yaxis()
    axes.margins(y=0.06)
    locator = mdates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    figure.legend(loc="outside lower left", ncols=3, fontsize=9)
    return figure


def _named(label: object, articles: int) -> str:
    """Return a story's name for an axis; its end tells more than its beginning."""
    name = "".join(c if c.isprintable() else " " for c in str(label)).replace("$", r"\$")
    return f"{name if len(name) <= _NAME else '…' + name[-_NAME:]}  {articles}"
