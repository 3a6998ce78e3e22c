"""The boot as a timeline by phase, with the exits by reason: an SVG from a --stats file.

Runs with the matplotlib of scripts/bench --picture. The same counters give the
same bytes: no date, and element names that hang on nothing else.
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")

# pylint: disable=wrong-import-position
from matplotlib import pyplot

PHASES = {
    "launch": "launch",
    "stage2": "stage2",
    "kernel": "kernel",
    "guest_firmware": "guest firmware",
    "os": "operating system",
}
COLOURS = {"firmware": "#b5541c", "guest": "#2f6690"}
# The rest of the reasons is one bar.
REASONS = 6
# Where the counters have numbers, or a name that says too little.
WORDS = {
    ("vmpl0", "exception #UD"): "PVALIDATE, RMPADJUST",
    ("vmpl2", "exception #UD"): "invalid opcode",
    ("vmpl0", "CR0 write"): "write of CR0",
    ("vmpl2", "CR0 write"): "write of CR0",
    ("vmpl0", "VMMCALL"): "VMGEXIT",
    ("vmpl2", "VMMCALL"): "VMGEXIT",
}

matplotlib.rcParams |= {
    "svg.hashsalt": "rampart",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
}


def reasons(counters):
    """[(reason, level, count)], the most frequent first, the rest in one."""
    found = []
    for name, count in counters.get("exits_by_reason", {}).items():
        level, _, reason = name.partition(" ")
        found.append((WORDS.get((level, reason), reason), level, count))
    found.sort(key=lambda one: (-one[2], one[0]))
    shown, rest = found[:REASONS], found[REASONS:]
    if rest:
        shown.append((f"{len(rest)} others", "", sum(count for _, _, count in rest)))
    return shown


def summary(phase, stats):
    """A few lines on what the phase did."""
    pages = stats["launch_pages"]
    counters = stats["phases"].get(phase)
    if counters is None:
        return f"{pages['measured']} pages measured\n{pages['unmeasured']} other pages"
    pvalidate = counters["pvalidate"]
    return (f"{counters['vmgexits']:,} VMGEXITs\n"
            f"PVALIDATE {pvalidate['4k']:,} × 4 KiB, {pvalidate['2m']:,} × 2 MiB")


def arrow(axes, stats):
    """The phases in their order, as a band."""
    axes.set_xlim(0, len(PHASES))
    axes.set_ylim(0, 1)
    axes.axis("off")
    for place, (phase, name) in enumerate(PHASES.items()):
        colour = COLOURS["guest" if phase in ("guest_firmware", "os") else "firmware"]
        axes.fill([place + 0.02, place + 0.9, place + 0.99, place + 0.9, place + 0.02, place + 0.1],
                  [0.55, 0.55, 0.775, 1, 1, 0.775], color=colour)
        axes.text(place + 0.5, 0.775, name, ha="center", va="center", color="white", weight="bold", fontsize=10)
        axes.text(place + 0.5, 0.45, summary(phase, stats), ha="center", va="top", linespacing=1.5)


def bars(axes, counters, longest):
    """The exits of one phase by reason."""
    shown = reasons(counters)
    axes.set_xscale("log")
    axes.set_xlim(0.7, longest * 1.2)
    axes.set_ylim(REASONS + 0.6, -0.7)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", labelsize=7)
    for place, (reason, level, count) in enumerate(shown):
        colour = COLOURS["firmware" if level == "vmpl0" else "guest"] if level else "#888888"
        axes.barh(place, count - 0.7, left=0.7, height=0.34, color=colour)
        axes.text(0.7, place - 0.28, f"{level.upper()} {reason}".strip() + f": {count:,}", va="bottom", fontsize=8)
    if not shown:
        axes.text(0.5, 0.5, "no exits:\nthe secure processor loads\nand measures the image",
                  transform=axes.transAxes, ha="center", va="center", color="#555555", linespacing=1.5)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)


def draw(stats, path):
    """Writes the picture."""
    figure = pyplot.figure(figsize=(13, 5.6))
    grid = figure.add_gridspec(2, len(PHASES), height_ratios=[1, 3.2], hspace=0.1, wspace=0.14,
                               left=0.015, right=0.985, top=0.91, bottom=0.09)
    figure.text(0.015, 0.955, "One boot of Rampart, OVMF and Linux on the emulated machine: 1 vCPU, exits by reason",
                fontsize=12, weight="bold")
    arrow(figure.add_subplot(grid[0, :]), stats)
    every = [count for phase in stats["phases"].values() for count in phase["exits_by_reason"].values()]
    for place, phase in enumerate(PHASES):
        bars(figure.add_subplot(grid[1, place]), stats["phases"].get(phase, {}), max(every, default=1))
    figure.text(0.985, 0.015, "exits to the host or to the emulation of the processor; bars are logarithmic, "
                "phases are not drawn to any scale; brown: VMPL0, blue: the guest's level", ha="right", fontsize=8, color="#555555")
    figure.savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    draw(json.loads(pathlib.Path(sys.argv[1]).read_text()), sys.argv[2])
