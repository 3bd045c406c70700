"""Which content of a feed is a whole article's: told by its kind, its length and its bounds."""

import pytest

from worker.core.entries import contents_of, entries_of
from worker.decode.document import parse_document
from worker.decode.values import MAX_MARKUP_CHARS, full_content
from worker.model import Feed
from worker.testing import FEED

TEXT = "Nine words that stand for a whole article here. "
ATOM = (
    "<feed xmlns='http://www.w3.org/2005/Atom'><title>Own</title><entry><id>1</id>"
    "<summary type='html'>&lt;p&gt;A summary that is longer than the content of this entry.</summary>"
    "<content {}>{}</content></entry></feed>"
)
XHTML = f"<div xmlns='http://www.w3.org/1999/xhtml'><p>{TEXT}</p></div>"


@pytest.mark.parametrize(
    ("attributes", "inside", "content"),
    [
        ("type='html'", f"&lt;p&gt;{TEXT}&lt;/p&gt;", f"<p>{TEXT}</p>"),
        ("type='xhtml'", XHTML, f"<p>{TEXT}</p>"),
        ("type='text'", TEXT, ""),  # no HTML: the summary has it
        ("type='image/png' src='https://x.example/'", "", ""),
    ],
    ids=["html", "xhtml", "text", "elsewhere"],
)
def test_content_when_atom_carries_it_then_is_kept_as_html(
    attributes: str, inside: str, content: str
) -> None:
    """Of the kinds that Atom has, those that are HTML."""
    document = ATOM.format(attributes, inside).encode()
    (entry,) = parse_document(document, url="https://x.example/", content_chars=40).entries
    assert entry.content == content
    (entry,) = parse_document(document, url="https://x.example/").entries
    assert entry.content == ""


@pytest.mark.parametrize(
    ("markup", "least_chars", "taken"),
    [
        ("<p>five!</p>", 5, True),
        ("<p>five!</p>", 6, False),
        ("<p>five!</p>", 0, False),
        (None, 1, False),
        (7, 1, False),
        ("x" * MAX_MARKUP_CHARS, 5, True),
        ("x" * (MAX_MARKUP_CHARS + 1), 5, False),
    ],
    ids=["enough", "short", "off", "none", "number", "long", "too long"],
)
def test_full_content_when_text_is_long_enough_and_markup_not_too_long_then_is_taken(
    markup: object, least_chars: int, *, taken: bool
) -> None:
    """Nothing is cut: half an article does not stand for one."""
    assert full_content([markup], least_chars) == (markup if taken else "")


def test_full_content_when_it_holds_controls_then_is_clean() -> None:
    """Halves of characters, which no file can hold, and what turns text round."""
    assert full_content(["a\ud800b\u202ec\0"], 1) == "abc"


def test_contents_of_when_ids_are_shared_then_match_the_entries() -> None:
    """Each content is that of the entry with its id; of two items with one id the first counts."""
    items = "".join(
        f"<item><guid>{guid}</guid><link>https://x.example/{link}</link><description>d</description>"
        f"<content:encoded>{text}</content:encoded></item>"
        for guid, link, text in (("g", 1, "first"), ("g", 2, "second"), ("h", 3, "third"), ("h", 3, "x" * 5))
    )  # fmt: skip
    rss = (
        "<rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/'>"
        f"<channel>{items}</channel></rss>"
    )
    parsed = parse_document(rss.encode(), url="https://x.example/", content_chars=5)
    feed = Feed(feed_id=FEED, url="https://x.example/")
    contents = contents_of(parsed, feed)
    assert [contents[entry.entry_id] for entry in entries_of(parsed, feed, 0.0)] == [
        "first",
        "second",
        "third",
    ]
    bare = parse_document(rss.encode(), url="https://x.example/")
    assert contents_of(bare, feed) == {}
