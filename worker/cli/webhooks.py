"""webhooks: the addresses that events are sent to."""

from typing import Annotated

import typer
from rich.text import Text

from worker.cli.common import AsJson, iso, opened, out, print_json, printable
from worker.cli.show import many, span, table
from worker.core.events import TYPES
from worker.core.redaction import public_part
from worker.core.webhooks import Webhook, webhook_id
from worker.errors import ConfigError, FetchError, NotFoundError
from worker.model import WebhookId
from worker.networking import post_policy
from worker.steps.lookup import nearest_of
from worker.wiring import Context

app = typer.Typer(help="Send events to other programs over HTTP.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="URL|ID", help="As `list` has it, or its address.")]


@app.command()
def add(
    ctx: typer.Context,
    url: str,
    types: Annotated[
        str, typer.Option(help=f"Only these, comma-separated: {', '.join(TYPES)}.")
    ] = "",
) -> None:
    """Send events to an address from now on; for one that is there, change the types."""
    from worker.fetch.post import vet  # noqa: PLC0415 - it would slow every start

    wanted = [name.strip() for name in types.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in TYPES]
    if unknown:
        raise ConfigError(
            f"no type of event: {', '.join(map(printable, unknown))}; there are {', '.join(TYPES)}"
        )
    with opened(ctx) as context:
        try:
            vet(url, post_policy(context.settings))
        except FetchError as e:
            raise ConfigError(f"{e} (fetch.allow_private opens hosts and their ports)") from e
        is_new = context.webhooks.add(url, wanted, start=context.events.newest())
    what = "added" if is_new else "changed"
    out.print(f"{what} {webhook_id(url)} {public_part(url)}", markup=False, soft_wrap=True)


@app.command()
def remove(ctx: typer.Context, name: Name) -> None:
    """Send nothing more to an address, and forget what it did not take."""
    with opened(ctx) as context:
        context.webhooks.remove(_known(context, name).webhook_id)
    out.print("removed 1 webhook")


@app.command("list")
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Show where events are sent, how far each webhook is, and what it did not take."""
    with opened(ctx) as context:
        hooks = context.webhooks.all()
        told, now = context.events.told(), context.clock()
    waiting = {hook.webhook_id: hook.cursor.behind(told) for hook in hooks}
    if as_json:
        print_json([_as_json(hook, waiting[hook.webhook_id]) for hook in hooks])
        return
    if not hooks:
        out.print("no webhooks; add one: samestory webhooks add URL")
        return
    counts = ("delivered", "waiting", "parked", "missed")
    shown = table("id", "webhook", *counts, numbers=counts)
    for hook in hooks:
        name = Text(printable(public_part(hook.url)))
        if hook.types:
            name.append("\n" + ", ".join(hook.types), style="dim")
        if trouble := _trouble(hook, now):
            name.append("\n" + printable(trouble), style="red")
        numbers = (hook.delivered, waiting[hook.webhook_id], hook.parked, hook.missed)
        shown.add_row(hook.webhook_id, name, *(str(number) for number in numbers))
    out.print(shown)


@app.command()
def retry(ctx: typer.Context, name: Name) -> None:
    """Send parked events again, and go on with a webhook that was stopped or waits."""
    with opened(ctx) as context:
        count = context.webhooks.retry(_known(context, name).webhook_id)
    out.print(f"sending {many(count, 'parked event')} again")


def _known(context: Context, name: str) -> Webhook:
    """Return a webhook by its id or its address.

    Raises:
        NotFoundError: there is none; carries the ids of those that are there.
    """
    hooks = {hook.webhook_id: hook for hook in context.webhooks.all()}
    hook = hooks.get(webhook_id(name)) or hooks.get(WebhookId(name))
    if hook is None:
        shown = printable(public_part(name) if "://" in name else name)
        raise NotFoundError("webhook", shown, nearest_of(name, hooks))
    return hook


def _trouble(hook: Webhook, now: float) -> str:
    """Say why a webhook does not get on; nothing when it does."""
    if hook.stopped:
        return f"stopped: {hook.stopped}"
    wait_s = hook.retry_at - now
    return hook.error + (f"; attempt {hook.attempts + 1} in {span(wait_s)}" if wait_s > 0 else "")


def _as_json(hook: Webhook, waiting: int) -> dict[str, object]:
    return {
        "id": hook.webhook_id,
        "url": public_part(hook.url),
        "types": list(hook.types),
        "delivered": hook.delivered,
        "waiting": waiting,
        "parked": hook.parked,
        "missed": hook.missed,
        "attempts": hook.attempts,
        "retry_at": iso(hook.retry_at),
        "error": hook.error,
        "stopped": hook.stopped,
    }
