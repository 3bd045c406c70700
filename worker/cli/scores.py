"""How `eval` shows a report: tables of at most 100 columns, or one JSON document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.padding import Padding
from rich.text import Text

from worker.cli.common import out, printable
from worker.cli.show import many, span, table
from worker.evaluate.cases import Case
from worker.evaluate.faults import Fault, Part
from worker.evaluate.metrics import Score
from worker.evaluate.report import RANKS, Report, Slice
from worker.store.index import STORY_CANDIDATES

Evidence = Mapping[str, Any]
_PARTS = 4  # parts of a faulty story that are named on the screen
_NAMES = 3  # records named of each
_SHARED = 6  # terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How well a simpler method did, or why it was left out."""

    method: str
    b_cubed: Score | None = None
    pairwise: Score | None = None
    articles_per_s: float = 0.0
    skipped: str = ""


def as_document(
    report: Report, evidence: Sequence[Evidence], rivals: Sequence[Comparison]
) -> dict[str, object]:
    """Return everything as values of JSON.

    Args:
        report: what the evaluation says.
        evidence: of the decision behind each of the worst stories, in their order.
        rivals: the simpler methods, if any were asked for.
    """
    latency, retrieval = report.latency, report.retrieval
    return {
        "records": report.records,
        "true_stories": report.true_stories,
        "found_stories": report.found_stories,
        "rejected": report.rejected,
        "failed": report.failed,
        "b_cubed": _score(report.b_cubed),
        "pairwise": _score(report.pairwise),
        "nmi": report.nmi,
        "ari": report.ari,
        "candidates": {"articles": retrieval.articles, "recall_at": retrieval.recall_at},
        "ids_read": {"median": retrieval.ids_read_median, "p99": retrieval.ids_read_p99},
        "by_size": [_slice(one) for one in report.by_size],
        "by_gap": [_slice(one) for one in report.by_gap],
        "by_language": [_slice(one) for one in report.by_language],
        "attach_ms": _percentiles(latency.attach),
        "simulated_publish_to_attach_ms": _percentiles(latency.arrival),
        "articles_per_s": report.articles_per_s,
        "worst": [
            _fault(fault, why) for fault, why in zip(report.worst, evidence, strict=True)
        ],
        "baselines": [
            asdict(one)
            | {"b_cubed": _score(one.b_cubed), "pairwise": _score(one.pairwise)}
            for one in rivals
        ],
    }  # fmt: skip


def print_report(
    report: Report, evidence: Sequence[Evidence], rivals: Sequence[Comparison], *, title: str
) -> None:
    """Print everything for people; arguments as of ``as_document``."""
    out.print(
        Text.assemble((printable(title), "bold"), f": {many(report.records, 'record')}, "),
        f"{report.true_stories} true stories, {report.found_stories} found; "
        f"{report.rejected} rejected, {report.failed} failed\n",
    )
    _print_scores(report)
    _print_retrieval(report)
    for name, slices in (
        ("true story's size", report.by_size),
        ("time since previous", report.by_gap),
        ("language", report.by_language),
    ):
        _print_slices(name, slices)
    if rivals:
        _print_rivals(report, rivals)
    if report.worst:
        out.print(Text("Worst stories, by pairs of articles wrongly apart or together", "bold"))
        for place, (fault, why) in enumerate(zip(report.worst, evidence, strict=True), start=1):
            _print_fault(place, fault, why)


def _print_scores(report: Report) -> None:
    columns = ("precision", "recall", "F1")
    shown = table("", *columns, numbers=columns)
    for name, score in (("B-cubed", report.b_cubed), ("pairwise", report.pairwise)):
        shown.add_row(name, *_cells(score))
    out.print(shown, f"NMI {report.nmi:.3f}, ARI {report.ari:.3f}\n", sep="\n")


def _print_retrieval(report: Report) -> None:
    retrieval, latency = report.retrieval, report.latency
    median, p99 = retrieval.ids_read_median, retrieval.ids_read_p99
    wider = f"probing for {max(RANKS)} candidates instead of {STORY_CANDIDATES}"
    p50, slow = latency.attach
    lines = [
        f"ids read an article: median {median:.0f}, p99 {p99:.0f}",
        f"attach step: p50 {p50:.2f} ms, p99 {slow:.2f} ms, {wider}",
        f"whole run: {report.articles_per_s:.0f} articles/s",
    ]
    if retrieval.recall_at:
        recalls = ", ".join(f"@{k} {value:.3f}" for k, value in retrieval.recall_at.items())
        lines.insert(
            0,
            f"candidate recall {recalls}, of the {retrieval.articles} articles whose story was in "
            "the index",
        )
    if latency.arrival:
        lines.append(
            f"published to attached, simulated: p50 {latency.arrival[0]:.0f} ms, p99 "
            f"{latency.arrival[1]:.0f} ms, if records arrive at their times and wait for one "
            "another; without polling and fetching"
        )
    for line in lines:
        out.print(_hanging(line, 0))
    out.print()


