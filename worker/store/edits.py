"""Brings what feeds say of known entries by now to where it is shown: the ledger, or the article.

Two scripts, for entries and articles do not share a slot; both may run twice. A poll runs them before
its claim stores the feed's validators, so that one that dies between them sees the edit again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from worker.core.edits import EDIT_GAP_S
from worker.core.entries import article_id
from worker.model import ArticleId, Entry, EntryId, StoryId
from worker.store.keys import Keys, is_story_id, story_lang
from worker.store.scripts import Scripts

STEP = 50  # entries of one script call: about half a millisecond of Redis's time


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of some edits."""

    done: frozenset[EntryId]
    waiting: frozenset[EntryId]  # too early after the last one, or while a worker makes the article


class Edits:
    """Edits entries and articles of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._scripts = Scripts(client)
        self._keys = keys

    def edit(self, entries: Sequence[Entry], *, now: float) -> Edited:
        """Write what a feed says now of entries that are known; pass over all others.

        Args:
            entries: of a feed's document, new ones among them or not.
            now: when the feed was seen to say so, Unix seconds.

        Raises:
            StoreError: Redis did not answer; what was edited until then stays so.
        Cost: one round trip for fifty entries, and one for those of them that are articles.
        """
        answers: dict[EntryId, str] = {}
        for at in range(0, len(entries), STEP):
            answers |= self._step(entries[at : at + STEP], now)
        return Edited(
            done=frozenset(one for one, answer in answers.items() if answer == "edited"),
            waiting=frozenset(
                one for one, answer in answers.items() if answer in ("early", "busy")
            ),
        )

    def edit_article(self, lang: str, entry: Entry) -> None:
        """Write what an entry said when it was edited to its article, which was there before."""
        if entry.edited_at is not None:
            self._articles(lang, [(entry.article_id, entry)], at=entry.edited_at, gap_s=0.0)

    def _step(self, entries: Sequence[Entry], now: float) -> dict[EntryId, str]:
        found = self._scripts.run(
            "edit_entries",
            [self._keys.entry(entry.entry_id) for entry in entries],
            {
                "now": now,
                "entries": [(e.title, e.url, e.source, e.summary, _by_url(e)) for e in entries],
            },
        )
        answers: dict[EntryId, str] = {}
        attached: defaultdict[str, list[tuple[ArticleId, Entry]]] = defaultdict(list)
        for entry, (answer, *where) in zip(entries, found, strict=True):
            answers[entry.entry_id] = answer.decode()
            article, story = (raw.decode() for raw in where or (b"", b""))
            if is_story_id(story):
                attached[story_lang(StoryId(story))].append((ArticleId(article), entry))
        for lang, edits in attached.items():
            answers |= self._articles(lang, edits, at=now, gap_s=EDIT_GAP_S)
        return answers

    def _articles(
        self, lang: str, edits: Sequence[tuple[ArticleId, Entry]], *, at: float, gap_s: float
    ) -> dict[EntryId, str]:
        prefix = self._keys.lang_prefix(lang)
        answers = self._scripts.run(
            "edit_articles",
            [prefix + "seq"],
            {
                "prefix": prefix,
                "gap": gap_s,
                "edits": [
                    (i, e.entry_id, at, e.updated_at or 0.0, e.title, e.url, e.source, _by_url(e))
                    for i, e in edits
                ],
            },
        )
        return {
            entry.entry_id: answer.decode()
            for (_, entry), answer in zip(edits, answers, strict=True)
        }


def _by_url(entry: Entry) -> ArticleId:
    """Return the article id that the address of an entry gives: its own, unless it was edited."""
    return article_id(entry.url, entry.entry_id)
