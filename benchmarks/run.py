"A process for each store does the jobs in turns and times them; the main process collects the results."
import gc
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from tempfile import NamedTemporaryFile, TemporaryDirectory
from time import perf_counter_ns
from typing import Any, Optional

from benchmarks.jobs import DATA, JOBS, SID, check, notes
from benchmarks.stores import KINDS, Store

def io_bytes(name: str) -> Optional[int]:
    """A counter of this process: bytes passed to write calls (`wchar`) or returned by read calls (`rchar`); `None` without /proc.

    Not `write_bytes`, which counts a page once however often it is written before the kernel flushes it, and so depends on timing."""
    try: lines = Path("/proc/self/io").read_text().splitlines()
    except OSError: return None
    return int(dict(line.split(": ") for line in lines)[name])

class Worker:
    "The commands of a worker process."
    def __init__(self, kind: str, folder: str) -> None:
        self.kind, self.folder = kind, Path(folder)
        self.stores: dict[str, Store] = {}
        self.started: dict[str, Any] = {}
        self.shared: Optional[Store] = None

    def _open(self, name: str, **options: Any) -> Store: return KINDS[self.kind].open(str(self.folder/f"{name}.db"), **options)

    def check(self) -> None: check(self._open("check"))

    def prepare(self, jobs: list[str]) -> None:
        "Create the data of the jobs once."
        for name in {JOBS[job].data: None for job in jobs}:
            self.stores[name] = self._open(name, **DATA[name].options)
            DATA[name].make(self.stores[name])
        for job in jobs: self.started[job] = JOBS[job].start(self.stores[JOBS[job].data])
        for job in jobs: self._once(*self.started[job])
        gc.collect()
        gc.freeze()  # so that garbage collections do not visit the data of other jobs

    def _once(self, action: Any, arguments: Iterator[Any]) -> None: action(*next(arguments))

    def run(self, job: str, seconds: float) -> tuple[list[int], Optional[int]]:
        "Nanoseconds of each operation, at least one, and the bytes that all of them wrote."
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
        "Open the session to which all writers write at once."
        self.shared = self._open("shared")
        if create: self.shared.create(SID, {"title": "shared"})

    def merge(self, writer: str, count: int) -> list[str]:
        "Merge `count` new keys into it; returns the keys that the store acknowledged."
        assert self.shared
        saved = []
        for i, note in zip(range(count), notes()):
            key = f"{writer}-{i}"
            try: self.shared.merge(SID, {key: note})
            except Exception: continue  # an error, for example "database is locked"
            saved.append(key)
        return saved

    def merge_threads(self, threads: int, count: int) -> list[str]:
        with ThreadPoolExecutor(threads) as pool: return sum(pool.map(lambda i: self.merge(str(i), count), range(threads)), [])

    def lost(self, saved: list[str]) -> int:
        "How many of these keys are missing."
        assert self.shared
        return len(set(saved) - set(self.shared.read(SID)))

def work(pipe: Connection, kind: str, folder: str) -> None:
    worker = Worker(kind, folder)
    while True:
        try: command, args = pipe.recv()
        except (EOFError, KeyboardInterrupt): return
        try: pipe.send((getattr(worker, command)(*args), None))
        except Exception: pipe.send((None, f"{kind}: {command}{args}\n{traceback.format_exc()}"))

Times = list[int]
WRITERS = 8
MANY = [f"{WRITERS} processes", f"{WRITERS} threads"]
IMPORTS = {"cjm-workflow-state": "cjm_workflow_state.state_store", "diskcache": "diskcache", "sqlitedict": "sqlitedict",
           "langgraph-checkpoint-sqlite": "langgraph.checkpoint.sqlite", "huey": "huey.storage", "sqlite-utils": "sqlite_utils"}
IMPORT_CODE = """import sqlite3, json, uuid, dataclasses, sys, time
start = time.perf_counter_ns()
__import__(sys.argv[1])
print(time.perf_counter_ns() - start)"""

