"""What a campaign and a soak have in common: a world, a plant, and the watch over both."""

import argparse
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from plant import Plant
from watch import Watch
from world import World, plan

SAY_S = 15.0
SWITCH_S = 0.0005  # threads that serve must not wait for the watch's
# Entries listed ahead: more than is worked off until a feed is asked again, so that nobody waits.
FULL_LOAD = 400
A_FEW = 12
STALL_S = 120.0  # well beyond every lease, back-off and restart
POISON = 5_000  # one entry in so many costs its reader's life; one at least


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything that runs."""

    world: World
    plant: Plant
    watch: Watch
    redis_url: str  # for the roles
    ahead: int  # entries listed that have no outcome yet
    tick_s: float  # between two looks

    @property
    def done(self) -> bool:
        """Whether every entry of the world has its outcome, and no hint is left over."""
        watch = self.watch
        return watch.settled == len(self.world.items) and not watch.pending and not watch.hints

    def tick(self, until: float = math.inf) -> bool:
        """Let the world grow, keep the roles running and look; return False when nothing moves.

        The world grows to ``ahead`` entries beyond ``until`` at most, and by a few for as long as a fault
        waits for somebody to strike: no fault comes when all is done.
        """
        self.plant.tend(self.redis_url)
        ahead = min(
            self.watch.settled + self.ahead, max(until + self.ahead, self.watch.settled + A_FEW)
        )
        self.watch.publish(int(min(len(self.world.items), ahead)))
        self.watch.look()
        time.sleep(self.tick_s)
        if time.monotonic() - self.watch.settled_at < STALL_S:
            return True
        say(f"nothing moved for {STALL_S:g} s: {len(self.watch.open)} entries are left")
        return False


@contextmanager
def staged(
    home: Path, options: argparse.Namespace, *, ahead: int, tick_s: float, **settings: float
) -> Iterator[Stage]:
    """Set everything up, and end it after the block, whatever happens in it.

    Args:
        home: an empty folder.
        options: seed, entries, supervisors, processes.
        ahead: entries listed at a time that have no outcome yet.
        tick_s: how long to wait between two looks.
        settings: retention_days and window_days, where they are not the defaults.
    """
    sys.setswitchinterval(SWITCH_S)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end, and end what was started
    poison = max(1, options.entries // POISON)
    world = World(options.seed, plan(options.seed, options.entries, poison=poison))
    with ExitStack() as stack:
        plant = Plant(home, options.supervisors, options.processes, **settings)
        stack.callback(plant.close)
        plant.start_redis()
        stack.enter_context(world.served())
        added = plant.ask("feeds", "add", *world.feed_urls())
        if added.returncode:
            raise SystemExit(added.stderr)
        client = redis.Redis(unix_socket_path=str(plant.socket), retry=None, protocol=2)
        watch = Watch(client, world)
        yield Stage(
            world=world, plant=plant, watch=watch, redis_url=plant.url, ahead=ahead, tick_s=tick_s
        )


def parser(description: str, entries: int) -> argparse.ArgumentParser:
    """Return a parser with the options that both have."""
    made = argparse.ArgumentParser(description=description.partition("\n")[0])
    made.add_argument("--entries", type=int, default=entries)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--supervisors", type=int, default=2, help="`samestory work` processes")
    made.add_argument("--processes", type=int, default=2, help="workers of each")
    return made


def say(line: str) -> None:
    """Tell the one who waits."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
