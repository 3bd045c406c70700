"""Health and metrics over real HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import uvicorn
from conftest import until
from prometheus_client.parser import text_string_to_metric_families
from seeding import FLOOD, PUMPS, claim, ingest

from worker.errors import ConfigError
from worker.settings import load_settings
from worker.web.app import build, listen
from worker.wiring import Context

NOBODY = "redis://127.0.0.1:1/0"
Get = Callable[[str], tuple[int, str]]


@contextmanager
def served(context: Context) -> Iterator[Get]:
    """Serve an application on a free port and give what asks it."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    options = uvicorn.Config(build(context), log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()

    def get(path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                return response.status, response.read().decode()
        except HTTPError as e:
            with e:
                return e.code, e.read().decode()

    try:
        until(lambda: server.started)
        yield get
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_a_healthy_worker_is_alive_and_ready(context: Context) -> None:
    """Both say so, and the oldest pending entry's age is told."""
    claim(context, "guid-1", "https://a.example/1", "Flood", FLOOD)
    with served(context) as get:
        assert get("/health/live") == (200, "alive\n")
        status, body = get("/health/ready")
    assert status == 200
    answer = json.loads(body)
    assert answer["ready"] is True
    assert 0 <= answer["oldest_pending_s"] < 60
    assert answer["polling_paused"] == ""


def test_a_full_server_is_ready_and_says_that_polling_pauses(context: Context) -> None:
    """What is claimed still goes on, so nobody is restarted; an evicting server is not ready."""
    limit = int(context.client.info("memory")["used_memory"] * 1.15)
    try:
        with served(context) as get:
            context.client.config_set("maxmemory", limit)
            status, body = get("/health/ready")
            assert (status, "maxmemory" in json.loads(body)["polling_paused"]) == (200, True)
            assert "samestory_polling_paused 1.0" in get("/metrics")[1]
            context.client.config_set("maxmemory", 0)
            assert "samestory_polling_paused 0.0" in get("/metrics")[1]
            context.client.config_set("maxmemory-policy", "allkeys-lru")
            status, body = get("/health/ready")
            assert (status, "allkeys-lru" in json.loads(body)["why"]) == (503, True)
    finally:
        context.client.config_set("maxmemory", 0)
        context.client.config_set("maxmemory-policy", "noeviction")


def test_without_redis_it_lives_but_is_not_ready() -> None:
    """An orchestrator must not restart what only waits for its server."""
    with served(Context(settings=load_settings(), redis_url=NOBODY)) as get:
        assert get("/health/live")[0] == 200
        status, body = get("/health/ready")
        assert (status, json.loads(body)["ready"]) == (503, False)
        assert get("/metrics") == (503, "Redis does not answer\n")


def test_an_index_of_another_make_is_not_ready(redis_url: str, context: Context) -> None:
    """The answer says which parameter differs."""
    other = Context(settings=load_settings(overrides=["index.bucket_cap=9"]), redis_url=redis_url)
    with served(other) as get:
        status, body = get("/health/ready")
    other.client.close()
    assert status == 503
    assert "bucket_cap" in json.loads(body)["why"]


def test_metrics_are_what_the_ledger_and_the_index_say(context: Context) -> None:
    """Every sample is read at the moment of the scrape."""
    ingest(context, "guid-1", "https://a.example/1", "Flood in Oldtown", FLOOD)
    ingest(context, "guid-2", "https://b.example/2", "Pumps for flooded Oldtown", PUMPS)
    ingest(context, "guid-3", "https://b.example/3", "Short", "Too short.")
    claim(context, "guid-4", "https://b.example/4", "Late", FLOOD)
    with served(context) as get:
        status, body = get("/metrics")
        assert status == 200
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert all(name.startswith("samestory_") for name, *_ in samples)
    assert samples["samestory_entries_claimed_total",] == 4
    assert samples["samestory_entries_settled_total", "attached"] == 2
    assert samples["samestory_entries_settled_total", "rejected"] == 1
    assert samples["samestory_pending_entries",] == 1
    assert samples["samestory_articles_total", "en"] == 2
    assert samples["samestory_stories", "en"] == 1
    assert samples["samestory_feeds",] == 1
    assert samples["samestory_redis_memory_bytes",] > 0
    rejected = [value for key, value in samples.items() if "rejected_total" in key[0]]
    assert sum(rejected) == 1


def test_there_are_no_pages_about_the_interface(context: Context) -> None:
    """Nothing but health and metrics is served."""
    with served(context) as get:
        assert {get(path)[0] for path in ("/", "/docs", "/redoc", "/openapi.json")} == {404}


def test_a_taken_port_is_named_with_its_setting() -> None:
    """The message says which port, and which setting to change."""
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}.*web.port"):
            listen("127.0.0.1", port)


def test_a_host_that_is_none_is_named() -> None:
    """A name without an address is a wrong setting, not a crash."""
    with pytest.raises(ConfigError, match=r"no-host\.invalid.*web\.host"):
        listen("no-host.invalid", 0)
