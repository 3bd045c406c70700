"""Examines the server, the index and the disk, also where they are unfit to work with.

Changes nothing: it writes no key and takes no lock. Called by the command `doctor`.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from time import time
from typing import Any

import redis

from worker.core.admission import PAUSE_AT, SAFE_POLICY
from worker.errors import ConfigError, StoreError
from worker.steps.measure import Parts, live_workers
from worker.store.client import OLDEST_REDIS, store_errors
from worker.store.scripts import script_text

# Everything goes by Redis's clock; logs and the names of archive files go by this machine's. One
# second is what NTP keeps with ease.
WARN_SKEW_S = 1.0
# Archive files that must fit on the disk before it counts as full, and as nearly full.
FAIL_FILES, WARN_FILES = 1, 10
BUSY_HINTS = 1_000


class Grade(str, Enum):
    """How a check ended."""

    OK = "OK"
    WARN = "WARN"  # works, but look at it
    FAIL = "FAIL"  # does not work, or may lose entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: what was found and, where it is not in order, what to do."""

    name: str
    grade: Grade
    found: str
    remedy: str = ""


def checks(parts: Parts) -> tuple[Check, ...]:
    """Return every check; only those that need no Redis when it does not answer."""
    settings = parts.settings
    room = settings.archive.max_bytes
    disk = tuple(
        _disk(name, Path(path), room)
        for name, path in (("var", settings.paths.var), ("archive", settings.paths.archive))
    )
    try:
        server = _info(parts.client)
    except StoreError as e:
        return (unreachable(e), *disk)
    looks: dict[str, Callable[[], Check]] = {
        "persistence": lambda: _persistence(parts.client, server),
        "scripts": lambda: _scripts(parts.client),
        "index": lambda: _fingerprint(parts),
        "clock": lambda: _clock(parts.client),
        "queue": lambda: _queue(parts),
    }
    told = (_fine("redis", "answers"), _version(server), _eviction(server), _memory(server))
    return (*told, *(_guarded(name, look) for name, look in looks.items()), *disk)


def unreachable(error: StoreError) -> Check:
    """Return the check of a server that does not answer."""
    return Check(
        name="redis",
        grade=Grade.FAIL,
        found=str(error),
        remedy="start Redis, or correct redis.url (SAMESTORY_REDIS_URL)",
    )


def _fine(name: str, found: str) -> Check:
    return Check(name=name, grade=Grade.OK, found=found)


@store_errors()
def _info(client: redis.Redis) -> dict[str, Any]:
    return dict(client.info())


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """Return a check, or that the server went away or refused a command meanwhile."""
    try:
        return look()
    except StoreError as e:
        remedy = "see the other checks; the user needs every command but the dangerous ones"
        return Check(name=name, grade=Grade.FAIL, found=str(e), remedy=remedy)


def _version(server: dict[str, Any]) -> Check:
    given = str(server["redis_version"])
    if tuple(int(part) for part in given.split(".")[:2]) >= OLDEST_REDIS:
        return _fine("version", given)
    oldest = ".".join(map(str, OLDEST_REDIS))
    remedy = f"install Redis {oldest} or newer"
    return Check(name="version", grade=Grade.FAIL, found=given, remedy=remedy)


def _eviction(server: dict[str, Any]) -> Check:
    policy = str(server.get("maxmemory_policy", SAFE_POLICY))
    if policy == SAFE_POLICY:
        return _fine("maxmemory-policy", policy)
    return Check(
        name="maxmemory-policy",
        grade=Grade.FAIL,
        found=f"{policy}: a full server would drop entries",
        remedy=f"redis-cli CONFIG SET maxmemory-policy {SAFE_POLICY}, and set it in redis.conf",
    )


def _memory(server: dict[str, Any]) -> Check:
    used, limit = int(server["used_memory"]), int(server.get("maxmemory", 0))
    if not limit:
        return _fine("memory", f"{_mib(used)} used, no limit")
    full = used >= PAUSE_AT * limit
    return Check(
        name="memory",
        grade=Grade.WARN if full else Grade.OK,
        found=f"{_mib(used)} of {_mib(limit)} used" + (": polling pauses" if full else ""),
        remedy="raise maxmemory, or shorten ledger.retention_days" if full else "",
    )


