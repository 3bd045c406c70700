"""One validated Settings from a TOML file, the environment and the command line, in that order.

Pure: callers read files and os.environ. An unknown key is an error, because a mistyped one that is
silently ignored costs an index (datasketch issue 60). Defaults and their reasons stand beside
each field and, for the operator, in config/samestory.toml; a test keeps the two alike.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from worker.errors import ConfigError
from worker.model import IndexParams, MatchPolicy, Scope

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENV_PREFIX = "SAMESTORY_"
DAY_S = 86_400.0
_PUBLIC_URL = re.compile(r"https?://[^\s/?#@\\]+(?:/[^\s?#\\]*)?", re.ASCII | re.IGNORECASE)

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A table of the settings file: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RedisSettings(Section):
    """Where the state lives. An empty address means the embedded server under ``paths.var``."""

    url: SecretStr = SecretStr("")
    timeout_s: Positive = 5.0


class PathSettings(Section):
    """Where this machine's own files lie."""

    var: str = "var"
    archive: str = "var/archive"


class PollSettings(Section):
    """How often feeds are asked.

    An hour, and a day where each poll costs the whole document, is what feed owners ask of readers
    (rachelbythebay.com/w/feed). 2 000 new entries a day are ten times the busiest day of a labelled
    stream, all its outlets together (194 articles), and four times what a news sitemap brings at most
    (1 000 addresses of two days).
    """

    interval_s: Positive = 3_600.0
    min_interval_s: Positive = 900.0
    max_interval_s: Positive = 86_400.0
    unconditional_interval_s: Positive = 86_400.0
    max_new_a_day: Annotated[int, Field(ge=1)] = 2_000
    jitter: Share = 0.1

    @model_validator(mode="after")
    def _ordered(self) -> "PollSettings":
        if not self.min_interval_s <= self.interval_s <= self.max_interval_s:
            msg = "min_interval_s <= interval_s <= max_interval_s must hold"
            raise ValueError(msg)
        return self


class FetchSettings(Section):
    """How this project behaves towards other hosts.

    No content of a feed stands for a page unless somebody who knows his feeds says from what length on:
    some teasers are longer than other feeds' articles.
    """

    user_agent: Annotated[str, Field(min_length=1)] = "samestory/0.1 (+https://example.org/bot)"
    connect_timeout_s: Positive = 5.0
    feed_timeout_s: Positive = 30.0
    page_timeout_s: Positive = 20.0
    feed_max_bytes: Annotated[int, Field(ge=1_024)] = 10 * 2**20
    page_max_bytes: Annotated[int, Field(ge=1_024)] = 5 * 2**20
    full_content_chars: Annotated[int, Field(ge=0, le=50_000)] = 0
    host_gap_s: Annotated[float, Field(ge=0)] = 1.0
    scope: Scope = "host"
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 64
    allow_private: tuple[str, ...] = ()

    @property
    def product_token(self) -> str:
        """The name that we look for in a robots.txt (RFC 9309 2.2.1)."""
        return self.user_agent.partition("/")[0].strip()


class ArchiveSettings(Section):
    """Raw responses as WARC files, kept for ever unless somebody says how long, or how many 10^9 bytes."""

    max_bytes: Annotated[int, Field(ge=2**20)] = 256 * 2**20
    keep_days: Annotated[float, Field(ge=0)] = 0.0
    keep_gb: Annotated[float, Field(ge=0)] = 0.0


class LedgerSettings(Section):
    """How an entry is kept until it has its outcome."""

    lease_s: Positive = 10.0
    attempts: Annotated[int, Field(ge=1)] = 5
    batch: Annotated[int, Field(ge=1, le=256)] = 16
    retention_days: Positive = 30.0


class IndexSettings(Section):
    """Everything that shapes signatures and buckets; part of the fingerprint."""

    num_perm: Annotated[int, Field(ge=16, le=256)] = 128
    copy_bands: Annotated[int, Field(ge=1, le=128)] = 42
    copy_rows: Annotated[int, Field(ge=1, le=16)] = 3
    story_slots: Annotated[int, Field(ge=8, le=255)] = 64
    story_terms: Annotated[int, Field(ge=8, le=255)] = 64
    bucket_cap: Annotated[int, Field(ge=1, le=256)] = 8
    window_days: Positive = 7.0

    @model_validator(mode="after")
    def _fits(self) -> "IndexSettings":
        if self.copy_bands * self.copy_rows > self.num_perm:
            msg = "copy_bands * copy_rows must not exceed num_perm"
            raise ValueError(msg)
        return self

    def params(self) -> IndexParams:
        """Return the slice that signing and indexing receive."""
        values = self.model_dump()
        return IndexParams(window_s=values.pop("window_days") * DAY_S, **values)


