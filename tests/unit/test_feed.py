import calendar
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.decode.feed import parse_feed
from worker.decode.values import MAX_ENTRIES, MAX_SUMMARY_CHARS, MAX_TITLE_CHARS, plain_text
from worker.errors import DecodeError
from worker.model import FeedWishes, ParsedEntry

URL = "https://news.example.com/rss/feed.xml"

ATOM = b"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Atom &amp; more</title>
<entry><id>tag:example.com,2018:1</id><title type="html">Talks in &lt;b&gt;Moscow&lt;/b&gt;</title>
<link rel="enclosure" href="/pod.mp3"/><link rel="alternate" href="/a/1"/>
<published>2018-12-30T06:15:00Z</published><updated>2019-01-01T00:00:00Z</updated>
<summary>short</summary><content type="html">&lt;p&gt;One.&lt;/p&gt;&lt;p&gt;Two.&lt;/p&gt;</content>
</entry></feed>"""

RDF = b"""<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://x/"><title>RDF</title></channel>
<item rdf:about="https://news.example.com/1"><title>One</title>
<link>https://news.example.com/1</link><dc:date>2018-12-30T06:15:00+00:00</dc:date></item>
</rdf:RDF>"""


def _rss(items: str, *, channel: str = "<title>News</title>", prolog: str = "") -> bytes:
    text = f'{prolog}<rss version="2.0"><channel>{channel}{items}</channel></rss>'
    return text.encode("utf-8")


def _item(xml: str) -> ParsedEntry:
    (entry,) = parse_feed(_rss(f"<item>{xml}</item>"), url=URL).entries
    return entry


def test_parse_feed_when_rss_then_reads_every_field() -> None:
    """RSS 2.0 gives title, ttl and entries with text, absolute link and UTC date."""
    item = """<item><guid isPermaLink="false">g-1</guid><title>Talks &amp;amp; walks</title>
    <link>/a/1?x=1&amp;y=2</link><pubDate>Sun, 30 Dec 2018 09:15:00 +0300</pubDate>
    <description>&lt;p&gt;One&lt;br&gt;two&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</description></item>"""
    feed = parse_feed(_rss(item, channel="<title>News</title><ttl>30</ttl>"), url=URL)
    assert (feed.title, feed.wishes) == ("News", FeedWishes(every_s=1800.0))
    assert feed.entries == (
        ParsedEntry(
            guid="g-1",
            url="https://news.example.com/a/1?x=1&y=2",
            title="Talks & walks",
            summary="One\ntwo",
            published_at=float(calendar.timegm((2018, 12, 30, 6, 15, 0))),
        ),
    )


def test_parse_feed_when_atom_then_prefers_published_and_the_longer_text() -> None:
    """Atom gives the alternate link, the publication date, and content over a shorter summary."""
    feed = parse_feed(ATOM, url=URL, content_type="application/atom+xml")
    (entry,) = feed.entries
    assert feed.title == "Atom & more"
    assert entry.url == "https://news.example.com/a/1"
    assert entry.title == "Talks in Moscow"
    assert entry.summary == "One.\nTwo."
    assert entry.published_at == calendar.timegm((2018, 12, 30, 6, 15, 0))


def test_parse_feed_when_rdf_then_reads_dublin_core_dates() -> None:
    """RSS 1.0 with dc:date is read like the others."""
    (entry,) = parse_feed(RDF, url=URL).entries
    assert (entry.title, entry.url) == ("One", "https://news.example.com/1")
    assert entry.published_at == calendar.timegm((2018, 12, 30, 6, 15, 0))


def test_parse_feed_when_the_feed_moves_then_guids_stay() -> None:
    """A guid is a name, not a link: it does not change with the address that answered."""
    body = _rss("<item><guid>42</guid><link>/a</link></item>")
    first = parse_feed(body, url="http://old.example/feed").entries[0]
    second = parse_feed(body, url="https://new.example/feed").entries[0]
    assert (first.guid, second.guid) == ("42", "42")
    assert (first.url, second.url) == ("http://old.example/a", "https://new.example/a")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"/etc/passwd", "no markup"),
        (b"file:///etc/passwd", "no markup"),
        (b'{"version": "https://jsonfeed.org/version/1.1"}', "no markup"),
        (b"<!DOCTYPE html><html><body>captcha</body></html>", "HTML page"),
        (b"<?x?>" * 800 + b"<html>", "HTML page"),
        (b"<?x?>" * 800 + b"<svg/>", "neither"),
        (b"<?xml version='1.0'?>\n<!-- x - -- --><html xmlns='x'><body/></html>", "HTML page"),
        ("<html><body>x</body></html>".encode("utf-16"), "HTML page"),
        (b"<opml version='2.0'><body/></opml>", "neither"),
        (b"<svg></svg>", "neither"),
        (b'<rss version="2.0"><channel><title>x', "not well-formed"),
    ],
)
def test_parse_feed_when_not_a_feed_then_says_what_it_is(body: bytes, reason: str) -> None:
    """What is no feed is refused with its reason; a path is never opened."""
    with pytest.raises(DecodeError, match=reason):
        parse_feed(body, url=URL)


@pytest.mark.parametrize(
    "codec", ["punycode", "idna", "zlib_codec", "rot13", "utf-7", "utf-16", "x" * 5_000]
)
@pytest.mark.parametrize("text", ["&#xD800;", "&#" + "9" * 5_000 + ";", "&#0;", "\x00", "a"])
def test_parse_feed_when_characters_are_hostile_then_parses_or_refuses(
    codec: str, text: str
) -> None:
    """Absurd character sets and references never raise anything but DecodeError."""
    prolog = f'<?xml version="1.0" encoding="{codec}"?>'
    with contextlib.suppress(DecodeError):
        parse_feed(_rss(f"<item><title>{text}</title></item>", prolog=prolog), url=URL)


@pytest.mark.parametrize(
    "title",
    [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x80", b"\x00\x1b[2J\x9b"],
)  # fmt: skip
def test_parse_feed_when_bytes_are_no_characters_then_text_is_clean(title: bytes) -> None:
    """Broken, overlong and half characters and controls leave text that can be stored and shown."""
    body = (
        b'<rss version="2.0"><channel><item><title>Hi ' + title + b"</title></item></channel></rss>"
    )
    for whole in (body, body.decode("latin-1").encode("utf-16-le")):
        with contextlib.suppress(DecodeError):
            found = parse_feed(whole, url=URL).entries[0].title
            assert found.encode().startswith(b"Hi")
            assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in found)


def test_parse_feed_when_a_local_file_is_named_then_does_not_read_it(tmp_path: Path) -> None:
    """A body that is the path of a readable feed is still refused."""
    path = tmp_path / "feed.xml"
    path.write_bytes(ATOM)
    with pytest.raises(DecodeError):
        parse_feed(str(path).encode(), url=URL)


@pytest.mark.parametrize(
    ("declarations", "reason"),
    [
        ("".join(f'<!ENTITY e{n} "x">' for n in range(65)), "65 entities"),
        ('<!ENTITY a "x"><!ENTITY b "&a;&a;">', "refers to another"),
        ("<!ENTITY a 'x'><!ENTITY % b '%a;'>", "refers to another"),
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_parse_feed_when_entities_chain_then_refuses(
    declarations: str, reason: str, codec: str
) -> None:
    """Many or nested entities are refused before a parser sees them, in UTF-16 too."""
    body = f'<!DOCTYPE rss [{declarations}]><rss version="2.0"><channel/></rss>'.encode(codec)
    with pytest.raises(DecodeError, match=reason):
        parse_feed(body, url=URL)


def test_parse_feed_when_a_doctype_declares_a_few_entities_then_reads_it() -> None:
    """Real feeds have document types with plain entities; those are read."""
    prolog = '<!DOCTYPE rss [\n<!ENTITY nbsp "&#160;">\n<!ENTITY co "Company">\n]>'
    body = _rss("<item><title>The &co;</title></item>", prolog=prolog)
    assert parse_feed(body, url=URL).entries[0].title == "The Company"


def test_parse_feed_when_latin1_then_reads_the_declared_character_set() -> None:
    """The XML declaration or the response header names the character set."""
    text = '<rss version="2.0"><channel><item><title>\u00c7avu\u00e7oglu</title></item></channel></rss>'
    declared = f'<?xml version="1.0" encoding="iso-8859-1"?>{text}'.encode("latin-1")
    assert parse_feed(declared, url=URL).entries[0].title == "\u00c7avu\u00e7oglu"
    header = "application/rss+xml; charset=iso-8859-1"
    assert (
        parse_feed(text.encode("latin-1"), url=URL, content_type=header).entries[0].title
        == "\u00c7avu\u00e7oglu"
    )


def test_parse_feed_when_ill_formed_but_readable_then_keeps_the_entries() -> None:
    """Unescaped ampersands and unclosed tags do not cost the entries."""
    body = b'<rss version="2.0"><channel><item><title>Q & A</title><link>http://x.example/1</link>'
    (entry,) = parse_feed(body, url=URL).entries
    assert (entry.title, entry.url) == ("Q & A", "http://x.example/1")


@pytest.mark.parametrize(
    "date",
    [
        "0000-00-00T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "10000-01-01T00:00:00Z",
        "-0001-11-30T00:00:00+00:00",
        "Wed, 30 Nov -0001 00:00:00 +0000",
        "Mon, 30 Feb 2018 06:15:00 GMT",
        "1111111",
        "yesterday",
        "",
    ],
)
def test_parse_feed_when_a_date_is_absurd_then_has_none(date: str) -> None:
    """Dates that feedparser turns into year -1, 2000 or 10000 are no dates."""
    assert _item(f"<title>t</title><pubDate>{date}</pubDate>").published_at is None


def test_parse_feed_when_a_date_breaks_its_reader_then_the_entries_are_read() -> None:
    """An absurd date costs its entry the date, and its feed nothing."""
    date = "<pubDate>Sun, 018/13/30 06:15:15 UT</pubDate>"
    first, second = parse_feed(
        _rss(f"<item>{date}</item><item><guid>2</guid></item>"), url=URL
    ).entries
    assert first.published_at is None
    assert second.guid == "2"


def test_parse_feed_when_one_of_two_dates_is_none_then_takes_the_other() -> None:
    """When an entry was updated says more of its time than nothing."""
    dates = "<pubDate>soon</pubDate><atom:updated>2018-12-30T11:45:00+0530</atom:updated>"
    atom = 'xmlns:atom="http://www.w3.org/2005/Atom"'
    body = _rss(f"<item><title>t</title>{dates}</item>").replace(b"<rss ", f"<rss {atom} ".encode())
    (entry,) = parse_feed(body, url=URL).entries
    assert entry.published_at == calendar.timegm((2018, 12, 30, 6, 15, 0))


def test_parse_feed_when_text_holds_controls_then_drops_them() -> None:
    """NUL, C1 controls and direction overrides are dropped; tags in text stay out."""
    body = b'<rss version="2.0"><channel><item><title>a\x00b\x01 \xe2\x80\xaec</title></item>'
    assert parse_feed(body, url=URL).entries[0].title == "ab c"
    assert _item("<title>&lt;script&gt;alert(1)&lt;/script&gt;Hi</title>").title == "Hi"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("file:///etc/passwd", ""),
        ("http://[bad", ""),
        ("//other.example/a", "https://other.example/a"),
        ("../a", "https://news.example.com/a"),
        ("", ""),
    ],
)
def test_parse_feed_when_a_link_is_odd_then_is_absolute_http_or_empty(link: str, url: str) -> None:
    """Only http(s) links survive, resolved against the feed's address."""
    assert _item(f"<title>t</title><link>{link}</link>").url == url


