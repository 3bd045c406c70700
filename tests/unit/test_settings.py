"""Settings: one validated object, and a file that documents every field."""

import re
from pathlib import Path

import pytest

from worker.errors import ConfigError
from worker.settings import Settings, load_settings, setting_paths

FILE = Path(__file__).parents[2] / "config" / "samestory.toml"


def test_shipped_file_holds_every_setting_with_its_default() -> None:
    """config/samestory.toml changes nothing and leaves nothing out."""
    text = FILE.read_text(encoding="utf-8")
    table, documented = "", []
    for line in text.splitlines():
        if match := re.match(r"\[(\w+)\]", line):
            table = match[1]
        elif match := re.match(r"(\w+) = ", line):
            documented.append(f"{table}.{match[1]}")
    assert documented == list(setting_paths())
    assert load_settings(text.encode()) == Settings()


def test_sources_when_all_set_a_key_then_the_later_one_wins() -> None:
    """The file goes before the defaults, the environment before the file, --set before all."""
    toml = b"[match]\nstory_threshold = 0.6\ncopy_jaccard = 0.6\nmin_shingles = 30"
    environ = {"SAMESTORY_MATCH_STORY_THRESHOLD": "0.7", "SAMESTORY_MATCH_COPY_JACCARD": "0.7"}
    match = load_settings(toml, environ, ["match.story_threshold=0.8"]).match
    assert (match.story_threshold, match.copy_jaccard, match.min_shingles) == (0.8, 0.7, 30)


@pytest.mark.parametrize(
    ("toml", "environ", "overrides", "message"),
    [
        (b"[poll]\nintervals = 3", {}, [], "unknown setting 'poll.intervals'; allowed: poll.inter"),
        (b"", {"SAMESTORY_FOO_BAR": "1"}, [], "SAMESTORY_FOO_BAR: unknown setting 'foo.bar'"),
        (b"", {}, ["match.story_treshold=.5"], "allowed: match.story_threshold"),
        (b"", {}, ["match.story_threshold=2"], "'match.story_threshold': .*less than or equal"),
        (b"", {}, ["match.story_threshold=nan"], "'match.story_threshold'"),
        (b"[log]\nlevel = 'loud'", {}, [], "'log.level': .*'debug', 'info', 'warning' or 'error'"),
        (b"[index]\ncopy_rows = 9", {}, [], r"copy_bands \* copy_rows must not exceed num_perm"),
        (b"", {}, ["web.public_url=hooks.example"], "'web.public_url': .*an http"),
        (b"", {}, ["web.public_url=https://u@hooks.example"], "'web.public_url'"),
        (b"", {}, ["web.public_url=https://hooks.example/?a=b"], "'web.public_url'"),
        (b"[poll]\ninterval_s = 1", {}, [], "min_interval_s <= interval_s <= max_interval_s"),
        (b"[match", {}, [], "not valid TOML"),
        (b"\xff", {}, [], "not valid TOML"),
        (b"", {}, ["match"], "not of the form section.key=value"),
        (b"match = 3", {}, [], "setting 'match'"),
    ],
)
def test_wrong_setting_is_named_with_its_path_and_what_is_allowed(
    toml: bytes, environ: dict[str, str], overrides: list[str], message: str
) -> None:
    """An operator learns which key is wrong and what would be right."""
    with pytest.raises(ConfigError, match=message):
        load_settings(toml, environ, overrides)


def test_public_url_when_it_ends_in_a_slash_then_stands_without() -> None:
    """Callbacks are put behind it; a path that a proxy takes off again may be part of it."""
    for given, kept in (
        ("https://h.example/", "https://h.example"),
        ("http://[::1]:8780/a/", "http://[::1]:8780/a"),
    ):
        settings = load_settings(overrides=[f"web.public_url={given}"])
        assert settings.web.public_url == kept


def test_list_setting_is_read_from_text_with_commas() -> None:
    """The environment has no lists; commas stand in."""
    settings = load_settings(b"", {"SAMESTORY_FETCH_ALLOW_PRIVATE": ".intranet,10.0.0.7"})
    assert settings.fetch.allow_private == (".intranet", "10.0.0.7")


def test_redis_password_is_not_shown() -> None:
    """The address may hold a password, so its text form is a mask."""
    settings = load_settings(b"", {"SAMESTORY_REDIS_URL": "redis://:secret@example.org"})
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("user_agent", "token"),
    [
        ("samestory/0.1 (+https://example.org/bot)", "samestory"),
        ("Mon-Moniteur /2", "Mon-Moniteur"),
        ("watcher", "watcher"),
    ],
)
def test_name_in_robots_txt_is_what_the_user_agent_begins_with(user_agent: str, token: str) -> None:
    """The product token ends before the version."""
    settings = load_settings(overrides=[f"fetch.user_agent={user_agent}"])
    assert settings.fetch.product_token == token
