"""What a call costs as a session grows from 1 KB to 10 MB, and as a file grows from one session to 100,000 or a million.

usage: python -m benchmarks.growth [--large] [--record]

`--large` goes on to a million sessions (about 5 minutes). `--record` writes benchmarks/growth.json and, with matplotlib, the two charts
of the page. Times are medians in microseconds, with `synchronous="NORMAL"`."""
import argparse
import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.jobs import session, size_of
from benchmarks.report import HERE, INK, save_charts, table
from benchmarks.run import machine
from benchmarks.stores import FLOW
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

SIZES = {"1 KB": 1000, "10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
COUNTS = [1, 100, 10_000, 100_000, 1_000_000]
Call = Callable[[SQLiteWorkflowStateStore, str, int], object]

def merge(store: SQLiteWorkflowStateStore, sid: str, i: int) -> None: store.update_state(FLOW, sid, {"cursor": i})
def click(store: SQLiteWorkflowStateStore, sid: str, i: int) -> None: store.update_step_state(FLOW, sid, "notes", {"cursor": i}, undo_label="Click")
def undo(store: SQLiteWorkflowStateStore, sid: str, i: int) -> None: store.undo(FLOW, sid, "notes") if i % 2 else store.redo(FLOW, sid, "notes")
def step(store: SQLiteWorkflowStateStore, sid: str, i: int) -> object: return store.get_step_state(FLOW, sid, "notes")
def whole(store: SQLiteWorkflowStateStore, sid: str, i: int) -> object: return store.get_state(FLOW, sid)
def newest(store: SQLiteWorkflowStateStore, sid: str, i: int) -> object: return store.list_sessions(FLOW, limit=50)

CALLS: dict[str, Call] = {"merge one key": merge, "labelled click": click, "undo or redo": undo, "read a small step": step}
OF_SIZE = {**CALLS, "read the whole state": whole}
OF_COUNT = {**CALLS, "list the newest 50": newest}

def us(call: Call, store: SQLiteWorkflowStateStore, sid: str) -> float:
    "The median time of a call."
    times: list[float] = []
    for i in count(1):
        start = perf_counter()
        call(store, sid, i)
        times.append(perf_counter() - start)
        if i >= 400 or i >= 20 and sum(times) > 3: return round(median(times[3:]) * 1e6, 1)
    raise AssertionError

def by_size(folder: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in OF_SIZE}
    with SQLiteWorkflowStateStore(f"{folder}/sizes.db", synchronous="NORMAL") as store:
        for name, size in SIZES.items():
            store.update_state(FLOW, name, session(size))
            for call, function in OF_SIZE.items(): found[call].append(us(function, store, name))
    return found

def by_count(folder: str, counts: list[int]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in OF_COUNT}
    made = 0
    with SQLiteWorkflowStateStore(f"{folder}/counts.db", synchronous="NORMAL") as store:
        for wanted in counts:
            for made in range(made + 1, wanted + 1): store.update_state(FLOW, f"session {made}", {"title": f"Lease {made}", "cursor": 0})
            for call, function in OF_COUNT.items(): found[call].append(us(function, store, f"session {wanted // 2 + 1}"))
            print(f"{wanted:,} sessions", flush=True)
    return found

def times(names: list[str], found: dict[str, list[float]]) -> str:
    return table(["µs", *names], [[call, *[f"{time:,.0f}" for time in row]] for call, row in found.items()])

def tables(results: dict[str, Any]) -> list[str]:
    return [times(list(results["sizes"]), results["by_size"]), times([f"{number:,}" for number in results["counts"]], results["by_count"])]

def charts(plt: Any, results: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    from matplotlib.ticker import EngFormatter, NullFormatter, NullLocator
    colours = ["#14794f", "#b0601a", "#3b6ea5", "#808080", "#8a3b8f"]
    sizes = results["sizes"]
    for name, label, places, names, group in [
            ("size", "Size of the session", list(sizes.values()), list(sizes), "by_size"),
            ("count", "Sessions in the file", results["counts"], [f"{number:,}" for number in results["counts"]], "by_count")]:
        figure, axes = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
        for (call, row), colour in zip(results[group].items(), colours):
            axes.plot(places, [time * 1e-6 for time in row], marker="o", markersize=4, linewidth=1.5, color=colour, label=call)
        axes.set(xscale="log", yscale="log", xlabel=label, ylim=(5e-6, None))
        axes.yaxis.set_major_formatter(EngFormatter("s"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(places, names)
        axes.grid(color=INK, alpha=0.2)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        yield f"growth-{name}", figure

def draw(results: dict[str, Any]) -> None: save_charts(lambda plt: charts(plt, results))

def recorded() -> dict[str, Any]: return json.loads((HERE/"growth.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="a million sessions too")
    parser.add_argument("--record", action="store_true", help="write benchmarks/growth.json and the charts")
    options = parser.parse_args()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        counts = COUNTS if options.large else COUNTS[:-1]
        results: dict[str, Any] = {
            "machine": machine(Path(folder)), "sizes": {name: size_of(session(size)) for name, size in SIZES.items()}, "counts": counts,
            "by_size": by_size(folder), "by_count": by_count(folder, counts)}
    print(*tables(results), sep="\n\n")
    if not options.record: return
    (HERE/"growth.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results)

if __name__ == "__main__": main()
