"""What lists cost: filters, counts, late pages, and the metadata beside a merge. Prints a table for each engine.

usage: python -m benchmarks.lists [--sessions 100000] [--postgres]     `--postgres` needs the programs of a server

Times are medians in milliseconds, of one flow with that many sessions and three keys of metadata each."""
import argparse
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from cjm_workflow_state.state_store import PostgresWorkflowStateStore, SQLiteWorkflowStateStore, WorkflowStateStore

FLOW = "review"
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "owner, 1 in 1,000": {"metadata": {"owner": "person 007"}},
    "team, 1 in 100": {"metadata": {"team": 7}},
    "status, half": {"metadata": {"status": "open"}},
    "owner, none": {"metadata": {"owner": "nobody"}},
    "owner and status": {"metadata": {"owner": "person 007", "status": "open"}},
    "team and status": {"metadata": {"team": 7, "status": "open"}},
    "no owner and status": {"metadata": {"owner": "nobody", "status": "open"}},
    "step, half": {"current_step": "half"},
    "step, 1 in 100": {"current_step": "hundredth"},
    "step, 1 in 1,000": {"current_step": "thousandth"},
    "step, none": {"current_step": "nowhere"},
    "two steps": {"current_step": ["hundredth", "thousandth"]},
    "step and owner": {"current_step": "half", "metadata": {"owner": "person 007"}},
    "step and status": {"current_step": "half", "metadata": {"status": "open"}},
    "rare step and team": {"current_step": "hundredth", "metadata": {"team": 7}},
    "label, half": {"label_contains": "alpha"},
    "label, 1 in 100": {"label_contains": "beta"},
    "label, 1 in 1,000": {"label_contains": "gamma"},
    "label, none": {"label_contains": "omega"},
    "label and owner": {"label_contains": "alpha", "metadata": {"owner": "person 007"}},
}


def share(rng: random.Random, half: str, hundredth: str, thousandth: str, other: str) -> str:
    "One of four texts: in half of the cases, in one of a hundred, in one of a thousand, or otherwise."
    at = rng.random()
    return half if at < 0.5 else hundredth if at < 0.51 else thousandth if at < 0.511 else other


def fill(store: WorkflowStateStore, sessions: int, threads: int) -> None:
    def create(n: int) -> None:
        rng = random.Random(n)
        with store.edit_session(FLOW, f"session {n}") as session:
            session.label = f"{share(rng, 'Alpha', 'Beta', 'Gamma', 'Delta')} case {n}"
            session.current_step = share(rng, "half", "hundredth", "thousandth", f"step {n % 5}")
            session.metadata.update(owner=f"person {rng.randrange(1000):03}", team=rng.randrange(100),
                                    status=rng.choice(["open", "done"]))
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(create, range(sessions)): pass


def ms(call: Callable[[], Any]) -> float:
    "The median time of a call."
    times: list[float] = []
    while len(times) < 35 and sum(times) < 3000 or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return median(times[len(times) // 5:])


def print_row(name: str, *cells: object) -> None: print(f"| {name:24} |", " | ".join(f"{cell:>12}" for cell in cells), "|")


def print_lists(store: WorkflowStateStore) -> None:
    print_row("filter", "newest 50", "count", "sessions")
    print_row("---", "--:", "--:", "--:")
    for name, filters in FILTERS.items():
        page = ms(lambda: store.list_sessions(FLOW, limit=50, **filters))
        counted = ms(lambda: store.count_sessions(FLOW, **filters))
        print_row(name, f"{page:.2f}", f"{counted:.2f}", f"{store.count_sessions(FLOW, **filters):,}")
    print_row("list_flows", f"{ms(store.list_flows):.2f}", "", "")
    print_row("table in Jupyter", f"{ms(store._repr_markdown_):.2f}", "", "")


def print_pages(store: WorkflowStateStore, sessions: int) -> None:
    late = sessions // 50 - 10
    print()
    print_row("page of 50 by cursor", "page 2", f"page {late:,}", "ratio")
    print_row("---", "--:", "--:", "--:")
    for order in ("updated_at", "created_at", "current_step", "label"):
        for descending in (True, False):
            def page(number: int) -> float:
                [last] = store.list_sessions(FLOW, order, descending, limit=1, offset=50 * (number - 1) - 1)
                return ms(lambda: store.list_sessions(FLOW, order, descending, limit=50, after=last.cursor))
            second, last = page(2), page(late)
            way = "descending" if descending else "ascending"
            print_row(f"{order}, {way}", f"{second:.2f}", f"{last:.2f}", f"{last / second:.2f}")


def print_merges(store: WorkflowStateStore) -> None:
    "A merge of one key beside no metadata and beside ten keys, in turns."
    store.create_session("merges", "none")
    store.create_session("merges", "ten", metadata={f"key {n}": "x" * 300 for n in range(10)})
    times: dict[str, list[float]] = {"none": [], "ten": []}
    for n in range(2000):
        for name in sorted(times, reverse=bool(n % 2)):
            start = time.perf_counter()
            store.update_state("merges", name, {"cursor": n})
            times[name].append((time.perf_counter() - start) * 1000)
    none, ten = median(times["none"]), median(times["ten"])
    print()
    print_row("merge of one key", "no metadata", "ten keys", "ratio")
    print_row("---", "--:", "--:", "--:")
    print_row("", f"{none:.4f}", f"{ten:.4f}", f"{ten / none:.3f}")


@contextmanager
def opened(postgres: bool) -> Iterator[WorkflowStateStore]:
    if postgres:
        from tests.postgres.server import PostgresServer
        with PostgresServer() as server, closing(PostgresWorkflowStateStore(server.conninfo, synchronous="NORMAL")) as store:
            yield store
    else:
        with TemporaryDirectory() as folder:
            with SQLiteWorkflowStateStore(Path(folder)/"wf.db", synchronous="NORMAL") as store: yield store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL too")
    options = parser.parse_args()
    for postgres in (False, True)[:1 + options.postgres]:
        with opened(postgres) as store:
            print(f"\n{'PostgreSQL' if postgres else 'SQLite'}, {options.sessions:,} sessions\n", flush=True)
            fill(store, options.sessions, 4 if postgres else 1)
            print_lists(store)
            print_pages(store, options.sessions)
            print_merges(store)


if __name__ == "__main__": main()
