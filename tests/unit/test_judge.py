"""What a robots.txt says of an address."""

import pytest

from worker.decode.robots import judge

SITE = "https://news.example.com"


def _allowed(file: str | bytes, path: str, token: str = "samestory") -> bool:
    body = file.encode() if isinstance(file, str) else file
    return judge(body, url=SITE + path, token=token).allowed


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("Disallow: /private/", "/private/a", False),
        ("Disallow: /private/", "/public/private/", True),
        ("Disallow: /private/", "/Private/", True),
        ("Disallow:", "/a", True),
        ("Disallow: /", "/", False),
        ("Disallow: /", "/robots.txt", True),
        ("Disallow: /*.pdf", "/a/b.pdf?x=1", False),
        ("Disallow: /*.pdf$", "/a/b.pdf", False),
        ("Disallow: /*.pdf$", "/a/b.pdf?x=1", True),
        ("Disallow: /a$", "/a", False),
        ("Disallow: /a$", "/ab", True),
        ("Disallow: /a/*/c", "/a/b/c/d", False),
        ("Disallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("Allow: /a\nDisallow: /a/b", "/a/b/c", False),
        ("Disallow: /a\nAllow: /a", "/a", True),
        ("Disallow: /b\u00fccher", "/b%C3%BCcher/1", False),
        ("Disallow: /a%2Fb", "/a%2fb", False),
        ("Disallow: /search?q=", "/search?q=quake", False),
        ("Disallow: /a # not this", "/a", False),
    ],
)
def test_judge_when_rules_match_then_the_longest_decides(
    rules: str,
    path: str,
    allowed: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Prefixes, '*', '$', the longest match, Allow before Disallow (RFC 9309 2.2.2 and 2.2.3)."""
    assert _allowed(f"User-agent: *\n{rules}\n", path) is allowed


@pytest.mark.parametrize(
    ("file", "allowed"),
    [
        ("User-agent: *\nDisallow: /\n\nUser-agent: samestory\nDisallow: /b\n", True),
        ("User-agent: SameStory\nDisallow: /\n\nUser-agent: *\nAllow: /\n", False),
        ("User-agent: other\nUser-agent: samestory\nDisallow: /a\n", False),
        ("User-agent: other\nDisallow: /\n", True),
        ("User-agent: samestory\nDisallow: /b\n\nUser-agent: samestory\nDisallow: /a\n", False),
        ("Disallow: /\n", True),
        ("", True),
    ],
)
def test_judge_when_groups_differ_then_ours_counts_and_else_that_of_all(
    file: str,
    allowed: bool,  # noqa: FBT001 - a table's column
) -> None:
    """The groups of our product token are one; '*' is for who has none (RFC 9309 2.2.1)."""
    assert _allowed(file, "/a") is allowed


@pytest.mark.parametrize(
    "file",
    [
        b"\xef\xbb\xbfUser-agent: *\nDisallow: /a\n",
        b"User-agent: *\r\nDisallow: /a\r\n",
        b"User-agent: *\rDisallow: /a\r",
        b"\0\n\xff\xfe\nUser-agent: *\nCrawl-delay: \0\nDisallow: /a\n",
        b"User-agent: *\nDisallow: /\0\nDisallow: /a",
    ],
    ids=["BOM", "CRLF", "CR", "noise", "NUL"],
)
def test_judge_when_written_oddly_then_is_read_all_the_same(file: bytes) -> None:
    """A mark at the start, any line ends, and bytes that are no text cost nothing but themselves."""
    assert not _allowed(file, "/a")
    assert _allowed(file, "/b")


@pytest.mark.parametrize(
    "file",
    [
        b"<!DOCTYPE html>\n<title>Not found</title>\n<p>User-agent: samestory<br>\nDisallow: /",
        b"\x1f\x8b\x08" + bytes(range(256)),
        b"\0" * 1_000,
    ],
    ids=["HTML", "bytes", "NUL"],
)
def test_judge_when_it_is_no_robots_txt_then_allows(file: bytes) -> None:
    """A page that says 'not found' with status 200 forbids nothing."""
    assert _allowed(file, "/a")


@pytest.mark.parametrize(
    ("line", "delay_s"),
    [
        ("Crawl-delay: 7.5", 7.5),
        ("Crawl-delay: -1", 0.0),
        ("Crawl-delay: soon", 0.0),
        ("Crawl-delay: inf", 0.0),
        ("", 0.0),
    ],
)
def test_judge_when_it_asks_for_a_delay_then_tells_it(line: str, delay_s: float) -> None:
    """The delay of our group, in seconds; what is no number of them is none."""
    body = f"User-agent: *\n{line}\n".encode()
    assert judge(body, url=SITE, token="samestory").delay_s == delay_s
