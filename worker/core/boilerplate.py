"""Finds the lines that one publisher repeats on page after page: newsletter boxes, agency footers.

Left in, they make copies of pages that share nothing else. A publisher's newest lines are kept in a
ring of fixed size, each with the article it stood in; a line that other articles have too is cut
out. Pure: store.boilerplate keeps the rings, steps.boilerplate applies this.
"""

import zlib

import numpy as np

_SEEN = np.dtype([("line", "<u4"), ("article", "<u4")])

# Lines of some 25 pages: boilerplate is on nearly all of them. 8 bytes each, 8 kB a publisher.
RING = 1_024
# In so many other articles. Follow-ups repeat paragraphs of background in one or two.
_OTHERS = 3
_LINE_CHARS = 20  # shorter ones ("Related:") weigh nothing
_LINES = 100  # of one article that count, half from its top and half from its end


def _hash(line: str) -> int:
    """Return the CRC of a line: the same everywhere, and a twentieth of a good hash's cost."""
    return zlib.crc32(line.encode())


def line_hashes(title: str, text: str) -> bytes:
    """Return what stands for an article's title and its distinct lines: uint32, little-endian.

    The title comes first. Cost: .5 µs a line.
    """
    lines = list(dict.fromkeys(_lines(text)))
    if len(lines) > _LINES:
        lines = lines[: _LINES // 2] + lines[-_LINES // 2 :]
    return np.array([_hash(title.strip()), *map(_hash, lines)], "<u4").tobytes()


def repeated_lines(ring: bytes, hashes: bytes, article: int) -> frozenset[int]:
    """Return the hashes of an article's lines that enough other articles of the publisher have.

    None where its title was there before: then the publisher put out one article again.

    Args:
        ring: as `remember` made it.
        hashes: as `line_hashes` made them.
        article: a number for the article, the same at every attempt.
    """
    seen = np.frombuffer(ring, _SEEN)
    others = seen[seen["article"] != article % 2**32]
    mine = np.frombuffer(hashes, "<u4")
    if not len(others) or mine[0] in others["line"]:
        return frozenset()
    lines, counts = np.unique(others["line"][np.isin(others["line"], mine[1:])], return_counts=True)
    return frozenset(int(line) for line in lines[counts >= _OTHERS])


def remember(ring: bytes, hashes: bytes, article: int) -> bytes:
    """Return the ring with an article's lines first, once each, and without the oldest."""
    seen = np.frombuffer(ring, _SEEN)
    mine = np.frombuffer(hashes, "<u4")
    new = np.empty(len(mine), _SEEN)
    new["line"], new["article"] = mine, article % 2**32
    kept = seen[seen["article"] != article % 2**32]
    return bytes(np.concatenate([new, kept])[:RING].tobytes())


def without(text: str, repeated: frozenset[int]) -> str:
    """Return a text without the lines of these hashes."""
    return "\n".join(line for line in text.split("\n") if _hash(line.strip()) not in repeated)


def _lines(text: str) -> list[str]:
    stripped = (line.strip() for line in text.split("\n"))
    return [line for line in stripped if len(line) >= _LINE_CHARS]
