"""diff: what would change for the readers of one namespace if it were another one."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.changes import Difference, as_document, as_page, print_changes
from worker.cli.common import AsJson, err, opened, print_json
from worker.errors import ConfigError
from worker.evaluate.metrics import b_cubed
from worker.model import ArticleId
from worker.steps.compare import compare_namespaces, require_stories
from worker.store.keys import Keys
from worker.store.stories import Stories
from worker.wiring import Context

LIMIT = 20  # as `stories`: what a screen holds

Html = Annotated[
    Path | None, typer.Option("--html", help="Write the changes with their evidence as a page.")
]
FailOver = Annotated[
    str,
    typer.Option(
        "--fail-over", metavar="PERCENT", help="Exit with 1 when more articles changed, e.g. 2%."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(diff)


def diff(
    ctx: typer.Context,
    base: Annotated[str, typer.Argument(help="The namespace that is taken as given, e.g. live.")],
    new: Annotated[str, typer.Argument(help="The one that is compared with it.")],
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many changes, largest first.")] = LIMIT,
    html: Html = None,
    fail_over: FailOver = "",
    as_json: AsJson = False,
) -> None:
    """Say which stories merge, split, gain and lose articles from one namespace to another."""
    bound = percent(fail_over)
    with opened(ctx, new) as context:
        require_stories(context.stories, new)
        found = difference(context, base, limit=limit)
    if as_json:
        print_json(as_document(found))
    else:
        print_changes(found)
    write_page(found, html)
    if is_over(found, bound):
        raise typer.Exit(1)


def difference(
    context: Context, base: str, *, limit: int = LIMIT, among: Collection[ArticleId] | None = None
) -> Difference:
    """Compare a context's namespace with a base; arguments as of ``compare_namespaces``.

    Raises:
        ConfigError: the base holds no stories, or its name is not allowed.
        StoreError: Redis did not answer.
    """
    comparison = compare_namespaces(
        base_stories(context, base), context.stories, limit=limit, among=among
    )
    before, after = comparison.base.stories, comparison.new.stories
    both = [article for article in before if article in after]
    return Difference(
        base=base,
        new=context.namespace,
        comparison=comparison,
        agreement=b_cubed([before[i] for i in both], [after[i] for i in both]),
        threshold=context.settings.match.story_threshold,
    )


def base_stories(context: Context, base: str) -> Stories:
    """Return the stories of another namespace on the same server; it may have any index.

    Raises:
        ConfigError: it holds none, or its name is not allowed.
    """
    stories = Stories(context.client, Keys(base))
    require_stories(stories, base)
    return stories


def percent(given: str) -> float | None:
    """Return --fail-over as a share from 0 to 1; None when it is not given.

    Raises:
        ConfigError: it is no percentage.
    """
    if not given:
        return None
    number, sign, rest = given.partition("%")
    try:
        share = float(number) / 100.0
    except ValueError:
        share = -1.0
    if not sign or rest or not 0.0 <= share <= 1.0:
        raise ConfigError(f"--fail-over '{given}' is not a percentage from 0% to 100%, such as 2%")
    return share


def write_page(found: Difference, path: Path | None) -> None:
    """Write the page of --html, if one is wanted.

    Raises:
        ConfigError: it cannot be written.
    """
    if path is None:
        return
    try:
        path.write_text(as_page(found), encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"--html {path} cannot be written: {e.strerror}") from e


def is_over(found: Difference, bound: float | None) -> bool:
    """Return whether more articles changed than --fail-over permits, and say so."""
    share = found.comparison.changes.share
    if bound is None or share <= bound:
        return False
    err.print(f"{share:.2%} of the articles changed: more than --fail-over {bound:.2%}")
    return True
