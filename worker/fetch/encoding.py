"""Bodies out of their Content-Encoding, with an eye on how much comes out of how little.

One job: compressed bytes in, piece by piece, at most so many bytes out. Here and not in the HTTP
library, which decodes whatever a server names, asked for or not, and takes a torn gzip body for
whole. Called by fetch/client.
"""

import zlib

from worker.errors import FetchError

# What requests ask for. Brotli and zstd save little more on feeds and pages, and their decoders are
# not in every Python that we run on.
ACCEPTED = "gzip, deflate"
_PLAIN = frozenset({"", "identity"})
_GZIP = frozenset({"gzip", "x-gzip"})  # RFC 9110 8.4.1.3
MAX_RATIO = 100  # deflate makes 1 032 bytes of one at most, and that is what bombs do
# A short body may well be all blanks, and costs nothing.
RATIO_FLOOR_BYTES = 1024 * 1024
_GZIP_WBITS, _RAW_WBITS = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_ZLIB_METHOD = 8  # the low half of a zlib stream's first byte (RFC 1950)
_GZIP_START = b"\x1f"  # its second byte may be in the next chunk
_MOST_MEMBERS = 100  # of a gzip body: an empty one costs us more than its sender


class Body:
    """One response body while it comes in; its decoded bytes are in ``data``."""

    def __init__(self, encoding: str, max_bytes: int, *, cut: bool = False) -> None:
        """Begin.

        Args:
            encoding: the Content-Encoding header, '' for none.
            max_bytes: the most that may come out.
            cut: leave out what is beyond that, instead of refusing it all.

        Raises:
            FetchError: an encoding that was not asked for, or several.
        """
        name = encoding.strip().lower()
        if name not in _PLAIN | _GZIP | {"deflate"}:
            raise FetchError("a Content-Encoding that was not asked for", permanent=True)
        self.data = bytearray()
        self.is_full = False  # nothing more counts
        self._cut = cut
        self._name = name
        self._max_bytes = max_bytes
        self._taken = 0  # bytes that came in
        self._stream = zlib.decompressobj(_GZIP_WBITS)
        self._members = 1

    def feed(self, some: bytes) -> None:
        """Add what came in.

        Raises:
            FetchError: too much came out, in all or of so little, or the bytes are not so encoded.
        Cost: never more than ``max_bytes`` + 1 are decoded.
        """
        if self._name == "deflate" and some and not self._taken:
            # Many servers leave the wrapping out.
            is_wrapped = some[0] & 15 == _ZLIB_METHOD
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if is_wrapped else _RAW_WBITS)
        self._taken += len(some)
        if self._name in _PLAIN:
            self.data += some
        else:
            self._inflate(some)
        if max(len(self.data), self._taken) > self._max_bytes:  # some streams decode to nothing
            if not self._cut:
                raise FetchError(f"the body is larger than {self._max_bytes} bytes", permanent=True)
            self.is_full = True
            del self.data[self._max_bytes :]
        if len(self.data) > max(RATIO_FLOOR_BYTES, MAX_RATIO * self._taken):
            message = f"the body is more than {MAX_RATIO} times as large as what was sent"
            raise FetchError(message, permanent=True)

    def _inflate(self, some: bytes) -> None:
        while some and len(self.data) <= self._max_bytes:
            if self._stream.eof:
                # Members of gzip may follow one another (RFC 1952 2.2); other remains are padding.
                if self._name not in _GZIP or not some.startswith(_GZIP_START):
                    return
                self._members += 1
                if self._members > _MOST_MEMBERS:
                    raise FetchError(f"the body has more than {_MOST_MEMBERS} gzip members")
                self._stream = zlib.decompressobj(_GZIP_WBITS)
            try:
                self.data += self._stream.decompress(some, self._max_bytes + 1 - len(self.data))
            except zlib.error as e:
                raise FetchError(f"the body is no sound {self._name}") from e
            some = self._stream.unconsumed_tail or self._stream.unused_data

    def finish(self) -> bytes:
        """Return the whole body. Raises FetchError when its end is missing."""
        torn = self._name not in _PLAIN and self._taken and not self._stream.eof
        if torn and not self.is_full:
            raise FetchError(f"the body ends within its {self._name} stream")
        return bytes(self.data)
