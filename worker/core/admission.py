"""Whether Redis has room for more entries: when polling pauses, and when it goes on.

What is on the ledger already goes on to its outcome meanwhile. Pure; called by the poll loop, and by
whoever tells people about it.
"""

from dataclasses import dataclass

# A fifth is left for what is claimed already: an article takes 2.5 kB in Redis and its entry less
# (docs/benchmarks.md), so that of a limit of 64 MiB it is room for 5 000 more of them.
PAUSE_AT = 0.8
# Buffers of clients come and go within some MiB; without a gap every one of them would be a pause.
RESUME_BELOW = 0.75
SAFE_POLICY = "noeviction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a server says about its memory."""

    used_bytes: int
    limit_bytes: int  # 0: none
    policy: str  # what it does when it is full

    @property
    def share(self) -> float:
        """How full it is; 0 without a limit."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0


def unsafe(room: Room) -> str:
    """Return why this server may lose entries, and what mends it; empty when it is safe.

    Under `allkeys-lru` a full server evicted a queue whole: 2000 of 2000 jobs were lost unseen.
    """
    if room.policy == SAFE_POLICY:
        return ""
    return (
        f"Redis has maxmemory-policy '{room.policy}' and would drop entries when it is full; "
        f"run: redis-cli CONFIG SET maxmemory-policy {SAFE_POLICY} (and set it in redis.conf)"
    )


def full(room: Room, *, paused: bool = False) -> str:
    """Return that this server has no room for new entries, and what helps; empty when it has.

    Args:
        room: what the server says.
        paused: whether polling pauses already: it goes on below RESUME_BELOW only.
    """
    if room.share < (RESUME_BELOW if paused else PAUSE_AT):
        return ""
    return (
        f"Redis uses {room.share:.0%} of its maxmemory: polling pauses at {PAUSE_AT:.0%} and goes on "
        f"below {RESUME_BELOW:.0%}; raise maxmemory, or shorten ledger.retention_days"
    )
