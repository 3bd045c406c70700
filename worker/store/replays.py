"""What a replay leaves in Redis and finds there after it was cut off: its mark, outcomes, frequencies."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from worker.errors import ConfigError
from worker.model import EntryId, Outcome, StoryId
from worker.store.client import store_errors
from worker.store.keys import Keys

_STEP = 1_000  # reads in one round trip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an entry ended in."""

    outcome: Outcome
    reason: str
    story_id: StoryId | None  # that it joined; may be part of another one by now


class Replays:
    """A replay in one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @store_errors()
    def begin(self, digest: str, *, now: float) -> float:
        """Return when this replay began: now, or when it was cut off before.

        Args:
            digest: of all that its answer depends on.
            now: Unix seconds.

        Raises:
            ConfigError: the namespace belongs to another replay.
        """
        mark = json.dumps({"digest": digest, "began_at": now})
        self._client.set(self._keys.replay, mark, nx=True)
        first = json.loads(self._client.get(self._keys.replay) or mark)
        if first["digest"] != digest:
            raise ConfigError(
                f"namespace '{self._keys.namespace}' holds a replay of other records, or with other "
                "options, settings or another version; name another namespace, or none for a fresh one"
            )
        return float(first["began_at"])

    @store_errors()
    def settled(self, ids: Sequence[EntryId]) -> dict[EntryId, Settled]:
        """Return what those of the entries ended in that have an outcome.

        Cost: one round trip for every thousand entries.
        """
        found: dict[EntryId, Settled] = {}
        for at in range(0, len(ids), _STEP):
            step = ids[at : at + _STEP]
            with self._client.pipeline(transaction=False) as pipe:
                for entry_id in step:
                    pipe.hmget(self._keys.entry(entry_id), "outcome", "reason", "story")
                answers = pipe.execute()
            for entry_id, raw in zip(step, answers, strict=True):
                outcome, reason, story = ((field or b"").decode() for field in raw)
                if outcome:
                    found[entry_id] = Settled(
                        outcome=Outcome(outcome),
                        reason=reason,
                        story_id=StoryId(story) if story else None,
                    )
        return found


def kept(client: redis.Redis, prefix: str, keys: Sequence[str], age: tuple[int, int]) -> list[str]:
    """Return where the values that keys had at an age are kept; keep them first, if that is now.

    Args:
        client: the server.
        prefix: of the language, as all keys have it.
        keys: of document frequencies.
        age: what is told of them; those of another age are forgotten.

    Cost: one round trip; where they are to be kept two, and a copy of each.
    """
    known, mark = f"{prefix}read", f"{age[0]}:{age[1]}".encode()
    copies = [f"{known}:{at}" for at in range(len(keys))]
    if client.get(known) != mark:
        with client.pipeline(transaction=True) as pipe:
            for key, copy in zip(keys, copies, strict=True):
                pipe.delete(copy)  # where there is no value, COPY would leave the one before
                pipe.copy(key, copy)
            pipe.set(known, mark)
            pipe.execute()
    return copies
