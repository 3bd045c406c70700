"""The index of one language after another: probe, attach, document frequencies, fingerprint.

What is older than the window is not seen any more and leaves as new articles come; nothing walks
over the index. What scripts compute is bounded by constants, never by what the index holds.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from functools import lru_cache

import msgpack
import redis

from worker.core.salience import DocumentFrequencies, df_offsets
from worker.core.signatures import band_buckets, slot_buckets, story_slots
from worker.errors import FingerprintMismatchError
from worker.model import (
    Article,
    ArticleId,
    EntryId,
    IndexParams,
    Probe,
    Sketch,
    StoryCandidate,
    StoryId,
)
from worker.store.client import store_errors
from worker.store.keys import Keys, story_lang
from worker.store.packed import (
    TEXT_WIDTH,
    article_record,
    copy_candidate,
    pack_exemplars,
    story_candidate,
    text_record,
)
from worker.store.replays import kept
from worker.store.scripts import Scripts

# How text becomes tokens, terms, signatures and buckets. Raised by every change to that: signatures
# of two schemes do not meet.
SCHEME = 5
# Recall of the true story among the 16 that share the most telling buckets was .986 on the labelled
# stream, .989 among 32. The decision's weights were fitted with 16.
STORY_CANDIDATES = 16
COPY_CANDIDATES = 32
# An attach is refused over a rival that shares two buckets. Accounts of one event share ten; one is
# chance, and would make workers repeat probes for nothing.
RIVAL_HITS = 2
# The age of an entry of the index is known to this part of the window (AGES in pages.lua).
AGES = 32
# Document frequencies are counted by halves of the window, which expire whole.
DF_PARTS = 2
# A worker reads the stream's document frequencies (512 KiB a half) again after so many
# attaches at most, and in a young index after every 32nd part of it: they move slowly later on.
FREQUENCIES_EVERY = 256
# What Redis keeps longer than anybody may look at it: an hour, so that clocks do not matter, and less
# where what is kept lives for hours or minutes itself, so that it does not outlive that many times.
_SLACK_S, _SLACK_SHARE = 3_600, 1 / 8

OPENS = 0  # the version of a story that is not there yet
ANY_VERSION = -1  # a reprint joins its original's story however that has changed


class Refusal(Enum):
    """Why attach wrote nothing."""

    CONFLICT = "conflict"  # the index changed since the probe: probe and decide again
    TAKEN = "taken"  # the new story's id belongs to another story


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The article is a member already, claimed by ``entry_id``; the rest as of a Member."""

    story_id: StoryId
    entry_id: EntryId
    original: ArticleId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The article became a member; ``original`` is the text published first, if not this one."""

    story_id: StoryId
    original: ArticleId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What attach is asked to write."""

    story_id: StoryId
    version: int  # the story's, as probed; or OPENS, or ANY_VERSION
    exemplars: tuple[bytes, ...]  # the story's from now on; none leaves them as they are
    exemplar_ids: tuple[ArticleId, ...]
    copy_of: ArticleId | None
    score: float
    evidence: bytes  # for `why`; see core.evidence


