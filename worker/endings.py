"""The signals that ask a process to end, SIGINT and SIGTERM, and what it does when one comes."""

import signal
import threading
from collections.abc import Callable
from typing import Any

ENDINGS = (signal.SIGINT, signal.SIGTERM)


def on_ending(handler: Callable[..., Any] | signal.Handlers) -> None:
    """Handle each of them so: a function of signal's kind, SIG_DFL or SIG_IGN. In the main thread."""
    for number in ENDINGS:
        signal.signal(number, handler)


def stop_signal() -> threading.Event:
    """Return an event that each of them sets."""
    stop = threading.Event()
    on_ending(lambda *_: stop.set())
    return stop
