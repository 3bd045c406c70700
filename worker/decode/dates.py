"""Dates as feeds write them, to Unix seconds.

One job: the text of a date in, a time or None out. feedparser's own readings are not used: they take
+0530 for five hours, 2018/12/30 for the first of November, the -0001-11-30 of empty MySQL fields for the
year 2000, and know hardly a zone outside America (6.0.14).
Called by decode/feed, decode/json_feed and decode/sitemap.
"""

import re
from datetime import datetime, timedelta, timezone

# Unix time begins with the first; of the last every hour is one in all time zones.
FIRST_YEAR, LAST_YEAR = 1970, 9998
_LONGEST = 64  # characters; a full RFC 822 date with a comment has 40
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - a table
# Hours east of Greenwich. RFC 822 section 5, and of the IANA time zone database those abbreviations
# that one place or one offset uses: not IST (India, Israel, Ireland). Unknown ones count as UTC (RFC
# 5322 section 4.3).
_ZONES = {
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    "akst": -9, "akdt": -8, "hst": -10, "west": 1, "bst": 1, "cet": 1, "cest": 2, "met": 1, "mest": 2,
    "eet": 2, "eest": 3, "msk": 3, "sast": 2, "pkt": 5, "hkt": 8, "jst": 9, "kst": 9, "aest": 10,
    "aedt": 11, "nzst": 12, "nzdt": 13,
}  # fmt: skip
_TIME = r"(?P<hour>\d\d?):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,]\d{1,12})?)?"
_ZONE = r"(?: ?(?:(?P<zone>[a-z]{1,5})|(?:utc?|gmt)?(?P<sign>[+-])(?P<hours>\d\d?):?(?P<minutes>\d\d)?))?"
# ISO 8601 as RFC 3339, W3C's NOTE-datetime and databases write it: 2018-12-30T06:15:00.5+02:00,
# 2018-12-30 06:15, 20181230T061500Z, 2018-12, 2018.
_ISO = re.compile(
    r"(?P<year>\d{4})(?:(?P<dash>[-/]?)(?P<month>\d\d)"
    rf"(?:(?P=dash)(?P<day>\d\d)(?:[t ]{_TIME}{_ZONE})?)?)?",
    re.ASCII,
)
_WEEKDAY = r"(?:[a-z]{2,9}(?:, ?|\. ?| ))?"
_MONTH = r"(?P<month>[a-z]{3})[a-z]{0,6}\.?,?"
# RFC 822 and its relatives: Sun, 30 Dec 2018 06:15:00 GMT, 30-Dec-18 6:15 CET, 30 December 2018.
_RFC822 = re.compile(
    rf"{_WEEKDAY}(?P<day>\d\d?)[ -]{_MONTH}[ -](?P<year>\d{{4}}|\d\d)"
    rf"(?:,? {_TIME}{_ZONE})?(?: \([^()]*\))?",
    re.ASCII,
)
# As Americans and C's asctime write it: December 30, 2018; Sun Dec 30 06:15:00 EST 2018.
_MONTH_FIRST = re.compile(
    rf"{_WEEKDAY}{_MONTH} (?P<day>\d\d?),? (?P<year>\d{{4}})(?:,? {_TIME}{_ZONE})?", re.ASCII
)
_YEAR_LAST = re.compile(
    rf"{_WEEKDAY}{_MONTH} (?P<day>\d\d?) {_TIME}{_ZONE} (?P<year>\d{{4}})", re.ASCII
)
_SINCE_1970 = re.compile(r"(\d{10})(?:\d{3})?", re.ASCII)  # seconds or milliseconds
_FORMS = (_ISO, _RFC822, _MONTH_FIRST, _YEAR_LAST)


def moment(text: str) -> float | None:
    """Return a date as Unix seconds; None when it is none that we read, or before 1970.

    A date alone counts as its first moment in UTC, a month and a year likewise; a time without a zone
    is UTC, a leap second the one before it. Two digits of a year are 1950 to 2049 (RFC 5322 4.3).
    """
    text = " ".join(text.lower().split())
    if len(text) > _LONGEST:
        return None
    since = _SINCE_1970.fullmatch(text)
    if since:
        return float(since[1])
    found = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    return _at(found.groupdict()) if found else None


def _at(parts: dict[str, str | None]) -> float | None:
    """Return the time that the parts of a date name, if there is such a day and hour."""
    year, month = _number(parts["year"]), parts["month"] or "1"
    if len(parts["year"] or "") == 2:
        year += 2000 if year < 50 else 1900
    offset = timedelta(hours=_number(parts["hours"]), minutes=_number(parts["minutes"]))
    if parts["zone"]:
        offset = timedelta(hours=_ZONES.get(parts["zone"], 0))
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return datetime(
            year,
            int(month) if month.isdigit() else _MONTHS.index(month) + 1,
            _number(parts["day"] or "1"),
            _number(parts["hour"]),
            _number(parts["minute"]),
            min(_number(parts["second"]), 59),
            tzinfo=timezone(-offset if parts["sign"] == "-" else offset),
        ).timestamp()
    except ValueError:
        return None


def _number(digits: str | None) -> int:
    return int(digits or 0)
