import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.redaction import public_part, redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/services/SECRET?token=SECRET", "https://hooks.example/…"),
        ("https://me:SECRET@hooks.example:8443", "https://hooks.example:8443"),
        ("https://hooks.example/", "https://hooks.example"),
        ("https://hooks.example?SECRET", "https://hooks.example/…"),
        ("https://hooks.example#SECRET", "https://hooks.example/…"),
        ("https://[SECRET", "…"),
        ("SECRET", "…"),
    ],
)
def test_public_part_when_secrets_are_anywhere_then_shows_none(url: str, shown: str) -> None:
    """Chat services put the key into the path."""
    assert public_part(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no address: 3/4 at 10:00", "no address: 3/4 at 10:00"),
        ("cannot read 'http://a.example/SECRET?k=SECRET'!", "cannot read 'http://a.example/…'!"),
        ("<HTTPS://me:SECRET@a.example/> twice: http://b.example/SECRET", "<https://a.example> twice: http://b.example/…"),
        ("redis://:SECRET@db:6379/0 is away", "redis://db:6379/… is away"),
        ("unix:///run/redis?password=SECRET", "…"),
        ("file:/SECRET", "…"),
        ("a" * 100_000, "a" * 100_000),
    ],
)  # fmt: skip
def test_redacted_when_a_message_quotes_addresses_then_shows_no_more_than_public_parts(
    text: str, shown: str
) -> None:
    """Messages of libraries quote what they were given."""
    assert redacted(text) == shown


@given(
    st.text(max_size=30), st.sampled_from(["http", "redis", "ftp"]), st.text("/?#;=&", min_size=1)
)
def test_redacted_when_a_secret_follows_a_host_then_is_gone(
    around: str, scheme: str, separators: str
) -> None:
    """Whatever stands around it."""
    assert "SECRET" not in redacted(f"{around} {scheme}://a.example/{separators}SECRET {around}")