def test_parse_feed_when_there_are_too_many_entries_then_keeps_the_newest() -> None:
    """A document of many items costs the newest thousand; an undated one keeps its order."""
    count = MAX_ENTRIES + 200
    dated = "".join(
        f"<item><guid>{n}</guid><pubDate>{2000 + n % 30}-01-01T00:00:00Z</pubDate></item>"
        for n in range(count)
    )
    kept = parse_feed(_rss(dated), url=URL).entries
    assert len(kept) == MAX_ENTRIES
    assert min(entry.published_at or 0.0 for entry in kept) >= calendar.timegm(
        (2005, 1, 1, 0, 0, 0)
    )
    undated = "".join(f"<item><guid>{n}</guid></item>" for n in range(count))
    assert [entry.guid for entry in parse_feed(_rss(undated), url=URL).entries[:2]] == ["0", "1"]


def test_parse_feed_when_texts_are_huge_then_caps_them() -> None:
    """Titles and summaries have a longest length."""
    entry = _item(f"<title>{'t' * 9_000}</title><description>{'d ' * 90_000}</description>")
    assert len(entry.title) == MAX_TITLE_CHARS
    assert MAX_SUMMARY_CHARS - 1 <= len(entry.summary) <= MAX_SUMMARY_CHARS


SYNDICATION = 'xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'


