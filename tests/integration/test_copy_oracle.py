"""The copy index and its signatures against datasketch's own."""

from collections.abc import Sequence

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.core.likeness import parities
from worker.core.signatures import copy_signature
from worker.model import Article, ArticleId, EntryId, IndexParams, NewStory, Sketch
from worker.settings import load_settings
from worker.steps.attach import membership_of
from worker.store.index import COPY_CANDIDATES
from worker.wiring import Context

# Buckets that hold every set of an example: what the cap leaves out is tested elsewhere.
ROOMY = load_settings(overrides=["index.bucket_cap=64"])
PARAMS: IndexParams = ROOMY.index.params()
NOW = 1_546_300_800.0
LANG = "en"
# Two sets of one base share some of its members, so that similarities of all sizes occur.
BASES = st.lists(st.integers(0, 3), min_size=2, max_size=COPY_CANDIDATES - 1)


def _sets(bases: Sequence[int], seed: int) -> list[np.ndarray[tuple[int], np.dtype[np.uint32]]]:
    """Return one random set an entry: a random part of its base, and some members of its own."""
    draw = np.random.default_rng(seed)
    pools = draw.integers(0, 2**32, (4, 120), dtype=np.uint32)
    return [
        np.unique(
            np.concatenate(
                [
                    draw.choice(pools[base], draw.integers(1, 120), replace=False),
                    draw.integers(0, 2**32, draw.integers(0, 60), dtype=np.uint32),
                ]
            )
        )
        for base in bases
    ]


def _minhash(signature: bytes) -> MinHash:
    values = np.frombuffer(signature, "<u4")
    return MinHash(num_perm=len(values), hashvalues=values, scheme="affine32")


def _sketch(shingle_set: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> Sketch:
    return Sketch(
        shingles=len(shingle_set),
        signature=copy_signature(shingle_set, PARAMS.num_perm),
        parities=parities(shingle_set),
        slots=b"",
        vector=b"",
        words=(),
    )


def _attach(context: Context, sketch: Sketch, number: int) -> None:
    name = ArticleId(f"{number:016x}")
    article = Article(
        article_id=name, ref=name, url="", source="outlet.example", title="", lang=LANG,
        published_at=NOW, at=NOW, seen_at=NOW,
    )  # fmt: skip
    probe = context.index.probe(LANG, sketch, now=NOW)
    membership = membership_of(article, sketch, probe, NewStory(score=0.0), 0)
    context.index.attach(
        article, sketch, membership, seq=probe.seq, now=NOW, entry_id=EntryId(name)
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bases=BASES, seed=st.integers(0, 2**32 - 1))
def test_probe_when_sets_are_random_then_finds_what_datasketch_finds(
    redis_url: str, bases: list[int], seed: int
) -> None:
    """With the same bands both name the same candidates, below the cap of a probe's answer."""
    context = Context(settings=ROOMY, redis_url=redis_url)
    context.client.flushall()
    context.check()
    sketches = [_sketch(s) for s in _sets(bases, seed)]
    oracle = MinHashLSH(num_perm=PARAMS.num_perm, params=(PARAMS.copy_bands, PARAMS.copy_rows))
    for number, sketch in enumerate(sketches):
        found = {c.article_id for c in context.index.probe(LANG, sketch, now=NOW).copies}
        assert found == set(oracle.query(_minhash(sketch.signature)))
        _attach(context, sketch, number)
        oracle.insert(f"{number:016x}", _minhash(sketch.signature))


@pytest.mark.parametrize("size", [1, 2, 7, 300, 20_000])
def test_copy_signature_when_compared_with_datasketch_then_the_same(size: int) -> None:
    """Handing over the set as one array gives what datasketch computes member by member."""
    members = np.unique(np.random.default_rng(size).integers(0, 2**32, size, dtype=np.uint32))
    oracle = MinHash(num_perm=128, seed=1, hashfunc=int, scheme="affine32")
    for member in members.tolist() if size < 1_000 else ():
        oracle.update(member)
    if size >= 1_000:
        oracle.update_batch(members.tolist())
    assert copy_signature(members, 128) == oracle.hashvalues.astype("<u4").tobytes()
