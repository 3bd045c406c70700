"""An invented stream: events told by several publishers, with reprints, footers and undated records."""

import random

_FILL = (
    "officials said on {} that the {} near the {} would stay closed until the {} has been examined",
    "neighbours of the {} told a reporter how the {} and the {} were carried away before the {}",
    "a spokesman for {} refused to say whether {} had paid {} for the repair of the {}",
    "the council meets {} today, and {} as well as {} want to hear what {} knew",
    "engineers measured {} at the {} twice, found {} too high and called {} at once",
    "in a letter {} asks why {} was never told that {} and {} belong together",
)
_SYLLABLES = ("bra", "del", "fin", "gor", "hul", "kem", "lor", "mas", "nid", "pel", "rus", "tov")


def _names(draw: random.Random, count: int) -> list[str]:
    return ["".join(draw.choices(_SYLLABLES, k=3)).title() for _ in range(count)]


def records(count: int, *, seed: int = 6) -> list[dict[str, object]]:
    """Return JSONL records in no order of time: every sixth a reprint, some too short, some undated."""
    draw = random.Random(seed)
    events = []
    for _ in range(max(4, count // 10)):
        names = _names(draw, 14)
        sentences = [draw.choice(_FILL).format(*draw.sample(names, 4)) + "." for _ in range(18)]
        events.append((names, sentences))
    made: list[dict[str, object]] = []
    for at in range(count):
        names, sentences = events[min(at // 10 + draw.randrange(4), len(events) - 1)]
        source = f"s{draw.randrange(5)}.example"
        told = " ".join(draw.sample(sentences, 6))
        if made and draw.random() < 1 / 6:
            told = str(draw.choice(made[-40:])["text"]).split("\n")[0]
        footer = f"Every morning {source} sends its readers a letter with all of this and more."
        text = "More soon." if draw.random() < 0.04 else f"{told}\n{footer}"
        record = {"id": at, "source": source, "title": " ".join(names[:4]), "text": text}
        if draw.random() < 0.97:
            record["ts"] = 1_772_000_000 + 60 * at + draw.randrange(-600, 600)
        made.append(record)
    return made
