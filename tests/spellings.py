"""Every way that we know of to write an address inside our own network, for tests of the guard."""

from collections.abc import Iterator
from ipaddress import IPv4Address

# What an attacker asks for: this machine, its network, and what clouds answer their machines at.
INSIDE = tuple(
    IPv4Address(text)
    for text in (
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # AWS, Google, Azure, DigitalOcean, OpenStack
        "169.254.170.2",  # credentials of AWS's containers
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
    )
)
INSIDE_6 = """
:: ::1 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001 ::0001 ::1%25lo ::1%25 fe80::1
fe80::1%25eth0 fe80::1%251 FE80::A febf::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254
FD00:EC2::254 fec0::1 ff02::1 ff05::1 100::1 2001:db8::1 3fff::1 5f00::1 64:ff9b:1::1
64:ff9b:1:fffe::a00:1 ::ffff:0:127.0.0.1 2001:0:7f00:1::1 2001:10::1
""".split()  # noqa: SIM905 - a table

# Names that lead inside, and where to. Nobody is asked: tests answer in the name server's place.
NAMES = {
    "localhost": "127.0.0.1",
    "localhost.localdomain": "127.0.0.1",
    "ip6-localhost": "::1",
    "any.localhost": "127.0.0.1",
    "metadata.google.internal": "169.254.169.254",
    "metadata.goog": "169.254.169.254",
    "metadata": "169.254.169.254",
    "instance-data": "169.254.169.254",
    "instance-data.ec2.internal": "169.254.169.254",
    "metadata.tencentyun.com": "169.254.0.23",
    "metadata.platformequinix.com": "192.168.0.1",
    "rancher-metadata": "169.254.169.250",
    "host.docker.internal": "172.17.0.1",
    "kubernetes.default.svc": "10.96.0.1",
    "redis": "10.0.0.6",
    "wiki.corp": "192.168.7.7",
    "127.0.0.1.nip.example": "127.0.0.1",
    "7f000001.rebind.example": "127.0.0.1",
    "six.inside.example": "::1",
    "mapped.inside.example": "::ffff:10.0.0.1",
    "nat64.inside.example": "64:ff9b::a9fe:a9fe",
    "unique.inside.example": "fd00:ec2::254",
    "xn--inside-9za.example": "10.1.2.3",
}

OUTSIDE = "8.8.8.8"  # public: what some spellings pretend to be
_CIRCLED = "\u24ea\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468"
_DIGITS = {
    "full-width": "".join(chr(0xFF10 + n) for n in range(10)),
    "circled": _CIRCLED,
    "mathematical": "".join(chr(0x1D7CE + n) for n in range(10)),
    "superscript": "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079",
    "arabic": "".join(chr(0x660 + n) for n in range(10)),
}
_DOTS = "\u3002\uff0e\uff61\u2024"


def hosts() -> tuple[str, ...]:
    """Return every spelling of a host, as it stands in an address."""
    spelled = dict.fromkeys(f"[{text}]" for text in INSIDE_6)
    for address in INSIDE:
        spelled.update(dict.fromkeys(_numbers(address)))
        spelled.update(dict.fromkeys(_letters(address)))
        spelled.update(dict.fromkeys(f"[{text}]" for text in _wrapped(address)))
    for name in NAMES:
        spelled.update(dict.fromkeys((name, name.upper(), f"{name}.", name.replace(".", "\u3002"))))
    return tuple(spelled)


def addresses(port: int) -> tuple[str, ...]:
    """Return every spelling as an address with a port: all hosts, and tricks with what is around."""
    plain = [f"http://{host}:{port}/" for host in hosts()]
    tricks = [trick for address in INSIDE[:8] for trick in _tricks(str(address), port)]
    return tuple(dict.fromkeys(plain + tricks))


