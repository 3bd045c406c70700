"""What a publisher repeats makes no copies and no stories; the answer is the same for all workers."""

import json
from pathlib import Path

import pytest

from worker.steps.records import Record, dated, in_event_order, read_source
from worker.wiring import Context, replay_steps

BOX = """Sign up for the morning letter of the Harbour Post, which tells you what the day will bring.
Our reporters are at work around the clock in nine offices along the coast and behind it.
Send us your photographs of storms, ships and seals, and we will print the best ones.
Follow the Harbour Post on every network, or call the newsroom between six and midnight.
The Harbour Post is published by the Quayside Company of Tarsk; all rights are reserved."""
NEWS = {
    "bridge": "Engineers closed the Olvany bridge on Monday after divers found cracks in two piers below the water. The detour through Tarsk takes forty minutes and will last until the spring.",
    "cup": "Goalkeeper Anton Brehm saved three penalties as Northgate Rovers won the league cup final on Saturday. Coach Petra Valdes praised a young side in front of thirty thousand supporters.",
    "bank": "The central bank left its main rate at four per cent and warned that rents were rising too fast. Two of its seven governors voted for a cut, which sent the shares of builders up.",
    "quake": "An earthquake of magnitude six shook the Kerevan valley before dawn and brought down a school wall. Nobody was hurt, but nine villages along the river Sova spent the day without power.",
    "orchid": "Botanists at Lindqvist garden have bred a blue orchid that flowers twice a year without heating. The first thousand bulbs are sold to schools, and the price will fall next year.",
}


def _replay(context: Context, path: Path, workers: int) -> dict[str, tuple[object, ...]]:
    records = [r for r in read_source(str(path), now=0.0) if isinstance(r, Record)]
    with replay_steps(context, workers) as steps:
        done = list(steps.run(in_event_order(dated(records, now=0.0))))
    return {str(r.record.name): (r.story_id, r.copy_of, r.reason) for r in done}


def _written(path: Path, **records: str) -> Path:
    lines = [
        {
            "id": name,
            "ts": 1.8e9 + 60 * i,
            "title": f"On {name}",
            "text": text,
            "source": "post.test",
        }
        for i, (name, text) in enumerate(records.items())
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_articles_when_their_publisher_repeats_a_box_then_are_no_copies_of_each_other(
    context: Context, tmp_path: Path, workers: int
) -> None:
    """From the fourth page on the box is out, and the texts that remain have nothing in common."""
    texts = {name: f"{text}\n{BOX}" for name, text in NEWS.items()}
    found = _replay(context, _written(tmp_path / "in.jsonl", **texts), workers)
    assert [found[name][1:] for name in ("quake", "orchid")] == [(None, "new_story")] * 2


def test_page_when_it_is_boilerplate_alone_then_is_rejected(
    context: Context, tmp_path: Path
) -> None:
    """A page on which the publisher says what it says on all pages is no article."""
    texts = {name: f"{text}\n{BOX}" for name, text in NEWS.items()}
    found = _replay(context, _written(tmp_path / "in.jsonl", **texts, stub=BOX), 1)
    assert found["stub"] == (None, None, "boilerplate")


def test_replay_when_run_again_then_says_the_same(context: Context, tmp_path: Path) -> None:
    """Lines of an article do not count against itself, however often it is tried."""
    path = _written(tmp_path / "in.jsonl", **NEWS)
    first = _replay(context, path, 1)
    stories = [{name: answer[0] for name, answer in _replay(context, path, 1).items()}]
    stories += [{name: answer[0] for name, answer in _replay(context, path, 1).items()}]
    assert stories == [{name: answer[0] for name, answer in first.items()}] * 2
