"""What RQ may run. The worker process sets its context once, before the first horse is forked."""

from collections.abc import Sequence

from worker.errors import ConfigError
from worker.model import EntryId
from worker.wiring import Context

# The one global of this package: RQ finds functions by name and gives them only what JSON holds.
_context: Context | None = None


def set_context(context: Context) -> None:
    """Say with what the jobs of this process work."""
    global _context  # noqa: PLW0603 - see above
    _context = context


def work(namespace: str, entry_ids: Sequence[str]) -> None:
    """Work off the entries that a hint names.

    Raises:
        ConfigError: the process has no context, or the hint is of another namespace.
    """
    if _context is None or _context.namespace != namespace:
        raise ConfigError(f"this worker does not work for namespace '{namespace}'")
    _context.ingest().work([EntryId(str(entry_id)) for entry_id in entry_ids])
