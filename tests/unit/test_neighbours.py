"""Whether a worker is dead is told from its name, of this machine's processes alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import until

from worker.neighbours import is_dead, own_name

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

NAMED = "from worker.neighbours import own_name; print(own_name(), flush=True); input()"


@pytest.fixture
def neighbour() -> Iterator["subprocess.Popen[str]"]:
    """A process that says its name and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def _name(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_name_is_given_once_and_its_bearer_lives() -> None:
    """Two workers of one process differ, and neither is dead."""
    assert own_name() != own_name()
    assert not is_dead(own_name())


def test_neighbour_is_dead_when_it_was_killed_be_it_buried_or_not(
    neighbour: "subprocess.Popen[str]",
) -> None:
    """A stopped one lives; a killed one is dead, also while nobody has asked for its status."""
    name = _name(neighbour)
    neighbour.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, neighbour.pid, os.WSTOPPED | os.WNOWAIT)
    assert not is_dead(name)
    neighbour.kill()
    until(lambda: is_dead(name))
    assert neighbour.returncode is None
    neighbour.wait()
    assert is_dead(name)


def test_process_of_the_same_number_but_another_time_is_somebody_else() -> None:
    """Numbers of processes are given again."""
    machine, pid, started, draw = own_name().split("-")
    assert is_dead(f"{machine}-{pid}-{int(started) - 1}-{draw}")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a1b2c3d4e5f64f6a8b7c9d0e1f2a3b4c",
        "{machine}-999999999-1",
        "{machine}--1-1-00000000",
        "000000000000-999999999-1-00000000",
        "{machine}-9999999999-1-00000000-00",
        "{machine}-999999999-1-00000000\n",
    ],
)
def test_whom_nobody_here_can_know_is_not_dead(name: str) -> None:
    """One of another machine, and what is no name of ours, whoever wrote it into Redis."""
    machine = own_name().partition("-")[0]
    assert not is_dead(name.format(machine=machine))


def test_number_that_no_process_can_have_is_nobody() -> None:
    """A name with such a number is somebody's invention; it costs no error."""
    machine = own_name().partition("-")[0]
    assert not is_dead(f"{machine}-9999999999-1-00000000")
    assert is_dead(f"{machine}-999999999-1-00000000")
