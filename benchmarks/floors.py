"""What calls cost as a multiple of the minimal raw sqlite3 and json code that does the same, side by side in one run.

usage: python -m benchmarks.floors [--record] [--rounds N] [--only TEXT]     needs nothing but the package

`--record` puts the run into benchmarks/floors.json, beside those of other versions of Python, and with or without msgspec. The rows that
compare with pycrdt need that package."""
import argparse
import gc
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple, Optional

from benchmarks.jobs import labels, nested, segments
from benchmarks.report import HERE, table
from benchmarks.run import machine
from benchmarks.stores import FLOW, Fields
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

Call = Callable[[int], object]

class Row(NamedTuple):
    "One call of the store and the raw code that does the same; both get a number that differs each time."
    name: str
    target: Optional[float] # Ratio to reach
    store: Call
    floor: Call

def clauses(size: int) -> list[dict[str, Any]]: return segments(size)

def records(size: int) -> dict[str, Any]:
    "A nested state of many small records instead of long lists."
    text = "The tenant pays the rent monthly in advance. "
    return {"steps": {f"step{i}": {f"field{k}": {"text": text * 8, "done": False, "n": k} for k in range(20)}
                      for i in range(size // 9000)}}

def saves(store: SQLiteWorkflowStateStore, raw: Fields) -> Iterator[Row]:
    for name, size in ("100 KB", 100_000), ("1 MB", 1_000_000):
        items = clauses(size)
        def changed(i: int, items: list[dict[str, Any]] = items) -> dict[str, Any]:
            items[i % len(items)]["start"] = i
            return {"segments": items}
        sid = f"list {name}"
        raw.create(sid, {})
        yield Row(f"save a list of {name}", 1.25, lambda i, sid=sid, c=changed: store.update_step_state(FLOW, sid, "a", c(i)),
                  lambda i, sid=sid, c=changed: raw.merge_step(sid, "a", c(i)))
        for kind, state in ("lists", nested(size)), ("records", records(size)):
            sid = f"{kind} {name}"
            store.update_state(FLOW, sid, state)
            raw.create(sid, state)
            def moved(i: int, state: dict[str, Any] = state) -> dict[str, Any]:
                [steps] = state.values()
                next(iter(steps.values()))["cursor"] = i
                return state
            yield Row(f"save a whole nested state of {name} ({kind})", 1.6,
                      lambda i, sid=sid, m=moved: store.update_state(FLOW, sid, m(i)),
                      lambda i, sid=sid, m=moved: raw.save(sid, m(i)))

def clicks(store: SQLiteWorkflowStateStore, raw: Fields) -> Iterator[Row]:
    raw.create("clicks", {})
    items, big = clauses(85_000), labels()
    def click(i: int) -> dict[str, Any]:
        items[i % len(items)]["checked"] = i
        return {"segments": items}
    def in_map(i: int) -> dict[str, Any]:
        big[f"item-{i * 7919 % 10_000:05d}"]["by"] = f"person {i}"
        return {"map": big}
    def undo_and_redo(step: str) -> None: store.undo(FLOW, "clicks", step), store.redo(FLOW, "clicks", step)
    def write_twice(i: int, values: Callable[[int], dict[str, Any]]) -> None:
        for k in (i, i + 1): raw.merge_step("clicks", "big", values(k))
    yield Row("undoable click that replaces 85 KB", 1.8,
              lambda i: store.update_step_state(FLOW, "clicks", "big", click(i), undo_label="Check"),
              lambda i: raw.merge_step("clicks", "big", click(i)))
    store.update_step_state(FLOW, "clicks", "big", click(0), undo_label="Check")  # if the row above has not run
    yield Row("undo and redo of a click that replaces 85 KB", 1.7, lambda i: undo_and_redo("big"), lambda i: write_twice(i, click))
    yield Row("labelled click in a map of 10,000 (1 MB)", 3,
              lambda i: store.update_step_state(FLOW, "clicks", "map", in_map(i), undo_label="Check"),
              lambda i: raw.merge_step("clicks", "map", in_map(i)))
    store.update_step_state(FLOW, "clicks", "map", in_map(0), undo_label="Check")
    yield Row("undo and redo of a click in a map of 10,000", 3, lambda i: undo_and_redo("map"), lambda i: write_twice(i, in_map))
    raw.merge_step("clicks", "small", {"v": 0})
    yield Row("small labelled click (floor: without undo)", 4,
              lambda i: store.update_step_state(FLOW, "clicks", "small", {"v": i}, undo_label="Check"),
              lambda i: raw.merge_step("clicks", "small", {"v": i}))
    yield Row("merge of one small key", 2.3, lambda i: store.update_state(FLOW, "clicks", {"v": i}),
              lambda i: raw.merge("clicks", {"v": i}))

def reads(store: SQLiteWorkflowStateStore, raw: Fields) -> Iterator[Row]:
    for name, size, target in ("1 MB", 1_000_000, 1.15), ("10 MB", 10_000_000, None):
        state, sid = nested(size), f"read {name}"
        store.update_state(FLOW, sid, state)
        raw.create(sid, state)
        text = json.dumps(state, ensure_ascii=False)
        floor = lambda i, text=text: json.loads(text)
        yield Row(f"get_state of a nested {name} (floor: json.loads)", target, lambda i, sid=sid: store.get_state(FLOW, sid), floor)
        if target: yield Row(f"get_session of a nested {name} (floor: json.loads)", target,
                             lambda i, sid=sid: store.get_session(FLOW, sid), floor)
    state = {f"key{i}": "x" * 90 for i in range(100)}
    store.update_state(FLOW, "small", state)
    raw.create("small", state)
    for i in range(50): store.update_state(FLOW, "small", {"key1": i}, undo_label="Check")
    raw.con.execute("CREATE TABLE entry (session INTEGER, seq INTEGER, label TEXT, created INTEGER, keys TEXT)")
    raw.con.executemany("INSERT INTO entry VALUES (1, ?, 'Check', 0, '[\"key1\"]')", [(i,) for i in range(50)])
    yield Row("get_session of 10 KB with 50 undo entries", 2.5, lambda i: store.get_session(FLOW, "small"),
              lambda i: (raw.read("small"), raw.con.execute("SELECT seq, label, datetime(created, 'unixepoch'), keys FROM entry").fetchall()))

def many_keys(store: SQLiteWorkflowStateStore, raw: Fields) -> Iterator[Row]:
    "A labelled remove, and the undo of an added key; the floor is the same call with 100 other keys."
    def prepared(count: int) -> str:
        sid = f"{count} keys"
        store.update_state(FLOW, sid, {f"key{i}": i for i in range(count)})
        return sid
    def removed(sid: str, i: int) -> None:
        store.update_state(FLOW, sid, {"gone": i})
        store.update_state(FLOW, sid, {}, remove=["gone"], undo_label="Remove")
    def added(sid: str, i: int) -> None:
        store.update_state(FLOW, sid, {f"new{i}": i}, undo_label="Add")
        store.undo(FLOW, sid)
    few = prepared(100)
    for count in 10_000, 100_000:
        many = prepared(count)
        for name, call in ("labelled remove", removed), ("undo of an added key", added):
            yield Row(f"{name} with {count:,} other keys (floor: with 100)", 1.3,
                      lambda i, call=call, many=many: call(many, i), lambda i, call=call: call(few, i))

class SharedDocument:
    "A document of pycrdt and a row for each update of it, as pycrdt-store keeps it."
    def __init__(self, path: str, records: dict[str, Any]) -> None:
        from pycrdt import Doc, Map
        self.con = sqlite3.connect(path, isolation_level=None)
        self.con.execute("PRAGMA journal_mode=WAL")
        self.con.execute("PRAGMA synchronous=NORMAL")
        self.con.execute("CREATE TABLE yupdates (path TEXT NOT NULL, yupdate BLOB, metadata BLOB, timestamp REAL NOT NULL)")
        self.new: Callable[[], Any] = Doc
        self.doc = Doc()
        self.doc.observe(lambda event: self.con.execute("INSERT INTO yupdates VALUES ('doc', ?, x'', ?)", (event.update, time.time())))
        self.doc["records"] = self.records = Map({name: Map(record) for name, record in records.items()})

    def edit(self, name: str, i: int) -> None: self.records[name]["by"] = f"person {i}"

    def load(self) -> Any:
        doc = self.new()
        for [update] in self.con.execute("SELECT yupdate FROM yupdates WHERE path = 'doc'"): doc.apply_update(update)
        return doc.get("records", type=type(self.records)).to_py()

def documents(store: SQLiteWorkflowStateStore, raw: Fields) -> Iterator[Row]:
    if not find_spec("pycrdt"):
        print("pycrdt is not installed: its rows are left out")
        return
    people = {f"record {i}": {**item, "by": ""} for i, item in enumerate(segments(150_000)[:700])}
    [*names] = people
    with TemporaryDirectory() as folder:
        shared = SharedDocument(f"{folder}/doc.db", people)
        store.update_step_state(FLOW, "doc", "records", people)
        assert shared.load() == store.get_step_state(FLOW, "doc", "records")
        yield Row("edit of one of 700 records (floor: pycrdt)", None,
                  lambda i: store.update_step_state(FLOW, "doc", "records", {names[i % 700]: {**people[names[i % 700]], "by": f"person {i}"}}),
                  lambda i: shared.edit(names[i % 700], i))
        yield Row("load of 700 records (floor: pycrdt)", None, lambda i: store.get_step_state(FLOW, "doc", "records"), lambda i: shared.load())
        shared.con.close()

def timed(call: Call, i: int) -> float:
    start = perf_counter()
    call(i)
    return perf_counter() - start

def measured(row: Row, rounds: int) -> tuple[float, float]:
    "Median seconds of the store and of the floor, in turns."
    for i in range(3): row.store(i), row.floor(i)
    once = timed(row.store, 3)
    count = max(9, min(rounds, int(4 / max(once, 1e-6))))
    store, floor = [], []
    for i in range(4, 4 + count):
        if i % 2: store.append(timed(row.store, i))
        floor.append(timed(row.floor, i))
        if not i % 2: store.append(timed(row.store, i))
    return median(store), median(floor)

def environment() -> str:
    if not find_spec("msgspec"): return f"Python {sys.version.split()[0]}"
    import msgspec
    return f"Python {sys.version.split()[0]}, msgspec {msgspec.__version__}"

RECORD = HERE/"floors.json"
def recorded() -> dict[str, Any]: return json.loads(RECORD.read_text(encoding="utf-8"))  # type: ignore[no-any-return]

def ratios(runs: dict[str, Any]) -> str:
    "A table of the recorded runs."
    [first, *_] = runs.values()
    rows = [[name, str(row["target"] or ""), f"{row['us']:,.0f}", f"{row['floor_us']:,.0f}",
             *[f"{run[name]['us'] / run[name]['floor_us']:.2f}" if name in run else "" for run in runs.values()]] for name, row in first.items()]
    return table(["call", "wanted", "µs", "floor, µs", *runs], rows)

def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floors", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="calls of each kind at most")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    parser.add_argument("--record", action="store_true", help="put the run into benchmarks/floors.json")
    args = parser.parse_args()
    run: dict[str, Any] = {}
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        here = machine(Path(folder))
        raw = Fields(f"{folder}/raw.db", "NORMAL")
        with SQLiteWorkflowStateStore(f"{folder}/wf.db", synchronous="NORMAL") as store:
            for group in (saves, clicks, reads, many_keys, documents):
                for row in group(store, raw):
                    if args.only not in row.name: continue
                    gc.collect()
                    took, floor = measured(row, args.rounds)
                    run[row.name] = {"us": took * 1e6, "floor_us": floor * 1e6, "target": row.target}
                    print(f"{row.name:62} {took * 1e6:10,.0f} us  {took / floor:6.2f}x  target {row.target or '-'}", flush=True)
        raw.con.close()
    if not args.record: return
    runs = recorded()["runs"] if RECORD.exists() else {}
    RECORD.write_text(json.dumps({"machine": here, "runs": {**runs, environment(): run}}, indent=1) + "\n", encoding="utf-8")

if __name__ == "__main__": main()
