"""A replay that is cut off between any two of its acts ends, run again, as one that was not."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stream import records

from worker.errors import ConfigError
from worker.steps.audit import audit
from worker.steps.records import Record, dated, in_event_order, read_source
from worker.steps.replay import Replayed
from worker.wiring import Context, replay_steps

START = 1_772_000_000.0
RECORDS = 150  # document frequencies are read anew after every second attach from the 128th on


class CutOffError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@dataclass
class Cuts:
    """Ends a replay before or after one of its acts, again and again at random ones."""

    draw: random.Random
    left: int = 0
    made: int = 0

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return an act that may end before it begins, and when it is done."""

        def cut(*arguments: Any, **named: Any) -> Any:
            self._pass()
            answer = act(*arguments, **named)
            self._pass()
            return answer

        return cut

    def _pass(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.made += 1
            raise CutOffError


@pytest.fixture
def stream(tmp_path: Path) -> list[Record]:
    """The records, in event order."""
    path = tmp_path / "stream.jsonl"
    path.write_text("\n".join(map(json.dumps, records(RECORDS))))
    found = [item for item in read_source(str(path), now=START) if isinstance(item, Record)]
    return in_event_order(dated(found, now=START))


def _lines(done: list[Replayed]) -> list[tuple[object, ...]]:
    return [
        (r.record.name, r.story_id, r.copy_of, r.outcome, round(r.score, 4), r.reason) for r in done
    ]


def _run(context: Context, stream: list[Record]) -> list[tuple[object, ...]]:
    with replay_steps(context, 1) as steps:
        return _lines(steps.in_the_end(list(steps.run(stream))))


def _fresh(context: Context, name: str) -> Context:
    """Return a context as a new process has it: nothing is remembered but what is in Redis."""
    return Context(
        settings=context.settings,
        redis_url=context.redis_url,
        namespace=f"{context.namespace}-{name}",
    )


def _cut(context: Context, stream: list[Record], cuts: Cuts) -> list[tuple[object, ...]]:
    """Run a replay whose acts on Redis may end at any time."""
    index, ledger = context.index, context.ledger
    for thing, acts in ((index, ("attach", "merge", "split", "probe")), (ledger, ("settle",))):
        for name in acts:
            setattr(thing, name, cuts.around(getattr(thing, name)))
    return _run(context, stream)


def test_replay_when_cut_off_between_any_acts_then_ends_as_one_that_was_not(
    context: Context, stream: list[Record]
) -> None:
    """Story, copy, score and reason are the same, whatever was in hand; and the books agree."""
    whole = _run(_fresh(context, "whole"), stream)
    cuts, resumed = Cuts(random.Random(6)), None
    while resumed is None:
        cuts.left = cuts.draw.randrange(20, 240)
        try:
            resumed = _cut(_fresh(context, "cut"), stream, cuts)
        except CutOffError:
            continue
    assert cuts.made > 3
    assert resumed == whole
    assert {line[5] for line in whole} >= {"copy", "same_story", "new_story", "too_short"}
    ended = _fresh(context, "cut")
    assert audit(ended.ledger, ended.stories, ended.census).offences == ()
    told = [
        ended.client.xrange(ended.keys.events("en")) for ended in (_fresh(context, "whole"), ended)
    ]
    assert [fields for _, fields in told[0]] == [fields for _, fields in told[1]]


def test_namespace_when_it_belongs_to_another_replay_then_is_refused(context: Context) -> None:
    """The same replay goes on with the time of its first start; another one is told the way out."""
    assert context.replays.begin("mine", now=START) == START
    assert context.replays.begin("mine", now=START + 5) == START
    with pytest.raises(ConfigError, match="name another namespace"):
        context.replays.begin("another", now=START)
