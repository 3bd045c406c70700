"""Public collections of feeds and lists, each file with the number of entries that it has for us.

The numbers stand in corpora.json by folder, in the order of the files' names; -1 is a refusal.
"""

import json
from pathlib import Path

import pytest

from worker.decode.document import parse_document
from worker.decode.opml import read_opml
from worker.errors import DecodeError

FEEDS = Path(__file__).parents[2].parent / "shared" / "data" / "feeds"
COUNTS = json.loads((Path(__file__).parent / "corpora.json").read_text(encoding="utf-8"))
REFUSED = -1


def _count(path: Path) -> int:
    body = path.read_bytes()
    try:
        if path.suffix == ".opml":
            return len(read_opml(body))
        return len(parse_document(body, url="https://news.example.com/feed").entries)
    except DecodeError:
        return REFUSED


@pytest.mark.parametrize("folder", COUNTS)
def test_document_when_it_is_of_a_public_collection_then_has_as_many_entries_as_ever(
    folder: str,
) -> None:
    """The 2 106 files of feedparser's own suite and 119 public lists; nothing but a refusal is raised."""
    if not FEEDS.is_dir():
        pytest.skip(f"the collections are not at {FEEDS}")
    paths = sorted(path for path in (FEEDS / folder).iterdir() if path.is_file())
    names = [path.name for path in paths if path.suffix in (".xml", ".opml")]
    found = {name: _count(FEEDS / folder / name) for name in names}
    assert found == dict(zip(names, COUNTS[folder], strict=True))


def test_counts_when_added_up_then_are_those_of_all_files() -> None:
    """No file of the collections is left out."""
    of_feeds = sum(len(counts) for name, counts in COUNTS.items() if name.startswith("feedparser"))
    assert (of_feeds, sum(map(len, COUNTS.values()))) == (2_106, 2_225)
