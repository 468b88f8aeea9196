"The results of the recorded run: targets and tables as Markdown, and the charts of the page."
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Optional

from benchmarks.jobs import DATA, JOBS, SIZES
from benchmarks.run import MANY
from benchmarks.stores import KINDS

HERE = Path(__file__).parent
IMAGES = HERE.parent/"nbs"/"images"
Results = dict[str, Any]

def recorded() -> Results: return json.loads((HERE/"results.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

# Targets

LEVELS = ("NORMAL", "FULL")

@dataclass(frozen=True)
class Spread:
    "Median, and lower and upper quartile of the rounds."
    mid: float
    low: float
    high: float

def spread(values: list[float]) -> Spread:
    low, mid, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(round(mid, 4), round(low, 4), round(high, 4))

def floor_of(job: str, kind: str) -> str:
    "The raw code to compare with; `synchronous=OFF`, which no floor uses, is compared with NORMAL."
    return f"{JOBS[job].floor}-{'FULL' if KINDS[kind].synchronous == 'FULL' else 'NORMAL'}"

def ratio(results: Results, job: str, kind: str, other_job: str, other_kind: str) -> Optional[Spread]:
    "How many times as long the first takes as the second."
    jobs = results["jobs"]
    try: pairs = zip(jobs[job][kind]["rounds"], jobs[other_job][other_kind]["rounds"])
    except KeyError: return None  # not measured
    return spread([a / b for a, b in pairs])

def to_floor(results: Results, job: str, kind: str) -> Optional[Spread]: return ratio(results, job, kind, job, floor_of(job, kind))

Measure = Callable[[Results, str], Optional[Spread]]  # of the results and the `synchronous` of the package

@dataclass(frozen=True)
class Target:
    what: str
    limit: float
    measure: Measure
    unit: str = "x"
    at_least: bool = False
    levels: Sequence[str] = LEVELS  # the `synchronous` of the package to which it applies

    def met(self, found: Optional[Spread]) -> Optional[bool]:
        if found is None: return None
        return found.mid >= self.limit if self.at_least else found.mid <= self.limit

def floor(job: str, other: str = "") -> Measure:
    "Compared with the raw code doing the same job, or another."
    return lambda results, level: ratio(results, job, f"package-{level}", other or job, floor_of(other or job, f"package-{level}"))

def same(job: str, other: str) -> Measure: return lambda results, level: ratio(results, job, f"package-{level}", other, f"package-{level}")

def written(job: str) -> Measure:
    def kilobytes(results: Results, level: str) -> Optional[Spread]:
        count = results["jobs"].get(job, {}).get(f"package-{level}", {}).get("bytes")
        return None if count is None else spread([count / 1000])
    return kilobytes

def rivals(results: Results, level: str) -> list[str]:
    "Stores with the same `synchronous` that lost no update, except the raw ones."
    found = results.get("writers", {})
    kinds = {kind for row in found.values() for kind in row if not KINDS[kind].floor and not kind.startswith("package") and KINDS[kind].synchronous == level}
    kinds -= {"diskcache-one-key"}  # it keeps no session, so it has a separate row
    return [kind for kind in sorted(kinds) if not any(sum(row[kind]["lost"]) for row in found.values())]

def best_rival(job: str) -> Measure:
    def slowest(results: Results, level: str) -> Optional[Spread]:
        found = [ratio(results, job, f"package-{level}", job, kind) for kind in rivals(results, level)]
        return max((one for one in found if one), key=lambda one: one.mid, default=None)
    return slowest

def writers(name: str) -> Measure:
    def throughput(results: Results, level: str) -> Optional[Spread]:
        try: ours, floors = (results["writers"][name][f"{kind}-{level}"]["per_second"] for kind in ("package", "fields"))
        except KeyError: return None
        return spread([a / b for a, b in zip(ours, floors)])
    return throughput

def lost(results: Results, level: str) -> Optional[Spread]:
    rows = [row[f"package-{level}"] for row in results.get("writers", {}).values() if f"package-{level}" in row]
    return spread([sum(sum(row["lost"]) + sum(row["refused"]) for row in rows)]) if rows else None

def import_time(results: Results, level: str) -> Optional[Spread]:
    times = results.get("imports", {}).get("cjm-workflow-state")
    return spread(times) if times else None

MERGE = "merge one key, {}"
UNDO = "undoable edit of 100 KB, depth {}"
SAVE = "save the whole state, cursor moved, 1 MB"

TARGETS = [
    Target("`get_current_step`, compared with the raw SELECT", 1.5, floor("get the current step")),
    Target("`session_exists`, compared with the raw SELECT", 1.5, floor("ask whether the session exists")),
    Target("merge one key into 10 KB, compared with the floor", 1.4, floor(MERGE.format("10 KB")), levels=("NORMAL",)),
    Target("the same, compared with diskcache-one-key", 1, lambda results, level: ratio(
        results, MERGE.format("10 KB"), f"package-{level}", MERGE.format("10 KB"), "diskcache-one-key"), levels=("NORMAL",)),
    Target("the same, compared with the fastest other store at this level that loses no write", 1, best_rival(MERGE.format("10 KB"))),
    Target("merge one key into 1 MB, compared with 10 KB", 1.1, same(MERGE.format("1 MB"), MERGE.format("10 KB"))),
    Target("merge one key into 10 MB, compared with 10 KB", 1.1, same(MERGE.format("10 MB"), MERGE.format("10 KB"))),
    *[Target(f"`get_state`, {size}, compared with a raw SELECT and one `json.loads`", limit, floor(f"read the whole state, {size}"))
      for size, limit in (("10 KB", 1.25), ("1 MB", 1.2))],
    Target("`get_state` of 50 snapshots of 160 KB under one key, compared with a raw SELECT and one `json.loads`", 1.05, floor("read a deep state of 8 MB")),
    *[Target(f"`get_session`, {size}, compared with `get_state`", limit, same(f"read all of a session at one moment, {size}", f"read the whole state, {size}"))
      for size, limit in (("10 KB", 1.5), ("1 MB", 1.1))],  # 1.1 times and 15 us, which is what a state of 10 KB takes a third of
    Target("`edit_session` that changes one key of a small step, in a session of 10 MB, compared with `update_step_state`", 1.3, same("the same by edit_session", "change a key of a small step, 10 MB")),
    Target("map: read the step, compared with a raw SELECT of as many rows and one `json.loads`", 2, floor("map as a step, read")),
    Target("map: change one key, compared with merging one key into 10 KB", 1.5, same("map as a step, change one key", MERGE.format("10 KB"))),
    Target("map: save all of it with one entry changed, compared with the floor", 1.5, floor("map under a key, save the state, one entry changed")),
    *[Target(f"newest 50 of {name}, compared with a raw query on a covering index", 1.5, floor(f"newest 50 of {name}"))
      for name in ("10,000 sessions", "10,000 sessions, newest of 1 MB")],
    Target("undoable edit of 100 KB, compared with a raw write of the value", 2, floor(UNDO.format(50))),
    Target("undoable edit of 100 KB, bytes written", 250, written(UNDO.format(50)), "KB"),
    Target("undoable edit at depth 500, compared with depth 5", 1.3, same(UNDO.format(500), UNDO.format(5))),
    Target("merges per second of 8 processes, compared with the floor", 0.8, writers("8 processes"), at_least=True, levels=("FULL",)),
    Target("8 processes, and 8 threads: writes lost or refused", 0, lost, ""),
    Target("import, after `sqlite3`, `json`, `uuid` and `dataclasses`", 10, import_time, "ms"),
]

def evaluate(results: Results, targets: list[Target] = TARGETS) -> Iterator[tuple[Target, dict[str, Optional[Spread]]]]:
    "Each target with its measured figure at each level."
    for target in targets: yield target, {level: target.measure(results, level) for level in target.levels}

# Tables

METHOD = """
Each store runs in a process of its own, which keeps its connections open. In each round, every store does the same job for a short time, one store after the other, so that a slow moment of the machine affects all of them.
Times are those of single calls: the median (p50), the 99th percentile (p99) and the maximum over all rounds. A ratio is computed within each round, from the medians; the tables show the median ratio and, in brackets, the range of the middle half of the rounds.
Machines are noisy. The p99 and the maximum say as much about the machine as about the store, and two ratios whose ranges overlap are not different.

*Written* counts the bytes that an operation passes to write calls (`wchar`), including checkpoints. *Syncs* counts calls of `fsync` and `fdatasync`; `strace` counts them in a separate run. The *floor* is the least raw `sqlite3` code that does the job with the same `synchronous`
(for `OFF`, with `NORMAL`). With `FULL`, a returned write survives a power cut. With `NORMAL`, it survives the death of the process. With `OFF` and a rollback journal, a power cut can damage the file.""".strip()

def table(head: list[str], rows: Iterable[list[str]], numbers: bool = True) -> str:
    "A Markdown table; all columns but the first are right-aligned numbers."
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] + ["--:" if numbers else "---"] * (len(head) - 1), *rows]]
    return "\n".join(lines)

