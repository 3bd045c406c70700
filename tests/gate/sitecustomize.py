"""Python reads this first in a process whose PYTHONPATH starts here: it lets a test hold a worker.

A process that comes to a named place leaves a file `<place>.<pid>` in the folder GATES and stays as
long as there is a file `<place>.closed`.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import worker.rqworker
import worker.steps.ingest
from worker.store.ledger import Ledger

GATES = Path(os.environ["GATES"])


def gated(place: str, act: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that passes a gate before it does what it is for."""

    def wait_and_act(*arguments: Any, **named: Any) -> Any:
        if (GATES / f"{place}.closed").exists():
            (GATES / f"{place}.{os.getpid()}").touch()
            while (GATES / f"{place}.closed").exists():
                time.sleep(0.01)
        return act(*arguments, **named)

    return wait_and_act


if "work" in sys.orig_argv:
    # between the pop of a hint and RQ's note of it, in the worker
    popped = worker.rqworker.HintWorker.prepare_execution
    worker.rqworker.HintWorker.prepare_execution = gated("popped", popped)  # type: ignore[method-assign]
    # with the lease of an entry taken, in the horse
    worker.steps.ingest.prepare = gated("started", worker.steps.ingest.prepare)
    # with the article attached and the entry not settled, in the horse
    Ledger.settle = gated("attached", Ledger.settle)  # type: ignore[method-assign]