def _wishes(channel: str, items: str = "") -> FeedWishes:
    document = _rss(items, channel=channel).replace(b"<rss ", f"<rss {SYNDICATION} ".encode())
    return parse_feed(document, url=URL).wishes


def _updates(period: str, frequency: str = "") -> str:
    often = f"<sy:updateFrequency>{frequency}</sy:updateFrequency>" if frequency else ""
    return f"<sy:updatePeriod>{period}</sy:updatePeriod>{often}"


@pytest.mark.parametrize(
    ("channel", "seconds"),
    [
        ("", 0.0),
        ("<ttl>60</ttl>", 3_600.0),
        ("<ttl>0</ttl>", 0.0),
        ("<ttl>x</ttl>", 0.0),
        ("<ttl>-60</ttl>", 0.0),
        (f"<ttl>{'9' * 9}</ttl>", 7 * 86_400.0),
        (_updates("hourly"), 3_600.0),
        (_updates(" Daily\n", "4"), 21_600.0),
        (_updates("daily", "0"), 86_400.0),
        (_updates("daily", "often"), 86_400.0),
        (_updates("yearly", "365"), 86_400.0),
        (_updates("yearly"), 7 * 86_400.0),
        (_updates("always"), 0.0),
        ("<sy:updateFrequency>2</sy:updateFrequency>", 0.0),
        (f"<ttl>30</ttl>{_updates('hourly', '4')}", 1_800.0),
    ],
)
def test_parse_feed_when_it_asks_for_an_interval_then_is_in_seconds(
    channel: str, seconds: float
) -> None:
    """Minutes, or the name of a period; bounded. Nonsense is silence, and so is what is not said."""
    assert _wishes(channel) == FeedWishes(every_s=seconds)


