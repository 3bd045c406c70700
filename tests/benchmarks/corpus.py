"""A stream of any length out of real sentences, as sketches: nothing of a text is written anywhere.

An article of the stream takes runs of sentences from a few source articles. Every twentieth is a
reprint of a recent one with a tenth of its sentences changed. Sentences are signed once; an article's
MinHash is the minimum of its sentences' and its parities are theirs, differing (both exact for the
shingles inside sentences, if none is in two of them; those across their ends, two of about twenty, are
left out), its terms are its sentences' with their counts added. That takes a tenth of the time of
signing a million texts and gives the index the same work.
"""

import random
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worker.core import likeness, salience, signatures, text
from worker.core.salience import LEAD, NAME, NUMBER, TITLE, VECTOR, Prior
from worker.model import IndexParams, Sketch
from worker.steps.records import Record, read_source

SEED = 20_181_229
TOPICS = 3  # source articles that one article draws on
RUN = 4  # sentences in a row from one source, at most
LONGEST = 60  # sentences
REPRINTS = 0.05
CHANGED = 0.1  # of a reprint's sentences
RECENT = 1_000  # articles back that a reprint may take after
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_SHORTEST = 5  # tokens of a sentence
_TERMS = 255  # kept of a sentence: all
_WORD = "article"  # stands for every term in the evidence: what matters there is its length


def real_texts(path: Path, limit: int) -> list[Record]:
    """Return the first records of a file that have a text."""
    records = (r for r in read_source(str(path), now=0.0) if isinstance(r, Record))
    return list(islice((r for r in records if r.draft.text), limit))


class Recombined:
    """Source articles, cut into signed sentences.

    Cost: .5 ms a sentence to make, 1.8 kB a sentence to keep.
    """

    def __init__(self, records: Sequence[Record], params: IndexParams, prior: Prior) -> None:
        self._params = params
        signed: list[NDArray[np.uint32]] = []
        parities: list[NDArray[np.uint8]] = []
        self._terms: list[NDArray[np.void]] = []
        self._shingles: list[int] = []
        self._articles: list[range] = []
        for record in records:
            first = len(self._terms)
            for sentence in _SENTENCE_END.split(text.normalise(record.draft.text))[:LONGEST]:
                tokens = text.tokens(sentence)
                if len(tokens) < _SHORTEST:
                    continue
                shingles = signatures.shingles(tokens)
                signature = signatures.copy_signature(shingles, params.num_perm)
                names = text.names(text.plain(sentence))
                vector, _ = salience.salient_terms((), tokens, names, prior=prior, limit=_TERMS)
                signed.append(np.frombuffer(signature, "<u4"))
                parities.append(np.frombuffer(likeness.parities(shingles), np.uint8))
                self._terms.append(np.frombuffer(vector, VECTOR))
                self._shingles.append(len(shingles))
            if len(self._terms) > first:
                self._articles.append(range(first, len(self._terms)))
        self._signed, self._parities = np.stack(signed), np.stack(parities)

    def sketches(self, *, seed: int = SEED) -> Iterator[Sketch]:
        """Yield sketches without end, the same for one seed."""
        draw = random.Random(seed)
        recent: deque[list[int]] = deque(maxlen=RECENT)
        while True:
            if recent and draw.random() < REPRINTS:
                chosen = [
                    draw.randrange(len(self._terms)) if draw.random() < CHANGED else s
                    for s in draw.choice(recent)
                ]
            else:
                chosen = self._compose(draw)
            recent.append(chosen)
            yield self._sketch(chosen)

    def _compose(self, draw: random.Random) -> list[int]:
        topics = draw.choices(self._articles, k=TOPICS)
        length = max(3, len(draw.choice(self._articles)))
        chosen: list[int] = []
        while len(chosen) < length:
            topic = draw.choice(topics)
            start = draw.randrange(len(topic))
            chosen += topic[start : start + draw.randint(1, RUN)]
        return list(dict.fromkeys(chosen[:length]))

    def _sketch(self, sentences: Sequence[int]) -> Sketch:
        chosen, vector = list(sentences), self._merged(sentences)
        return Sketch(
            shingles=sum(self._shingles[s] for s in sentences),
            signature=self._signed[chosen].min(axis=0).astype("<u4").tobytes(),
            parities=np.bitwise_xor.reduce(self._parities[chosen]).tobytes(),
            slots=signatures.story_slots(vector, self._params.story_slots),
            vector=vector,
            words=(_WORD,) * (len(vector) // VECTOR.itemsize),
        )

    def _merged(self, sentences: Sequence[int]) -> bytes:
        """Return the weightiest terms of some sentences, the first one as title and lead."""
        parts = [self._terms[s] for s in sentences]
        rows = np.concatenate(parts)
        kinds = rows["kind"] & (NAME | NUMBER)
        kinds[: len(parts[0])] |= TITLE | LEAD
        terms, first, place = np.unique(rows["term"], return_index=True, return_inverse=True)
        kind = np.zeros(len(terms), np.uint8)
        np.bitwise_or.at(kind, place, kinds)
        merged = np.empty(len(terms), VECTOR)
        merged["term"], merged["prior"], merged["kind"] = terms, rows["prior"][first], kind
        merged["tf"] = np.minimum(np.bincount(place, rows["tf"]), 255)
        weight = salience.term_weight(merged["tf"]) * merged["prior"]
        return merged[np.argsort(-weight, kind="stable")[: self._params.story_terms]].tobytes()
