"""How `why` shows a decision: what the article was compared with, feature by feature."""

import math
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from worker.cli.common import iso, out, printable
from worker.cli.show import fields, safe_url, table
from worker.core.evidence import unpack
from worker.core.scorer import Scorer
from worker.model import MatchPolicy
from worker.steps.lookup import Found
from worker.store.ledger import LedgerRow
from worker.store.stories import StoredArticle

_PENDING = {
    "fetch": "pending: its page is still to be fetched",
    "work": "pending: waits for a worker",
}
_OUTCOMES = {
    "duplicate": "duplicate: the article had come by another entry before",
    "rejected": "rejected: not taken for an article",
    "quarantined": "quarantined: failed too often; see `samestory quarantine show`",
}


def why_as_json(found: Found, scorer: Scorer) -> dict[str, object]:
    """Return everything that `why` knows, with the weights of the model in use now."""
    article, row = found.article, found.row
    return {
        "article": _article_as_json(article) if article else None,
        "entry": _row_as_json(row) if row else None,
        "evidence": unpack(article.evidence) if article else None,
        "weights": {**scorer.weights, "bias": scorer.bias},
    }


def print_why(found: Found, policy: MatchPolicy, scorer: Scorer) -> None:
    """Print why an article is where it is, or why it is nowhere."""
    article, row = found.article, found.row
    if row and (article is None or row.outcome in _OUTCOMES):
        _print_row(row)
    if article:
        _print_article(article)
        _print_evidence(unpack(article.evidence), article, policy, scorer)


def _print_row(row: LedgerRow) -> None:
    said = _OUTCOMES.get(row.outcome) or _PENDING.get(row.stage, row.outcome or row.stage)
    out.print(Text(printable(row.entry.title), style="bold"))
    out.print(
        fields(
            ("entry", row.entry.entry_id),
            ("address", safe_url(row.entry.url)),
            ("known as", safe_url(row.entry.ref)),
            ("outcome", said),
            ("reason", row.reason),
            ("story", row.story_id),
            ("attempts", row.attempts if not row.outcome else ""),
            ("last error", row.error if not row.outcome else ""),
        ),
        "",
    )


def _print_article(article: StoredArticle) -> None:
    out.print(Text(printable(article.title), style="bold"))
    out.print(
        fields(
            ("article", article.article_id),
            ("address", safe_url(article.url)),
            ("known as", safe_url(article.ref) if article.ref != article.url else ""),
            ("publisher", article.source),
            ("published", iso(article.published_at)),
            ("edited", iso(article.edited_at)),
            ("shingles", article.shingles),
            ("story", article.story_id),
            ("reprint of", article.copy_of or ""),
        ),
        "",
    )


def _print_evidence(
    evidence: Mapping[str, Any], article: StoredArticle, policy: MatchPolicy, scorer: Scorer
) -> None:
    decision, score = evidence.get("decision", ""), float(evidence.get("score", 0.0))
    threshold = f"{policy.story_threshold:.2f}"
    sentences = {
        "CopyOf": f"a reprint of {_overlap(evidence, policy)}",
        "SameStory": f"the same story: best score {score:.2f}, threshold {threshold}",
        "NewStory": f"a new story: best score {score:.2f}, threshold {threshold}",
    }
    candidates = evidence.get("candidates", [])
    if decision == "NewStory" and not candidates:
        out.print("a new story: no story in the window shares enough of its terms")
        return
    out.print(Text(sentences.get(decision, "no evidence was kept")))
    if not candidates:
        return
    shown = table("candidate story", "score", "shared terms, weightiest first", numbers=("score",))
    for one in candidates:
        chosen = one["story"] == article.story_id
        name = Text(one["story"], style="bold green" if chosen else "")
        shown.add_row(name, f"{one['score']:.2f}", Text(printable(", ".join(one["shared"]))))
    out.print("", shown, "", sep="\n")
    _print_features(candidates[0], scorer)


def _overlap(evidence: Mapping[str, Any], policy: MatchPolicy) -> str:
    return (
        f"{evidence.get('copy_of', '')}: Jaccard {evidence.get('jaccard', 0.0):.2f} "
        f"(threshold {policy.copy_jaccard:.2f}), containment "
        f"{evidence.get('containment', 0.0):.2f} (threshold {policy.copy_containment:.2f})"
    )


def _print_features(candidate: Mapping[str, Any], scorer: Scorer) -> None:
    """Print how a candidate's score came about, by the weights in use now."""
    columns = ("value", "weight", "value x weight")
    shown = table(f"feature of {candidate['story']}", *columns, numbers=columns)
    logit = scorer.bias
    for name, value in candidate["features"].items():
        weight = scorer.weights.get(name, 0.0)
        logit += value * weight
        shown.add_row(name, f"{value:.3f}", f"{weight:+.2f}", f"{value * weight:+.2f}")
    shown.add_row("bias", "", "", f"{scorer.bias:+.2f}")
    score = 1.0 / (1.0 + math.exp(-logit))
    shown.add_row(Text("sum, and the score it gives", style="bold"), "", "", f"{logit:+.2f}")
    shown.add_row("", "", "", f"{score:.2f}")
    out.print(shown)


def _article_as_json(article: StoredArticle) -> dict[str, object]:
    return {
        "id": article.article_id,
        "ref": safe_url(article.ref),
        "url": safe_url(article.url),
        "source": article.source,
        "title": article.title,
        "story": article.story_id,
        "copy_of": article.copy_of,
        "published_at": iso(article.published_at),
        "seen_at": iso(article.seen_at),
        "edited_at": iso(article.edited_at) or None,
        "shingles": article.shingles,
    }


def _row_as_json(row: LedgerRow) -> dict[str, object]:
    return {
        "id": row.entry.entry_id,
        "ref": safe_url(row.entry.ref),
        "url": safe_url(row.entry.url),
        "title": row.entry.title,
        "outcome": row.outcome or "pending",
        "stage": row.stage,
        "reason": row.reason,
        "attempts": row.attempts,
        "error": row.error,
        "story": row.story_id,
    }
