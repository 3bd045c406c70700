"""What import-linter cannot see: sizes, the core's own imports, and documents that must agree."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "worker").rglob("*.py"))
SCRIPTS = sorted((ROOT / "worker" / "store" / "lua").glob("*.lua"))
MODULE_LINES, FUNCTION_LINES = 400, 60
# What the core may use beside the standard library; the impure parts of that are forbidden too.
CORE_MAY = {"numpy", "datasketch", "tld", "idna", "worker"}
IMPURE = {"asyncio", "io", "logging", "os", "pathlib", "random", "socket", "subprocess", "threading", "time"}  # fmt: skip


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_and_its_functions_are_of_a_readable_size(path: Path) -> None:
    """A module does one job in at most 400 lines, a function in at most 60."""
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MODULE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", sorted((ROOT / "worker" / "core").glob("*.py")), ids=_name)
def test_core_module_imports_nothing_impure(path: Path) -> None:
    """The core takes values and returns values; the clock and the dice are arguments."""
    import sys

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for top in {name.partition(".")[0] for name in names}:
            assert top not in IMPURE, top
            assert top in sys.stdlib_module_names or top in CORE_MAY, top


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_script_is_headed_by_its_contract(path: Path) -> None:
    """A reader of a script sees at once its keys, its argument and its answer."""
    head = path.read_text(encoding="utf-8").split("local ", maxsplit=1)[0]
    assert head.startswith("-- ")
    if "-- Included by" not in head:  # an include has no call of its own
        for word in ("KEYS[1]", "ARGV[1]", "return"):
            assert word in head, word


def test_documented_keys_are_those_of_the_code() -> None:
    """docs/redis-keys.md carries the table of worker/store/keys.py, to the letter."""

    def table(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("|")]

    code = (ROOT / "worker" / "store" / "keys.py").read_text(encoding="utf-8")
    documented = (ROOT / "docs" / "redis-keys.md").read_text(encoding="utf-8")
    assert table(documented) == table(code) != []


@pytest.mark.parametrize(
    ("document", "letter", "count"), [("faults.md", "F", 50), ("hostile.md", "H", 80)]
)
def test_every_fault_and_input_has_its_row_and_every_test_named_there_exists(
    document: str, letter: str, count: int
) -> None:
    """Fifty faults and eighty hostile inputs, each with tests that there are, or with a reason."""
    rows = [
        line.strip("|").split("|")
        for line in (ROOT / "docs" / document).read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| {letter}")
    ]
    assert [row[0].split()[0] for row in rows] == [f"{letter}{n}" for n in range(1, count + 1)]
    for name, holds, shown in rows:
        assert _missing_tests(shown) == [], name
        assert "`test_" in shown or holds.strip(), name


def test_every_promise_of_politeness_has_its_row_and_every_test_named_there_exists() -> None:
    """docs/politeness.md makes fifteen promises to those who serve feeds, each with tests."""
    text = (ROOT / "docs" / "politeness.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| B")]
    assert [row[0].split()[0] for row in rows] == [f"B{number}" for number in range(1, 16)]
    assert [promise for promise, _, shown in rows if "`test_" not in shown] == []
    assert _missing_tests(text) == []


def _missing_tests(text: str) -> list[str]:
    """Return the tests that a text names and that do not exist."""
    tests = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")
    )
    named = re.findall(r"`(test_\w+)`", text)
    return [name for name in named if f"def {name}(" not in tests]


def test_every_command_stands_in_the_readme() -> None:
    """A command that the README does not name is one that nobody finds."""
    import typer.main

    from worker.cli.main import app

    group = typer.main.get_command(app)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in group.commands if f"samestory {name}" not in readme]  # type: ignore[attr-defined]
    assert missing == []
    assert len(readme.splitlines()) <= 150


def test_only_the_fetch_room_opens_connections() -> None:
    """Whatever comes to fetch something new passes the one guard. Redis has its own client."""
    modules = {"aiohttp", "urllib.request", "http.client", "requests", "urllib3", "httpx", "ftplib"}
    calls = {"urlopen", "fetch_url", "fetch_response", "create_connection", "open_connection"}
    for path in MODULES:
        if path.parent.name == "fetch":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & (modules | calls), path
            elif isinstance(node, ast.Attribute):
                assert node.attr not in calls, path


def test_no_module_unpickles() -> None:
    """Nothing from Redis or the network is ever unpickled."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}, path
