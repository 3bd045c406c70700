"""Fixtures: a real Redis of each kind that is there, emptied before each test."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
import redis
from outlet import Site, running_site
from structlog.testing import capture_logs

from worker.embedded import EmbeddedRedis, server_program
from worker.settings import Settings, load_settings
from worker.steps.audit import audit
from worker.wiring import Context

ROOT = Path(__file__).parents[1]

# How long a step takes never decides a test: the first one may load a library.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
SHARED = ROOT.parent / "shared"
SERVERS = {"embedded": server_program(), "system": shutil.which("redis-server") or ""}


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter of bytes by its argument.

    A packed body holds the second it was made in, and every process of a run must give a test the
    same name.
    """
    return argname if isinstance(val, bytes) else None


def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + timeout_s
    pause = 0.005
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {condition}")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


@pytest.fixture(scope="session", params=sorted(SERVERS))
def redis_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a running server: the embedded one and, where installed, the system's."""
    program = SERVERS[request.param]
    if not program:
        pytest.skip(f"no {request.param} redis-server on this machine")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="samestory-")))
        yield stack.enter_context(EmbeddedRedis(folder, program=program))


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The address of an empty server."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default settings, but for files in the test's own folder and a poller for the loopback."""
    return load_settings(
        overrides=[
            f"paths.var={tmp_path / 'var'}",
            f"paths.archive={tmp_path / 'archive'}",
            "fetch.allow_private=127.0.0.1",
            "fetch.host_gap_s=0",
        ]
    )


@pytest.fixture
def context(redis_url: str, settings: Settings) -> Iterator[Context]:
    """The live namespace on an empty server."""
    made = Context(settings=settings, redis_url=redis_url)
    made.check()
    yield made
    made.client.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """A running web server whose answers the test sets."""
    with running_site() as made:
        yield made


@pytest.fixture
def books(context: Context) -> Iterator[None]:
    """At the end of the test the sums agree."""
    with capture_logs():
        yield
    context.archive.close()
    assert audit(context.ledger, context.stories, context.census).offences == ()


@pytest.fixture
def shared() -> Path:
    """The development data beside the project; a test that needs it skips without it."""
    if not SHARED.is_dir():
        pytest.skip(f"no development data at {SHARED}")
    return SHARED
