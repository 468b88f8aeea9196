"""How long the event loop pauses, and how many writes and reads finish, while coroutines write states of 100 KB.

langgraph's AsyncSqliteSaver and AsyncPostgresSaver do the same job if they are installed.

usage: python -m benchmarks.coroutines [--database postgresql://...] [--seconds N]"""
import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from cjm_workflow_state.state_store import AsyncWorkflowStateStore, PostgresWorkflowStateStore, SQLiteWorkflowStateStore

Write, Read = Callable[[str, dict[str, Any]], Awaitable[Any]], Callable[[str], Awaitable[Any]]
WRITERS, READERS = 20, 4

def state(n: int) -> dict[str, Any]:
    "About 100 KB of JSON."
    return {"n": n, "segments": [{"id": i, "text": f"{n} " + "The tenant pays the rent on the first day of each month. " * 4} for i in range(400)]}

async def measure(name: str, write: Write, read: Read, seconds: float) -> None:
    end, counts, waits, pauses = time.monotonic() + seconds, {"writes": 0, "reads": 0}, [], []
    async def writer(i: int) -> None:
        while time.monotonic() < end:
            await write(f"s{i}", state(counts["writes"]))
            counts["writes"] += 1
    async def reader(i: int) -> None:
        while time.monotonic() < end:
            begin = time.monotonic()
            await read(f"s{i}")
            waits.append((time.monotonic() - begin) * 1000)
            counts["reads"] += 1
            await asyncio.sleep(0.01)
    async def ticker() -> None:
        while time.monotonic() < end:
            begin = time.monotonic()
            await asyncio.sleep(0.001)
            pauses.append((time.monotonic() - begin - 0.001) * 1000)
    for i in range(READERS): await write(f"s{i}", state(0))
    await asyncio.gather(ticker(), *map(writer, range(WRITERS)), *map(reader, range(READERS)))
    print(f"{name:32} longest pause {max(pauses):6.1f} ms, 99 % {quantiles(pauses, n=100)[-1]:5.1f} ms; "
          f"{counts['writes'] / seconds:6.0f} writes/s; read: median {median(waits):5.1f} ms, longest {max(waits):6.1f} ms")

async def of_store(stack: AsyncExitStack, database: str, schema: str) -> tuple[Write, Read]:
    store = PostgresWorkflowStateStore(database, schema=schema) if "://" in database else SQLiteWorkflowStateStore(database)
    coroutines = await stack.enter_async_context(AsyncWorkflowStateStore(store))
    return lambda sid, value: coroutines.update_state("bench", sid, value), lambda sid: coroutines.get_state("bench", sid)

async def of_langgraph(stack: AsyncExitStack, database: str) -> tuple[Write, Read]:
    from langgraph.checkpoint.base import empty_checkpoint
    if "://" in database: from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver as Saver
    else: from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver as Saver
    saver: Any = await stack.enter_async_context(Saver.from_conn_string(database))
    await saver.setup()
    def config(sid: str) -> Any: return {"configurable": {"thread_id": sid, "checkpoint_ns": ""}}
    versions = iter(range(10 ** 9))
    def write(sid: str, value: dict[str, Any]) -> Awaitable[Any]:
        version = str(next(versions))
        checkpoint = {**empty_checkpoint(), "channel_values": value, "channel_versions": {key: version for key in value}}
        return saver.aput(config(sid), checkpoint, {}, checkpoint["channel_versions"])  # type: ignore[no-any-return]
    return write, lambda sid: saver.aget_tuple(config(sid))

async def run(database: str, seconds: float, folder: Path) -> None:
    contenders = {"AsyncWorkflowStateStore": lambda stack: of_store(stack, database or str(folder/"wf.db"), "benchmark_coroutines"),
                  "langgraph": lambda stack: of_langgraph(stack, database or str(folder/"langgraph.db"))}
    for name, open_contender in contenders.items():
        async with AsyncExitStack() as stack:
            try: write, read = await open_contender(stack)
            except ImportError as error:
                print(f"{name}: not installed ({error})")
                continue
            await measure(name, write, read, seconds)

def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="", help="a postgresql:// URL; default: files in a temporary folder")
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with TemporaryDirectory() as folder: asyncio.run(run(options.database, options.seconds, Path(folder)))

if __name__ == "__main__": main()
