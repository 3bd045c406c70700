"""Counts stories over, for the audit: each story's own figures beside those of its articles.

A story's articles are read in several steps, so a reading counts only when the story's version is the
same before and after it. What is written is written by a script that asks for that version again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypeVar

import redis

from worker.errors import StoreError
from worker.model import ArticleId, StoryId
from worker.store.census import Flaw
from worker.store.client import store_errors
from worker.store.index import slack_s
from worker.store.keys import Keys, story_lang
from worker.store.packed import ArticleRecord, StoryRecord, stands_for
from worker.store.scripts import Scripts

READ = 500  # records read in one go: some 0.3 ms of Redis's time
LISTED = 2_000  # ids of a list read in one go: as long
# A story that changes while it is read is read again. Reading takes some milliseconds and a story
# changes a few times a second at most; one that changed so often is left to the next audit.
TRIES = 20
MOST_DROPPED = 500  # ids that one mend takes off a list; the next round takes more

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One story as its record has it, and everything that this should sum up."""

    story_id: StoryId
    record: StoryRecord
    listed: tuple[
        bytes, ...
    ]  # its article ids; of a story of one article, which has no list, that one
    has_lists: bool
    articles: Mapping[bytes, ArticleRecord]  # the records that there are
    sources: Mapping[str, int]  # publisher -> own accounts, as counted
    originals: Mapping[bytes, bytes | None]  # root of a family -> the text published first

    @property
    def strangers(self) -> list[bytes]:
        """The listed articles that name another story."""
        mine = self.story_id.encode()
        return [i for i in self.listed if i in self.articles and self.articles[i].story != mine]

    @property
    def lost(self) -> list[bytes]:
        """The listed articles that have no record."""
        return [i for i in self.listed if i not in self.articles]

    @property
    def living(self) -> dict[bytes, ArticleRecord]:
        """Its articles that are there, by id."""
        mine = self.story_id.encode()
        return {
            i: self.articles[i]
            for i in self.listed
            if i in self.articles and self.articles[i].story == mine
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a story should say of itself."""

    drop: tuple[bytes, ...]  # ids to take off its list
    size: int
    copies: int
    sources: Mapping[str, int]
    originals: Mapping[bytes, bytes]  # of families whose original was not right


class StoryBooks:
    """The figures of the stories of one namespace."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        *,
        retention_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys
        self._retention_s = int(retention_s)
        self._clock = clock

    def check(self, lang: str, ids: Sequence[str], *, mend: bool) -> Iterator[Flaw]:
        """Yield what is wrong with the figures of stories of a language.

        Cost: O(articles), each story read once, one that seems wrong once more by itself.
        """
        since = self._retained_since(lang)
        for books in self._read([StoryId(i) for i in ids]):
            if flaws_of(books, since):
                yield from self._confirmed(books.story_id, since, mend=mend)

    @store_errors()
    def _retained_since(self, lang: str) -> float:
        """Return from when on retention has removed nothing, by this clock and that of the attaches."""
        key = self._keys.lang_prefix(lang) + "stories"
        newest = self._client.zrange(key, -1, -1, withscores=True)
        now: float = max([self._clock(), *(score for _, score in newest)])
        return now - self._retention_s + slack_s(self._retention_s)

    def _confirmed(self, story_id: StoryId, since: float, *, mend: bool) -> list[Flaw]:
        """Return what is wrong with a story that did not change while it was read."""
        for _ in range(TRIES):
            read = self._read([story_id])
            if not read:
                return []  # it expired, or became part of another one
            flaws = flaws_of(read[0], since)
            if self._version(story_id) == read[0].record.version:
                mended = bool(flaws) and mend and self._write(read[0], since)
                return [replace(flaw, mended=mended) for flaw in flaws]
        return []

    def _write(self, books: Books, since: float) -> bool:
        """Write a story's right figures, unless it changed since."""
        right, living = figures(books, since), books.living
        founder = books.record.founder
        if founder not in living:
            founder = next(iter(living), founder)
        source = living[founder].source if founder in living else books.record.source
        has_lists = books.has_lists or right.sources != {source.decode(): 1}
        prefix = self._keys.lang_prefix(story_lang(books.story_id))
        return bool(
            self._scripts.run(
                "right_story",
                [prefix + "seq"],
                {
                    "prefix": prefix,
                    "story": books.story_id,
                    "version": books.record.version,
                    "ttl": self._retention_s,
                    "drop": right.drop,
                    "size": right.size,
                    "copies": right.copies,
                    "founder": founder,
                    "source": source,
                    "sources": list(chain.from_iterable(right.sources.items()))
                    if has_lists
                    else [],
                    "originals": list(chain.from_iterable(right.originals.items())),
                },
            )
        )

    @store_errors()
    def _version(self, story_id: StoryId) -> int:
        raw = self._client.get(self._keys.story(story_id))
        record = _story(raw)
        return record.version if record else 0

    @store_errors()
    def _read(self, ids: Sequence[StoryId]) -> list[Books]:
        with self._client.pipeline(transaction=False) as pipe:
            for story_id in ids:
                pipe.get(self._keys.story(story_id))
                pipe.zrange(self._keys.members(story_id), 0, LISTED - 1)
                pipe.hgetall(self._keys.sources(story_id))
            answers = pipe.execute()
        books = []
        for story_id, raw, first, raw_sources in zip(
            ids, answers[::3], answers[1::3], answers[2::3], strict=True
        ):
            record = _story(raw)
            if record is None:
                continue  # it expired, became part of another one, or is torn: others look for that
            listed = list(first)
            while listed and len(listed) % LISTED == 0:
                more = self._client.zrange(
                    self._keys.members(story_id), len(listed), len(listed) + LISTED - 1
                )
                if not more:
                    break
                listed += more
            sources = {name.decode(): int(own) for name, own in raw_sources.items()}
            # A story of one article has no lists of members and publishers.
            is_single = record.size == 1 and not listed
            books.append(
                Books(
                    story_id=story_id,
                    record=record,
                    listed=(record.founder,) if is_single else tuple(listed),
                    has_lists=not is_single or bool(sources),
                    articles={},
                    sources=sources or ({record.source.decode(): 1} if is_single else {}),
                    originals={},
                )
            )
        return self._with_articles(books)

    def _with_articles(self, books: Sequence[Books]) -> list[Books]:
        """Return the same with the records of their articles, and the originals of their families.

        A story with an article whose record is torn is left out until that is mended.
        """
        names = [(story_lang(b.story_id), i) for b in books for i in b.listed]
        raw = self._get([self._keys.article(lang, ArticleId(i.decode())) for lang, i in names])
        records = {n: _article(one) if one else None for n, one in zip(names, raw, strict=True)}
        torn = {n for n, one in zip(names, raw, strict=True) if one and not records[n]}
        books = [b for b in books if not any((story_lang(b.story_id), i) in torn for i in b.listed)]
        articles = [
            {i: r for i in b.listed if (r := records[story_lang(b.story_id), i])} for b in books
        ]
        roots = [
            (story_lang(b.story_id), root)
            for b, known in zip(books, articles, strict=True)
            for root in {r.root for r in known.values() if r.root}
        ]
        families = [f"{self._keys.lang_prefix(lang)}family:{root.decode()}" for lang, root in roots]
        originals = dict(zip(roots, self._get(families), strict=True))
        return [
            Books(
                story_id=b.story_id,
                record=b.record,
                listed=b.listed,
                has_lists=b.has_lists,
                articles=known,
                sources=b.sources,
                originals={
                    root: originals[story_lang(b.story_id), root]
                    for root in {r.root for r in known.values() if r.root}
                },
            )
            for b, known in zip(books, articles, strict=True)
        ]

    def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for step in _steps(keys, READ):
            with self._client.pipeline(transaction=False) as pipe:
                for key in step:
                    pipe.get(key)
                found += pipe.execute()
        return found


def flaws_of(books: Books, since: float) -> list[Flaw]:
    """Return what is wrong with a story's figures; ``since`` is as in ``figures``."""
    record, right = books.record, figures(books, since)
    found: list[tuple[object, ...]] = [("stranger", i.decode()) for i in books.strangers]
    found += [("member_lost", i.decode()) for i in books.lost if i in right.drop]
    if not right.size:
        found.append(("story_empty",))
    elif record.size != right.size + len(right.drop):
        found.append(("story_size", record.size, len(books.listed) + record.past))
    elif not right.drop:  # with that put right, the others may be
        if record.copies != right.copies:
            found.append(("story_copies", record.copies, right.copies))
        if books.sources != right.sources:
            sums = (sum(books.sources.values()), sum(right.sources.values()))
            found.append(
                ("story_sources", len(books.sources), sums[0], len(right.sources), sums[1])
            )
    found += [("family", root.decode()) for root in right.originals]
    return [
        Flaw(kind=str(kind), subject=books.story_id, figures=tuple(about)) for kind, *about in found
    ]


def figures(books: Books, since: float) -> Figures:
    """Return what a story should say of itself.

    Args:
        books: as read.
        since: from when on retention has removed nothing. An older story may have lost articles to
            it, and what it says of copies and publishers may be of all that it ever had: that is
            right when it is not below that of the articles that are there.
    """
    record, living = books.record, books.living
    is_aged = min(record.first_at, record.opened_at) < since
    drop = [*books.strangers, *([] if is_aged else books.lost)][:MOST_DROPPED]
    originals: dict[bytes, bytes] = {}
    mended: dict[bytes, bytes] = {}
    for root in {article.root for article in living.values() if article.root}:
        known = books.originals[root]
        if is_aged and known not in living:
            originals[root] = known or root
            continue
        originals[root] = _original(root, known, living)
        if originals[root] != known:
            mended[root] = originals[root]
    own: Counter[str] = Counter()
    for article_id, article in living.items():
        root = article.root or article_id
        own[article.source.decode()] += originals.get(root, root) == article_id
    size = len(books.listed) + record.past - len(drop)
    copies = sum(bool(article.root) for article in living.values())
    if is_aged:
        copies = max(copies, record.copies)
        for name, count in books.sources.items():
            own[name] = max(own[name], count)
    return Figures(drop=tuple(drop), size=size, copies=copies, sources=dict(own), originals=mended)


def _original(root: bytes, known: bytes | None, living: Mapping[bytes, ArticleRecord]) -> bytes:
    """Return the text of a family that was published first: ``known`` if it was, of equals."""
    family = {i: a for i, a in living.items() if root in (i, a.root)}
    first = min(article.published_at for article in family.values())
    if known in family and family[known].published_at <= first:
        return known
    equals = [i for i, article in family.items() if article.published_at <= first]
    return root if root in equals else min(equals, key=lambda i: (family[i].seen_at, i))


def _steps(items: Sequence[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while step := list(islice(left, size)):
        yield step


def _story(raw: bytes | None) -> StoryRecord | None:
    try:
        return StoryRecord.unpack(raw) if raw and not stands_for(raw) else None
    except StoreError:
        return None


def _article(raw: bytes) -> ArticleRecord | None:
    try:
        return ArticleRecord.unpack(raw)
    except StoreError:
        return None
