import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.decode.dates import moment

AT = calendar.timegm((2018, 12, 30, 6, 15, 0))
_DAY_S = 86_400.0
DAY_AT = AT // _DAY_S * _DAY_S


@pytest.mark.parametrize(
    "text",
    [
        # RFC 822 and 5322
        "Sun, 30 Dec 2018 06:15:00 GMT",
        "Sun, 30 Dec 2018 06:15:00 UT",
        "Sun, 30 Dec 2018 06:15:00 Z",
        "Sun, 30 Dec 2018 06:15:00 UTC",
        "Sun, 30 Dec 2018 06:15:00 +0000",
        "Sun, 30 Dec 2018 06:15:00 -0000",
        "Sun, 30 Dec 2018 01:15:00 EST",
        "Sun, 30 Dec 2018 02:15:00 EDT",
        "Sat, 29 Dec 2018 22:15:00 PST",
        "Sun, 30 Dec 2018 07:15:00 CET",
        "Sun, 30 Dec 2018 08:15:00 CEST",
        "Sun, 30 Dec 2018 07:15:00 BST",
        "Sun, 30 Dec 2018 09:15:00 MSK",
        "Sun, 30 Dec 2018 15:15:00 JST",
        "Sun, 30 Dec 2018 17:15:00 AEDT",
        "Sun, 30 Dec 2018 06:15:00 XYZ",
        "Sun, 30 Dec 2018 08:15:00 +0200",
        "Sun, 30 Dec 2018 08:15:00 +02:00",
        "Sun, 30 Dec 2018 11:45:00 +0530",
        "Sun, 30 Dec 2018 02:45:00 -0330",
        "Sun, 30 Dec 2018 08:15:00 GMT+2",
        "Sun, 30 Dec 2018 08:15:00 GMT+02:00",
        "Sun, 30 Dec 2018 08:15:00 UTC+2",
        "Sun, 30 Dec 2018 06:15:00 GMT (Coordinated Universal Time)",
        # ... and what is made of them
        "Sun, 30 Dec 2018 06:15:00",
        "Sun, 30 Dec 2018 06:15",
        "Sun, 30 Dec 2018 6:15 GMT",
        "Sun,30 Dec 2018 06:15:00 GMT",
        "Sun 30 Dec 2018 06:15:00 GMT",
        "  SUN,\n 30  DEC 2018 06:15:00   gmt ",
        "Sunday, 30 December 2018 06:15:00 GMT",
        "Sun, 30-Dec-2018 06:15:00 GMT",
        "30 Dec 2018 06:15:00 GMT",
        "30 Dec 18 06:15 GMT",
        "30 Dec. 2018, 06:15",
        "December 30, 2018 06:15:00 GMT",
        "Sun, Dec 30, 2018 01:15:00 EST",
        "Sun Dec 30 06:15:00 2018",
        "Sun Dec 30 01:15:00 EST 2018",
        # RFC 3339, ISO 8601, W3C's profile, databases
        "2018-12-30T06:15:00Z",
        "2018-12-30t06:15:00.123456789z",
        "2018-12-30T06:15:00,5Z",
        "2018-12-30T06:15Z",
        "2018-12-30T06:15:00",
        "2018-12-30T08:15:00+02:00",
        "2018-12-30T08:15:00+0200",
        "2018-12-30T08:15:00+02",
        "2018-12-30T11:45:00+05:30",
        "2018-12-30T11:45:00+0530",
        "2018-12-30T02:45:00-0330",
        "2018-12-30 06:15:00",
        "2018-12-30 06:15:00 UTC",
        "2018-12-30 01:15:00 EST",
        "2018-12-30 08:15:00 +0200",
        "2018/12/30 06:15:00",
        "20181230T061500Z",
        # Unix time
        "1546150500",
        "1546150500000",
    ],
)
def test_moment_when_written_as_feeds_do_then_is_unix_seconds(text: str) -> None:
    """One moment in the spellings of real feeds; zones that nobody knows are UTC."""
    assert moment(text) == AT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2018-12-30", DAY_AT),
        ("20181230", DAY_AT),
        ("30 Dec 2018", DAY_AT),
        ("December 30, 2018", DAY_AT),
        ("2018-12", DAY_AT - 29 * _DAY_S),
        ("2018", DAY_AT - 363 * _DAY_S),
        ("30 Dec 98 06:15:00 GMT", calendar.timegm((1998, 12, 30, 6, 15, 0))),
        ("1 Jan 49", calendar.timegm((2049, 1, 1, 0, 0, 0))),
        ("2016-12-31T23:59:60Z", calendar.timegm((2016, 12, 31, 23, 59, 59))),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("1970-01-01T00:00:00+14:00", -14 * 3_600.0),
        ("9998-12-31T23:59:59-23:59", 253_370_851_139.0),
    ],
)
def test_moment_when_less_is_said_then_is_the_first_of_its_day_month_or_year(
    text: str, seconds: float
) -> None:
    """Two digits of a year are of these fifty years or of the fifty before; a leap second is none."""
    assert moment(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "-",
        "0000-00-00 00:00:00",
        "0000-00-00T00:00:00Z",
        "-0001-11-30T00:00:00+00:00",
        "Wed, 30 Nov -0001 00:00:00 +0000",
        "0001-01-01T00:00:00Z",
        "1111-11-11",
        "1111111",
        "9999-12-31T23:59:59-23:59",
        "10000-01-01T00:00:00Z",
        "2018-02-30",
        "Mon, 30 Feb 2018 06:15:00 GMT",
        "2018-12-30T25:00:00Z",
        "2018-12-30T06:61:00Z",
        "2018-12-30T06:15:00+99:99",
        "Sun, 30 Dec 2018 06:15:00 +9999",
        "Sun, 30 Dec 2018 06:15:00 PM GMT",
        "So, 30 Dez 2018 06:15:00 +0000",
        "30.12.2018 06:15",
        "30/12/2018",
        "12/30/2018",
        "2018-W52-7",
        "2018-364",
        "٢٠١٨-12-30",
        "Sun, 30 Dec 2018 06:15:00 GMT " + "(x)" * 30,
    ],
)
def test_moment_when_it_is_no_date_then_none(text: str) -> None:
    """No day, no hour, none of those times, or a form that says day and month in either order."""
    assert moment(text) is None


@given(st.text(alphabet="0123456789-+:/., TZtzJanDecGMT()", max_size=70))
def test_moment_when_given_noise_then_is_a_time_or_none(text: str) -> None:
    """Whatever is read lies between the first year and the last one."""
    at = moment(text)
    assert at is None or -_DAY_S < at < calendar.timegm((9999, 1, 2, 0, 0, 0))