def number(value: Optional[float], unit: str = "") -> str:
    "A number with three significant digits."
    if value is None: return "–"
    digits = 2 if abs(value) < 10 and value != round(value) else 1 if abs(value) < 100 and value != round(value) else 0
    return f"{value:,.{digits}f}{' ' * (len(unit) > 1)}{unit}"

def between(found: Optional[Spread], unit: str = "x") -> str:
    if found is None: return "–"
    return number(found.mid, unit) + (f" ({number(found.low)}–{number(found.high)})" if found.low != found.high else "")

def duration(us: float) -> str: return number(us, "µs") if us < 1000 else number(us / 1000, "ms") if us < 1e6 else number(us / 1e6, "s")

def size(count: float) -> str: return number(count / 1000, "KB") if count < 1e6 else number(count / 1e6, "MB")

def title(kind: str) -> str: return f"**{kind}**" if kind.startswith("package") else kind

def verdict(target: Target, found: dict[str, Optional[Spread]]) -> str:
    met = {level: target.met(one) for level, one in found.items() if one}
    if not met: return "not measured"
    return "met" if all(met.values()) else "missed" if not any(met.values()) else "missed at " + ", ".join(level for level in met if not met[level])

def targets(results: Results, which: list[Target] = TARGETS) -> str:
    rows = [[target.what, ("at least " if target.at_least else "at most ") + number(target.limit, target.unit),
             *(between(found.get(level), target.unit) for level in LEVELS), verdict(target, found)] for target, found in evaluate(results, which)]
    return table(["measure", "target", *(f"package at {level}" for level in LEVELS), "result"], rows)