class Index:
    """The articles and stories of one namespace, by language."""

    def __init__(
        self, client: redis.Redis, keys: Keys, params: IndexParams, *, retention_s: float
    ) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys
        self._params = params
        self._retention_s = int(max(retention_s, params.window_s))
        self._frequencies: dict[str, tuple[tuple[int, int], DocumentFrequencies]] = {}

    @store_errors()
    def ensure_fingerprint(self) -> None:
        """Write what shapes signatures on the first use of a namespace, and refuse a mismatch.

        datasketch answers nothing at all when an index is read with other parameters.

        Raises:
            FingerprintMismatchError: names every parameter that differs.
        """
        mine = fingerprint(self._params)
        raw = self._client.get(self._keys.fingerprint)
        if raw is None:  # not written where it is there, so that a full server can be looked at
            self._client.set(self._keys.fingerprint, json.dumps(mine, sort_keys=True), nx=True)
            raw = self._client.get(self._keys.fingerprint)
        theirs = json.loads(raw or b"{}")
        differences = [
            f"{name} is {theirs.get(name)} there and {mine.get(name)} here"
            for name in sorted(mine.keys() | theirs.keys())
            if mine.get(name) != theirs.get(name)
        ]
        if differences:
            raise FingerprintMismatchError(self._keys.namespace, differences)

    def probe(
        self,
        lang: str,
        sketch: Sketch,
        *,
        now: float,
        most_stories: int = STORY_CANDIDATES,
        keep: str = "",
    ) -> Probe:
        """Return the few articles and stories that share most buckets with a sketch.

        Args:
            lang: of the article.
            sketch: of the article.
            now: event time, Unix seconds.
            most_stories: at most so many.
            keep: the article, where it may be cut off and ask again: it is told the same as long as no
                other article of its language has asked in this way.

        Cost: one round trip, bands + slots look-ups, whatever the index holds.
        """
        packed = self._scripts.run(
            "probe",
            [self._keys.lang_prefix(lang) + "seq"],
            {
                "prefix": self._keys.lang_prefix(lang),
                "lang": lang,
                "today": _today(now, self._params),
                "text_width": TEXT_WIDTH,
                **_buckets(sketch, self._params),
                "most_copies": COPY_CANDIDATES,
                "most_stories": most_stories,
                "keep": keep,
            },
        )
        seq, ids_read, copies, stories = msgpack.unpackb(packed, raw=True)
        return Probe(
            seq=seq,
            ids_read=ids_read,
            copies=tuple(copy_candidate(text, story) for text, story in copies),
            stories=tuple(story_candidate(name, record) for name, record in stories),
        )

    def attach(
        self,
        article: Article,
        sketch: Sketch,
        membership: Membership,
        *,
        seq: int,
        now: float,
        entry_id: EntryId,
    ) -> Member | Known | Refusal:
        """Make an article a member of a story, once, and let later articles find it."""
        df_part = df_parts(now, self._params)[0]
        answer = self._scripts.run(
            "attach",
            [self._keys.lang_prefix(article.lang) + "seq"],
            {
                "prefix": self._keys.lang_prefix(article.lang),
                "lang": article.lang,
                "seq": seq,
                "now": now,
                "ttl": self._retention_s,
                "published_at": article.published_at,
                "at": article.at,
                "article": article.article_id,
                "article_raw": bytes.fromhex(article.article_id),
                "record": article_record(
                    article,
                    entry_id,
                    shingles=sketch.shingles,
                    score=membership.score,
                    evidence=membership.evidence,
                ),
                "source": article.source,
                "title": article.title,
                "story": membership.story_id,
                "story_raw": _story_raw(membership.story_id),
                "version": membership.version,
                "exemplars": pack_exemplars(membership.exemplars, membership.exemplar_ids),
                "copy_of": membership.copy_of or "",
                "text": text_record(article, sketch),
                "today": _today(now, self._params),
                "index_ttl": int(self._params.window_s) + slack_s(self._params.window_s),
                "df_part": df_part,
                "df_ttl": self._df_ttl(df_part, now),
                "cap": self._params.bucket_cap,
                "min_hits": RIVAL_HITS,
                **_buckets(sketch, self._params),
                "df": [f"#{bucket}" for bucket in df_offsets(sketch.vector)],
            },
        )
        if answer[0] == b"attached":
            original = ArticleId(answer[1].decode()) if answer[1] else None
            return Member(story_id=membership.story_id, original=original)
        if answer[0] == b"known":
            return Known(
                story_id=StoryId(answer[1].decode()),
                entry_id=EntryId(answer[2].decode()),
                original=ArticleId(answer[3].decode()) if answer[3] else None,
            )
        return Refusal(answer[0].decode())

    def merge(
        self,
        into: StoryCandidate,
        other: StoryCandidate,
        exemplars: tuple[Sequence[bytes], Sequence[ArticleId]],
        *,
        bridge: ArticleId,
        now: float,
    ) -> bool:
        """Make a story part of another one, unless either changed since it was probed.

        Its id stands for the other story's from then on, and its articles are members of that one.
        """
        prefix = self._keys.lang_prefix(story_lang(into.story_id))
        return bool(
            self._scripts.run(
                "merge",
                [prefix + "seq"],
                {
                    "prefix": prefix,
                    "into": into.story_id,
                    "from": other.story_id,
                    "versions": [into.version, other.version],
                    "exemplars": pack_exemplars(*exemplars),
                    "bridge": bridge,
                    "now": now,
                    "ttl": self._retention_s,
                },
            )
        )

    def split(
        self,
        story: StoryCandidate,
        moved: Sequence[ArticleId],
        *,
        opens: StoryId,
        now: float,
    ) -> bool:
        """Take exemplars out of a story, with the texts that copy them, as a story of their own.

        Nothing happens if the story changed since it was probed.
        """
        prefix = self._keys.lang_prefix(story_lang(opens))
        known = list(zip(story.exemplars, story.exemplar_ids, strict=True))
        go = [(vector, i) for vector, i in known if i in moved]
        stay = [(vector, i) for vector, i in known if i not in moved]
        slots = self._params.story_slots
        return bool(
            self._scripts.run(
                "split",
                [prefix + "seq"],
                {
                    "prefix": prefix,
                    "story": story.story_id,
                    "version": story.version,
                    "opens": opens,
                    "opens_raw": _story_raw(opens),
                    "moved": [i for _, i in go],
                    "buckets": [slot_buckets(story_slots(vector, slots)) for vector, _ in go],
                    "stay": pack_exemplars(*zip(*stay, strict=True)),
                    "go": pack_exemplars(*zip(*go, strict=True)),
                    "today": _today(now, self._params),
                    "cap": self._params.bucket_cap,
                    "now": now,
                    "ttl": self._retention_s,
                },
            )
        )

    @store_errors()
    def frequencies(
        self, lang: str, *, seq: int, now: float, keep: bool = False
    ) -> DocumentFrequencies:
        """Return the stream's document frequencies, of the first attaches all, later nearly all.

        The age is counted in attaches, not in seconds, so that a replay sees the same numbers; what one
        is to see again after it was cut off is kept.
        """
        parts = df_parts(now, self._params)
        age = (df_read_at(seq), parts[0])
        cached = self._frequencies.get(lang)
        if cached and cached[0] == age:
            return cached[1]
        prefix = self._keys.lang_prefix(lang)
        keys = [f"{prefix}df:{p}" for p in parts] + [f"{prefix}docs:{p}" for p in parts]
        raw = self._client.mget(kept(self._client, prefix, keys, age) if keep else keys)
        tables, docs = raw[: len(parts)], raw[len(parts) :]
        frequencies = DocumentFrequencies.of_parts(
            [table for table in tables if table], sum(int(n or 0) for n in docs)
        )
        self._frequencies[lang] = (age, frequencies)
        return frequencies

    def _df_ttl(self, part: int, now: float) -> int:
        """Return after how many seconds nobody can look at a part any more."""
        length = self._params.window_s / DF_PARTS
        left_s = int((part + 1) * length + self._params.window_s - now)
        return left_s + slack_s(self._params.window_s)


