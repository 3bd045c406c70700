"""Loads the Lua scripts and runs them with one msgpack map as argument.

A script is one atomic act and safe to run twice. Scripts do not undo on error, so each reads and
checks first and writes last.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import msgpack
import redis
from redis.exceptions import NoScriptError, RedisError

from worker.errors import StoreError
from worker.store.client import store_errors

_INCLUDE = "--@include "


@cache
def script_text(name: str) -> str:
    """Return the source of ``lua/<name>.lua`` with its includes put in."""
    folder = resources.files("worker.store") / "lua"
    lines = (folder / f"{name}.lua").read_text(encoding="utf-8").splitlines()
    return "\n".join(
        script_text(line.removeprefix(_INCLUDE).strip()) if line.startswith(_INCLUDE) else line
        for line in lines
    )


@cache
def _sha1(name: str) -> str:
    """Return the name by which Redis knows a script."""
    return hashlib.sha1(script_text(name).encode(), usedforsecurity=False).hexdigest()


class Call(NamedTuple):
    """One run of a script."""

    name: str
    keys: Sequence[str]
    arguments: Mapping[str, object]


class Scripts:
    """The scripts on one server. One that it does not know (NOSCRIPT) is sent and run in one go."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._sent: set[str] = set()  # in bundles, so that none of them is run in another order

    @store_errors()
    def run(self, name: str, keys: Sequence[str], arguments: Mapping[str, object]) -> Any:
        """Run one script and return its raw answer.

        Raises:
            StoreError: Redis did not answer, or the script failed.
        """
        packed = _packed(arguments)
        try:
            return self._client.evalsha(_sha1(name), len(keys), *keys, packed)
        except NoScriptError:
            return self._client.eval(script_text(name), len(keys), *keys, packed)

    @store_errors()
    def run_all(self, calls: Sequence[Call]) -> list[Any | StoreError]:
        """Run scripts one after another; return their raw answers, or why there is none.

        Each is one atomic act, all together are not: others' acts may come in between.

        Raises:
            StoreError: Redis did not answer; some may have run.
        Cost: one round trip.
        """
        for name in {call.name for call in calls} - self._sent:
            self._client.script_load(script_text(name))
            self._sent.add(name)
        with self._client.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.evalsha(_sha1(call.name), len(call.keys), *call.keys, _packed(call.arguments))
            answers = pipe.execute(raise_on_error=False)
        unknown = [at for at, one in enumerate(answers) if isinstance(one, NoScriptError)]
        for at in unknown:  # a new server, which knows none of them
            call = calls[at]
            try:
                answers[at] = self.run(call.name, call.keys, call.arguments)
            except StoreError as e:
                answers[at] = e
        return [
            StoreError(f"Redis: {answer}") if isinstance(answer, RedisError) else answer
            for answer in answers
        ]


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the map that a script gave as name, value, name, value …, as HGETALL does there."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _packed(arguments: Mapping[str, object]) -> bytes:
    # The older form of msgpack, without a type for bytes, is the one that Redis 6.2 reads.
    return bytes(msgpack.packb(arguments, use_bin_type=False))