def job_table(results: Results, job: str) -> str:
    rows = []
    for kind, one in results["jobs"][job].items():
        floor = "the floor" if kind == floor_of(job, kind) else between(to_floor(results, job, kind))
        kilobytes = None if one["bytes"] is None else one["bytes"] / 1000
        writes = [number(kilobytes, "KB"), number(one["syncs"])] if JOBS[job].writes else []
        rows.append([title(kind), KINDS[kind].synchronous, duration(one["p50"]), duration(one["p99"]), duration(one["max"]), *writes, number(one["n"]), floor])
    return table(["store", "`synchronous`", "p50", "p99", "max", *(["written", "syncs"] if JOBS[job].writes else []), "calls", "compared with the floor"], rows)

def writers_table(results: Results, name: str) -> str:
    rows = [[title(kind), KINDS[kind].synchronous, number(median(one["per_second"])), number(sum(one["refused"])), number(sum(one["lost"]))]
            for kind, one in results["writers"][name].items()]
    return table(["store", "`synchronous`", "merges per second", "refused", "lost"], rows)

def imports_table(results: Results) -> str:
    return table(["package", "median", "fastest"], [[name, number(median(times), "ms"), number(min(times), "ms")] for name, times in results["imports"].items()])

def stores_table(results: Results) -> str:
    names = results["stores"]
    return table(["store", "version", "how it is used"], [[kind, results["versions"].get(KINDS[kind].package) or "", KINDS[kind].how] for kind in names], numbers=False)

