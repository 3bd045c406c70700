"""The doctor tells a healthy server from an unsafe, a foreign and an absent one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import until

from worker.settings import load_settings
from worker.steps import doctor
from worker.steps.doctor import Check, Grade, checks
from worker.wiring import Context

NOBODY = "redis://127.0.0.1:1/0"


def by_name(found: tuple[Check, ...]) -> dict[str, Check]:
    """Return checks by their names, which are unique."""
    named = {check.name: check for check in found}
    assert len(named) == len(found)
    return named


@contextmanager
def configured(context: Context, **options: str) -> Iterator[None]:
    """Change options of the server for a while."""
    names = {option: option.replace("_", "-") for option in options}
    before = {name: context.client.config_get(name)[name] for name in names.values()}
    for option, value in options.items():
        context.client.config_set(names[option], value)
    try:
        yield
    finally:
        for name, value in before.items():
            context.client.config_set(name, value)
        # Redis refuses to shut down while it writes its first append-only file.
        until(lambda: not _is_writing(context.client.info("persistence")))


def _is_writing(told: Mapping[str, object]) -> bool:
    return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])


def test_a_healthy_server_fails_nothing(context: Context) -> None:
    """Everything is in order but for the workers, which no test started."""
    found = by_name(checks(context))
    odd = {name for name, check in found.items() if check.grade is not Grade.OK}
    assert odd == {"queue"}
    assert "samestory work" in found["queue"].remedy
    assert {"redis", "version", "maxmemory-policy", "persistence", "scripts", "index"} < set(found)


def test_looking_changes_nothing(redis_url: str, context: Context) -> None:
    """A namespace that was never used stays without a key."""
    fresh = Context(settings=context.settings, redis_url=redis_url, namespace="fresh")
    before = context.client.dbsize()
    assert by_name(checks(fresh))["index"].found == "none yet"
    assert context.client.dbsize() == before
    fresh.client.close()


def test_an_evicting_server_fails_and_says_what_to_do(context: Context) -> None:
    """The doctor examines a server that every other command refuses."""
    with configured(context, maxmemory_policy="allkeys-lru"):
        check = by_name(checks(context))["maxmemory-policy"]
    assert check.grade is Grade.FAIL
    assert "allkeys-lru" in check.found
    assert "CONFIG SET maxmemory-policy noeviction" in check.remedy


def test_a_nearly_full_server_is_warned_of(context: Context) -> None:
    """Four fifths of maxmemory are where polling pauses."""
    used = int(context.client.info("memory")["used_memory"])
    with configured(context, maxmemory=str(int(used * 1.15))):
        check = by_name(checks(context))["memory"]
    assert check.grade is Grade.WARN


@pytest.mark.parametrize(("save", "grade"), [("", Grade.FAIL), ("3600 1", Grade.WARN)])
def test_a_server_that_forgets_fails_and_one_with_snapshots_warns(
    context: Context, save: str, grade: Grade
) -> None:
    """Only the append-only file keeps what was acknowledged."""
    with configured(context, save=save, appendonly="no"):
        check = by_name(checks(context))["persistence"]
    assert check.grade is grade
    assert "appendonly yes" in check.remedy


def test_an_index_of_another_make_fails(redis_url: str, context: Context) -> None:
    """Other parameters than the index was built with are named."""
    settings = load_settings(overrides=["index.num_perm=256"])
    other = Context(settings=settings, redis_url=redis_url)
    check = by_name(checks(other))["index"]
    other.client.close()
    assert check.grade is Grade.FAIL
    assert "num_perm is 128 there and 256 here" in check.found


def test_a_clock_that_is_off_is_noticed(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of logs and of the archive are this machine's; leases go by Redis's clock."""
    real = doctor.time
    monkeypatch.setattr(doctor, "time", lambda: real() + 2.0)
    assert by_name(checks(context))["clock"].grade is Grade.WARN


def test_an_absent_server_fails_and_the_disk_is_still_looked_at(tmp_path: Path) -> None:
    """No answer is a finding, not an error."""
    settings = load_settings(overrides=[f"paths.var={tmp_path}", f"paths.archive={tmp_path}"])
    found = by_name(checks(Context(settings=settings, redis_url=NOBODY)))
    assert found["redis"].grade is Grade.FAIL
    assert "SAMESTORY_REDIS_URL" in found["redis"].remedy
    assert found["disk (archive)"].grade is Grade.OK


def test_a_place_that_cannot_be_written_fails(tmp_path: Path) -> None:
    """A file where the archive's folder should be is named."""
    place = tmp_path / "file"
    place.write_bytes(b"")
    settings = load_settings(overrides=[f"paths.archive={place}", f"paths.var={tmp_path}"])
    check = by_name(checks(Context(settings=settings, redis_url=NOBODY)))["disk (archive)"]
    assert check.grade is Grade.FAIL
    assert str(place) in check.found


def test_a_full_disk_fails(tmp_path: Path) -> None:
    """A disk without room for one more archive file is full."""
    settings = load_settings(
        overrides=[
            f"paths.var={tmp_path}",
            f"paths.archive={tmp_path}",
            f"archive.max_bytes={2**60}",
        ]
    )
    found = by_name(checks(Context(settings=settings, redis_url=NOBODY)))
    assert found["disk (var)"].grade is Grade.FAIL
