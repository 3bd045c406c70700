"""audit, doctor, config: is everything in order?"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.text import Text

from worker.cli.common import AsJson, Namespace, globals_of, opened, out, print_json, printable
from worker.cli.show import fields, safe_url, table
from worker.errors import StoreError
from worker.settings import Settings
from worker.steps.audit import audit as audit_step
from worker.steps.doctor import Check, Grade, checks, unreachable
from worker.steps.repair import repair
from worker.store.keys import LIVE
from worker.wiring import Context, redis_address

MOST_LINES = 100  # of one kind on a terminal: more scroll past
_STYLES = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "bold red"}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (audit, doctor, config):
        app.command()(command)


def audit(
    ctx: typer.Context,
    *,
    mend: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended, and say what was done.")
    ] = False,
    namespace: Namespace = LIVE,
    as_json: AsJson = False,
) -> None:
    """Prove that nothing was lost and nothing counted twice, and name what was; exit 1 if so."""
    with opened(ctx, namespace) as context:
        parts = context.ledger, context.stories, context.census
        report = repair(*parts, context.archive) if mend else audit_step(*parts)
    if as_json:
        print_json(
            {
                "balanced": report.balanced,
                "sums": dict(report.sums),
                "offences": list(report.offences),
                "repairs": list(report.repairs),
            }
        )
    else:
        out.print(fields(*report.sums.items()))
        _print_lines(report.repairs, style="yellow")
        _print_lines(report.offences, style="red")
        out.print("[green]balanced[/]" if report.balanced else "[bold red]not balanced[/]")
    if not report.balanced:
        raise typer.Exit(1)


def _print_lines(lines: Sequence[str], *, style: str) -> None:
    for line in lines[:MOST_LINES]:
        out.print(Text(printable(line), style=style))
    if len(lines) > MOST_LINES:
        out.print(f"… and {len(lines) - MOST_LINES} more; --json has them all")


def doctor(ctx: typer.Context, *, namespace: Namespace = LIVE, as_json: AsJson = False) -> None:
    """Examine Redis, the index and the disk; exit 1 if something would not work."""
    settings = globals_of(ctx).settings()
    found = _examine(settings, namespace)
    if as_json:
        print_json([_as_json(check) for check in found])
    else:
        shown = table("", "check", "found")
        for check in found:
            text = Text(printable(check.found))
            if check.remedy:
                text.append(f"\n→ {printable(check.remedy)}", style="bold")
            shown.add_row(Text(check.grade.value, style=_STYLES[check.grade]), check.name, text)
        out.print(shown)
    if any(check.grade is Grade.FAIL for check in found):
        raise typer.Exit(1)


def config(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Print the settings that are in effect: defaults, file, environment and --set together."""
    settings = globals_of(ctx).settings()
    values = settings.model_dump(mode="json")
    values["redis"]["url"] = safe_url(settings.redis.url.get_secret_value())
    if as_json:
        print_json(values)
        return
    for section, keys in values.items():
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
        out.print(f"[{section}]", *lines, "", sep="\n", markup=False, soft_wrap=True)


def _examine(settings: Settings, namespace: str) -> tuple[Check, ...]:
    """Look at the server in use, also at one that other commands would refuse."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(redis_address(settings))
        except StoreError as e:  # the embedded server does not start
            return (unreachable(e),)
        return checks(Context(settings=settings, redis_url=url, namespace=namespace))


def _as_json(check: Check) -> dict[str, str]:
    return {
        "check": check.name,
        "grade": check.grade.value,
        "found": check.found,
        "remedy": check.remedy,
    }