def nearest(kind: str) -> str: return f"package-{'FULL' if KINDS[kind].synchronous == 'FULL' else 'NORMAL'}"

def faster(row: dict[str, Any], what: str = "p50") -> dict[str, float]:
    "Stores that are faster than the package at the nearest `synchronous`, except the raw floors, and by how much."
    times = {kind: row[nearest(kind)][what] / one[what] for kind, one in row.items()
             if not KINDS[kind].floor and nearest(kind) in row and one[what]}
    return {kind: times[kind] for kind in sorted(times, key=lambda kind: -times[kind]) if times[kind] > 1 and not kind.startswith("package")}

def wins(results: Results) -> str:
    "The jobs in which another store is faster."
    rows = [[job, *(duration(row[f"package-{level}"]["p50"]) if f"package-{level}" in row else "–" for level in LEVELS),
             ", ".join(f"{kind} {duration(row[kind]['p50'])} ({number(times, 'x')})" for kind, times in found.items())]
            for job, row in results["jobs"].items() if (found := faster(row))]
    return table(["job", *(f"package at {level}" for level in LEVELS), "faster stores"], rows, numbers=False) if rows else "There is no such job."

def beaten(results: Results) -> str:
    "In how many of the jobs that other stores can do one of them is faster."
    shared = [row for job, row in results["jobs"].items() if not JOBS[job].only]
    return f"{sum(bool(faster(row)) for row in shared)} of {len(shared)}"

def answer(results: Results, job: str, what: str = "p50") -> str:
    "A job in one line: its time here, and the stores that are faster."
    row = results["jobs"][job]
    show, less, least = (duration, "Faster", "is faster") if what == "p50" else (size, "Writes less", "writes less")
    found = [f"{kind} {show(row[kind][what])} ({number(times, 'x')})" for kind, times in faster(row, what).items()]
    here = " and ".join(f"{show(row[f'package-{level}'][what])} at `{level}`" for level in reversed(LEVELS))
    return here + (f". {less}: {', '.join(found)}." if found else f". No other store {least}.")

def answer_writers(results: Results, name: str) -> str:
    "The same for many writers at once."
    row = {kind: {"rate": median(one["per_second"]), "p50": 1 / median(one["per_second"]), "lost": sum(one["lost"])}
           for kind, one in results["writers"][name].items()}
    here = " and ".join(f"{number(row[f'package-{level}']['rate'])} merges per second at `{level}`" for level in reversed(LEVELS))
    lost = sum(row[f"package-{level}"]["lost"] for level in LEVELS)
    found = [f"{kind} ({number(times, 'x')})" for kind, times in faster(row).items() if not row[kind]["lost"]]
    losers = [f"{kind} ({number(one['lost'])})" for kind, one in row.items() if one["lost"]]
    return (f"{here}, {number(lost) if lost else 'none'} lost. Faster without losing any: {', '.join(found) or 'no other store'}. "
            f"Acknowledged keys were lost by {', '.join(losers) or 'none'}.")

def machine(results: Results) -> str: return ", ".join(f"{name} {value}" for name, value in results["machine"].items())

def sections(results: Results) -> Iterator[tuple[str, str]]:
    "Headings and the text below them."
    yield "Targets", targets(results)
    if results["jobs"]: yield "Where another store is quicker", wins(results)
    for job in results["jobs"]: yield job[0].upper() + job[1:], job_table(results, job)
    for name in results.get("writers", {}): yield f"{name} that merge into one session", writers_table(results, name)
    if results.get("imports"): yield "Import, after `sqlite3`, `json`, `uuid` and `dataclasses`", imports_table(results)
    yield "The stores", stores_table(results)

def markdown(results: Results) -> str:
    parts = ["# Benchmarks", machine(results), METHOD, *(f"## {head}\n\n{body}" for head, body in sections(results))]
    return "\n\n".join(parts) + "\n"

# Charts

