import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import FetchError
from worker.fetch.encoding import MAX_RATIO, RATIO_FLOOR_BYTES, Body

TEXT = b"<rss version='2.0'><channel><title>News</title></channel></rss>"
MIB = 2**20


def _raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _decoded(encoding: str, *pieces: bytes, max_bytes: int = 10 * MIB) -> bytes:
    body = Body(encoding, max_bytes)
    for piece in pieces:
        body.feed(piece)
    return body.finish()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("X-GZIP ", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:])),
        ("gzip", gzip.compress(TEXT) + b"\0" * 700),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", _raw(TEXT)),
    ],
)
def test_body_when_cut_into_any_pieces_then_comes_out_whole(encoding: str, packed: bytes) -> None:
    """Where chunks end makes no difference, nor do padding and several members."""
    for size in (1, 7, len(packed)):
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert _decoded(encoding, *pieces) == TEXT


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip," * 999, "\0"])
def test_body_when_its_encoding_was_not_asked_for_then_is_refused(encoding: str) -> None:
    """Also where a library could decode it: its decoder may have no bounds."""
    with pytest.raises(FetchError, match="not asked for") as caught:
        Body(encoding, MIB)
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", TEXT),
        ("deflate", TEXT),
        ("gzip", gzip.compress(TEXT)[:-1]),
        ("gzip", gzip.compress(TEXT)[:-8] + b"12345678"),
        ("gzip", gzip.compress(TEXT) + gzip.compress(TEXT)[:9]),
        ("gzip", gzip.compress(b"") * 101),
        ("deflate", zlib.compress(TEXT)[:-1]),
        ("deflate", _raw(TEXT)[:-1]),
    ],
)
def test_body_when_torn_or_false_then_is_refused(encoding: str, packed: bytes) -> None:
    """Half a feed must not pass for a whole one; another time it may be whole."""
    with pytest.raises(FetchError) as caught:
        _decoded(encoding, packed)
    assert not caught.value.permanent


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_body_when_there_is_none_then_is_empty(encoding: str) -> None:
    """Some servers name an encoding and send nothing."""
    assert _decoded(encoding) == b""


def test_body_when_it_decodes_to_too_much_then_stops_there() -> None:
    """At most one byte more than allowed is ever made."""
    body = Body("gzip", 1_000)
    with pytest.raises(FetchError, match="larger than 1000 bytes"):
        body.feed(gzip.compress(b"x" * MIB))
    assert len(body.data) == 1_001


def test_body_when_it_decodes_to_nothing_then_what_came_in_counts() -> None:
    """Empty blocks could be sent for ever."""
    with pytest.raises(FetchError, match="larger than 1000 bytes"):
        _decoded("deflate", *[b"\0\0\0\xff\xff"] * 300, max_bytes=1_000)


def test_body_when_a_bomb_then_is_refused_and_a_short_or_dense_one_is_not() -> None:
    """More than a hundred times what was sent is no feed and no page, once it is a megabyte."""
    dense = (b"<item><title>%d</title></item>" % n for n in range(100_000))
    text = b"".join(dense)
    assert len(text) > 2 * RATIO_FLOOR_BYTES
    assert _decoded("gzip", gzip.compress(text)) == text
    blank = b" " * RATIO_FLOOR_BYTES
    assert _decoded("gzip", gzip.compress(blank)) == blank
    with pytest.raises(FetchError, match=f"more than {MAX_RATIO} times"):
        _decoded("gzip", gzip.compress(blank + b"  "))


@given(st.sampled_from(["gzip", "deflate"]), st.lists(st.binary(max_size=40), max_size=5))
def test_body_when_given_noise_then_raises_nothing_else(encoding: str, pieces: list[bytes]) -> None:
    """Any bytes are a body or a FetchError."""
    with contextlib.suppress(FetchError):
        assert len(_decoded(encoding, *pieces, max_bytes=100)) <= 100
