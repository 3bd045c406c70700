"""The Redis connection: made once, checked before use, its errors translated once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis import exceptions as redis_errors
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from worker.core.admission import SAFE_POLICY, Room, unsafe
from worker.errors import StoreError, UnsafeRedisError

# Lists moved atomically (BLMOVE, which RQ needs to not lose a job) came with 6.2.
OLDEST_REDIS = (6, 2)
# A connection that broke is made anew at once: with one in a hundred commands breaking it, four in
# a row are one in 10^8. A server that does not answer in time is not asked again here, because ten
# waits of timeout_s (redis-py's own habit) would keep a role from ending: callers back off instead.
_RETRIES, _FIRST_RETRY_S, _LAST_RETRY_S = 4, 0.01, 0.5
# redis://user:secret@host and unix:///path?password=secret
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)|(?<=password=)[^&#]+")


@contextmanager
def store_errors() -> Iterator[None]:
    """Translate redis-py's errors; also usable as a decorator of a method."""
    try:
        yield
    except redis_errors.RedisError as e:
        raise StoreError(f"Redis: {e}") from e


def connect(url: str, *, timeout_s: float) -> redis.Redis:
    """Return a client for binary values. Nothing is sent yet.

    redis-py resends a command whose answer was lost (redis-py issue 3554), so every write that
    goes through this client must be idempotent.

    Raises:
        UnsafeRedisError: the address is not a Redis URL.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            protocol=2,
            retry=Retry(
                ExponentialWithJitterBackoff(base=_FIRST_RETRY_S, cap=_LAST_RETRY_S),
                _RETRIES,
                # READONLY: this primary was made a replica; its address may lead elsewhere by now.
                supported_errors=(redis_errors.ConnectionError, redis_errors.ReadOnlyError),
            ),
        )
    except ValueError as e:
        raise UnsafeRedisError(f"redis.url {masked(url)}: {e}") from e


def masked(url: str) -> str:
    """Return an address without its passwords, for messages."""
    return _PASSWORD.sub("***", url)


@store_errors()
def require_safe(client: redis.Redis) -> None:
    """Refuse a server that may drop keys by itself or is too old.

    Raises:
        UnsafeRedisError: wrong policy or version; says the command that mends it.
        StoreError: the server does not answer.
    """
    server = client.info("server")
    version = tuple(int(part) for part in str(server["redis_version"]).split(".")[:2])
    if version < OLDEST_REDIS:
        raise UnsafeRedisError(
            f"Redis {server['redis_version']} is too old; samestory needs 6.2 or newer"
        )
    danger = unsafe(room_of(client))
    if danger:
        raise UnsafeRedisError(danger)


@store_errors()
def room_of(client: redis.Redis) -> Room:
    """Return how full the server is and what it does when it is. Cost: one round trip."""
    memory = client.info("memory")
    return Room(
        used_bytes=int(memory["used_memory"]),
        limit_bytes=int(memory.get("maxmemory", 0)),
        policy=str(memory.get("maxmemory_policy", SAFE_POLICY)),
    )
