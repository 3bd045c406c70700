"""How the difference of two namespaces is shown: tables, one JSON document, or one HTML page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.table import Table
from rich.text import Text

from worker.cli.common import out, printable
from worker.cli.show import fields, many, table
from worker.core.changes import Kind
from worker.evaluate.metrics import Score
from worker.steps.compare import Comparison, Example, Reprint

_SHARED = 6  # terms, as in `eval`
_ALIKE = "none was decided otherwise: stories were joined or parted as a whole"
_UNTITLED = "(no headline)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two namespaces compared, with their names."""

    base: str
    new: str
    comparison: Comparison
    agreement: Score  # B-cubed of the new one, the base taken as true
    threshold: float  # match.story_threshold as set now


def as_document(found: Difference) -> dict[str, Any]:
    """Return everything as values of JSON; docs/replay.md says what each means."""
    changes, agreement = found.comparison.changes, found.agreement
    return {
        "base": found.base,
        "new": found.new,
        "articles": {
            "both": changes.both,
            "only_base": changes.base.apart,
            "only_new": changes.new.apart,
            "moved": changes.moved,
            "share": changes.share,
        },
        "stories": {
            "base": changes.base.stories,
            "new": changes.new.stories,
            "continued": changes.continued,
            "same": changes.same,
            "gained": changes.gained,
            "lost": changes.lost,
            "merged": len(changes.of(Kind.MERGED)),
            "split": len(changes.of(Kind.SPLIT)),
            "only_base": changes.base.alone,
            "only_new": changes.new.alone,
        },
        "b_cubed": {
            "precision": agreement.precision,
            "recall": agreement.recall,
            "f1": agreement.f1,
        },
        "threshold": found.threshold,
        "changes": [_example(one) for one in found.comparison.examples],
        "changes_in_all": len(changes.changes),
        "reprints": [_reprint(one) for one in found.comparison.reprint_examples],
        "reprints_in_all": found.comparison.reprints,
    }


def as_page(found: Difference) -> str:
    """Return everything as one HTML page that loads nothing; whatever was fetched is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"printable": printable, "said": said, "many": many}
    return environment.get_template("diff.html").render(
        found=as_document(found), counts=_counts(found), alike=_ALIKE, untitled=_UNTITLED
    )


def print_changes(found: Difference) -> None:
    """Print everything for people."""
    comparison = found.comparison
    out.print(Text(f"from {found.base} to {found.new}", style="bold"))
    out.print(fields(*_counts(found)))
    if comparison.examples:
        out.print("", _changes_table(comparison), sep="\n")
        _print_left_out(found, len(comparison.examples), len(comparison.changes.changes), "change")
    if comparison.reprints:
        shown = table("reprint", "headline", "copied", "copies now")
        for one in comparison.reprint_examples:
            names = one.base_original or "nothing", one.new_original or "nothing"
            shown.add_row(Text(one.article, style="cyan"), Text(printable(one.title)), *names)
        out.print("", shown, sep="\n")
        _print_left_out(found, len(comparison.reprint_examples), comparison.reprints, "reprint")
    if comparison.examples:
        out.print(f"\nsamestory why ARTICLE --namespace {found.new}", markup=False)


def said(evidence: Mapping[str, Any]) -> str:
    """Return in a line what was decided of an article, and on which terms."""
    score, candidates = float(evidence.get("score", 0.0)), evidence.get("candidates", [])
    none = "" if candidates else ", none near"
    sentences = {
        "CopyOf": f"a reprint of {evidence.get('copy_of', '')}, overlap {score:.2f}",
        "SameStory": f"joined, score {score:.2f}",
        "NewStory": f"new story, best score {score:.2f}{none}",
    }
    terms = ", ".join(candidates[0]["shared"][:_SHARED]) if candidates else ""
    sentence = sentences.get(evidence.get("decision", ""), "no evidence was kept")
    return printable(f"{sentence}: {terms}" if terms else sentence)


def _counts(found: Difference) -> tuple[tuple[str, str], ...]:
    changes, agreement = found.comparison.changes, found.agreement
    only = [
        f"{side.apart} only in {name}"
        for name, side in ((found.base, changes.base), (found.new, changes.new))
        if side.apart
    ]
    merged, split, moved = (changes.of(kind) for kind in Kind)
    scores = f"precision {agreement.precision:.4f}, recall {agreement.recall:.4f}"
    return (
        ("articles", ", ".join([f"{changes.both} in both", *only])),
        (
            "changed",
            f"{changes.share:.2%} of all; {many(changes.moved, 'article')} in another story",
        ),
        ("stories", f"{changes.base.stories}, now {changes.new.stories}"),
        ("the same", str(changes.same)),
        ("merged", str(len(merged))),
        ("split off", str(len(split))),
        ("gained, lost", f"{changes.gained}, {changes.lost} that live on"),
        ("moved", many(sum(len(change.articles) for change in moved), "article")),
        ("reprints", f"{found.comparison.reprints} copy something else"),
        ("agreement", f"B-cubed F1 {agreement.f1:.4f}, {scores}"),
        ("threshold now", f"{found.threshold:.2f}"),
    )


def _changes_table(comparison: Comparison) -> Table:
    headlines_column = "headlines, and how one article was decided"
    shown = table("", "articles", "from, to", headlines_column, numbers=("articles",))
    for one in comparison.examples:
        change = one.change
        headlines = dict.fromkeys(
            printable(t) or _UNTITLED for t in (one.base_title, one.new_title)
        )
        lines = Text("\n").join(
            (
                *map(Text, headlines),
                Text(f"{one.article}  {printable(one.article_title)}", style="cyan"),
                Text(f"was: {said(one.base_evidence)}", style="dim"),
                Text(f"now: {said(one.new_evidence)}", style="dim"),
                *([Text(_ALIKE, style="dim")] if one.decided_alike else []),
            )
        )
        shown.add_row(
            change.kind.value, str(len(change.articles)), f"{change.base}\n{change.new}", lines
        )
    return shown


def _print_left_out(found: Difference, shown: int, of: int, noun: str) -> None:
    if shown < of:
        way = f"samestory diff {found.base} {found.new} --limit {of}"
        out.print(f"{many(of - shown, noun)} more: {way}", markup=False, soft_wrap=True)


def _example(one: Example) -> dict[str, Any]:
    change = one.change
    return {
        "kind": change.kind.value,
        "base": {"story": change.base, "title": one.base_title},
        "new": {"story": change.new, "title": one.new_title},
        "articles": list(change.articles),
        "titles": list(one.titles),
        "decided": {"article": one.article, "title": one.article_title},
        "evidence": {"base": one.base_evidence, "new": one.new_evidence},
        "decided_alike": one.decided_alike,
    }


def _reprint(one: Reprint) -> dict[str, Any]:
    return {
        "article": one.article,
        "title": one.title,
        "base_copy_of": one.base_original,
        "new_copy_of": one.new_original,
    }
