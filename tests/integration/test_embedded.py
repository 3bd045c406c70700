"""The embedded Redis: shared by processes, ended by the last, and its data there again."""

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest
import redis

from worker.embedded import EmbeddedRedis
from worker.errors import ConfigError, StoreError
from worker.store.client import connect, masked, require_safe


def _is_up(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, retry=None) as client:
            return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def test_server_keeps_its_data_and_ends_with_its_user(tmp_path: Path) -> None:
    """What was written is there at the next start; between them no server is left over."""
    with EmbeddedRedis(tmp_path) as url, redis.Redis.from_url(url) as client:
        require_safe(client)
        client.set("kept", 1)
    assert not _is_up(url)
    with EmbeddedRedis(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.get("kept") == b"1"


def test_server_with_two_users_stays_until_the_last_left(tmp_path: Path) -> None:
    """A command beside a running daemon uses its server and leaves it running."""
    first, second = EmbeddedRedis(tmp_path), EmbeddedRedis(tmp_path)
    url = first.__enter__()
    assert second.__enter__() == url
    first.__exit__(None, None, None)
    assert _is_up(url)
    second.__exit__(None, None, None)
    assert not _is_up(url)


def test_server_when_its_user_was_killed_then_is_used_on(tmp_path: Path) -> None:
    """SIGKILL leaves the server running; the next user joins it and ends it."""
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    user = fork.Process(target=_hold, args=(tmp_path, ready))
    user.start()
    assert ready.wait(timeout=20)
    user.kill()
    user.join()
    with EmbeddedRedis(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.get("held") == b"1"
    assert not _is_up(url)


def test_directory_with_a_long_name_still_has_a_socket(tmp_path: Path) -> None:
    """A socket's path may have some 100 bytes; a deeper directory gets one elsewhere."""
    with EmbeddedRedis(tmp_path / ("d" * 60) / ("e" * 60)) as url:
        assert _is_up(url)


def test_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    """An operator learns which path cannot hold the data."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="taken"), EmbeddedRedis(tmp_path / "taken"):
        pass


def test_server_that_does_not_answer_is_a_store_error() -> None:
    """Nobody listens there: one error of ours, not one of the library's."""
    with pytest.raises(StoreError, match="Redis"):
        require_safe(connect("unix:///nowhere/redis.sock", timeout_s=0.1))


@pytest.mark.parametrize(
    "url", ["redis://:s3cret@h:1/0", "rediss://u:s3cret@h", "unix:///p?password=s3cret&db=1"]
)
def test_password_of_an_address_is_masked(url: str) -> None:
    """An address in a message tells where, not with what."""
    assert "s3cret" not in masked(url)
    assert "***" in masked(url)


def _hold(directory: Path, ready: Any) -> None:
    with EmbeddedRedis(directory) as url, redis.Redis.from_url(url) as client:
        client.set("held", 1)
        ready.set()
        signal.pause()
