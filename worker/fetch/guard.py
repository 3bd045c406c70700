"""Which addresses may be connected to: the wall between feeds' links and our own network.

One job: vet the IP address that is about to be connected to, the only moment that cannot be
tricked (by DNS that changes its answer, redirects, or odd spellings of 127.0.0.1). Called by
fetch/client.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult

from worker.errors import FetchError

# As many as there are requests in flight by default: none waits for another one's name.
LOOK_UPS = 64

# is_global is True for many of these (measured on 3.11), and more in some patch releases of
# Python 3.10-3.13 than in others; yet no page lives there.
_DENIED: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata at 100.100.100.200
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata at 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays, retired
        "198.18.0.0/15",  # benchmarks
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved
        "64:ff9b:1::/48",  # local NAT64 (RFC 8215): leads into the operator's own network
        "100::/64",  # discard
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
        "fc00::/7",  # unique local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")  # ::a.b.c.d, deprecated; also :: and ::1
_LOW_32 = 0xFFFF_FFFF


class PrivateAddressError(FetchError):
    """The host leads to no address that may be connected to."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the host '{host}' has no public address", permanent=True)


def is_public(ip: str) -> bool:
    """Whether an IP address belongs to the public internet, whatever IPv4 address it wraps."""
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    inner = _embedded(address) if isinstance(address, IPv6Address) else ()
    if inner:
        return all(is_public(str(v4)) for v4 in inner)
    if any(address.version == net.version and address in net for net in _DENIED):
        return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that packets to an IPv6 address would end at or pass."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64 or address in _COMPATIBLE:
        return (IPv4Address(int(address) & _LOW_32),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or ()


def is_listed(host: str, allow: Sequence[str]) -> bool:
    """Whether a host is on an allow-list of names, ``.suffix`` patterns and addresses."""
    name = host.lower().rstrip(".")
    return any(
        name == entry or (entry.startswith(".") and f".{name}".endswith(entry)) for entry in allow
    )


def vet_literal(host: str, allow: Sequence[str]) -> None:
    """Raise PrivateAddressError when a host is spelled as an IP address that is not allowed.

    aiohttp connects to such hosts without asking the resolver. What looks like a number but is not
    the one canonical spelling (127.1, 2130706433) is refused: the system would read it as one.
    """
    looks_numeric = ":" in host or host.replace(".", "").isdigit()
    if looks_numeric and not (is_listed(host, allow) or is_public(host)):
        raise PrivateAddressError(host)


class GuardedResolver(AbstractResolver):
    """Resolves names through the system and keeps the addresses that may be connected to.

    aiohttp connects to exactly what this returns, so there is no second look-up to poison.
    """

    def __init__(self, allow: Sequence[str]) -> None:
        """``allow`` lists hosts, ``.suffix`` patterns and addresses that may be private."""
        self._allow = tuple(entry.lower() for entry in allow)
        # Threads of its own: a name server that does not answer holds one for half a minute, and in
        # the event loop's own pool every call to Redis would wait behind it.
        self._pool = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the vetted addresses of a host.

        Raises:
            PrivateAddressError: none is left.
            OSError: the name does not resolve.
        """
        found = await self._look_up(host, port, family)
        vetted = [result for result in found if self._may_connect(host, result["host"])]
        if not vetted:
            raise PrivateAddressError(host)
        return vetted

    def _may_connect(self, host: str, ip: str) -> bool:
        return is_listed(host, self._allow) or is_listed(ip, self._allow) or is_public(ip)

    async def _look_up(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> list[ResolveResult]:
        """Return all addresses of a host; names under ``localhost`` are loopback (RFC 6761 6.3)."""
        if is_listed(host, (".localhost",)):
            return [_result(host, "127.0.0.1", port, socket.AF_INET)]
        look_up = partial(
            socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,
        )  # fmt: skip
        infos = await asyncio.get_running_loop().run_in_executor(self._pool, look_up)
        return [_result(host, str(info[4][0]), port, info[0]) for info in infos]

    async def close(self) -> None:
        """Wait for no look-up that is under way; aiohttp asks for the method."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _result(host: str, ip: str, port: int, family: int) -> ResolveResult:
    """Return one address in aiohttp's form; numeric, so that nothing is looked up again."""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(
        hostname=host, host=ip, port=port, family=int(family), proto=0, flags=int(flags)
    )