def _hanging(line: str, indent: int) -> Padding:
    return Padding(Text(printable(line), overflow="fold"), (0, 0, 0, indent))


def _print_slices(name: str, slices: Sequence[Slice]) -> None:
    columns = ("articles", "B3 P", "B3 R", "B3 F1", *(f"@{k}" for k in RANKS))
    shown = table(name, *columns, numbers=columns)
    shown.columns[0].min_width = 19
    for one in slices:
        found = [f"{one.recall_at[k]:.3f}" if one.recall_at else "" for k in RANKS]
        shown.add_row(printable(one.name), str(one.articles), *_cells(one.b_cubed), *found)
    out.print(shown, "")


def _print_rivals(report: Report, rivals: Sequence[Comparison]) -> None:
    columns = ("B3 P", "B3 R", "B3 F1", "pair F1", "articles/s")
    shown = table("method", *columns, numbers=columns)
    ours = Comparison(
        method="samestory",
        b_cubed=report.b_cubed,
        pairwise=report.pairwise,
        articles_per_s=report.articles_per_s,
    )
    for one in (ours, *rivals):
        if one.b_cubed and one.pairwise:
            speed = f"{one.articles_per_s:.0f}"
            shown.add_row(one.method, *_cells(one.b_cubed), f"{one.pairwise.f1:.3f}", speed)
    out.print(shown)
    for one in rivals:
        if one.skipped:
            out.print(f"left out: {one.method}: {one.skipped}", markup=False)
    out.print("samestory runs whole, through Redis; the others in one process's memory\n")


def _print_fault(place: int, fault: Fault, why: Evidence) -> None:
    """Print one faulty story and the decision behind it."""
    head = Text.assemble(
        f"{place:>2}  {fault.kind} ",
        (printable(str(fault.story)), "bold"),
        f": {many(fault.articles, 'article')}, {many(fault.lost_pairs, 'pair')} lost",
    )
    out.print(head)
    lines = [*_part_lines(fault), *_decision_lines(fault.culprit, why)]
    for line in lines:
        out.print(_hanging(line, 4))


def _part_lines(fault: Fault) -> list[str]:
    lines = [f"{len(part.names):>4} in {_part_name(part)}: {_some(part)}" for part in fault.parts]
    rest = len(lines) - _PARTS
    return lines[:_PARTS] + ([f"     and {many(rest, 'smaller part')}"] if rest > 0 else [])


def _part_name(part: Part) -> str:
    return "no story" if part.story is None else str(part.story)


def _some(part: Part) -> str:
    more = ", …" if len(part.names) > _NAMES else ""
    return ", ".join(str(name) for name in part.names[:_NAMES]) + more


def _decision_lines(case: Case, why: Evidence) -> list[str]:
    """Return what was decided of the article that began the trouble, and on what grounds."""
    if case.story is None:
        return [f"{case.name} was {case.outcome.value}: {case.reason}"]
    if case.rank:
        right = f"candidate {case.rank}"
    elif case.right:
        right = f"in the index, but not among the {max(RANKS)} candidates"
    else:
        right = "none yet" if case.gap_s is None else "none within the index window"
    gap = "" if case.gap_s is None else f", {span(case.gap_s)} after its story's previous article"
    verb = "opened" if case.reason == "new_story" else "joined"
    lines = [
        f"{case.name} {verb} {case.story} ({case.reason}, score {why.get('score', 0.0):.2f}{gap})",
        f"right story: {right}",
    ]
    for one in why.get("candidates", [])[:1]:
        features = ", ".join(f"{name} {value:.2f}" for name, value in one["features"].items())
        lines.append(f"best candidate {one['story']}, score {one['score']:.2f}: {features}")
        lines.append(f"shared: {', '.join(one['shared'][:_SHARED])}")
    return lines


def _cells(score: Score) -> list[str]:
    return [f"{value:.3f}" for value in (score.precision, score.recall, score.f1)]


def _score(score: Score | None) -> dict[str, float] | None:
    return asdict(score) | {"f1": score.f1} if score else None


def _slice(one: Slice) -> dict[str, object]:
    return asdict(one) | {"b_cubed": _score(one.b_cubed)}


def _percentiles(values: tuple[float, float] | None) -> dict[str, float] | None:
    return {"p50": values[0], "p99": values[1]} if values else None


def _fault(fault: Fault, why: Evidence) -> dict[str, object]:
    case = fault.culprit
    return {
        "kind": fault.kind,
        "story": fault.story,
        "articles": fault.articles,
        "lost_pairs": fault.lost_pairs,
        "parts": [{"story": part.story, "ids": list(part.names)} for part in fault.parts],
        "decision": {
            "id": case.name,
            "story": case.story,
            "outcome": case.outcome.value,
            "reason": case.reason,
            "gap_s": case.gap_s,
            "right_stories": sorted(case.right),
            "right_candidate": case.rank,
            "why": why,
        },
    }