@pytest.mark.parametrize(
    ("channel", "hours", "days"),
    [
        ("<skipHours><hour>0</hour>\n<hour> 23 </hour></skipHours>", {0, 23}, set()),
        ("<skipHours><hour>24</hour><hour>25</hour><hour>-1</hour></skipHours>", {0}, set()),
        (
            "<skipDays><day>Sunday</day><day>monday</day><day>Someday</day></skipDays>",
            set(),
            {0, 6},
        ),
        ("<skipHours><hour>1</skipHours><hour>2</hour>", set(), set()),
        ("<skipHours><hour>3</hour>", {3}, set()),
        (f"<skipHours>{' ' * 3_000}<hour>3</hour></skipHours>", set(), set()),
        (f"<skipHours>{''.join(f'<hour>{h}</hour>' for h in range(24))}</skipHours>", set(), set()),
    ],
)
def test_parse_feed_when_it_skips_hours_and_days_then_they_are_bits(
    channel: str, hours: set[int], days: set[int]
) -> None:
    """Midnight is 0 or 24, what is out of range is left out, and what skips everything skips nothing."""
    wishes = _wishes(channel, "<item><title>One</title></item>")
    assert wishes.skip_hours == sum(1 << hour for hour in hours)
    assert wishes.skip_days == sum(1 << day for day in days)


def test_parse_feed_when_an_item_speaks_of_skipping_then_it_is_not_heeded() -> None:
    """Who writes into a feed's entries cannot silence it."""
    quoted = "<skipHours><hour>3</hour></skipHours>"
    assert _wishes("", f"<item><title>x</title>{quoted}</item>") == FeedWishes()


@given(st.text(alphabet="<>/ 0123456789hourskipday", max_size=200))
def test_parse_feed_when_its_wishes_are_noise_then_they_stay_within_bounds(noise: str) -> None:
    """Whatever stands where wishes belong is a bounded wish, or none, or no feed."""
    with contextlib.suppress(DecodeError):
        wishes = _wishes(
            f"<ttl>{noise}</ttl>{_updates(noise, noise)}<skipHours>{noise}</skipHours>"
        )
        assert 0.0 <= wishes.every_s <= 7 * 86_400.0
        assert 0 <= wishes.skip_hours < 2**24 - 1
        assert 0 <= wishes.skip_days < 2**7 - 1


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("<!-- only a comment -->", ""),
        ("a<style>p{}</style>b<!-- x -->c", "abc"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("&lt;b&gt;", "<b>"),
        ("&#1;&#x202e;x<p>&#12;y</p>&#2;z", "x\ny\nz"),
        ("<?xml version='1.0' encoding='x'?>y", "y"),
        ("<a href='java&#10;script:alert(1)' onclick='x()'>go</a>", "go"),
        ("<svg/onload=alert(1)>a<math><mtext>b</mtext></math><iframe src='x'></iframe>", "ab"),
        ("<meta http-equiv=refresh content=0>a<object data=x>b</object>", "ab"),
        ("{{7*7}} ${7*7} %s %n", "{{7*7}} ${7*7} %s %n"),
        (None, ""),
    ],
)
def test_plain_text_when_given_markup_then_returns_its_text(markup: str | None, text: str) -> None:
    """Tags, scripts and comments go, entities are read, and bare signs stay."""
    assert plain_text(markup, 100) == text
