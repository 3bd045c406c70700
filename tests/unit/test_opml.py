from pathlib import Path

import pytest

from worker.decode.opml import MAX_BYTES, read_opml, write_opml
from worker.errors import DecodeError
from worker.model import Feed, FeedId

LISTS = Path(__file__).parents[2].parent / "shared" / "data" / "feeds" / "opml"


def _opml(outlines: str, prolog: str = "") -> bytes:
    return f'{prolog}<opml version="2.0"><body>{outlines}</body></opml>'.encode()


def test_read_opml_when_nested_then_lists_each_feed_once() -> None:
    """Folders are passed over, addresses come once, titles fall back to text."""
    body = _opml(
        """<outline text="World"><outline text="A" xmlUrl="https://a.example/feed"/>
        <outline title=" B  b " text="x" XMLURL="feed://b.example/feed"/></outline>
        <outline text="again" xmlUrl="https://a.example/feed"/>
        <outline text="c" xmlUrl="feed:https://c.example/feed"/>
        <outline text="local" xmlUrl="/etc/passwd"/><outline text="link" htmlUrl="https://x"/>"""
    )
    assert read_opml(body) == (
        ("https://a.example/feed", "A"),
        ("http://b.example/feed", "B b"),
        ("https://c.example/feed", "c"),
    )


def test_read_opml_when_ampersands_are_bare_then_forgives() -> None:
    """Hand-made lists with an unescaped ampersand are read."""
    ((url, _),) = read_opml(_opml('<outline text="Q & A" xmlUrl="https://a.example/?a=1"/>'))
    assert url == "https://a.example/?a=1"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not XML"),
        (b"not xml at all", "not"),
        (b"<html><body/></html>", "not an OPML"),
        (b"{}", "not"),
        (b"<:pml/>", "not an OPML"),
        (b" " * (MAX_BYTES + 1), "larger"),
        (_opml("", prolog='<!DOCTYPE opml [<!ENTITY a "b">]>'), "entities"),
        (
            '<!DOCTYPE opml [<!ENTITY a SYSTEM "file:///etc/passwd">]><opml/>'.encode("utf-16"),
            "entities",
        ),
        (_opml("".join(f'<outline xmlUrl="http://{n}.x/"/>' for n in range(20_001))), "20000"),
    ],
)
def test_read_opml_when_rubbish_then_refuses(body: bytes, reason: str) -> None:
    """What is no list of feeds, or tries to define entities, is refused with its reason."""
    with pytest.raises(DecodeError, match=reason):
        read_opml(body)


def test_write_opml_when_read_back_then_is_the_same() -> None:
    """What is written can be read: special characters escaped, control characters dropped."""
    feeds = [
        Feed(feed_id=FeedId("2"), url="https://b.example/?a=1&b=2", title='<B> & "b"\x00'),
        Feed(feed_id=FeedId("1"), url="https://a.example/", title=""),
    ]
    assert read_opml(write_opml(feeds)) == (
        ("https://a.example/", "https://a.example/"),
        ("https://b.example/?a=1&b=2", '<B> & "b"'),
    )


def test_read_opml_when_given_public_lists_then_reads_or_refuses() -> None:
    """All public lists at hand are read, or refused with DecodeError, and most hold feeds."""
    if not LISTS.is_dir():
        pytest.skip(f"the OPML lists are not at {LISTS}")
    feeds = 0
    for path in sorted(LISTS.rglob("*.opml")):
        try:
            feeds += len(read_opml(path.read_bytes()))
        except DecodeError:
            continue
    assert feeds > 1_000
