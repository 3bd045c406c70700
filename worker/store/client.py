"""The Redis connection: made once, checked before use, its errors translated once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis import exceptions as redis_errors

from worker.errors import StoreError, UnsafeRedisError

# Lists moved atomically (BLMOVE, which RQ needs to not lose a job) came with 6.2.
OLDEST_REDIS = (6, 2)
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
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, protocol=2
        )
    except ValueError as e:
        raise UnsafeRedisError(f"redis.url {masked(url)}: {e}") from e


def masked(url: str) -> str:
    """Return an address without its passwords, for messages."""
    return _PASSWORD.sub("***", url)


@store_errors()
def require_safe(client: redis.Redis) -> None:
    """Refuse a server that may drop keys by itself or is too old.

    Under `allkeys-lru` a full server evicted a queue whole: 2000 of 2000 jobs were lost unseen.

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
    policy = str(client.info("memory").get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise UnsafeRedisError(
            f"Redis has maxmemory-policy '{policy}' and would drop entries when it is full; "
            "run: redis-cli CONFIG SET maxmemory-policy noeviction (and set it in redis.conf)"
        )
