"""The program as a process, for tests that meet it as its users do."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONFIG = """
[paths]
var = "{var}"
archive = "{var}/archive"
[web]
port = 0
[log]
format = "json"
"""

# Feeds on the loopback, and a short lease, so that no test waits long for what was left lying.
QUICK = {
    "SAMESTORY_FETCH_ALLOW_PRIVATE": "127.0.0.1",
    "SAMESTORY_FETCH_HOST_GAP_S": "0",
    "SAMESTORY_LEDGER_LEASE_S": "3",
}


def furnish(folder: Path) -> Path:
    """Make a folder a working directory whose settings keep every file inside it."""
    (folder / "config").mkdir()
    (folder / "config" / "samestory.toml").write_text(CONFIG.format(var=folder / "var"))
    return folder


def command(*arguments: str) -> list[str]:
    """Return the command line of this program."""
    return [sys.executable, "-m", "worker", *arguments]


def environment(redis_url: str = "", **more: str) -> dict[str, str]:
    """Return an environment in which of all settings only the server is set, if any."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SAMESTORY_")}
    return kept | ({"SAMESTORY_REDIS_URL": redis_url} if redis_url else {}) | more


def ask(
    home: Path, *arguments: str, env: dict[str, str], stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=home,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def role(
    home: Path, url: str, *arguments: str, more: Mapping[str, str] = QUICK, **options: Any
) -> Iterator["subprocess.Popen[Any]"]:
    """Run a long-lived role, its output in the file `log`; kill it if it does not end by itself.

    Options are those of Popen.
    """
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            command(*arguments), cwd=home, env=environment(url, **more),
            **{"stdout": log, "stderr": log, **options},
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
