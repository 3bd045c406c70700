"""Which archive files are past what is to be kept, told from their names and sizes alone.

Pure. What is still needed of them is asked by steps/retention, the only caller.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

_DAY_S = 86_400.0
# As archive/warc names files: the UTC day in which one was opened, host, process, draw, number.
_NAME = re.compile(r"(\d{8})-[A-Za-z0-9]{1,32}\.\d+\.[0-9a-f]{8}-\d{4,}\.warc\.gz")
# Nobody writes to a file of a past day. The day before today still counts as today: clocks differ, and
# entries of a minute ago lead to its pages.
_OPEN_DAYS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of the archive is kept; 0 for no limit."""

    keep_days: float
    keep_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An archive file."""

    name: str
    size: int  # bytes
    opened_at: float  # the begin of the UTC day that its name tells, Unix seconds


def stored(name: str, size: int) -> Stored | None:
    """Return what a file's name tells; None when the archive never names one so."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    try:
        day = datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return Stored(name=name, size=size, opened_at=day.timestamp())


def expired(files: Collection[Stored], limits: Limits, now: float) -> list[Stored]:
    """Return the files that are too old or too much, oldest first; never one of today or yesterday.

    A file is as old as the end of its day.
    """
    total = sum(file.size for file in files)
    found = []
    for file in sorted(files, key=lambda file: (file.opened_at, file.name)):
        ended_s = now - (file.opened_at + _DAY_S)
        too_old = limits.keep_days and ended_s > limits.keep_days * _DAY_S
        too_much = limits.keep_bytes and total > limits.keep_bytes
        if not (too_old or too_much) or ended_s < (_OPEN_DAYS - 1) * _DAY_S:
            break
        found.append(file)
        total -= file.size
    return found


def may_refer(keep: Iterable[Stored], gone: Iterable[Stored]) -> list[Stored]:
    """Return the files to keep that may refer to records in those that go: of their day or the next.

    What refers to a record was written while its place was known to all pollers, for two hours
    (store/fetched).
    """
    days = {file.opened_at + more for file in gone for more in (0.0, _DAY_S)}
    return [file for file in keep if file.opened_at in days]
