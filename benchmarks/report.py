"The results as Markdown."
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any, Optional

from benchmarks.jobs import JOBS
from benchmarks.stores import KINDS
from benchmarks.targets import LEVELS, TARGETS, Results, Spread, Target, evaluate, floor_of, to_floor

METHOD = """
Each store has a process of its own, which holds its connections open. In each round every job is done by one store right after the other, for a short while each, so that what slows
the machine down slows all of them. Times are of single calls: p50, p99 and the longest over all rounds. Ratios are medians, over the rounds, of the ratio of the medians within a round;
in brackets, where the middle half of the rounds lies. Machines are noisy: p99 and maximum say as much about the machine as about the store, and a ratio inside another's bracket is no difference.

*Written* is what an operation hands to the kernel in write calls (`wchar`), checkpoints of the log included. *Syncs* are its calls of `fsync` and `fdatasync`, counted by `strace` in a
pass of its own. *To the floor* compares with the least raw `sqlite3` code that does the job at the same `synchronous`; for `OFF`, with the floor at `NORMAL`. At `FULL` a returned write
survives a power cut; at `NORMAL` it survives the death of the process; at `OFF` with a rollback journal a power cut can damage the file.""".strip()

def table(head: list[str], rows: Iterable[list[str]], numbers: bool = True) -> str:
    "A Markdown table; columns of numbers, all but the first, are flush right."
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] + ["--:" if numbers else "---"] * (len(head) - 1), *rows]]
    return "\n".join(lines)

def number(value: Optional[float], unit: str = "") -> str:
    "Three digits, as a reader wants them."
    if value is None: return "–"
    digits = 2 if abs(value) < 10 and value != round(value) else 1 if abs(value) < 100 and value != round(value) else 0
    return f"{value:,.{digits}f}{' ' * (len(unit) > 1)}{unit}"

def between(found: Optional[Spread], unit: str = "x") -> str:
    if found is None: return "–"
    return number(found.mid, unit) + (f" ({number(found.low)}–{number(found.high)})" if found.low != found.high else "")

def duration(us: float) -> str: return number(us, "us") if us < 1000 else number(us / 1000, "ms") if us < 1e6 else number(us / 1e6, "s")

def title(kind: str) -> str: return f"**{kind}**" if kind.startswith("package") else kind

def verdict(target: Target, found: dict[str, Optional[Spread]]) -> str:
    met = {level: target.met(one) for level, one in found.items() if one}
    if not met: return "not measured"
    return "met" if all(met.values()) else "missed" if not any(met.values()) else "missed at " + ", ".join(level for level in met if not met[level])

def targets(results: Results, which: list[Target] = TARGETS) -> str:
    rows = [[target.what, ("at least " if target.at_least else "at most ") + number(target.limit, target.unit),
             *(between(found.get(level), target.unit) for level in LEVELS), verdict(target, found)] for target, found in evaluate(results, which)]
    return table(["target", "limit", *(f"package at {level}" for level in LEVELS), "verdict"], rows)

def overview(results: Results) -> str:
    "The median of each job in each store."
    return table(["p50", *map(title, results["stores"])],
                 [[job, *(duration(row[kind]["p50"]) if kind in row else "–" for kind in results["stores"])] for job, row in results["jobs"].items()])

def job_table(results: Results, job: str) -> str:
    rows = []
    for kind, one in results["jobs"][job].items():
        floor = "the floor" if kind == floor_of(job, kind) else between(to_floor(results, job, kind))
        kilobytes = None if one["bytes"] is None else one["bytes"] / 1000
        writes = [number(kilobytes, "KB"), number(one["syncs"])] if JOBS[job].writes else []
        rows.append([title(kind), KINDS[kind].synchronous, duration(one["p50"]), duration(one["p99"]), duration(one["max"]), *writes, number(one["n"]), floor])
    return table(["store", "`synchronous`", "p50", "p99", "max", *(["written", "syncs"] if JOBS[job].writes else []), "calls", "to the floor"], rows)

def writers_table(results: Results, name: str) -> str:
    rows = [[title(kind), KINDS[kind].synchronous, number(median(one["per_second"])), number(sum(one["refused"])), number(sum(one["lost"]))]
            for kind, one in results["writers"][name].items()]
    return table(["store", "`synchronous`", "merges a second", "refused", "lost"], rows)

def imports_table(results: Results) -> str:
    return table(["package", "import", "quickest"], [[name, number(median(times), "ms"), number(min(times), "ms")] for name, times in results["imports"].items()])

def stores_table(results: Results) -> str:
    names = results["stores"]
    return table(["store", "version", "how it is used"], [[kind, results["versions"].get(KINDS[kind].package) or "", KINDS[kind].how] for kind in names], numbers=False)

def nearest(kind: str) -> str: return f"package-{'FULL' if KINDS[kind].synchronous == 'FULL' else 'NORMAL'}"

def faster(row: dict[str, Any]) -> dict[str, float]:
    "Stores that beat the package at the nearest `synchronous`, the raw floors aside, and how many times."
    times = {kind: row[nearest(kind)]["p50"] / one["p50"] for kind, one in row.items() if not KINDS[kind].floor and nearest(kind) in row}
    return {kind: times[kind] for kind in sorted(times, key=lambda kind: -times[kind]) if times[kind] > 1 and not kind.startswith("package")}

def wins(results: Results) -> str:
    "Where another store is quicker."
    rows = [[job, *(duration(row[f"package-{level}"]["p50"]) if f"package-{level}" in row else "–" for level in LEVELS),
             ", ".join(f"{kind} {duration(row[kind]['p50'])} ({number(times, 'x')})" for kind, times in found.items())]
            for job, row in results["jobs"].items() if (found := faster(row))]
    return table(["job", *(f"package at {level}" for level in LEVELS), "quicker, and how many times"], rows, numbers=False) if rows else "In none of these jobs."

def machine(results: Results) -> str: return ", ".join(f"{name} {value}" for name, value in results["machine"].items())

def sections(results: Results) -> Iterator[tuple[str, str]]:
    "Headings and what stands below them."
    yield "Targets", targets(results)
    if results["jobs"]: yield "Where another store is quicker", wins(results)
    for job in results["jobs"]: yield job[0].upper() + job[1:], job_table(results, job)
    for name in results.get("writers", {}): yield f"{name} merge into one session", writers_table(results, name)
    if results.get("imports"): yield "Import, beyond `sqlite3`, `json`, `uuid`, `dataclasses`", imports_table(results)
    yield "The stores", stores_table(results)

def markdown(results: Results) -> str:
    parts = ["# Benchmarks", machine(results), METHOD, *(f"## {head}\n\n{body}" for head, body in sections(results))]
    return "\n\n".join(parts) + "\n"
