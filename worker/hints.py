"""RQ, used as a hint: 'these entries wait for you'. Carries ids only; the ledger is the truth.

RQ's defaults are changed where they lose or leak (docs/decisions.md, RQ): JSON instead of pickle;
of a job only a few short fields are read, so what else its hash may hold (callbacks, webhooks,
dependents, a bomb) does not exist; and a job runs one function or none, because JSON alone still
imports any callable that a job names.
"""

import json
import math
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from rq import Queue, Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from worker.model import EntryId
from worker.store.client import store_errors

WORK_FUNCTION = "worker.jobs.work"
_JOB_TIMEOUT_S = 60
_FAILURE_TTL_S = 7 * 86_400  # RQ's own is a year
# Of one field. The ids of 256 entries, the largest batch allowed, take 6 kB.
_MOST_BYTES = 2**16
# What is read of a job. RQ would read thirty fields more, of any size.
_FIELDS = ("data", "origin", "status", "created_at", "enqueued_at")


# An id tells of a hint whether it is a new one or told again, and when it was sent (ms).
_NEW, _AGAIN = "n", "a"
_HINT_ID = re.compile(rb"([na])([0-9]{13})-[0-9a-f]{8}")
_HEAD = 200  # ids looked at: more than are told again in a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Oldest:
    """When the oldest hints that wait were sent, in Unix seconds; infinity where none waits.

    Older ones were taken: an entry told of before that, and still on the ledger when its lease has
    run out, was lost with its worker.
    """

    new: float
    again: float  # of those that go before the others


class UnreadableJobError(NoSuchJobError):
    """A job that is no hint. RQ takes it for one that is gone and goes on; worker/sweep.py acts."""


class HintJob(Job):
    """A job of which only what makes a hint is read, and that runs only the function of hints."""

    @classmethod
    def fetch(
        cls, job_id: str, connection: redis.Redis | None = None, serializer: Any = None
    ) -> Job:
        """Return a job.

        Raises:
            NoSuchJobError: there is none.
            UnreadableJobError: there is something else.
        """
        try:
            return super().fetch(job_id, connection, serializer)
        except (ValueError, RecursionError) as e:
            raise UnreadableJobError(str(e)) from e

    @classmethod
    def fetch_many(
        cls,
        job_ids: Iterable[str],
        connection: redis.Redis,  # noqa: ARG003 - RQ's signature
        serializer: Any = None,  # noqa: ARG003
    ) -> list[Job | None]:
        """Return none of them: RQ asks for the dependents of a job, and hints have no dependents."""
        return [None for _ in job_ids]

    def refresh(self) -> None:
        """Read the job from Redis. Raises as fetch, and ValueError or RecursionError."""
        fields, too_long = short_fields(self.connection, self.key)
        if too_long:
            raise UnreadableJobError(f"too long: {too_long}")
        if not fields:
            raise NoSuchJobError(f"no job {self.id}")
        fields["data"] = _hint_data(fields.get("data", b""))
        self.restore(fields)
        self.timeout, self.result_ttl, self.failure_ttl = _JOB_TIMEOUT_S, 0, _FAILURE_TTL_S

    @property
    def func(self) -> Callable[..., Any]:
        """The function of hints; what a job names is never imported."""
        return import_attribute(WORK_FUNCTION)

    def _fetch_status(self) -> JobStatus:
        """Return the status in Redis; one that RQ does not know counts as none."""
        try:
            return super()._fetch_status()
        except (ValueError, redis.ResponseError) as e:
            raise InvalidJobOperation(f"job {self.id} has no status: {e}") from e


class HintQueue(Queue):
    """A queue whose worker does not fall over an id that is no text."""

    @classmethod
    def lmove(
        cls, connection: redis.Redis, queue_key: str, timeout: int | None
    ) -> tuple[str, bytes] | None:
        """Pop an id into the intermediate list, where worker/sweep.py finds those passed over."""
        while popped := super().lmove(connection, queue_key, timeout):
            if popped[1].isascii():
                return popped  # type: ignore[no-any-return]
        return None


