"""Salient terms, their packed form, and document frequencies."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.salience import (
    DF_BUCKETS,
    LEAD,
    NAME,
    NUMBER,
    TITLE,
    VECTOR,
    DocumentFrequencies,
    df_offsets,
    quantise,
    salient_terms,
    static_idf,
    term_hash,
)

COMMON = {"the": 0.9, "of": 0.8, "bridge": 0.02, "closed": 0.05, "harbour": 0.001}


def prior(token: str) -> float:
    """Return a small fixed table's probability."""
    return COMMON.get(token, 1e-4)


def test_salient_terms_when_packed_then_kinds_and_order_hold() -> None:
    """Weightiest first, common words and single letters left out, kinds as bits."""
    body = "the harbour bridge of Velmar closed s 40 Velmar bridge".casefold().split()
    vector, words = salient_terms(
        ["bridge", "closed"], body, ["velmar", "velmar"], prior=prior, limit=10
    )
    rows = np.frombuffer(vector, VECTOR)
    kinds = dict(zip(words, rows["kind"].tolist(), strict=True))
    assert VECTOR.itemsize == 7
    assert words[0] == "velmar"
    assert set(words) == {"velmar", "bridge", "closed", "harbour", "40"}
    assert kinds["velmar"] == NAME | LEAD
    assert kinds["bridge"] == TITLE | LEAD
    assert kinds["40"] == NUMBER | LEAD
    assert rows["tf"][words.index("bridge")] == 3
    assert rows["term"].tolist() == [term_hash(word) for word in words]


@given(st.lists(st.sampled_from(["abc", "def", "ghi", "jkl", "mno", "pqr"]), max_size=60))
def test_salient_terms_when_words_shuffle_outside_the_lead_then_same(words: list[str]) -> None:
    """Beyond the opening only the counts matter."""
    lead = ["opening"] * 60
    there = salient_terms([], lead + words, [], prior=prior, limit=4)
    back = salient_terms([], lead + words[::-1], [], prior=prior, limit=4)
    assert there == back
    assert len(there[1]) <= 4


def test_salient_terms_when_text_is_empty_then_empty_vector() -> None:
    """No words, no terms."""
    assert salient_terms([], [], [], prior=prior, limit=4) == (b"", ())


def test_term_hash_when_computed_anywhere_then_this_value() -> None:
    """The index stores hashes for days: the function may never change."""
    assert term_hash("bridge") == 0x12579D00


@given(st.floats(1e-4, 1.0))
def test_quantise_when_decoded_then_close(probability: float) -> None:
    """One byte keeps -ln(p) to a fiftieth."""
    code = np.array([quantise(probability)], np.uint8)
    assert static_idf(code)[0] == pytest.approx(-math.log(probability), abs=0.021)


def test_idf_when_stream_is_empty_then_static() -> None:
    """A fresh index weighs by the prior alone."""
    nothing = DocumentFrequencies.of_parts([], 0)
    terms, priors = np.array([1, 2], np.uint32), np.array([25, 100], np.uint8)
    assert nothing.idf(terms, priors) == pytest.approx([1.0, 4.0])


def test_idf_when_term_is_in_every_article_then_worthless() -> None:
    """Counts of all parts add up, short strings are padded, and a flood lowers the weight."""
    offset = 3
    one = np.zeros(offset + 1, ">u2")
    one[offset] = 5000
    stream = DocumentFrequencies.of_parts([one.tobytes(), one.tobytes()[:-1], b""], 10_000)
    terms = np.array([offset, offset + DF_BUCKETS, 4], np.uint32)
    assert int(stream.counts[offset]) == 5000 + (5000 & 0xFF00)
    frequent, same_bucket, unseen = stream.idf(terms, np.array([200, 200, 200], np.uint8))
    assert frequent == same_bucket
    assert frequent < 0.2
    assert unseen > 8.0


def test_idf_when_bucket_counts_exceed_documents_then_never_negative() -> None:
    """Two terms in one bucket can count more articles than there are."""
    raw = np.array([900], ">u2").tobytes()
    stream = DocumentFrequencies.of_parts([raw], 10)
    assert stream.idf(np.array([0], np.uint32), np.array([1], np.uint8))[0] == 0.0


def test_df_offsets_when_terms_share_a_bucket_then_counted_once() -> None:
    """An article counts once in a bucket."""
    rows = np.array([(5, 1, 9, 0), (5 + DF_BUCKETS, 1, 9, 0), (7, 1, 9, 0)], VECTOR)
    assert df_offsets(rows.tobytes()) == [5, 7]
