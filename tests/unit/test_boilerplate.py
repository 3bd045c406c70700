"""Lines that a publisher repeats are found on its later pages, and nothing else is."""

from worker.core.boilerplate import RING, line_hashes, remember, repeated_lines, without

BOX = "Sign up for the morning letter of the Harbour Post and never miss a tide again."
FOOT = "The Harbour Post is published by the Quayside Company; all rights reserved."


def _page(number: int) -> str:
    own = [f"Paragraph {part} of report {number} tells what no other has told." for part in "abc"]
    return "\n".join([own[0], BOX, *own[1:], FOOT])


def _ring(*texts: str, title: str = "Report {}") -> bytes:
    ring = b""
    for number, text in enumerate(texts):
        ring = remember(ring, line_hashes(title.format(number), text), number)
    return ring


def test_repeated_lines_when_on_three_other_pages_then_are_cut() -> None:
    """The fourth page of a publisher loses what it shares with the three before it."""
    hashes = line_hashes("Report 9", _page(9))
    assert repeated_lines(_ring(_page(0), _page(1)), hashes, 9) == frozenset()
    repeated = repeated_lines(_ring(_page(0), _page(1), _page(2)), hashes, 9)
    assert len(repeated) == 2
    cut = without(_page(9), repeated)
    assert BOX not in cut
    assert FOOT not in cut
    assert cut.count("report 9") == 3


def test_repeated_lines_when_an_article_comes_again_then_are_none() -> None:
    """An update under another address has its old title: it is a copy, not boilerplate."""
    ring = _ring(*[_page(0)] * 5, title="The same report")
    assert repeated_lines(ring, line_hashes("The same report", _page(0)), 9) == frozenset()


def test_repeated_lines_when_attempts_repeat_then_count_once() -> None:
    """An article that is tried again finds nothing of itself."""
    ring = b""
    for _ in range(5):
        ring = remember(ring, line_hashes("Report 9", _page(9)), 9)
    assert repeated_lines(ring, line_hashes("Report 9", _page(9)), 9) == frozenset()
    assert len(ring) == 8 * 6


def test_repeated_lines_when_nothing_is_known_then_are_none() -> None:
    """The first page of a publisher, and a text without lines, are left alone."""
    assert repeated_lines(b"", line_hashes("Report", _page(1)), 1) == frozenset()
    assert repeated_lines(_ring(_page(0)), line_hashes("", ""), 1) == frozenset()


def test_remember_when_a_publisher_goes_on_then_ring_is_bounded() -> None:
    """The oldest lines go; long articles count with their top and end."""
    long = "\n".join(f"Line {i} of a very long text indeed" for i in range(5_000))
    ring = _ring(*[f"{number} {long}" for number in range(40)])
    assert len(ring) == 8 * RING