class Hints:
    """The queue of one namespace."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.namespace = namespace
        self.queue = HintQueue(
            f"samestory-{namespace}",
            connection=client,
            serializer=JSONSerializer,
            job_class=HintJob,
            default_timeout=_JOB_TIMEOUT_S,
        )

    @store_errors()
    def send(self, entry_ids: Sequence[EntryId], *, now: float, again: bool = False) -> None:
        """Tell the workers of entries. May be lost or doubled without harm.

        Args:
            entry_ids: of the entries.
            now: Unix seconds, which the id of the job keeps.
            again: they were told before, and lost; so they go before what waits.
        """
        kind = _AGAIN if again else _NEW
        self.queue.enqueue_call(
            WORK_FUNCTION,
            args=(self.namespace, list(entry_ids)),
            result_ttl=0,
            failure_ttl=_FAILURE_TTL_S,
            description="hint",
            job_id=f"{kind}{1_000 * now:013.0f}-{secrets.token_hex(4)}",
            at_front=again,
        )

    @store_errors()
    def oldest(self) -> Oldest:
        """Return since when the hints wait that no worker has taken yet. Cost: one round trip."""
        ids = self.queue.connection.lrange(self.queue.key, 0, _HEAD - 1)
        times: dict[str, list[float]] = {_NEW: [], _AGAIN: []}
        for raw in ids:
            if match := _HINT_ID.fullmatch(raw):
                times[match[1].decode()].append(int(match[2]) / 1_000)
        unseen = 0.0 if len(ids) == _HEAD else math.inf  # further back there may be any
        return Oldest(
            new=min(times[_NEW], default=unseen), again=min(times[_AGAIN], default=math.inf)
        )

    @store_errors()
    def waiting(self) -> int:
        """Return how many hints no worker has taken yet.

        Never asks RQ's registries, whose look-ups clean up, unlocked, as a side effect.
        """
        return int(self.queue.count)

    @store_errors()
    def has_worker(self) -> bool:
        """Say whether any worker is listening."""
        return Worker.count(queue=self.queue) > 0


def hinted_at(job: Job) -> tuple[EntryId, ...]:
    """Return the entries that a job, read as a HintJob, hints at."""
    return tuple(EntryId(entry_id) for entry_id in job.args[1])


def short_fields(
    connection: redis.Redis, key: str | bytes
) -> tuple[dict[str, bytes], dict[str, int]]:
    """Return the fields of a job hash that are short enough to be read, and the sizes of others.

    Raises:
        UnreadableJobError: the key holds something else than a hash.
    """
    kind = connection.type(key)
    if kind not in {b"hash", b"none"}:
        raise UnreadableJobError(f"its key holds a {kind.decode()}")
    with connection.pipeline(transaction=False) as pipe:
        for name in _FIELDS:
            pipe.hstrlen(key, name)
        sizes = dict(zip(_FIELDS, pipe.execute(), strict=True))
    too_long = {name: size for name, size in sizes.items() if size > _MOST_BYTES}
    names = [name for name in _FIELDS if name not in too_long]
    values = connection.hmget(key, names)
    return {name: v for name, v in zip(names, values, strict=True) if v is not None}, too_long


def _hint_data(raw: bytes) -> bytes:
    """Return the call that a job's data holds, inflated as far as allowed and found to be a hint's.

    Raises:
        UnreadableJobError, ValueError, RecursionError: it is no hint's.
    """
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(raw, _MOST_BYTES)
        if inflater.unconsumed_tail:
            raise UnreadableJobError(f"its data has more than {_MOST_BYTES} bytes when inflated")
    except zlib.error:
        data = raw  # RQ takes what is not compressed as it is
    match json.loads(data):
        case [str(name), _, _, _] if name != WORK_FUNCTION:
            raise UnreadableJobError("it names a function that is not allowed")
        case [_, None, [str(), [*ids]], dict(named)] if not named:
            if all(isinstance(entry_id, str) for entry_id in ids):
                return data
    raise UnreadableJobError("its data is no hint")
