"""Hosts of their own for tests: network namespaces on one switch, whose cables can be pulled."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

IP = shutil.which("ip")


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace with one address, on the switch of its test."""

    name: str
    address: str
    switch: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that runs on this host."""
        return (str(IP), "netns", "exec", self.name)

    def unplug(self) -> None:
        """Cut this host off: nobody gets an answer from it, not even a refusal."""
        _ip("-n", self.switch, "link", "set", self.name[-8:], "down")

    def plug_in(self) -> None:
        """Bring it back."""
        _ip("-n", self.switch, "link", "set", self.name[-8:], "up")


@contextmanager
def hosts(count: int) -> Iterator[Sequence[Host]]:
    """Make so many hosts that reach each other and nothing else; take them away at the end.

    Skips the test where namespaces may not be made.
    """
    if IP is None:
        pytest.skip("no `ip` on this machine")
    run = uuid.uuid4().hex[:6]
    switch = f"samestory-{run}-sw"
    with ExitStack() as stack:
        try:
            _namespace(stack, switch)
        except subprocess.CalledProcessError as e:
            pytest.skip(f"no network namespaces for this user: {e.stderr.decode().strip()}")
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        made = []
        for number in range(1, count + 1):
            port = f"{run}{number:02d}"  # an interface's name has at most 15 letters
            host = Host(name=f"samestory-{port}", address=f"10.77.0.{number}", switch=switch)
            _namespace(stack, host.name)
            _ip("-n", host.name, "link", "add", "eth0", "type", "veth",
                "peer", "name", port, "netns", switch)  # fmt: skip
            _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", host.name, "link", "set", device, "up")
            made.append(host)
        yield made


def _namespace(stack: ExitStack, name: str) -> None:
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "del", name)


def _ip(*arguments: str) -> None:
    subprocess.run([str(IP), *arguments], check=True, capture_output=True)
