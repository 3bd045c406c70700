"""Health and metrics over HTTP, read from Redis when asked for; and the callbacks of hubs."""

import socket
from collections.abc import Iterator

import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from worker.core.admission import full
from worker.endings import on_ending
from worker.errors import ConfigError, SamestoryError, StoreError
from worker.steps.measure import Numbers, measure, oldest_pending_s
from worker.store.client import room_of
from worker.web.callbacks import add_callbacks
from worker.wiring import Context

log = structlog.get_logger()

AWAY = "Redis does not answer"
# Longer than a scrape takes, and within the ten seconds that a stop may last.
DRAIN_S = 3
BACKLOG = 64


def build(context: Context) -> FastAPI:
    """Return the application of one namespace."""
    app = FastAPI(title="samestory", docs_url=None, redoc_url=None, openapi_url=None)
    registry = CollectorRegistry()
    registry.register(NumbersCollector(context))

    @app.get("/health/live")
    def live() -> PlainTextResponse:
        """Say that this process answers."""
        return PlainTextResponse("alive\n")

    @app.get("/health/ready")
    def ready() -> JSONResponse:
        """Say whether work can be done: Redis answers and the index is of this make."""
        try:
            context.check()
            age_s = oldest_pending_s(context, now=context.clock())
            paused = full(room_of(context.client))
        except StoreError:
            return JSONResponse({"ready": False, "why": AWAY}, status_code=503)
        except SamestoryError as e:
            return JSONResponse({"ready": False, "why": str(e)}, status_code=503)
        told = {"ready": True, "oldest_pending_s": round(age_s, 3), "polling_paused": paused}
        return JSONResponse(told)

    @app.get("/metrics")
    def metrics() -> Response:
        """Give the numbers of this moment to Prometheus."""
        try:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        except StoreError:
            return PlainTextResponse(AWAY + "\n", status_code=503)

    if context.settings.web.public_url:
        add_callbacks(app, context.callbacks())
    return app


def serve(context: Context) -> None:
    """Serve until SIGTERM or SIGINT, which let the requests in hand finish.

    Raises:
        ConfigError: the address cannot be had; names the settings.
    """
    settings = context.settings.web
    listener = listen(settings.host, settings.port)
    server = uvicorn.Server(
        uvicorn.Config(
            build(context),
            access_log=False,
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=DRAIN_S,
        )
    )

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal again when it is done: with the default handler it would end the
    # process before the embedded server is left in order.
    on_ending(stop)
    host, port = listener.getsockname()[:2]
    log.info("web_listening", host=host, port=port)
    with listener:
        server.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: the address is taken, not ours, or no address; names the settings.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as e:
        # create_server adds the address to the reason, which is said once already.
        reason = str(e.strerror if isinstance(e, OSError) else "no host name").partition(" (")[0]
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason}; set web.port (SAMESTORY_WEB_PORT), "
            "0 for any free one, or web.host"
        ) from e


class NumbersCollector(Collector):
    """Reads the numbers of a namespace at each scrape."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def describe(self) -> list[Metric]:
        """Return nothing: names are known, and Redis is not asked, before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric.

        Raises:
            StoreError: Redis did not answer.
        """
        numbers = measure(self._context, now=self._context.clock())
        yield from _entries(numbers)
        yield from _languages(numbers)
        yield _pushes(numbers)
        gauges: dict[str, tuple[str, float]] = {
            "pending_entries": ("Entries without an outcome.", numbers.counts["pending"]),
            "quarantined_entries": ("Entries given up and held.", numbers.counts["held"]),
            "oldest_pending_seconds": (
                "Age of the pending entry whose lease ends first.",
                numbers.oldest_pending_s,
            ),
            "feeds": ("Feeds followed.", len(numbers.feeds)),
            "subscriptions": ("Feeds whose hub is asked to push.", numbers.subscriptions),
            "feeds_failing": ("Feeds whose last poll failed.", len(numbers.failing)),
            "feeds_flooding": (
                "Feeds whose last document had more new entries than poll.max_new_a_day allowed.",
                len(numbers.flooding),
            ),
            "hints_waiting": ("Hints that no worker took yet.", numbers.waiting),
            "workers": ("RQ workers alive.", numbers.workers),
            "redis_memory_bytes": ("Memory used by the Redis server.", numbers.memory_bytes),
            "redis_memory_limit_bytes": ("Its maxmemory; 0: none.", numbers.memory_limit_bytes),
            "polling_paused": ("1 while Redis has no room for new entries.", bool(numbers.paused)),
        }
        for name, (help_text, value) in gauges.items():
            yield GaugeMetricFamily(f"samestory_{name}", help_text, value=value)


def _entries(numbers: Numbers) -> Iterator[Metric]:
    counts = numbers.counts
    claimed = counts.get("claimed", 0)
    yield CounterMetricFamily("samestory_entries_claimed", "Entries claimed.", value=claimed)
    settled = CounterMetricFamily(
        "samestory_entries_settled", "Entries with an outcome.", labels=("outcome",)
    )
    rejected = CounterMetricFamily(
        "samestory_entries_rejected", "Entries rejected, by reason.", labels=("reason",)
    )
    for outcome in ("attached", "duplicate", "rejected"):
        settled.add_metric([outcome], counts.get(outcome, 0))
    for name, count in sorted(counts.items()):
        kind, _, reason = name.partition(":")
        if kind == "rejected" and reason:
            rejected.add_metric([reason], count)
    yield settled
    yield rejected


def _pushes(numbers: Numbers) -> Metric:
    pushes = CounterMetricFamily(
        "samestory_pushes", "Pushes of WebSub hubs, by what became of them.", labels=("fate",)
    )
    for fate, count in sorted(numbers.pushes.items()):
        pushes.add_metric([fate], count)
    return pushes


def _languages(numbers: Numbers) -> Iterator[Metric]:
    articles = CounterMetricFamily(
        "samestory_articles", "Articles attached, by language.", labels=("lang",)
    )
    stories = GaugeMetricFamily("samestory_stories", "Stories kept, by language.", labels=("lang",))
    for lang, totals in numbers.languages.items():
        articles.add_metric([lang], totals["articles"])
        stories.add_metric([lang], totals["stories"])
    yield articles
    yield stories
