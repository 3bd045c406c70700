import pytest

from worker.decode.opml import MAX_BYTES, read_opml, write_opml
from worker.errors import DecodeError
from worker.model import Feed, FeedId


def _opml(outlines: str, prolog: str = "") -> bytes:
    return f'{prolog}<opml version="2.0"><body>{outlines}</body></opml>'.encode()


def test_read_opml_when_nested_then_lists_each_feed_once() -> None:
    """Folders are passed over, addresses come once, titles fall back to text, without controls."""
    body = _opml(
        """<outline text="World"><outline text="A" xmlUrl="https://a.example/feed"/>
        <outline title=" B  b " text="x" XMLURL="feed://b.example/feed"/></outline>
        <outline text="x\x7f\u202ey" xmlUrl="https://d.example/feed"/>
        <outline text="again" xmlUrl="https://a.example/feed"/>
        <outline text="c" xmlUrl="feed:https://c.example/feed"/>
        <outline text="odd" xmlUrl="https://e.example/\x7f"/>
        <outline text="local" xmlUrl="/etc/passwd"/><outline text="link" htmlUrl="https://x"/>"""
    )
    assert read_opml(body) == (
        ("https://a.example/feed", "A"),
        ("http://b.example/feed", "B b"),
        ("https://d.example/feed", "xy"),
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
        (_opml('<outline xmlUrl="https://a.example/&#xDFFF;"/>'), "not XML"),
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
