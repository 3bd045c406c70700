"""Writes to RQ's keys as somebody with access to Redis could: no library of ours, no RQ."""

import json
import pickle
import zlib
from datetime import datetime, timezone
from functools import cache

import redis
from rq.utils import utcformat

QUEUE = "rq:queue:samestory-live"
WORK = "worker.jobs.work"


@cache
def bomb(layers: int) -> bytes:
    """Return 50 MB, in 50 kB of one layer and in less of two."""
    data = b" " * 50 * 2**20
    for _ in range(layers):
        data = zlib.compress(data)
    return data


def put_job(
    client: redis.Redis, job_id: str, function: str = WORK, *arguments: object, **more: object
) -> None:
    """Write a job hash, in no list yet; fields given by name replace the proper ones."""
    now = str(utcformat(datetime.now(timezone.utc)))
    fields = {
        "data": json.dumps([function, None, list(arguments), {}]),
        "origin": QUEUE.removeprefix("rq:queue:"),
        "created_at": now,
        "enqueued_at": now,
        "status": "queued",
        "timeout": 60,
        "failure_ttl": 60,
        **more,
    }
    client.hset(f"rq:job:{job_id}", mapping={k: v for k, v in fields.items() if v is not None})


def push(client: redis.Redis, job_id: str | bytes) -> None:
    """Put a job id on the queue."""
    client.rpush(QUEUE, job_id)


def put_unreadable(client: redis.Redis) -> dict[bytes, str]:
    """Write one job of each kind that no worker can read; return why, by id, empty if not there."""
    hint = json.dumps([WORK, None, ["live", []], {}])
    put_job(client, "status", WORK, "live", [], status="garbage")
    put_job(client, "date", WORK, "live", [], enqueued_at="the day before yesterday")
    put_job(client, "bomb", data=bomb(1))
    put_job(client, "twice", data=bomb(2))
    put_job(client, "long", data="[" + " " * 5 * 2**20 + hint[1:])
    put_job(client, "pickle", data=pickle.dumps((WORK, None, ["live", []], {})))
    put_job(client, "deep", data="[" * 60_000)
    put_job(client, "function", "os.system", "true")
    put_job(client, "instance", data=json.dumps([WORK, None, ["live", ["a", 1]], {}]))
    put_job(client, "named", data=json.dumps([WORK, None, ["live", []], {"more": 1}]))
    put_job(client, "nothing", data=None)
    client.set("rq:job:string", "a string")
    client.rpush("rq:job:list", "a list")
    put_job(client, "not an id!", WORK, "live", [])
    client.hset(b"rq:job:\xff\xfe", "data", hint)
    return {
        b"status": "garbage",
        b"date": "does not match format",
        b"bomb": "more than 65536 bytes when inflated",
        b"twice": "codec can't decode",
        b"long": "too long: {'data': 52429",
        b"pickle": "codec can't decode",
        b"deep": "recursion depth exceeded",
        b"function": "not allowed",
        b"instance": "no hint",
        b"named": "no hint",
        b"nothing": "Expecting value",
        b"string": "holds a string",
        b"list": "holds a list",
        b"not an id!": "must only contain",
        b"\xff\xfe": "can't decode",
        b"missing": "",
    }
