"What the package has to reach, as ratios of medians in the same round."
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Optional

from benchmarks.jobs import JOBS
from benchmarks.stores import KINDS

Results = dict[str, Any]
LEVELS = ("NORMAL", "FULL")

@dataclass(frozen=True)
class Spread:
    "Median, and the quarter below and above which a quarter of the rounds lie."
    mid: float
    low: float
    high: float

def spread(values: list[float]) -> Spread:
    low, mid, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(round(mid, 4), round(low, 4), round(high, 4))

def floor_of(job: str, kind: str) -> str:
    "The raw code to compare with; for `synchronous=OFF`, which no floor has, the one at NORMAL."
    return f"{JOBS[job].floor}-{'FULL' if KINDS[kind].synchronous == 'FULL' else 'NORMAL'}"

def ratio(results: Results, job: str, kind: str, other_job: str, other_kind: str) -> Optional[Spread]:
    "How many times as long the first takes."
    jobs = results["jobs"]
    try: pairs = zip(jobs[job][kind]["rounds"], jobs[other_job][other_kind]["rounds"])
    except KeyError: return None  # not measured
    return spread([a / b for a, b in pairs])

def to_floor(results: Results, job: str, kind: str) -> Optional[Spread]: return ratio(results, job, kind, job, floor_of(job, kind))

Measure = Callable[[Results, str], Optional[Spread]]  # of the results and the package's `synchronous`

@dataclass(frozen=True)
class Target:
    what: str
    limit: float
    measure: Measure
    unit: str = "x"
    at_least: bool = False
    levels: Sequence[str] = LEVELS  # the package's `synchronous` for which it counts

    def met(self, found: Optional[Spread]) -> Optional[bool]:
        if found is None: return None
        return found.mid >= self.limit if self.at_least else found.mid <= self.limit

def floor(job: str, other: str = "") -> Measure:
    "To the raw code doing the same job, or another."
    return lambda results, level: ratio(results, job, f"package-{level}", other or job, floor_of(other or job, f"package-{level}"))

def same(job: str, other: str) -> Measure: return lambda results, level: ratio(results, job, f"package-{level}", other, f"package-{level}")

def written(job: str) -> Measure:
    def kilobytes(results: Results, level: str) -> Optional[Spread]:
        count = results["jobs"].get(job, {}).get(f"package-{level}", {}).get("bytes")
        return None if count is None else spread([count / 1000])
    return kilobytes

def rivals(results: Results, level: str) -> list[str]:
    "Stores of the same `synchronous` that lost no update of any writer, the raw ones aside."
    found = results.get("writers", {})
    kinds = {kind for row in found.values() for kind in row if not KINDS[kind].floor and not kind.startswith("package") and KINDS[kind].synchronous == level}
    kinds -= {"diskcache-one-key"}  # it keeps no session: compared with in a row of its own
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
    Target("`get_current_step`, to the raw SELECT", 1.5, floor("get the current step")),
    Target("`session_exists`, to the raw SELECT", 1.5, floor("ask whether the session exists")),
    Target("merge one key into 10 KB, to the raw floor", 1.4, floor(MERGE.format("10 KB")), levels=("NORMAL",)),
    Target("the same, to diskcache setting one key of its own", 1, lambda results, level: ratio(
        results, MERGE.format("10 KB"), f"package-{level}", MERGE.format("10 KB"), "diskcache-one-key"), levels=("NORMAL",)),
    Target("the same, to the best other store of this `synchronous` that loses no update", 1, best_rival(MERGE.format("10 KB"))),
    Target("merge one key into 1 MB, to the same into 10 KB", 1.1, same(MERGE.format("1 MB"), MERGE.format("10 KB"))),
    Target("merge one key into 10 MB, to the same into 10 KB", 1.1, same(MERGE.format("10 MB"), MERGE.format("10 KB"))),
    *[Target(f"`get_state`, {size}, to one `json.loads` and the raw fetch", limit, floor(f"read the whole state, {size}"))
      for size, limit in (("10 KB", 1.25), ("1 MB", 1.2))],
    Target("`get_state` of 50 snapshots of 160 KB under one key, to one `json.loads` and the raw fetch", 1.05, floor("read a deep state of 8 MB")),
    *[Target(f"`get_session`, {size}, to `get_state`", limit, same(f"read all of a session at one moment, {size}", f"read the whole state, {size}"))
      for size, limit in (("10 KB", 1.5), ("1 MB", 1.1))],  # 1.1 times and 15 us, which is what a state of 10 KB takes a third of
    Target("`edit_session` of one key of a small step in 10 MB, to `update_step_state`", 1.3, same("the same by edit_session", "change a key of a small step, 10 MB")),
    Target("map: read the step of 10,000 keys, to one `json.loads` and the raw fetch of as many rows", 2, floor("map as a step, read")),
    Target("map: change one key of it, to the merge of one key", 1.5, same("map as a step, change one key", MERGE.format("10 KB"))),
    Target("map: save it whole with one entry changed, to the one-blob floor", 1.5, floor("map under a key, save the state, one entry changed")),
    *[Target(f"newest 50 of {name}, to the raw covering-index query", 1.5, floor(f"newest 50 of {name}"))
      for name in ("10,000 sessions", "10,000 sessions, newest of 1 MB")],
    Target("undoable edit of 100 KB, to the raw write of the value", 2, floor(UNDO.format(50))),
    Target("undoable edit of 100 KB, written", 250, written(UNDO.format(50)), "KB"),
    Target("undoable edit at depth 500, to the same at depth 5", 1.3, same(UNDO.format(500), UNDO.format(5))),
    Target("8 processes merging, throughput, to the raw floor's", 0.8, writers("8 processes"), at_least=True, levels=("FULL",)),
    Target("8 processes, 8 threads: lost or refused", 0, lost, ""),
    Target("import, beyond `sqlite3`, `json`, `uuid`, `dataclasses`", 10, import_time, "ms"),
]

def evaluate(results: Results, targets: list[Target] = TARGETS) -> Iterator[tuple[Target, dict[str, Optional[Spread]]]]:
    "Each target with what was measured at each level."
    for target in targets: yield target, {level: target.measure(results, level) for level in target.levels}