def _numbers(address: IPv4Address) -> Iterator[str]:
    """Yield what inet_aton, or somebody's own copy of it, reads as an address."""
    a, b, c, d = address.packed
    number = int(address)
    yield from (f"{address}", f"{address}.", f"{number}", f"0{number:o}", f"00000{number:o}")
    yield from (f"0x{number:x}", f"0X{number:X}", f"0x0000{number:08x}", f"{number + 2**32}")
    yield from (f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}")
    yield from (f"0x{a:x}.{number & 0xFFFFFF}", f"0{a:o}.0{b:o}.{number & 0xFFFF}")
    yield f"0{a:o}.0{b:o}.0{c:o}.0{d:o}"
    yield f"0{a:03o}.0{b:03o}.0{c:03o}.0{d:03o}"
    yield f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"
    yield f"0x{a:x}.{b}.0{c:o}.{d}"
    yield f"{a:03}.{b:03}.{c:03}.{d:03}"
    yield f"{a + 256}.{b + 256}.{c + 256}.{d + 256}"
    yield f"{a}.{b}.{c}.{d}.0"
    yield f"{a}..{b}.{c}.{d}"


def _letters(address: IPv4Address) -> Iterator[str]:
    """Yield what looks like an address only after decoding or normalising."""
    text = str(address)
    for digits in _DIGITS.values():
        yield text.translate({ord("0") + n: digits[n] for n in range(10)})
    for dot in _DOTS:
        yield text.replace(".", dot)
    yield text.replace(".", "%2e")
    yield text.replace(".", "%E3%80%82")
    yield "".join(f"%{ord(c):02x}" for c in text)
    yield from (f"{text}%00", f"{text}%20", f"{text}%0d%0a", f"{text} ", f"{text}%23.example.com")
    yield f"{text[:2]}\u00ad{text[2:]}"
    yield f"{text[:2]}\u200b{text[2:]}"


def _wrapped(address: IPv4Address) -> Iterator[str]:
    """Yield the IPv6 addresses whose packets end at an IPv4 address, or pass it."""
    high, low = divmod(int(address), 0x10000)
    yield from (f"::ffff:{address}", f"::ffff:{high:x}:{low:x}", f"::FFFF:{high:X}:{low:X}")
    yield from (f"0:0:0:0:0:ffff:{address}", f"::{address}", f"::{high:x}:{low:x}")
    yield from (f"64:ff9b::{address}", f"64:ff9b::{high:x}:{low:x}", f"64:ff9b:1::{address}")
    yield f"2002:{high:x}:{low:x}::"
    yield f"2002:{high:x}:{low:x}::1"
    yield f"2001:0:{high:x}:{low:x}:0:0:f7f7:f7f7"
    yield f"2001:0:808:808:0:0:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"
    yield f"::ffff:{address}%25eth0"


def _tricks(host: str, port: int) -> Iterator[str]:
    """Yield addresses whose host depends on who reads them."""
    there, outside = f"{host}:{port}", f"{OUTSIDE}:{port}"
    yield from (f"http://{outside}@{there}/", f"http://{there}@{outside}/")
    yield from (f"http://user:pass@{there}/", f"http://@{there}/", f"http://:@{there}/")
    yield from (f"http://{outside}\\@{there}/", f"http://{there}\\@{outside}/")
    yield from (f"http://{there}\\.example.com/", f"http:\\\\{there}/", f"http:/\\{there}/")
    yield from (f"http://{there}#@{outside}/", f"http://{there}?@{outside}/")
    yield from (f"http://{outside}#@{there}/..", f"http://{outside}%40{there}/")
    yield from (f"http://{outside}%2f@{there}/", f"http://{outside}%5c@{there}/")
    yield from (f"HTTP://{there}/", f"hTTp://{there}/", f"https://{there}/", f"//{there}/")
    yield from (f"http:{there}/", f"http:/{there}/", f"http:///{there}/", f"http:////{there}/")
    yield from (f" http://{there}/", f"\thttp://{there}/", f"http://{there}/\r\nHost: inside")
    yield from (f"ht\ttp://{there}/", f"http://\t{there}/", f"http://{host}\t:{port}/")
    yield from (f"http://{there}\x00.example.com/", f"http://{host}:0{port}/", f"http://{host}:/")
    yield from (f"http://{host}:%38%30/", f"http://[{host}]:{port}/", f"http://[::{host}:{port}/")
    yield from (f"http://{outside} {there}/", f"http://{outside},{there}/")
    yield from (f"feed://{there}/", f"feed:http://{there}/", f"url:http://{there}/")
    yield from (f"ftp://{there}/", f"gopher://{there}/_x", f"dict://{there}/", f"ws://{there}/")
    yield from (
        f"file://{host}/etc/passwd",
        f"jar:http://{there}!/",
        f"view-source:http://{there}/",
    )
