import gzip
import zlib

import pytest

from worker.decode.page import extract_page
from worker.errors import DecodeError

URL = "https://www.thepost.example/2018/12/30/talks"
PARAGRAPHS = [
    f"Paragraph {n} says at some length what the ministers of both countries said about the plan."
    for n in range(6)
]


def _page(*, title: str = "Talks in Moscow | The Post", head: str = "", body: str = "") -> bytes:
    text = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)
    return (
        f"<html><head><title>{title}</title>{head}</head><body><nav><a href='/'>Home</a></nav>"
        f"<article>{text}{body}</article><footer>All rights reserved</footer></body></html>"
    ).encode()


def test_extract_page_when_an_article_then_returns_its_paragraphs() -> None:
    """The main text comes as one line a paragraph, without navigation and footer."""
    page = extract_page(_page(), url=URL)
    assert page.text.split("\n") == PARAGRAPHS


def test_extract_page_when_called_again_then_says_the_same() -> None:
    """Nothing is remembered from page to page, so a retry does not lose the text."""
    assert len({extract_page(_page(), url=URL).text for _ in range(5)}) == 1


@pytest.mark.parametrize(
    ("title", "site", "expected"),
    [
        ("Talks in Moscow | The Post", "The Post", "Talks in Moscow"),
        ("Talks in Moscow - The Post", "The Post", "Talks in Moscow"),
        ("Talks in Moscow \u2014 thepost", "", "Talks in Moscow"),
        ("Turkey - Russia: talks go on", "The Post", "Turkey - Russia: talks go on"),
        ("Talks in Moscow", "The Post", "Talks in Moscow"),
    ],
)
def test_extract_page_when_the_title_ends_with_the_site_then_strips_it(
    title: str, site: str, expected: str
) -> None:
    """The publisher's name after a separator is no part of the headline; other dashes stay."""
    head = f"<meta property='og:title' content='{title}'>"
    head += f"<meta property='og:site_name' content='{site}'>" if site else ""
    assert extract_page(_page(title=title, head=head), url=URL).title == expected


def test_extract_page_when_text_holds_controls_then_drops_them() -> None:
    """What feeds' texts may not hold, pages' may not either; blanks of any kind are one."""
    odd = "<p>Ministers\tof both\u00a0 countries &#1;signed &#x202e;the plan &#127;on Sunday evening.</p>"
    page = extract_page(_page(title="Talks\x7f in\t Moscow\u202e", body=odd), url=URL)
    assert page.title == "Talks in Moscow"
    assert page.text.split("\n")[-1] == (
        "Ministers of both countries signed the plan on Sunday evening."
    )


def test_extract_page_when_there_is_no_main_text_then_text_is_empty() -> None:
    """A page without an article is a page with an empty text, not an error."""
    page = extract_page(b"<html><head><title>Log in</title></head><body></body></html>", url=URL)
    assert (page.title, page.text) == ("Log in", "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not an HTML page"),
        (b"%PDF-1.4 \x00\x01\x02", "not an HTML page"),
        (b"<p>" * 50_001, "50000 tags"),
        (_page(body="<p>" + "<b>x</b>" * 20_000 + "</p>"), "5000 children"),
        (gzip.compress(_page(body="<b>x</b>" * 20_000)), "not an HTML page"),
        (zlib.compress(_page()), "not an HTML page"),
        (_page(body="<p " + " ".join(f"a{n}=1" for n in range(600)) + ">x</p>"), "attributes"),
    ],
)
def test_extract_page_when_of_a_dangerous_shape_then_refuses(body: bytes, reason: str) -> None:
    """Shapes whose cost grows with the square of their size are refused beforehand."""
    with pytest.raises(DecodeError, match=reason):
        extract_page(body, url=URL)


def test_extract_page_when_a_drawing_has_long_attributes_then_reads_it() -> None:
    """One long attribute is not many: inline drawings do not cost the article."""
    drawing = f"<svg><path d='{'M 10 10 ' * 2_000}'/></svg>"
    assert PARAGRAPHS[0] in extract_page(_page(body=drawing), url=URL).text