class MatchSettings(Section):
    """When two texts are a copy or one story."""

    min_shingles: Annotated[int, Field(ge=1)] = 20
    copy_jaccard: Share = 0.5
    copy_containment: Share = 0.8
    story_threshold: Share = 0.55
    model: str = ""  # a file that `samestory fit` wrote; empty: the shipped one

    def policy(self) -> MatchPolicy:
        """Return the slice that deciding receives."""
        return MatchPolicy(**self.model_dump(exclude={"model"}))


class WorkSettings(Section):
    """RQ workers. ``processes = 0`` means one a core."""

    processes: Annotated[int, Field(ge=0, le=256)] = 0
    cpu_s: Annotated[int, Field(ge=1)] = 20
    memory_mb: Annotated[int, Field(ge=256)] = 1_024
    drain_s: Positive = 25.0


class WebSettings(Section):
    """Health, metrics and the calls of WebSub hubs over HTTP. Port 0 lets the system choose."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_780
    public_url: str = ""  # where hubs reach it from outside; empty: no hub is asked for anything

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and not _PUBLIC_URL.fullmatch(value):
            msg = "an http(s) address without user, query and fragment, such as https://hooks.example.org"
            raise ValueError(msg)
        return value.rstrip("/")


class WebhookSettings(Section):
    """Events sent to other programs."""

    timeout_s: Positive = 10.0
    attempts: Annotated[int, Field(ge=1, le=16)] = 10  # the last wait of 16 attempts is nine hours


class LogSettings(Section):
    """Logs go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Settings(Section):
    """Every setting there is."""

    redis: RedisSettings = RedisSettings()
    paths: PathSettings = PathSettings()
    poll: PollSettings = PollSettings()
    fetch: FetchSettings = FetchSettings()
    archive: ArchiveSettings = ArchiveSettings()
    ledger: LedgerSettings = LedgerSettings()
    index: IndexSettings = IndexSettings()
    match: MatchSettings = MatchSettings()
    work: WorkSettings = WorkSettings()
    web: WebSettings = WebSettings()
    webhooks: WebhookSettings = WebhookSettings()
    log: LogSettings = LogSettings()


def load_settings(
    toml: bytes = b"",
    environ: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
    *,
    origin: str = "settings",
) -> Settings:
    """Return the settings that a file, the environment and ``key=value`` overrides give together.

    Args:
        toml: the file's bytes; empty for none.
        environ: ``SAMESTORY_<SECTION>_<KEY>`` counts, e.g. ``SAMESTORY_REDIS_URL``.
        overrides: ``section.key=value``, e.g. ``match.story_threshold=0.6``.
        origin: the file's name, for messages.

    Raises:
        ConfigError: naming the full path of each wrong key and what would be allowed.
    """
    try:
        merged: dict[str, Any] = tomllib.loads(toml.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{origin} is not valid TOML: {e}") from e
    for name, value in sorted((environ or {}).items()):
        if name.startswith(ENV_PREFIX):
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("_")
            _put(merged, f"{section}.{key}", value, source=name)
    for item in overrides:
        path, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"'{item}' is not of the form section.key=value")
        _put(merged, path.strip(), value.strip(), source=item)
    try:
        return Settings.model_validate(merged)
    except ValidationError as e:
        raise ConfigError("\n".join(_explain(e))) from e


def _put(merged: dict[str, Any], path: str, value: str, *, source: str) -> None:
    """Set one dotted key; text becomes a list where the field is one (comma-separated)."""
    section_name, _, key = path.partition(".")
    section = Settings.model_fields.get(section_name)
    fields = section.annotation.model_fields if section and section.annotation else {}
    if key not in fields:
        raise ConfigError(f"{source}: unknown setting '{path}'{_did_you_mean(path)}")
    as_list = "tuple" in str(fields[key].annotation)
    table = merged.setdefault(section_name, {})
    table[key] = [part for part in value.split(",") if part] if as_list else value


def _explain(error: ValidationError) -> Iterable[str]:
    """Yield one line for each wrong key: its path, what is wrong, what is allowed."""
    for item in error.errors(include_url=False, include_context=False):
        path = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            yield f"unknown setting '{path}'{_did_you_mean(path)}"
        else:
            given = "" if isinstance(item["input"], dict) else f" (given: {item['input']!r})"
            yield f"setting '{path}': {item['msg']}{given}"


def setting_paths() -> tuple[str, ...]:
    """Return the dotted path of every setting there is, in order."""
    return tuple(
        f"{name}.{key}"
        for name, section in Settings.model_fields.items()
        for key in section.annotation.model_fields  # type: ignore[union-attr]
    )


def _did_you_mean(path: str) -> str:
    """Say which settings are nearest, or which the section has."""
    known = setting_paths()
    near = get_close_matches(path, known, n=3)
    in_section = [k for k in known if k.startswith(path.partition(".")[0] + ".")]
    choices = near or in_section or sorted({k.partition(".")[0] for k in known})
    return f"; allowed: {', '.join(choices)}"