class Remote:
    "A worker process with the same commands; separate `send` and `receive` let several work at once."
    def __init__(self, kind: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        context = get_context("spawn")
        self.pipe, end = context.Pipe()
        self.process = context.Process(target=work, args=(end, kind, str(folder)), daemon=True)
        self.process.start()
        end.close()

    def send(self, command: str, *args: Any) -> None: self.pipe.send((command, args))

    def receive(self) -> Any:
        result, error = self.pipe.recv()
        if error: raise RuntimeError(error)
        return result

    def ask(self, command: str, *args: Any) -> Any:
        self.send(command, *args)
        return self.receive()

    def stop(self) -> None:
        self.pipe.close()
        self.process.join(10)
        self.process.kill()

def doable(kind: str, jobs: Iterable[str]) -> list[str]: return [job for job in jobs if JOBS[job].only in kind]

def say(*words: Any) -> None: print(*words, file=sys.stderr, flush=True)

def measure(kinds: list[str], jobs: list[str], rounds: int, seconds: float, folder: Path, count_syncs: bool = True) -> dict[str, Any]:
    "Run all jobs in all stores, round after round; the stores of a job run directly after each other, for `seconds` each."
    crew = {kind: Remote(kind, folder/kind) for kind in kinds}
    try:
        for kind, worker in crew.items():
            worker.send("check")
            worker.send("prepare", doable(kind, jobs))
        for kind, worker in crew.items():
            for _ in "check", "prepare": worker.receive()
            say("ready:", kind)
        runs: dict[str, dict[str, list[Any]]] = {job: {kind: [] for kind in kinds if doable(kind, [job])} for job in jobs}
        for i in range(rounds):
            start = time.monotonic()
            for job, row in runs.items():
                for kind in sorted(row, key=lambda kind: (kinds.index(kind) + i) % len(kinds)): row[kind].append(crew[kind].ask("run", job, seconds))
            say(f"round {i + 1} of {rounds}: {time.monotonic() - start:.0f} s")
        found = {job: {kind: summary(row[kind]) for kind in row} for job, row in runs.items()}
        for job in found:
            for kind in found[job]: found[job][kind]["syncs"] = syncs(crew[kind], job) if count_syncs and JOBS[job].writes else None
        return found
    finally:
        for worker in crew.values(): worker.stop()

def summary(runs: list[tuple[Times, Optional[int]]]) -> dict[str, Any]:
    "Microseconds and bytes written, for one operation."
    times = sorted(ns / 1000 for run, _ in runs for ns in run)
    written = [count for _, count in runs if count is not None]
    return {"n": len(times), "p50": round(median(times), 2), "p99": round(quantiles(times, n=100, method="inclusive")[98] if len(times) > 1 else times[0], 2),
            "max": round(times[-1], 2), "bytes": round(sum(written) / len(times)) if written else None,
            "rounds": [round(median(run) / 1000, 2) for run, _ in runs]}

def syncs(worker: Remote, job: str, seconds: float = 0.1) -> Optional[float]:
    "Calls of fsync and fdatasync for one operation, counted by strace; `None` if strace is missing or not allowed."
    strace = shutil.which("strace")
    if not strace: return None
    with NamedTemporaryFile() as log:
        tracer = subprocess.Popen([strace, "-f", "-e", "trace=fsync,fdatasync", "-o", log.name, "-p", str(worker.process.pid)], stderr=subprocess.PIPE, text=True)
        assert tracer.stderr
        attached = "attached" in tracer.stderr.readline()
        times = worker.ask("run", job, seconds)[0] if attached else []
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
        calls = log.read().count(b"sync(")
    return round(calls / len(times), 2) if times else None

def many_writers(kinds: list[str], rounds: int, count: int, folder: Path) -> dict[str, Any]:
    "Eight writers merge `count` keys each into one session at the same time."
    found: dict[str, dict[str, list[Any]]] = {name: {kind: [] for kind in kinds} for name in MANY}
    for i in range(rounds):
        start = time.monotonic()
        for name, row in found.items():
            for kind in kinds:
                with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as inside: row[kind].append(_writers(name, kind, count, Path(inside)))
        say(f"many writers, round {i + 1} of {rounds}: {time.monotonic() - start:.0f} s")
    return {name: {kind: {key: [run[key] for run in row[kind]] for key in ("per_second", "refused", "lost")} for kind in row} for name, row in found.items()}

def _writers(name: str, kind: str, count: int, folder: Path) -> dict[str, Any]:
    crew = [Remote(kind, folder) for _ in range(WRITERS if name == MANY[0] else 1)]
    try:
        for i, worker in enumerate(crew): worker.ask("share", i == 0)
        start = time.perf_counter()
        for i, worker in enumerate(crew): worker.send("merge", str(i), count) if len(crew) > 1 else worker.send("merge_threads", WRITERS, count)
        saved: list[str] = sum((worker.receive() for worker in crew), [])
        seconds = time.perf_counter() - start
        return {"per_second": round(len(saved) / seconds), "refused": WRITERS * count - len(saved), "lost": crew[0].ask("lost", saved)}
    finally:
        for worker in crew: worker.stop()

def imports(packages: Iterable[str], rounds: int) -> dict[str, list[float]]:
    "Milliseconds of importing each package in a new Python, after sqlite3, json, uuid and dataclasses; bytecode exists already."
    found: dict[str, list[float]] = {package: [] for package in packages if package in IMPORTS}
    with TemporaryDirectory() as compiled:
        settings = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for i in range(rounds + 1):
            for package, times in found.items():
                done = subprocess.run([sys.executable, "-c", IMPORT_CODE, IMPORTS[package]], env=settings, capture_output=True, text=True, check=True)
                if i: times.append(round(int(done.stdout) / 1e6, 2))
    return found

def machine(folder: Path) -> dict[str, Any]:
    "The machine and versions on which the figures depend."
    return {"date": datetime.now(timezone.utc).date().isoformat(), "processor": _processor(), "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}", "filesystem": _filesystem(folder), "Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}

def _processor() -> str:
    try: lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError: return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())

def _filesystem(folder: Path) -> Optional[str]:
    "Type of the file system; in memory, a sync costs nothing."
    try: mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError: return None
    return max((mount for mount in mounts if folder.resolve().is_relative_to(mount[0])), key=lambda mount: len(mount[0]), default=[None, None])[1]

def versions(kinds: Iterable[str]) -> dict[str, Optional[str]]: return {KINDS[kind].package: KINDS[kind].version for kind in kinds if KINDS[kind].package}
