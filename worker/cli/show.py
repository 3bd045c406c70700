"""How times, numbers and addresses are shown to people."""

import re
import time

from rich import box
from rich.table import Table
from rich.text import Text

from worker.cli.common import printable

# Names of query parameters that feeds carry their readers' keys in.
_SECRET = re.compile(
    r"([?&;][^=&;#]*(?:key|token|auth|pass|pwd|secret|sig)[^=&;#]*=)[^&;#]+", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=//)[^/?#]*@")


def safe_url(url: str) -> str:
    """Return an address for the screen: no control characters, no userinfo, keys masked."""
    return _SECRET.sub(r"\1***", _USERINFO.sub("***@", printable(url)))


def clock(at: float) -> str:
    """Return Unix seconds as the local time of day, with the date where it is not today's."""
    when, today = time.localtime(at), time.localtime()
    same_day = when[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M", when)


def span(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def when(at: float, *, now: float) -> str:
    """Return a past time as people ask for it: the clock, and how long ago."""
    return f"{clock(at)} ({span(now - at)} ago)" if at else "never"


def many(count: int, noun: str) -> str:
    """Return a count and its noun, in the plural where it has to be."""
    if count != 1:
        noun = noun[:-1] + "ies" if noun.endswith(("ry", "ty")) else noun + "s"
    return f"{count} {noun}"


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Return an empty table; names in ``numbers`` are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return made


def fields(*pairs: tuple[str, object]) -> Table:
    """Return names and values below one another; empty values are left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value not in {"", None}:
            made.add_row(name, Text(printable(str(value))))
    return made
