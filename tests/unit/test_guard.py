import asyncio
import socket

import pytest

from worker.fetch.guard import (
    GuardedResolver,
    PrivateAddressError,
    is_listed,
    is_public,
    vet_literal,
)

PRIVATE = """
127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1
169.254.169.254 100.64.0.1 100.100.100.200 168.63.129.16 192.0.0.192 192.0.2.1 192.88.99.1
198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a00:1 64:ff9b::a9fe:a9fe
64:ff9b::7f00:1 64:ff9b:1::1 64:ff9b:1::808:808 2002:a9fe:a9fe:: 2002:7f00:1::
2001:0:7f00:1::1 2001:0:808:808:0:0:80ff:fffe 100::1 2001:db8::1 3fff::1 5f00::1 fc00::1
fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1
not-an-ip 127.1 0x7f000001 2130706433 017700000001 1.2.3 1.2.3.4.5 01.2.3.4
""".split()  # noqa: SIM905 - a table

PUBLIC = """
8.8.8.8 1.1.1.1 93.184.216.34 172.15.255.255 172.32.0.0 100.63.255.255 100.128.0.0 198.17.255.255
198.20.0.0 2606:4700:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::
""".split()  # noqa: SIM905 - a table


@pytest.mark.parametrize("ip", PRIVATE)
def test_is_public_when_private_or_misspelled_then_no(ip: str) -> None:
    """Private, special, wrapped-private and oddly spelled addresses are refused."""
    assert not is_public(ip)


@pytest.mark.parametrize("ip", PUBLIC)
def test_is_public_when_on_the_internet_then_yes(ip: str) -> None:
    """Ordinary addresses pass, next to the ranges' edges and wrapped ones too."""
    assert is_public(ip)


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("outlet.localhost", True),
        ("localhost", True),
        ("OUTLET.Localhost.", True),
        ("notlocalhost", False),
        ("localhost.example.com", False),
        ("10.1.2.3", True),
        ("10.1.2.4", False),
        ("wiki.corp", True),
        ("x.wiki.corp", False),
    ],
)
def test_is_listed_when_matched_then_by_name_suffix_or_address(
    host: str,
    listed: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A dot in front allows what is under a name; anything else allows that name alone."""
    assert is_listed(host, (".localhost", "10.1.2.3", "wiki.corp")) is listed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0", "::1", "017700000001"])
def test_vet_literal_when_numeric_and_private_then_raises(host: str) -> None:
    """Hosts that the system would read as a private address are refused in any spelling."""
    with pytest.raises(PrivateAddressError, match="no public address"):
        vet_literal(host, ())


@pytest.mark.parametrize("host", ["8.8.8.8", "example.com", "0x7f.1", "2606:4700:4700::1111"])
def test_vet_literal_when_public_or_a_name_then_passes(host: str) -> None:
    """Public addresses pass, and names are left to the resolver, hexadecimal ones included."""
    vet_literal(host, ())


def _resolve(host: str, *allow: str) -> list[str]:
    async def run() -> list[str]:
        resolver = GuardedResolver(allow)
        return [result["host"] for result in await resolver.resolve(host, 80, socket.AF_UNSPEC)]

    return asyncio.run(run())


def test_resolve_when_name_is_under_localhost_then_is_loopback_without_dns() -> None:
    """Names under .localhost are this machine, and private unless listed."""
    assert _resolve("some.outlet.localhost", ".localhost") == ["127.0.0.1"]
    assert _resolve("some.outlet.localhost", "127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(PrivateAddressError):
        _resolve("some.outlet.localhost")


@pytest.mark.parametrize(
    "host",
    ["0x7f.1", "0x7f000001", "127.1", "2130706433", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460"],
)
def test_resolve_when_a_spelling_means_loopback_then_raises(host: str) -> None:
    """Spellings that the system reads as 127.0.0.1 are vetted as what they resolve to."""
    with pytest.raises((PrivateAddressError, OSError)):
        _resolve(host)


def test_resolve_when_some_addresses_are_private_then_keeps_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name with a public and a private address leads to the public one only."""

    def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kinds, ("10.0.0.1", 80)), (*kinds, ("93.184.216.34", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert _resolve("rebind.example") == ["93.184.216.34"]
    assert _resolve("rebind.example", "rebind.example") == ["10.0.0.1", "93.184.216.34"]
