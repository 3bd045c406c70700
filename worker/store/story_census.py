"""Goes through a namespace for the audit: articles, the names of stories, and a language's counters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import redis

from worker.model import StoryId
from worker.store.census import STEP, Attached, Flaw
from worker.store.client import store_errors
from worker.store.index import slack_s
from worker.store.keys import Keys, is_story_id, story_lang
from worker.store.packed import stands_for
from worker.store.scripts import Scripts


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCensus:
    """What a look at some story ids showed."""

    flaws: tuple[Flaw, ...]
    aliases: tuple[StoryId, ...]  # the ids that stand for another story


class StoryCensus:
    """The articles and the names of stories of one namespace, gone through."""

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

    def articles(self, lang: str, ids: Sequence[str], *, mend: bool) -> tuple[Flaw, ...]:
        """Return which articles are no members of the story that they name."""
        prefix = self._keys.lang_prefix(lang)
        answer = self._scripts.run(
            "audit_articles",
            [prefix + "seq"],
            {
                "prefix": prefix,
                "ids": ids,
                "mend": mend,
                "now": self._clock(),
                "ttl": self._retention_s,
            },
        )
        return tuple(
            Flaw(
                kind=kind.decode(),
                subject=article.decode(),
                figures=(about.decode(errors="replace"),),
                mended=bool(mended),
            )
            for kind, article, about, mended in answer
        )

    @store_errors()
    def without_article(self, attached: Sequence[Attached]) -> list[Attached]:
        """Return the attached entries whose article is not there."""
        with self._client.pipeline(transaction=False) as pipe:
            for one in attached:
                pipe.exists(self._keys.article(story_lang(one.story), one.article))
            there = pipe.execute()
        return [one for one, is_there in zip(attached, there, strict=True) if not is_there]

    def shown(self, lang: str) -> Iterator[list[str]]:
        """Yield the ids on the list of stories, STEP at a time."""
        step = []
        with store_errors():
            key = self._keys.lang_prefix(lang) + "stories"
            for raw, _ in self._client.zscan_iter(key, count=STEP):
                step.append(raw.decode(errors="replace"))
                if len(step) == STEP:
                    yield step
                    step = []
        yield step

    def names(self, lang: str, ids: Sequence[str], *, mend: bool) -> NameCensus:
        """Return which story ids are on the list of stories wrongly, or not on it, and which are aliases."""
        prefix = self._keys.lang_prefix(lang)
        flaws, aliases, torn = self._scripts.run(
            "audit_stories",
            [prefix + "stories"],
            {
                "prefix": prefix,
                "ids": ids,
                "mend": mend,
                "ttl": self._retention_s,
                "slack": slack_s(self._retention_s),
            },
        )
        found = [Flaw(kind=kind.decode(), subject=i.decode(), mended=mend) for kind, i in flaws]
        found += [
            Flaw(
                kind="story_torn", subject=raw.decode(), figures=(f"{prefix}story:{raw.decode()}",)
            )
            for raw in torn
        ]
        return NameCensus(
            flaws=tuple(found), aliases=tuple(StoryId(raw.decode()) for raw in aliases)
        )

    def lost_aliases(self, aliases: Sequence[StoryId], *, mend: bool) -> tuple[Flaw, ...]:
        """Return which ids of merged stories lead nowhere, or in a circle. Cost: O(length of chains)."""
        chains = [chain for alias in aliases if (chain := self._lost(alias))]
        return tuple(
            Flaw(kind="alias_lost", subject=chain[0], figures=(chain[1],), mended=mend)
            for chain in chains
            if self._scripts.run(
                "drop_alias",
                [self._keys.lang_prefix(story_lang(chain[0])) + "seq"],
                {
                    "prefix": self._keys.lang_prefix(story_lang(chain[0])),
                    "chain": chain,
                    "mend": mend,
                },
            )
        )

    @store_errors()
    def _lost(self, alias: StoryId) -> list[StoryId]:
        """Return the chain of ids from an alias on when no story is at its end, else nothing."""
        chain = [alias]
        while True:
            last = chain[-1]
            raw = self._client.get(self._keys.story(last)) if is_story_id(last) else None
            if raw is None:
                return chain if len(chain) > 1 else []
            target = stands_for(raw)
            if not target:
                return []
            chain.append(StoryId(str(target)))
            if target in chain[:-1]:
                return chain

    def counters(self, lang: str, halves: Sequence[str], *, mend: bool) -> tuple[Flaw, ...]:
        """Return which counters of a language contradict each other.

        Args:
            lang: its code.
            halves: of the window, of which articles are counted; the newest first.
            mend: correct them.
        """
        prefix = self._keys.lang_prefix(lang)
        keys = [prefix + "seq", prefix + "recent", *(f"{prefix}docs:{half}" for half in halves)]
        answer = self._scripts.run("audit_language", keys, {"mend": mend})
        return tuple(
            Flaw(kind=kind.decode(), subject=lang, figures=(int(a), int(b)), mended=mend)
            for kind, a, b in answer
        )
