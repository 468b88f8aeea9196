"""How long wait_for_change takes to notice a commit of another process, and what 1,000 waiters cost.

usage: python -m benchmarks.waiting [--database postgresql://...] [--commits N]"""
import argparse
import resource
import sys
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from cjm_workflow_state.state_store import PostgresWorkflowStateStore, SQLiteWorkflowStateStore, WorkflowStateStore

def open_store(database: str) -> WorkflowStateStore:
    if "://" in database: return PostgresWorkflowStateStore(database, schema="benchmark_waiting")
    return SQLiteWorkflowStateStore(database)

def write(database: str, commits: int, link: Connection) -> None:
    "Commit at times that the watcher can't be in step with, and send when each commit returned."
    with open_store(database) as store:
        for i in range(commits):
            link.recv()
            time.sleep(0.05 + (i * 37 % 50) / 1000)
            store.update_state("wait", "s", {"n": i})
            link.send(time.monotonic())

def delays(database: str, commits: int) -> list[float]:
    "Milliseconds from the return of each commit to the return of the wait in this process."
    here, there = get_context("spawn").Pipe()
    writer = get_context("spawn").Process(target=write, args=(database, commits, there))
    with open_store(database) as store:
        store.create_session("wait", "s")
        writer.start()
        found, revision = [], 1
        for _ in range(commits):
            here.send(None)
            revision = store.wait_for_change("wait", "s", revision)
            noticed = time.monotonic()
            found.append((noticed - here.recv()) * 1000)
        writer.join()
        store.delete_session("wait", "s")
    return found

def many(database: str, waiters: int, seconds: float) -> tuple[float, float]:
    "CPU seconds per second while so many threads wait for as many sessions; milliseconds until the last one knows."
    with open_store(database) as store:
        for i in range(waiters): store.create_session("many", f"s{i}")
        threads = [threading.Thread(target=store.wait_for_change, args=("many", f"s{i}", 1)) for i in range(waiters)]
        for thread in threads: thread.start()
        time.sleep(1)
        before, begin = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        time.sleep(seconds)
        after, end = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        for i in range(waiters): store.update_state("many", f"s{i}", {"n": 1})
        changed = time.monotonic()
        for thread in threads: thread.join()
        woken = (time.monotonic() - changed) * 1000
        for i in range(waiters): store.delete_session("many", f"s{i}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / (end - begin), woken

def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", help="a postgresql:// URL; default: a file in a temporary folder")
    parser.add_argument("--commits", type=int, default=200)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        database = options.database or str(Path(folder)/"wf.db")
        found = delays(database, options.commits)
        print(f"delay after a commit of another process: median {median(found):.1f} ms, "
              f"95 % {quantiles(found, n=20)[-1]:.1f} ms, longest {max(found):.1f} ms, of {len(found)}")
        cpu, woken = many(database, 1000, 5)
        print(f"1,000 threads wait for 1,000 sessions: {cpu * 100:.1f} % of a CPU; the last one knows {woken:.0f} ms after the last commit")

if __name__ == "__main__": sys.exit(main())
