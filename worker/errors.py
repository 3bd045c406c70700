"""The error tree. Expected results are values; these are what stops a step.

SamestoryError
├─ ConfigError                 the operator must change something; exits with status 2
│  ├─ FingerprintMismatchError the index was built with other parameters
│  └─ UnsafeRedisError         the server may lose keys (eviction) or lacks a feature
├─ NotFoundError               no such story, article, feed or quarantined entry; carries the nearest
├─ FetchError                  a response could not be had; says whether to try again
├─ DecodeError                 bytes that are not what they claim to be
├─ StoreError                  Redis did not answer, or answered with an error
│  └─ ConflictError            a race was lost too often; the entry stays on the ledger
└─ ArchiveError                a page is not where the ledger says it is
"""

from collections.abc import Sequence


class SamestoryError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(SamestoryError):
    """A setting, an argument or the environment is wrong; the message says which and what to do."""


class FingerprintMismatchError(ConfigError):
    """The index in this namespace was built with other parameters than the settings ask for."""

    def __init__(self, namespace: str, differences: Sequence[str]) -> None:
        self.namespace = namespace
        self.differences = tuple(differences)
        super().__init__(
            f"the index of namespace '{namespace}' was built with other parameters "
            f"({'; '.join(differences)}); set them back, or replay into a new namespace"
        )


class UnsafeRedisError(ConfigError):
    """The Redis server is set up so that it may lose keys, or is too old."""


class NotFoundError(SamestoryError):
    """Nothing of this kind has this name."""

    def __init__(self, kind: str, name: str, nearest: Sequence[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.nearest = tuple(nearest)
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        super().__init__(f"no {kind} '{name}'{hint}")


class FetchError(SamestoryError):
    """A response could not be had.

    ``permanent`` says that asking again gives the same answer; ``status`` is the HTTP status, or
    None when no answer came; ``retry_after_s`` is the server's own wish, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        permanent: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        self.status = status
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        super().__init__(message)


class DecodeError(SamestoryError):
    """These bytes are not a feed, a page or an OPML list that can be read."""


class StoreError(SamestoryError):
    """Redis did not answer, or answered with an error."""


class ConflictError(StoreError):
    """Other workers kept changing the same stories; the entry stays on the ledger and is retried."""


class ArchiveError(SamestoryError):
    """An archived page is not where the ledger says it is."""