def slack_s(kept_s: float) -> int:
    """Return how much longer Redis keeps what is to be kept for so long."""
    return int(min(_SLACK_S, kept_s * _SLACK_SHARE))


def stamp(now: float, params: IndexParams) -> int:
    """Return the time of an attach in the units that the index knows it in; it has two bytes of it."""
    return int(now / params.window_s * AGES)


def _today(now: float, params: IndexParams) -> int:
    return stamp(now, params) % 2**16


def df_read_at(seq: int) -> int:
    """Return after which attach a worker reads the document frequencies that it uses after another."""
    step = min(FREQUENCIES_EVERY, 1 << max(0, seq.bit_length() - 6))
    return seq // step * step


def df_parts(now: float, params: IndexParams) -> list[int]:
    """Return the parts of the document frequencies that overlap [now - window, now], newest first."""
    length = params.window_s / DF_PARTS
    newest, oldest = int(now // length), int((now - params.window_s) // length)
    return list(range(newest, oldest - 1, -1))


def fingerprint(params: IndexParams) -> dict[str, object]:
    """Return everything that two indexes must share for one to read the other."""
    return {**asdict(params), "scheme": SCHEME}


def with_salt(story_id: StoryId, salt: int) -> StoryId:
    """Return another id for a new story whose first choice was taken (odds 2**-48 a story)."""
    lang, _, digits = story_id.partition("-")
    return StoryId(f"{lang}-{(int(digits, 16) + salt) % 2**48:012x}")


def _story_raw(story_id: StoryId) -> bytes:
    return bytes.fromhex(story_id.partition("-")[2])


@lru_cache(maxsize=1)  # probe and attach of one article ask for the same
def _buckets(sketch: Sketch, params: IndexParams) -> dict[str, bytes]:
    """Return the buckets of a sketch as the scripts take them."""
    return {
        "bands": band_buckets(sketch.signature, params),
        "slots": slot_buckets(sketch.slots),
    }
