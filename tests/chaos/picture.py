"""The picture of a campaign: entries listed, settled and pending over time, and the faults as marks."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from faults import KILLS, OTHERS, Fault

GREY, BLUE, ORANGE, GREEN = "#808080", "#0f82c8", "#d55e00", "#009e73"
STYLE = {
    "axes.edgecolor": GREY, "axes.labelcolor": GREY, "axes.titlecolor": GREY, "text.color": GREY,
    "xtick.color": GREY, "ytick.color": GREY, "grid.color": GREY, "grid.alpha": 0.3,
    "axes.grid": True, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "legend.labelcolor": GREY, "savefig.transparent": True,
    "figure.constrained_layout.use": True, "svg.hashsalt": "samestory",
}  # fmt: skip
POINTS = 600  # of a line


def draw_timeline(
    samples: Sequence[tuple[float, int, int, int, int]], faults: Sequence[Fault], folder: Path
) -> None:
    """Draw a campaign into `chaos.png` and `chaos.svg`.

    Args:
        samples: seconds, entries listed, settled, pending, hints in the queue.
        faults: what struck.
        folder: where the pictures go.
    """
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    kept = samples[:: max(1, len(samples) // POINTS)]
    times = [sample[0] for sample in kept]
    kinds = [kind for kind in (*KILLS, *OTHERS) if any(f.kind == kind for f in faults)]
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure, (entries, waiting, marks) = plt.subplots(
            3, 1, figsize=(10, 7), sharex=True, height_ratios=(3, 1.4, 3)
        )
        entries.plot(times, [s[1] for s in kept], color=GREY, lw=1, label="listed by feeds")
        entries.plot(times, [s[2] for s in kept], color=BLUE, lw=1.6, label="with an outcome")
        entries.set(title="entries", ylim=0)
        entries.legend()
        waiting.plot(times, [s[3] for s in kept], color=GREEN, lw=1, label="entries pending")
        waiting.plot(times, [s[4] for s in kept], color=GREY, lw=1, label="hints in the queue")
        waiting.set(ylim=0)
        waiting.legend()
        for row, kind in enumerate(kinds):
            at = [fault.at for fault in faults if fault.kind == kind]
            color = ORANGE if kind in KILLS else BLUE
            marks.scatter(at, [row] * len(at), marker="|", s=70, lw=1, color=color)
        counts = [sum(fault.kind == kind for fault in faults) for kind in kinds]
        named = [f"{kind} ({n})" for kind, n in zip(kinds, counts, strict=True)]
        marks.set_yticks(range(len(kinds)), named)
        marks.set(title="faults: SIGKILL of … (orange), others (blue)", xlabel="seconds")
        marks.invert_yaxis()
        figure.savefig(folder / "chaos.png", dpi=110)
        figure.savefig(folder / "chaos.svg", metadata={"Date": None})
        plt.close(figure)
