"""What the gate lets through and what not."""

import pytest

from worker.core.junk import REASONS, gate
from worker.core.text import read
from worker.model import MatchPolicy

POLICY = MatchPolicy(min_shingles=20, copy_jaccard=0.5, copy_containment=0.8, story_threshold=0.5)
ARTICLE = (
    "The city council voted on Tuesday to rebuild the harbour bridge after engineers found cracks "
    "in two of its pillars. Work will begin in spring and is expected to last three years. "
)


@pytest.mark.parametrize(
    ("title", "text", "reason"),
    [
        (
            "Before you go on",
            (
                "We and our partners use cookies to show personalised ads. Accept all or manage "
                "preferences. Read our privacy policy."
            ),
            "consent_wall",
        ),
        (
            "",
            (
                "Wir und unsere Partner verwenden Cookies für Werbung. Alle akzeptieren oder ablehnen. "
                "Mehr in der Datenschutzerklärung."
            ),
            "consent_wall",
        ),
        (
            "Bridge to close",
            (
                "The bridge will close on Monday. To continue reading, subscribe now. Already a "
                "subscriber? Sign in. Unlimited access from two pounds a month, cancel anytime."
            ),
            "paywall",
        ),
        (
            "",
            "Cet article est réservé aux abonnés. Déjà abonné ? Identifiez-vous. Sans engagement.",
            "paywall",
        ),
        (
            "One moment",
            "Checking your browser. Please enable JavaScript and verify you are not a robot.",
            "login_or_captcha",
        ),
        (
            "404 Not Found",
            "The page you are looking for does not exist. Back to the homepage.",
            "error_page",
        ),
        ("", "Страница не найдена. Вернуться на главную.", "error_page"),
    ],
)
def test_gate_when_page_is_a_wall_then_names_it(title: str, text: str, reason: str) -> None:
    """Short pages made of such phrases are rejected, whatever their shingle count."""
    rejected = gate(read(title), read(text), 40, POLICY)
    assert rejected is not None
    assert rejected.reason == reason
    assert rejected.reason in REASONS


def test_gate_when_text_is_short_then_too_short() -> None:
    """A text below the policy's shingles cannot be compared."""
    rejected = gate(read(""), read("Bridge closed."), 1, POLICY)
    assert rejected is not None
    assert rejected.reason == "too_short"


def test_gate_when_article_is_about_cookies_then_passes() -> None:
    """A report may mention consent, cookies and subscriptions."""
    text = (
        "Regulators fined a publisher on Friday because its pages use cookies before readers could "
        "reject all of them. The authority said that the privacy policy of the group was hidden "
        "behind four screens, and that the button to accept all was larger than any other. The "
        "company, which sells advertising in nine countries, announced that it would appeal. Its "
        "lawyers argue that readers are told on every visit what is stored and why. Consumer groups "
        "welcomed the ruling and asked for similar steps against other large sites next year."
    )
    assert gate(read("Publisher fined over cookie banners"), read(text), 80, POLICY) is None


def test_gate_when_wall_text_hangs_on_long_article_then_passes() -> None:
    """Leftover notices at the end of a real article do not reject it."""
    tail = "We use cookies. Accept all. Manage preferences. Privacy policy."
    assert gate(read(""), read(ARTICLE * 6 + tail), 60, POLICY) is None
    assert gate(read(""), read(ARTICLE * 40 + tail), 60, POLICY) is None


def test_gate_when_text_is_empty_then_too_short() -> None:
    """Nothing at all is too short, not a wall."""
    rejected = gate(read(""), read(""), 0, POLICY)
    assert rejected is not None
    assert rejected.reason == "too_short"
