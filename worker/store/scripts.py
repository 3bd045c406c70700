"""Loads the Lua scripts and runs them with one msgpack map as argument.

A script is one atomic act and safe to run twice. Scripts do not undo on error, so each reads and
checks first and writes last.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgpack
import redis
from redis.exceptions import NoScriptError

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


class Scripts:
    """The scripts on one server. One that it does not know (NOSCRIPT) is sent and run in one go."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @store_errors()
    def run(self, name: str, keys: Sequence[str], arguments: Mapping[str, object]) -> Any:
        """Run one script and return its raw answer.

        Raises:
            StoreError: Redis did not answer, or the script failed.
        """
        # The older form of msgpack, without a type for bytes, is the one that Redis 6.2 reads.
        packed = msgpack.packb(arguments, use_bin_type=False)
        try:
            return self._client.evalsha(_sha1(name), len(keys), *keys, packed)
        except NoScriptError:
            return self._client.eval(script_text(name), len(keys), *keys, packed)
