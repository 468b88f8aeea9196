"""Draws benchmarks/results.json as the pictures of the docs page, readable on light and on dark paper: `python -m benchmarks.plots`."""
import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.jobs import DATA, SIZES
from benchmarks.run import MANY
from benchmarks.targets import MERGE, UNDO, Results

HERE = Path(__file__).parent
IMAGES = HERE.parent/"nbs"/"images"
INK = "#808080"  # stands out from white and from black
COLOURS = {"package": "#2f9e73", "fields": "#909090", "blob": "#909090"}
OTHERS = "#c07a3a"
STYLE: Any = {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
         **{name: INK for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color", "legend.labelcolor")}}

@dataclass
class Plot:
    "A line for each store, with a dot for each of its values."
    name: str   # of the file
    title: str
    unit: str                        # "s", "B" or what is counted
    series: list[str]                # what the dots are, from small to large
    values: dict[str, list[float]]   # by store
    notes: dict[str, str] = field(default_factory=dict)  # what stands behind a store's line

def of_jobs(results: Results, name: str, title: str, jobs: dict[str, str], what: str = "p50", scale: float = 1e-6, unit: str = "s") -> Plot:
    "`jobs` by what their dot is called."
    rows = [results["jobs"][job] for job in jobs.values()]
    values = {kind: [row[kind][what] * scale for row in rows] for kind in results["stores"] if all(row[kind][what] for row in rows)}
    return Plot(name, title, unit, list(jobs), values)

def of_writers(results: Results, name: str) -> Plot:
    row = results["writers"][name]
    notes = {kind: f"lost {sum(one['lost']):,}, refused {sum(one['refused']):,}" for kind, one in row.items() if sum(one["lost"] + one["refused"])}
    return Plot("benchmarks-" + name.replace(" ", "-"), f"{name} merge into one session: the more the better", "merges a second", [name],
                {kind: [median(one["per_second"])] for kind, one in row.items()}, notes)

def plots(results: Results) -> list[Plot]:
    by_size = {"merge": "merge one key", "read": "read the whole state", "save": "save the whole state, cursor moved"}
    return [
        *[of_jobs(results, f"benchmarks-{name}", job[0].upper() + job[1:], {size: f"{job}, {size}" for size in SIZES}) for name, job in by_size.items()],
        of_jobs(results, "benchmarks-written", "Written by the merge of one key", {size: MERGE.format(size) for size in SIZES}, "bytes", 1, "B"),
        of_jobs(results, "benchmarks-newest", "List the newest 50", {name: f"newest 50 of {name}" for name in DATA if "sessions" in name}),
        of_jobs(results, "benchmarks-undo", "Undoable edit of 100 KB, 50 deep (fields: the plain write, without undo)", {"p50": UNDO.format(50)}),
        *[of_writers(results, name) for name in MANY],
    ]

def colour(kind: str) -> str: return COLOURS.get(kind.split("-")[0], OTHERS)

def draw(plt: Any, plot: Plot) -> Any:
    from matplotlib.ticker import EngFormatter
    figure, axes = plt.subplots(figsize=(7.5, 0.3 * len(plot.values) + 1.2), layout="constrained")
    sizes = [90 - 35 * i for i in range(len(plot.series))][::-1]
    for kind, values in plot.values.items():
        axes.plot([min(values), max(values)], [kind] * 2, color=colour(kind), linewidth=1, alpha=0.6)
        axes.scatter(values, [kind] * len(values), sizes, color=colour(kind))
        if kind in plot.notes: axes.annotate(plot.notes[kind], (max(values), kind), xytext=(8, -3), textcoords="offset points")
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="" if len(plot.unit) == 1 else plot.unit)
    axes.xaxis.set_major_formatter(EngFormatter(plot.unit if len(plot.unit) == 1 else ""))
    axes.xaxis.set_minor_formatter("")
    axes.set_title(plot.title, loc="left")
    axes.grid(axis="x", color=INK, alpha=0.25)
    if len(plot.series) > 1:
        for name, size in zip(plot.series, sizes): axes.scatter([], [], size, color=INK, label=name)
        figure.legend(loc="outside lower center", ncols=len(sizes), frameon=False)
    return figure

def main() -> None:
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot as plt
    results = json.loads((HERE/"results.json").read_text(encoding="utf-8"))
    IMAGES.mkdir(exist_ok=True)
    with plt.rc_context(STYLE):
        for plot in plots(results):
            figure = draw(plt, plot)
            figure.savefig(IMAGES/f"{plot.name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
            plt.close(figure)

if __name__ == "__main__": main()
