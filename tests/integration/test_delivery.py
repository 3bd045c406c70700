"""Webhooks: every event is sent, in order, whatever the receiver and other deliverers do."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http import HTTPStatus

import pytest
from conftest import until
from receiver import Received, Receiver, add_webhook, event_ids, running_receiver, tell
from seeding import FLOOD, ingest
from structlog.testing import capture_logs

from worker.core.webhooks import Letter, Settling, Webhook, letters
from worker.daemon import DeliverLoop
from worker.model import WebhookId
from worker.networking import deliver_steps
from worker.settings import Settings, load_settings
from worker.wiring import Context

Clock = Callable[[], float]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running receiver of webhooks."""
    with running_receiver() as made:
        yield made


def hurried() -> Clock:
    """Return a clock for which hours pass between two looks, so that every wait is over."""
    ticks = itertools.count(time.time(), 10_000.0)
    return lambda: next(ticks)


@contextmanager
def delivering(
    context: Context,
    *,
    clock: Clock = time.time,
    attempts: int = 10,
    once_stopping: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Run the deliver role beside the test; tell when it knows that it has to end."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        async with deliver_steps(context) as deliverer:
            hasty = replace(deliverer, clock=clock, attempts=attempts)
            await DeliverLoop(context, hasty).run(stop)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        loop.call_soon_threadsafe(once_stopping)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _state(context: Context, name: WebhookId) -> Webhook:
    return next(hook for hook in context.webhooks.all() if hook.webhook_id == name)


def _settled(context: Context) -> bool:
    """Say whether nothing waits for any webhook."""
    told = context.events.told()
    return all(hook.cursor.behind(told) == 0 for hook in context.webhooks.all())


def test_events_are_posted_in_order_with_their_ids(context: Context, receiver: Receiver) -> None:
    """A webhook gets what happens from its adding on; header and body name the same event."""
    tell(context, "en", 1, 5)
    name = add_webhook(context, receiver.url())
    with delivering(context):
        tell(context, "en", 6, 155)
        tell(context, "de", 1, 5)
        until(lambda: _settled(context))
    for lang, count in (("en", 150), ("de", 5)):
        got = [post for post in receiver.received if post.document["lang"] == lang]
        assert [post.key for post in got] == event_ids(context, lang)[-count:]
    assert all(post.key == post.document["id"] for post in receiver.received)
    first = receiver.received[0]
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["User-Agent"] == context.settings.fetch.user_agent
    assert first.document["number"] == 6
    assert _state(context, name).delivered == 155


def test_webhook_when_types_are_chosen_then_gets_only_these(
    context: Context, receiver: Receiver
) -> None:
    """What it does not want does not wait for it either."""
    name = add_webhook(context, receiver.url(), "stories_merged", "story_split")
    tell(context, "en", 1, 120)
    tell(context, "en", 121, kind="stories_merged")
    tell(context, "en", 122, 350)
    with delivering(context):
        until(lambda: _settled(context))
        tell(context, "en", 351, kind="story_split")
        until(lambda: _settled(context))
    assert [post.document["number"] for post in receiver.received] == [121, 351]
    assert _state(context, name).delivered == 2


def test_webhook_when_an_article_is_edited_then_is_told_of_it_once(
    context: Context, receiver: Receiver
) -> None:
    """The edit is an event like any other; making it twice gives no second one."""
    entry = ingest(context, "1", "https://a.example/1", "Flood in Oldtown", FLOOD)
    add_webhook(context, receiver.url(), "article_edited")
    edited = replace(entry, title="Flood in Oldtown: eighty rescued")
    for after_s in (60.0, 120.0):
        context.edits.edit([edited], now=entry.seen_at + after_s)
    with delivering(context):
        until(lambda: receiver.received and _settled(context))
    [post] = receiver.received
    assert post.key == post.document["id"] == event_ids(context, "en")[-1]
    assert (post.document["type"], post.document["article"]) == ("article_edited", entry.article_id)
    assert post.document["story"] == context.stories.newest(limit=1)[0].story_id


def test_webhook_when_it_fails_for_a_while_then_gets_all_in_order_in_the_end(
    context: Context, receiver: Receiver
) -> None:
    """The event that fails is sent again before any other: nothing is skipped, nothing twice."""
    name = add_webhook(context, receiver.url())
    tell(context, "en", 1, 10)
    receiver.statuses["/hook"] = 500

    def recover(_: Received) -> None:
        if len(receiver.received) == 4:
            receiver.statuses["/hook"] = 200

    receiver.before_answer = recover
    with delivering(context, clock=hurried()), capture_logs():
        until(lambda: _settled(context))
    ids = event_ids(context, "en")
    assert receiver.keys() == [ids[0]] * 3 + ids
    state = _state(context, name)
    assert (state.delivered, state.attempts, state.error, state.parked) == (10, 0, "", 0)


def test_webhook_when_another_one_hangs_or_fails_then_is_not_held_up(
    context: Context, receiver: Receiver
) -> None:
    """Each is served by itself, also where all are on one host."""
    add_webhook(context, receiver.url("/slow"))
    add_webhook(context, receiver.url("/broken"))
    fast = add_webhook(context, receiver.url("/fast"))
    receiver.statuses["/broken"] = 500
    released = threading.Event()
    receiver.before_answer = lambda got: got.path == "/slow" and released.wait(30)
    with ExitStack() as stack:
        stack.enter_context(capture_logs())
        stack.enter_context(delivering(context))
        stack.callback(released.set)
        tell(context, "en", 1, 50)
        until(lambda: _state(context, fast).delivered == 50)
        assert receiver.keys("/fast") == event_ids(context, "en")
        assert len(receiver.keys("/slow")) == 1


def test_webhook_when_it_hangs_then_is_given_up_in_time(
    redis_url: str, settings: Settings, receiver: Receiver
) -> None:
    """A receiver that never answers is a failure like any other; so is one that leaves."""
    hasty = settings.model_copy(
        update={"webhooks": settings.webhooks.model_copy(update={"timeout_s": 0.2})}
    )
    context = Context(settings=hasty, redis_url=redis_url)
    released = threading.Event()
    receiver.before_answer = lambda _: released.wait(30)
    name = add_webhook(context, receiver.url())
    tell(context, "en", 1)
    with capture_logs(), delivering(context):
        until(lambda: _state(context, name).attempts)
    released.set()
    assert _state(context, name).error == "no complete answer within 0.2 s"
    context.client.close()


def test_event_when_all_attempts_fail_then_is_parked_and_sent_again_on_request(
    context: Context, receiver: Receiver
) -> None:
    """The others follow; the parked ones are counted, kept, and sent by `retry`."""
    name = add_webhook(context, receiver.url())
    tell(context, "en", 1, 4)
    ids = event_ids(context, "en")
    receiver.before_answer = lambda got: receiver.statuses.update(
        {"/hook": 500 if got.key in ids[1:3] else 200}
    )
    with delivering(context, clock=hurried(), attempts=3), capture_logs() as log:
        until(lambda: _settled(context))
        state = _state(context, name)
        assert (state.delivered, state.parked, state.missed) == (2, 2, 0)
        assert receiver.keys() == [ids[0], *[ids[1]] * 3, *[ids[2]] * 3, ids[3]]
        receiver.received.clear()
        receiver.before_answer = lambda got: receiver.statuses.update(
            {"/hook": 500 if got.key == ids[2] else 200}
        )
        assert context.webhooks.retry(name) == 2
        until(lambda: _state(context, name).again == 0)
        assert _state(context, name).parked == 1
        assert receiver.keys() == [ids[1], *[ids[2]] * 3]
        receiver.statuses, receiver.before_answer = {}, lambda _: None
        assert context.webhooks.retry(name) == 1
        until(lambda: _state(context, name).parked == 0)
    assert _state(context, name).delivered == 4
    assert [entry["event_id"] for entry in log if entry["event"] == "event_parked"] == [
        ids[1], ids[2], ids[2],
    ]  # fmt: skip


def test_parked_events_are_bounded_and_what_goes_is_counted(context: Context) -> None:
    """A receiver that refuses everything costs at most a thousand events of memory."""
    name = add_webhook(context, "https://hooks.example/")
    [hook] = context.webhooks.all()
    tell(context, "en", 1)
    letter = _a_letter(context, hook)
    for turn in range(1_003):
        done = Settling(cursor=letter.cursor, park=replace(letter, event_id=f"en-{turn}-0"))
        ours = context.webhooks.settle(replace(hook, turn=turn), done, token="t", lease_s=60.0)
        assert ours
    state = _state(context, name)
    assert (state.parked, state.missed) == (1_000, 3)
    parked = context.webhooks.first_parked(state)
    assert parked is not None
    assert parked.event_id == "en-3-0"


def test_webhook_when_it_answers_410_then_nothing_more_is_sent_until_retry(
    context: Context, receiver: Receiver
) -> None:
    """Gone is gone, yet no event is lost should it come back."""
    name = add_webhook(context, receiver.url())
    receiver.statuses["/hook"] = HTTPStatus.GONE
    tell(context, "en", 1, 3)
    with delivering(context, clock=hurried()), capture_logs():
        until(lambda: _state(context, name).stopped)
        other = add_webhook(context, receiver.url("/other"))
        tell(context, "en", 4)
        until(lambda: _state(context, other).delivered == 1)
        assert receiver.keys() == event_ids(context, "en")[:1]
        receiver.statuses.clear()
        context.webhooks.retry(name)
        until(lambda: _settled(context))
    assert receiver.keys()[1:] == event_ids(context, "en")


def test_webhook_when_away_too_long_then_what_it_missed_is_counted(
    context: Context, receiver: Receiver
) -> None:
    """The stream is bounded; dropped events are told in the list and in the log."""
    name = add_webhook(context, receiver.url())
    tell(context, "en", 1, 300)
    context.client.xtrim(context.keys.events("en"), maxlen=5, approximate=False)
    with delivering(context), capture_logs() as log:
        until(lambda: _settled(context))
    assert [post.document["number"] for post in receiver.received] == [296, 297, 298, 299, 300]
    state = _state(context, name)
    assert (state.delivered, state.missed) == (5, 295)
    assert [e["missed"] for e in log if e["event"] == "webhook_missed_events"] == [295]


def test_deliverers_when_two_are_alive_then_nothing_is_sent_twice(
    context: Context, redis_url: str, settings: Settings, receiver: Receiver
) -> None:
    """A webhook is in the hands of one at a time; the order holds over changes of hands."""
    paths = [f"/{number}" for number in range(4)]
    for path in paths:
        add_webhook(context, receiver.url(path))
    second = Context(settings=settings, redis_url=redis_url)
    with delivering(context), delivering(second):
        for wave in range(12):
            tell(context, "en", 10 * wave, 10 * wave + 9)
            tell(context, "de", 10 * wave, 10 * wave + 4)
            until(lambda: _settled(context))
    second.client.close()
    for path, lang in itertools.product(paths, ("en", "de")):
        got = [key for key in receiver.keys(path) if key.startswith(lang)]
        assert got == event_ids(context, lang)


def test_deliverer_when_its_lease_is_lost_then_writes_nothing(context: Context) -> None:
    """A deliverer that slept too long must not move a webhook that another one has by now."""
    add_webhook(context, "https://hooks.example/")
    tell(context, "en", 1)
    [hook] = context.webhooks.all()
    letter = _a_letter(context, hook)
    done = Settling(cursor=letter.cursor, delivered=1)
    hooks = context.webhooks
    assert hooks.take(hook, token="sleeper", lease_s=60.0)
    assert hooks.take(hook, token="other", lease_s=60.0) is None
    context.client.delete(context.keys.delivering(hook.webhook_id))  # its time ran out
    taken = hooks.take(hook, token="other", lease_s=60.0)
    assert taken is not None
    assert not hooks.settle(hook, done, token="sleeper", lease_s=60.0)
    assert hooks.settle(taken, done, token="other", lease_s=60.0)
    assert hooks.settle(taken, done, token="other", lease_s=60.0)  # sent twice, counted once
    hooks.release(hook.webhook_id, token="sleeper")
    assert context.client.exists(context.keys.delivering(hook.webhook_id))
    hooks.release(hook.webhook_id, token="other")
    assert not hooks.settle(hook, done, token="sleeper", lease_s=60.0)  # another one was faster
    assert _state(context, hook.webhook_id).delivered == 1


def test_webhook_when_removed_meanwhile_then_leaves_nothing_behind(
    context: Context, receiver: Receiver
) -> None:
    """What is in hand is neither noted nor repeated."""
    name = add_webhook(context, receiver.url())
    receiver.before_answer = lambda _: context.webhooks.remove(name)
    tell(context, "en", 1, 3)
    with delivering(context), capture_logs() as log:
        until(lambda: [e for e in log if e["event"] == "webhook_lost"])
    assert receiver.keys() == event_ids(context, "en")[:1]
    assert [key for key in context.client.scan_iter() if name.encode() in key] == []
    assert not context.webhooks.any()


def test_deliverer_when_told_to_end_then_finishes_what_is_in_hand(
    context: Context, receiver: Receiver
) -> None:
    """The delivery that is under way is noted, so that nobody repeats it, and no lease stays."""
    name = add_webhook(context, receiver.url())
    under_way, released = threading.Event(), threading.Event()
    receiver.before_answer = lambda _: (under_way.set(), released.wait(30))
    tell(context, "en", 1, 3)
    with delivering(context, once_stopping=released.set):
        assert under_way.wait(20)
    assert _state(context, name).delivered == len(receiver.received) == 1
    assert not context.client.exists(context.keys.delivering(name))


def _a_letter(context: Context, hook: Webhook) -> Letter:
    [letter] = letters(hook, context.events.read(hook.cursor, limit=1))
    assert isinstance(letter, Letter)
    return letter


# --- the guard ------------------------------------------------------------------------------


def _trouble(redis_url: str, url: str, overrides: Sequence[str] = ()) -> str:
    """Return why a webhook at an address is not served."""
    context = Context(settings=load_settings(overrides=overrides), redis_url=redis_url)
    name = add_webhook(context, url)
    tell(context, "en", 1)
    try:
        with delivering(context), capture_logs() as log:
            until(lambda: _state(context, name).error)
        assert "SECRET" not in repr(log)
        return _state(context, name).error
    finally:
        context.client.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "hook.localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_private_address_is_refused_when_it_is_connected_to(redis_url: str, host: str) -> None:
    """What was stored by whatever way, nothing is ever sent into our own network."""
    assert "has no public address" in _trouble(redis_url, f"http://{host}/SECRET")


def test_redirect_is_not_followed(redis_url: str, receiver: Receiver) -> None:
    """Who answers there was not chosen; it counts as a failure."""
    receiver.statuses["/hook"] = 307
    receiver.headers["Location"] = receiver.url("/elsewhere")
    trouble = _trouble(redis_url, receiver.url(), ["fetch.allow_private=127.0.0.1"])
    assert trouble == "HTTP status 307"
    assert {got.path for got in receiver.received} == {"/hook"}


def test_answer_when_its_body_is_huge_then_it_is_not_read(
    context: Context, receiver: Receiver
) -> None:
    """Only the status counts."""
    receiver.body = b"x" * 2**22
    name = add_webhook(context, receiver.url())
    tell(context, "en", 1, 3)
    with delivering(context):
        until(lambda: _settled(context))
    assert receiver.keys() == event_ids(context, "en")
    assert _state(context, name).delivered == 3