INK = "#444444"  # for a white background; in dark mode, a style of the site inverts the charts
COLOURS = {"package": "#14794f", "fields": "#808080", "blob": "#808080"}
OTHERS = "#b0601a"
STYLE: Any = {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
         **{name: INK for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color", "legend.labelcolor")}}

@dataclass
class Plot:
    "A chart with a line for each store and a dot for each value."
    name: str   # of the file
    title: str
    unit: str                        # "s", "B" or what is counted
    series: list[str]                # names of the dots, from small to large
    values: dict[str, list[float]]   # by store
    notes: dict[str, str] = field(default_factory=dict)  # the text at the end of a store's line

def of_jobs(results: Results, name: str, title: str, jobs: dict[str, str], what: str = "p50", scale: float = 1e-6, unit: str = "s") -> Plot:
    "`jobs` by the name of their dot."
    rows = [results["jobs"][job] for job in jobs.values()]
    values = {kind: [row[kind][what] * scale for row in rows] for kind in results["stores"] if all(row[kind][what] for row in rows)}
    return Plot(name, title, unit, list(jobs), values)

def of_writers(results: Results) -> Plot:
    rows = [results["writers"][name] for name in MANY]
    lost = {kind: sum(sum(row[kind]["lost"]) for row in rows) for kind in results["stores"]}
    return Plot("benchmarks-writers", "Eight writers, one session (more is better)", "merges per second", MANY,
                {kind: [median(row[kind]["per_second"]) for row in rows] for kind in results["stores"]},
                {kind: f"lost {count:,}" for kind, count in lost.items() if count})

def plots(results: Results) -> list[Plot]:
    by_size = {"merge": "merge one key", "read": "read the whole state", "save": "save the whole state, cursor moved"}
    return [
        *[of_jobs(results, f"benchmarks-{name}", job[0].upper() + job[1:], {size: f"{job}, {size}" for size in SIZES}) for name, job in by_size.items()],
        of_jobs(results, "benchmarks-written", "Bytes written to merge one key", {size: MERGE.format(size) for size in SIZES}, "bytes", 1, "B"),
        of_jobs(results, "benchmarks-newest", "List the newest 50", {name: f"newest 50 of {name}" for name in DATA if "sessions" in name}),
        of_jobs(results, "benchmarks-undo", "Undoable edit of 100 KB (fields: without undo)", {"p50": UNDO.format(50)}),
        of_writers(results),
    ]

def colour(kind: str) -> str: return COLOURS.get(kind.split("-")[0], OTHERS)

def figure_of(plt: Any, plot: Plot) -> Any:
    from matplotlib.ticker import EngFormatter, NullLocator
    figure, axes = plt.subplots(figsize=(5.6, 0.27 * len(plot.values) + 1.2), layout="constrained")
    sizes = [90 - 35 * i for i in range(len(plot.series))][::-1]
    for kind, values in plot.values.items():
        axes.plot([min(values), max(values)], [kind] * 2, color=colour(kind), linewidth=1, alpha=0.6)
        axes.scatter(values, [kind] * len(values), sizes, color=colour(kind))
        if kind in plot.notes: axes.annotate(plot.notes[kind], (max(values), kind), xytext=(8, -3), textcoords="offset points")
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="" if len(plot.unit) == 1 else plot.unit)
    formatter = EngFormatter(plot.unit if len(plot.unit) == 1 else "")
    formatter.ENG_PREFIXES = {**EngFormatter.ENG_PREFIXES, 3: "K"}  # KB, as in the tables
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(plot.title, loc="left")
    axes.grid(axis="x", color=INK, alpha=0.25)
    if len(plot.series) > 1:
        for name, size in zip(plot.series, sizes): axes.scatter([], [], size, color=INK, label=name)
        figure.legend(loc="outside lower center", ncols=len(sizes) if max(map(len, plot.series)) < 20 else 1, frameon=False)
    return figure

def save_charts(figures: Callable[[Any], Iterable[tuple[str, Any]]]) -> None:
    "Save what `figures` makes of pyplot: names of files, and figures."
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot as plt
    with plt.rc_context(STYLE):
        for name, figure in figures(plt):
            figure.savefig(IMAGES/f"{name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
            plt.close(figure)

def draw(results: Results) -> None: save_charts(lambda plt: ((plot.name, figure_of(plt, plot)) for plot in plots(results)))
