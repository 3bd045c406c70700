"""The benchmark's table and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import Figure

BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
_HEAD = ("row", "what", "ours", "theirs", "ratio", "unit", "must reach")


def table(figures: Mapping[str, Figure]) -> str:
    """Return the rows as a Markdown table whose columns stand in line."""
    rows = [_HEAD] + [
        (
            name, row.what, _number(row.ours), _number(row.theirs), _number(row.ratio), row.unit,
            row.must,
        )
        for name, row in figures.items()
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, _line(["-" * width for width in widths], widths))
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True))} |"


def _number(value: float | None) -> str:
    """Return three significant digits."""
    if value is None:
        return ""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"


def write_table(path: Path, text: str, where: str, pictures: Sequence[str]) -> None:
    """Put the table and the pictures between their marks in a document.

    Args:
        path: the document; pictures lie in the folder ``img`` beside it.
        text: the table.
        where: on what it was measured.
        pictures: file names.

    Raises:
        ValueError: the marks are not there.
    """
    document = path.read_text(encoding="utf-8")
    before, after = document.index(BEGIN) + len(BEGIN), document.index(END)
    shown = "".join(f"\n![{name.partition('.')[0]}](img/{name})\n" for name in pictures)
    filled = f"{document[:before]}\n{where}.\n\n{text}\n{shown}{document[after:]}"
    path.write_text(filled, encoding="utf-8")


def draw(series: Mapping[str, Any], folder: Path) -> list[str]:
    """Draw what was measured along the way, growth and memory as time goes by; name the files."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    if points := series.get("growth"):
        sizes = [point["articles"] for point in points]
        figure, (speed, space) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
        for key, label in (("p50_ms", "p50"), ("p99_ms", "p99")):
            speed.plot(sizes, [point[key] for point in points], marker="o", label=label)
        speed.set(title="probe + attach", ylabel="ms", xlabel="articles in the window")
        for key, label in (("bytes", "everything but text"), ("copy_bytes", "copy index alone")):
            space.plot(sizes, [point[key] for point in points], marker="o", label=label)
        space.set(title="Redis", ylabel="bytes an article", xlabel="articles in the window")
        for axes in (speed, space):
            axes.set_xscale("log")
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
            axes.legend()
        figure.savefig(folder / "growth.png", dpi=110)
        drawn.append("growth.png")
        plt.close(figure)
    if levels := series.get("windows"):
        figure, axes = plt.subplots(figsize=(10, 3), layout="constrained")
        axes.plot([level / 2**20 for level in levels], marker=".")
        axes.set(title="memory as windows pass", ylabel="MiB", xlabel="quarters of a window")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        figure.savefig(folder / "windows.png", dpi=110)
        plt.close(figure)
        drawn.append("windows.png")
    return drawn
