"""Signatures against the definitions that they estimate."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.salience import VECTOR
from worker.core.signatures import (
    band_buckets,
    copy_signature,
    shingles,
    slot_buckets,
    story_slots,
)
from worker.core.sketch import sketch
from worker.core.text import read
from worker.model import IndexParams

PARAMS = IndexParams(
    num_perm=128,
    copy_bands=42,
    copy_rows=3,
    story_slots=64,
    story_terms=64,
    bucket_cap=32,
    window_s=604_800.0,
)


def _set(start: int, stop: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return shingles([f"w{i}" for i in range(start, stop)], width=1)


def _vector(weights: dict[int, int]) -> bytes:
    """Return terms of tf 1 whose weight is their prior code."""
    return np.array([(term, 1, code, 0) for term, code in weights.items()], VECTOR).tobytes()


def test_shingles_when_runs_repeat_then_counted_once() -> None:
    """A set has no repetitions; its members are runs in order."""
    assert len(shingles(["a", "b", "c", "a", "b", "c"])) == 3
    assert shingles(["a", "b", "c"]).tolist() != shingles(["c", "b", "a"]).tolist()
    assert len(shingles(["a", "b"])) == 1
    assert len(shingles([])) == 0


@settings(deadline=None)  # the first one loads datasketch
@given(st.permutations(["aa bb cc", "dd ee ff", "gg hh ii"]))
def test_copy_signature_when_set_is_reordered_then_same(order: list[str]) -> None:
    """MinHash sees sets: the order of members does not matter."""
    members = shingles([part for text in order for part in text.split()], width=1)
    reference = shingles(["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii"], width=1)
    assert copy_signature(members, 128) == copy_signature(reference, 128)
    assert len(copy_signature(members, 128)) == 4 * 128


def test_copy_signature_when_set_is_empty_then_refuses() -> None:
    """Two empty sets would pass for copies of each other."""
    with pytest.raises(ValueError, match="empty"):
        copy_signature(shingles([]), 128)


def _four_each(buckets: bytes) -> list[bytes]:
    return [buckets[at : at + 4] for at in range(0, len(buckets), 4)]


def test_band_buckets_when_computed_then_name_band_and_rows() -> None:
    """Equal rows of one band share a bucket; the same rows in another band do not."""
    signature = copy_signature(_set(0, 50), 128)
    buckets = _four_each(band_buckets(signature, PARAMS))
    assert len(buckets) == len(set(buckets)) == 42
    changed = signature[:12] + bytes(12) + signature[24:]
    others = _four_each(band_buckets(changed, PARAMS))
    assert [a == b for a, b in zip(buckets, others, strict=True)] == [True, False] + [True] * 40
    assert len(set(_four_each(band_buckets(signature[:12] * 42 + bytes(8), PARAMS)))) == 42
    assert band_buckets(b"", PARAMS) == b""


def test_band_buckets_when_half_is_shared_then_some_band_agrees() -> None:
    """Recall at Jaccard .5 is .996: of forty pairs at most two may be missed."""
    missed = 0
    for i in range(40):
        a, b = _set(1000 * i, 1000 * i + 90), _set(1000 * i + 30, 1000 * i + 120)
        keys = [set(_four_each(band_buckets(copy_signature(s, 128), PARAMS))) for s in (a, b)]
        missed += not keys[0] & keys[1]
    assert missed <= 2


def test_story_slots_when_weights_differ_then_collide_as_often_as_defined() -> None:
    """Agreement approaches the probability Jaccard of the squared weights."""
    ours, theirs = {1: 200, 2: 100, 3: 50}, {1: 100, 2: 100, 4: 150}
    slots = 4000
    a, b = (np.frombuffer(story_slots(_vector(v), slots), "<u4") for v in (ours, theirs))
    left, right = ({t: w * w for t, w in v.items()} for v in (ours, theirs))
    exact = 0.0
    for term in left.keys() & right.keys():
        every = left.keys() | right.keys()
        total = sum(max(left.get(t, 0) / left[term], right.get(t, 0) / right[term]) for t in every)
        exact += 1.0 / total
    assert abs(float(np.mean(a == b)) - exact) <= 3 / math.sqrt(slots)


def test_story_slots_when_terms_are_reordered_then_same() -> None:
    """A vector's order is for reading only."""
    forward, backward = {1: 90, 2: 80, 3: 70}, {3: 70, 2: 80, 1: 90}
    assert story_slots(_vector(forward), 64) == story_slots(_vector(backward), 64)
    assert story_slots(b"", 64) == b""


def test_slot_buckets_when_a_term_won_two_slots_then_two_buckets() -> None:
    """A bucket is named by the slot and the term that won it."""
    buckets = _four_each(slot_buckets(story_slots(_vector({7: 90}), 3)))
    assert len(set(buckets)) == 3
    assert buckets[:2] == _four_each(slot_buckets(story_slots(_vector({7: 20}), 2)))
    assert slot_buckets(b"") == b""


@pytest.mark.parametrize(
    ("title", "body", "digest"),
    [
        (
            "Harbour bridge closed after storm",
            (
                "The mayor of Norvale, Irma Holt, closed the harbour bridge on Sunday after 2,000 tonnes "
                "of ice broke loose. U.S. engineers will look at its piers before Tuesday; ferries run "
                "every 15 minutes."
            ),
            "42b2ac779499bb06",
        ),
        (
            "Η γέφυρα έκλεισε",  # noqa: RUF001
            (
                "Η δήμαρχος της Νορβάλης έκλεισε τη γέφυρα του λιμανιού την Κυριακή μετά την καταιγίδα. "  # noqa: RUF001
                "Οι μηχανικοί θα ελέγξουν τις βάσεις της."  # noqa: RUF001
            ),
            "29aea165c0fb956b",
        ),
        (
            "港の橋が閉鎖",
            (
                "嵐のあと、市長は日曜日に港の橋を閉鎖した。技術者が火曜日までに橋脚を調べる。"
                "フェリーは15分ごとに出る。"
            ),
            "e074d1b8dcb223dc",
        ),
        ("Only a title", "", "07fcff986cbe4397"),
    ],
)
def test_sketch_when_made_again_then_the_same_to_the_bit(
    title: str, body: str, digest: str
) -> None:
    """An index keeps sketches for days: a change of these digests needs a new scheme in it."""
    made = sketch(
        read(title),
        read(body),
        params=PARAMS,
        prior=lambda w: 0.5 if len(w) < 3 else 0.002 * len(w),
    )
    parts = (made.shingles, made.signature, made.parities, made.slots, made.vector, made.words)
    assert hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest() == digest
