"A process that holds one store, does jobs when told to over a pipe, and times them."
import gc
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Optional

from benchmarks.jobs import DATA, JOBS, SID, check
from benchmarks.states import notes
from benchmarks.stores import KINDS, Store

def io_bytes(name: str) -> Optional[int]:
    """A counter of this process: `wchar` is what it gave to write calls, `rchar` what it got from read calls; `None` where the system has no /proc.

    Not `write_bytes`: it counts a page once however often it is written before the kernel flushes it, so it depends on timing."""
    try: lines = Path("/proc/self/io").read_text().splitlines()
    except OSError: return None
    return int(dict(line.split(": ") for line in lines)[name])

class Worker:
    "The commands."
    def __init__(self, kind: str, folder: str) -> None:
        self.kind, self.folder = kind, Path(folder)
        self.stores: dict[str, Store] = {}
        self.started: dict[str, Any] = {}
        self.shared: Optional[Store] = None

    def _open(self, name: str, **options: Any) -> Store: return KINDS[self.kind].open(str(self.folder/f"{name}.db"), **options)

    def check(self) -> None: check(self._open("check"))

    def prepare(self, jobs: list[str]) -> None:
        "Make the data of the jobs, once."
        for name in {JOBS[job].data: None for job in jobs}:
            self.stores[name] = self._open(name, **DATA[name].options)
            DATA[name].make(self.stores[name])
        for job in jobs: self.started[job] = JOBS[job].start(self.stores[JOBS[job].data])
        for job in jobs: self._once(*self.started[job])
        gc.collect()
        gc.freeze()  # so that collections don't walk through the data of other jobs

    def _once(self, action: Any, arguments: Iterator[Any]) -> None: action(*next(arguments))

    def run(self, job: str, seconds: float) -> tuple[list[int], Optional[int]]:
        "Nanoseconds of each operation, one at least, and the bytes written by all."
        action, arguments = self.started[job]
        times: list[int] = []
        before = io_bytes("wchar")
        end = perf_counter_ns() + seconds * 1e9
        for values in arguments:
            start = perf_counter_ns()
            action(*values)
            now = perf_counter_ns()
            times.append(now - start)
            if now > end: break
        after = io_bytes("wchar")
        return times, None if before is None or after is None else after - before

    def share(self, create: bool) -> None:
        "Open the session that many write to at once."
        self.shared = self._open("shared")
        if create: self.shared.create(SID, {"title": "shared"})

    def merge(self, writer: str, count: int) -> list[str]:
        "Merge `count` new keys into it; returns those that the store said it saved."
        assert self.shared
        saved = []
        for i, note in zip(range(count), notes()):
            key = f"{writer}-{i}"
            try: self.shared.merge(SID, {key: note})
            except Exception: continue  # refused, for instance "database is locked"
            saved.append(key)
        return saved

    def merge_threads(self, threads: int, count: int) -> list[str]:
        with ThreadPoolExecutor(threads) as pool: return sum(pool.map(lambda i: self.merge(str(i), count), range(threads)), [])

    def lost(self, saved: list[str]) -> int:
        "How many of these keys are not there."
        assert self.shared
        return len(set(saved) - set(self.shared.read(SID)))

def main(pipe: Connection, kind: str, folder: str) -> None:
    worker = Worker(kind, folder)
    while True:
        try: command, args = pipe.recv()
        except (EOFError, KeyboardInterrupt): return
        try: pipe.send((getattr(worker, command)(*args), None))
        except Exception: pipe.send((None, f"{kind}: {command}{args}\n{traceback.format_exc()}"))