@store_errors()
def _persistence(client: redis.Redis, server: dict[str, Any]) -> Check:
    if int(server.get("aof_enabled", 0)):
        written = server.get("aof_last_write_status", "ok") == "ok"
        return Check(
            name="persistence",
            grade=Grade.OK if written else Grade.FAIL,
            found="append-only file"
            if written
            else "the last write of the append-only file failed",
            remedy="" if written else "look into Redis's log; often its disk is full",
        )
    always = "redis-cli CONFIG SET appendonly yes, and set it in redis.conf"
    try:
        snapshots = str(client.config_get("save").get("save", ""))
    except redis.ResponseError:  # managed servers hide CONFIG
        found = "no append-only file; whether there are snapshots the server does not say"
        return Check(name="persistence", grade=Grade.WARN, found=found, remedy=always)
    if not snapshots:
        found = "none: a restart loses everything"
        return Check(name="persistence", grade=Grade.FAIL, found=found, remedy=always)
    saved = server.get("rdb_last_bgsave_status", "ok") == "ok"
    return Check(
        name="persistence",
        grade=Grade.WARN if saved else Grade.FAIL,
        found="snapshots only: a crash loses the minutes since the last one"
        if saved
        else "the last snapshot failed",
        remedy=always if saved else "look into Redis's log; often its disk is full",
    )


@store_errors()
def _scripts(client: redis.Redis) -> Check:
    folder = resources.files("worker.store") / "lua"
    names = sorted(file.name.removesuffix(".lua") for file in folder.iterdir())
    try:
        for name in names:
            client.script_load(script_text(name))
    except redis.ResponseError as e:
        return Check(
            name="scripts",
            grade=Grade.FAIL,
            found=f"{name}: {e}",
            remedy="allow EVAL, EVALSHA and SCRIPT LOAD to this user",
        )
    return _fine("scripts", f"{len(names)} load")


@store_errors()
def _fingerprint(parts: Parts) -> Check:
    if not parts.client.exists(parts.keys.fingerprint):
        return _fine("index", "none yet")
    try:
        parts.index.ensure_fingerprint()  # only reads, where there is one
    except ConfigError as e:
        return Check(
            name="index",
            grade=Grade.FAIL,
            found=str(e),
            remedy="set the index.* settings back, or replay into a new namespace",
        )
    return _fine("index", "built with these settings")


@store_errors()
def _clock(client: redis.Redis) -> Check:
    before = time()
    seconds, micros = client.time()
    skew = abs((before + time()) / 2 - (seconds + micros / 1e6))
    return Check(
        name="clock",
        grade=Grade.WARN if skew > WARN_SKEW_S else Grade.OK,
        found=f"{skew:.3f} s between Redis and this machine",
        remedy="run NTP on both machines" if skew > WARN_SKEW_S else "",
    )


def _queue(parts: Parts) -> Check:
    waiting, workers = parts.hints.waiting(), live_workers(parts.hints)
    found = f"{waiting} hints waiting, {workers} workers"
    if workers and waiting <= BUSY_HINTS:
        return _fine("queue", found)
    start = "start one: samestory work (or samestory run)"
    remedy = "add workers: work.processes" if workers else start
    return Check(name="queue", grade=Grade.WARN, found=found, remedy=remedy)


def _disk(name: str, path: Path, room: int) -> Check:
    there = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        return Check(
            name=f"disk ({name})",
            grade=Grade.FAIL,
            found=f"{there} cannot be written",
            remedy=f"make it writable for this user, or set paths.{name}",
        )
    free = shutil.disk_usage(there).free
    grade = Grade.FAIL if free < FAIL_FILES * room else Grade.WARN
    grade = Grade.OK if free >= WARN_FILES * room else grade
    return Check(
        name=f"disk ({name})",
        grade=grade,
        found=f"{_mib(free)} free for {path}",
        remedy="" if grade is Grade.OK else "free some space, or move it: paths." + name,
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
