"""The verdict on a campaign, read back from Redis alone: what was lost, doubled, split or misjudged."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from world import ARTICLES, Item, World

from worker.model import ArticleId, Outcome, StoryId
from worker.wiring import Context

STEP = 1_000
MEMBER_EVENTS = (b"story_opened", b"article_attached")


@dataclass(slots=True)
class Verdict:
    """What is wrong, each with a line that says what and where."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    misjudged: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)  # killed so often that it was quarantined
    outcomes: Counter[str] = field(default_factory=Counter)

    def lines(self, most: int) -> Iterator[str]:
        """Yield so many lines of each kind, the kind before them."""
        for kind in ("lost", "doubled", "split", "misjudged", "given_up"):
            for line in getattr(self, kind)[:most]:
                yield f"{kind}: {line}"


def judge(context: Context, world: World) -> Verdict:
    """Compare what a world listed with what became of it. Cost: reads everything once."""
    verdict = Verdict()
    attached: defaultdict[ArticleId, list[Item]] = defaultdict(list)
    duplicates: defaultdict[ArticleId, list[Item]] = defaultdict(list)
    for item in world.items[: len(world.published)]:
        row = context.ledger.row(world.entry_id(item))
        outcome = row.outcome if row else ""
        verdict.outcomes[outcome or "none"] += 1
        if row is None or not outcome:
            state = f"{row.stage}, {row.attempts} attempts, {row.error}" if row else "not claimed"
            verdict.lost.append(f"{_name(world, item)} has no outcome: {state}")
        elif Outcome(outcome) not in item.planned:
            line = f"{_name(world, item)} is {outcome}: {row.reason}"
            gave_up = outcome == Outcome.QUARANTINED.value
            (verdict.given_up if gave_up else verdict.misjudged).append(line)
        elif item.kind in ARTICLES:
            kept = attached if outcome == Outcome.ATTACHED.value else duplicates
            kept[world.article_id(item)].append(item)
    for article_id, items in attached.items():
        if len(items) > 1:
            names = ", ".join(_name(world, item) for item in items)
            verdict.doubled.append(f"article {article_id} was attached for {names}")
    for article_id in duplicates.keys() - attached.keys():
        verdict.lost.append(f"article {article_id} has duplicates only")
    _told(context, attached, verdict)
    _members(context, attached, verdict)
    _stories(context, world, attached, verdict)
    return verdict


def _name(world: World, item: Item) -> str:
    return f"entry {world.entry_id(item)} (number {item.number}, {item.kind.value})"


def _told(context: Context, attached: Mapping[ArticleId, list[Item]], verdict: Verdict) -> None:
    """Check that a consumer of the event streams heard of every article exactly once."""
    heard: Counter[str] = Counter()
    for lang in context.stories.languages():
        key, after = context.keys.lang_prefix(lang) + "events", "-"
        while batch := context.client.xrange(key, after, "+", count=STEP):
            for _, event in batch:
                if event[b"type"] in MEMBER_EVENTS:
                    heard[event[b"article"].decode()] += 1
            after = "(" + batch[-1][0].decode()
    for article, times in heard.items():
        if times > 1:
            verdict.doubled.append(f"article {article} was told of {times} times")
        if article not in attached:
            verdict.misjudged.append(f"article {article} was told of, but no entry is attached")
    for article_id in attached.keys() - heard.keys():
        verdict.lost.append(f"article {article_id} is attached, but nobody was told")


def _members(context: Context, attached: Mapping[ArticleId, list[Item]], verdict: Verdict) -> None:
    """Check that every article is a member of exactly one story."""
    found: Counter[str] = Counter()
    for story in context.stories.newest(limit=len(attached) + STEP):
        members = context.stories.members(story.story_id)
        found.update(article.article_id for article in members)
    for article, times in found.items():
        if times > 1:
            verdict.doubled.append(f"article {article} is a member of {times} stories")
    for article_id in attached.keys() - found.keys():
        verdict.lost.append(f"article {article_id} is attached, but no story has it")


def _stories(
    context: Context, world: World, attached: Mapping[ArticleId, list[Item]], verdict: Verdict
) -> None:
    """Check that the copies of one true story lie in one story, by whatever id it goes."""
    homes: defaultdict[int, set[StoryId]] = defaultdict(set)
    for article_id, items in attached.items():
        article = context.stories.article(article_id)
        if article is not None:
            homes[items[0].story].add(context.stories.current(article.story_id))
    for story, ids in homes.items():
        if len(ids) > 1:
            verdict.split.append(f"true story {story} lies in {', '.join(sorted(ids))}")
