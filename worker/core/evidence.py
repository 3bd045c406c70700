"""A decision and its evidence in few bytes, for `why`: JSON, deflated with a dictionary of its own words."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from worker.model import CopyOf, Decision, Evidence

# What most evidence contains, commonest last, as deflate wants it. It may never change: without it
# no evidence of before can be read.
_WORDS = (
    b'{"decision":"CopyOf","score":0.9,"copy_of":"","jaccard":0.,"containment":1.0,"candidates":[]}'
    b'{"decision":"NewStory","score":0.0{"decision":"SameStory","score":0.9,"candidates":'
    b'"age_days":0."numbers":0.15,"names":0.,"story_head":0.,"article_head":0.,"common":0.,'
    b'"distinct":0.0,"prominence":0.,[{"story":"en-","score":0.0,"features":{"shared":["","","'
)
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_CANDIDATES = 3  # those below the third explain nothing


def pack(decision: Decision) -> bytes:
    """Return a decision with its best candidates. Cost: 50 us, 30 of them for deflating."""
    copy = ""
    if isinstance(decision, CopyOf):
        copy = (
            f'"copy_of":{_json(decision.article_id)},"jaccard":{decision.jaccard:.4f},'
            f'"containment":{decision.containment:.4f},'
        )
    text = (
        f'{{"decision":"{type(decision).__name__}","score":{score_of(decision):.4f},{copy}'
        f'"candidates":[{",".join(map(_candidate, decision.evidence[:_CANDIDATES]))}]}}'
    )
    deflate = zlib.compressobj(
        6, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY, _WORDS
    )
    return deflate.compress(text.encode()) + deflate.flush()


def unpack(packed: bytes) -> Mapping[str, Any]:
    """Undo `pack`; nothing gives nothing.

    Raises:
        ValueError: these are not its bytes.
    """
    if not packed:
        return {}
    try:
        return dict(json.loads(zlib.decompressobj(-zlib.MAX_WBITS, _WORDS).decompress(packed)))
    except (zlib.error, ValueError, TypeError) as e:
        raise ValueError(f"not the evidence of a decision: {e}") from e


def score_of(decision: Decision) -> float:
    """Return how sure a decision is, from 0 to 1: of a copy, its overlap."""
    if isinstance(decision, CopyOf):
        return max(decision.jaccard, decision.containment)
    return decision.score


def _candidate(e: Evidence) -> str:
    # Written by hand, as most of it is numbers, and formatting costs a third of rounding.
    features = ",".join([f'"{name}":{value:.3f}' for name, value in e.features.items()])
    return (
        f'{{"story":{_json(e.story_id)},"score":{e.score:.3f},"features":{{{features}}},'
        f'"shared":{_json(e.shared)}}}'
    )
