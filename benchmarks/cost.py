"""What the package's promises cost, beside raw `sqlite3` in the same run. Needs nothing but the package.

Prints the cost of steps, merges and saves, then that of undo at a value of 100 KB."""
import argparse
import sqlite3
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks import report, states
from benchmarks.jobs import SID, edits
from benchmarks.package import Package
from benchmarks.run import machine, measure
from benchmarks.stores import FLOW
from benchmarks.targets import MERGE, SAVE, UNDO, Results, Target, floor, same, written
from benchmarks.worker import io_bytes

KINDS = ["fields-NORMAL", "fields-FULL", "package-NORMAL", "package-FULL"]
JOBS = ["get the current step", MERGE.format("10 KB"), MERGE.format("10 MB"), SAVE, UNDO.format(5), UNDO.format(50), UNDO.format(500)]
TARGETS = [
    Target("`get_current_step`, to the raw SELECT", 2, floor(JOBS[0])),
    Target("merge one key into 10 KB, to the raw floor", 2, floor(MERGE.format("10 KB"))),
    Target("merge one key into 10 MB, to the same into 10 KB", 1.2, same(MERGE.format("10 MB"), MERGE.format("10 KB"))),
    Target("save a nested state of 1 MB, one integer changed, written", 16, written(SAVE), "KB"),
    Target("undoable edit of 100 KB at depth 500, to the same at depth 5", 1.3, same(UNDO.format(500), UNDO.format(5))),
    Target("undoable edit of 100 KB at depth 500, to the raw write of the value", 4, floor(UNDO.format(500), UNDO.format(50))),
    Target("undoable edit of 100 KB at depth 500, written", 250, written(UNDO.format(500)), "KB"),
]
DEPTH = 500

def keep(path: Path, depth: int = DEPTH) -> int:
    "Edit a step of 100 KB `depth` times; returns the bytes of all those documents."
    package, total = Package(str(path), "NORMAL", depth), 0
    for step in islice(edits(), depth):
        package.undoable(SID, "review", step)
        total += states.size_of(step)
    package.store.close()
    return total

def columns_read(path: Path) -> tuple[list[str], int]:
    "Columns that `get_undo_history` reads, as SQLite asks before it may, and the number of entries."
    seen: dict[str, None] = {}
    def note(action: int, table: Any, column: Any, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ: seen[f"{table}.{column}"] = None
        return sqlite3.SQLITE_OK
    connect = sqlite3.connect
    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        con: sqlite3.Connection = connect(*args, **kwargs)
        con.set_authorizer(note)
        return con
    with patch("sqlite3.connect", watched):
        package = Package(str(path), "NORMAL", DEPTH)
        seen.clear()  # what opening the file has read
        entries = len(package.store.get_undo_history(FLOW, SID, "review").undo)
        package.store.close()
    return sorted(seen), entries

def bytes_read(path: Path) -> int:
    "What `get_undo_history` takes from the file, with nothing of it in memory; 0 where the system doesn't tell."
    package = Package(str(path), "NORMAL", DEPTH)
    package.store.list_flows()  # opens what is needed to read
    before = io_bytes("rchar") or 0
    package.store.get_undo_history(FLOW, SID, "review")
    count = (io_bytes("rchar") or 0) - before
    package.store.close()
    return count

def undo_on_disk(folder: Path) -> str:
    "The size of 500 undo entries, and what listing them reads."
    path = folder/"undo.db"
    total = keep(path)
    size, (columns, entries) = path.stat().st_size, columns_read(path)
    values = [name for name in columns if name.endswith((".value", ".delta"))]
    return "\n".join([
        f"{DEPTH} edits of a value of 100 KB are {total / 1e6:.1f} MB of documents.",
        f"The file with {entries} undo entries has {size / 1e6:.1f} MB, {size / total:.0%} of them (at most 50%).",
        f"get_undo_history takes {bytes_read(path) / 1e6:.2f} MB from that file. It reads {', '.join(columns)}.",
        f"Columns with values that it reads: {', '.join(values) or 'none'}."])

def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        results: Results = {"machine": machine(folder), "stores": KINDS, "versions": {}, "jobs": measure(KINDS, JOBS, rounds, 0.1, folder, count_syncs=False)}
        print(report.machine(results), end="\n\n")
        for job in JOBS: print(job, report.job_table(results, job), sep="\n\n", end="\n\n")
        print(report.targets(results, TARGETS), end="\n\n")
        print(undo_on_disk(folder))

if __name__ == "__main__": main()
