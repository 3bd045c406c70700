"""The program as a process, for tests that meet it as its users do."""

import os
import subprocess
import sys
from pathlib import Path

CONFIG = """
[paths]
var = "{var}"
archive = "{var}/archive"
[web]
port = 0
[log]
format = "json"
"""


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
