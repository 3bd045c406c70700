"""stories, story, why, status: what is known, for people and as JSON."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from worker.cli.common import AsJson, Namespace, iso, opened, out, print_json, printable
from worker.cli.evidence import print_why, why_as_json
from worker.cli.show import clock, fields, many, safe_url, span, table, when
from worker.steps.lookup import find_article, find_story
from worker.steps.measure import Numbers, measure
from worker.store.keys import LIVE, story_lang
from worker.store.stories import StoredArticle, Story

MIB = 2**20


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (stories, story, why, status):
        app.command()(command)


def stories(
    ctx: typer.Context,
    *,
    lang: Annotated[str, typer.Option(help="Only of this language, e.g. en.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    namespace: Namespace = LIVE,
    as_json: AsJson = False,
) -> None:
    """List stories, the ones that moved last first."""
    with opened(ctx, namespace) as context:
        found = context.stories.newest(limit=limit, lang=lang.strip().lower())
    if as_json:
        print_json([_story_as_json(one) for one in found])
        return
    if not found:
        out.print("no stories yet")
        return
    shown = table("story", "headline", "sources", "articles", "reprints", "first seen")
    for one in found:
        shown.add_row(
            one.story_id,
            Text(printable(one.title)),
            sources_of(one),
            str(one.articles),
            str(one.reprints),
            clock(one.opened_at),
        )
    out.print(shown)


def story(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="STORY", help="Its id.")],
    *,
    namespace: Namespace = LIVE,
    as_json: AsJson = False,
) -> None:
    """Show one story: its articles, reprints under what they copy, and its publishers."""
    with opened(ctx, namespace) as context:
        found = find_story(context, name)
        members = context.stories.members(found.story_id)
        publishers = context.stories.sources(found.story_id)
    if as_json:
        print_json(
            {
                **_story_as_json(found),
                "publishers": publishers,
                "members": [_member_as_json(member) for member in members],
            }
        )
        return
    ranked = sorted(publishers.items(), key=lambda item: (-item[1], item[0]))
    facts = fields(
        ("story", found.story_id),
        ("first published", when(found.first_at, now=time.time())),
        ("last published", when(found.last_at, now=time.time())),
        ("first seen", when(found.opened_at, now=time.time())),
        ("articles", f"{found.articles}, of them {many(found.reprints, 'reprint')}"),
        ("sources", ", ".join(f"{name} ({own or 'reprints only'})" for name, own in ranked)),
    )
    out.print(Group(Text(printable(found.title), style="bold"), facts, Text(), _tree(members)))


def why(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="ARTICLE", help="Its id, its address, or its guid.")
    ],
    *,
    namespace: Namespace = LIVE,
    as_json: AsJson = False,
) -> None:
    """Say why an article is where it is, or why it is nowhere."""
    with opened(ctx, namespace) as context:
        found = find_article(context, name)
        policy, scorer = context.settings.match.policy(), context.scorer
    if as_json:
        print_json(why_as_json(found, scorer))
    else:
        print_why(found, policy, scorer)


def status(ctx: typer.Context, *, namespace: Namespace = LIVE, as_json: AsJson = False) -> None:
    """Show what is in a namespace and what waits."""
    with opened(ctx, namespace) as context:
        numbers = measure(context, now=context.clock())
    if as_json:
        print_json(_status_as_json(namespace, numbers))
        return
    counts = numbers.counts
    why_rejected = ", ".join(
        f"{count} {reason.partition(':')[2]}"
        for reason, count in sorted(counts.items())
        if reason.startswith("rejected:") and count
    )
    rejected = str(counts.get("rejected", 0)) + (f" ({why_rejected})" if why_rejected else "")
    limit = numbers.memory_limit_bytes
    of_limit = f" of {limit / MIB:,.0f} MiB" if limit else ", no limit"
    facts = fields(
        ("namespace", namespace),
        ("claimed", counts.get("claimed", 0)),
        ("attached", counts.get("attached", 0)),
        ("duplicate", counts.get("duplicate", 0)),
        ("rejected", rejected),
        ("quarantined", counts["held"]),
        ("pending", _pending(numbers)),
        ("queue", f"{many(numbers.waiting, 'hint')} waiting, {many(numbers.workers, 'worker')}"),
        ("stories", _languages(numbers)),
        ("feeds", f"{len(numbers.feeds)}, {len(numbers.failing)} failing"),
        ("Redis memory", f"{numbers.memory_bytes / MIB:,.1f} MiB{of_limit}"),
        ("polling pauses", numbers.paused),
    )
    out.print(facts)
    if numbers.failing:
        shown = table("failing feed", "failures", "error")
        for feed in numbers.failing:
            shown.add_row(safe_url(feed.url), str(feed.failures), Text(printable(feed.error)))
        out.print(Text(), shown, sep="\n")


def sources_of(story: Story) -> str:
    """Return a story's publishers and, where they differ, those with own accounts."""
    own = "" if story.own_accounts == story.sources else f" ({story.own_accounts} own)"
    return f"{story.sources}{own}"


def _tree(members: Sequence[StoredArticle]) -> Table:
    """Return the articles by time, each with its reprints under it."""
    there = {member.article_id for member in members}
    shown = table("article", "published", "publisher", "headline")
    for head in members:
        if head.copy_of not in there:
            shown.add_row(*_row(head, "reprint of what is not kept any more: "))
            for copy in members:
                if copy.copy_of == head.article_id:
                    shown.add_row(*_row(copy, "└ reprint: "))
    return shown


def _row(member: StoredArticle, mark: str) -> tuple[Text, str, Text, Text]:
    return (
        Text(member.article_id, style="cyan"),
        clock(member.published_at),
        Text(printable(member.source)),
        Text(f"{mark if member.copy_of else ''}{printable(member.title)}"),
    )


def _pending(numbers: Numbers) -> str:
    age = f", the oldest for {span(numbers.oldest_pending_s)}" if numbers.counts["pending"] else ""
    return f"{numbers.counts['pending']}{age}"


def _languages(numbers: Numbers) -> str:
    per_language = ", ".join(
        f"{lang} {totals['stories']} of {many(totals['articles'], 'article')}"
        for lang, totals in numbers.languages.items()
    )
    return f"{numbers.stories} ({per_language})" if per_language else "0"


def _story_as_json(story: Story) -> dict[str, object]:
    times = {name: iso(getattr(story, name)) for name in ("first_at", "last_at", "opened_at")}
    return {**asdict(story), "lang": story_lang(story.story_id), **times}


def _member_as_json(member: StoredArticle) -> dict[str, object]:
    document = asdict(member)
    del document["evidence"]
    names = ("published_at", "seen_at", "edited_at")
    times = {name: iso(getattr(member, name)) or None for name in names}
    return {**document, "url": safe_url(member.url), "ref": safe_url(member.ref), **times}


def _status_as_json(namespace: str, numbers: Numbers) -> dict[str, object]:
    return {
        "namespace": namespace,
        "counts": dict(numbers.counts),
        "oldest_pending_s": round(numbers.oldest_pending_s, 3),
        "languages": {lang: dict(totals) for lang, totals in numbers.languages.items()},
        "stories": numbers.stories,
        "feeds": len(numbers.feeds),
        "failing": [
            {"url": safe_url(feed.url), "failures": feed.failures, "error": feed.error}
            for feed in numbers.failing
        ],
        "queue": numbers.waiting,
        "workers": numbers.workers,
        "redis_memory_bytes": numbers.memory_bytes,
        "redis_memory_limit_bytes": numbers.memory_limit_bytes,
        "polling_paused": numbers.paused,
    }
