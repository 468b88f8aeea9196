"""Measure the store on PostgreSQL; writes benchmarks/postgres.json, which the page on many machines reads.

usage: python -m benchmarks.postgres [--large] [--check]     needs the extra "bench" and the server programs
`--large` measures a million sessions instead (about 8 minutes, 10 GB); `--check` prints and writes nothing."""
import gc
import json
import os
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from benchmarks.jobs import notes
from benchmarks.run import machine
from cjm_workflow_state.state_store import PostgresWorkflowStateStore, SQLiteWorkflowStateStore
from tests.postgres.server import PostgresServer

FLOW, SESSIONS, LATENCIES = "review", 1000, (0.0, 1.0, 10.0)
SETTINGS = "server_version", "fsync", "synchronous_commit", "shared_buffers"
QUARTER = f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2 ** 22}MB"  # as the PostgreSQL manual recommends
OUT = Path(__file__).parent/"postgres.json"
TEXT = "A sentence of the length that a person types into a field of a form, about a hundred letters in all, see"
STATE: dict[str, Any] = {  # 20 rows
    "title": "Interview 7", "note": TEXT, "by": TEXT, "source": TEXT, "language": "en",
    **{f"_step_{step}": {"cursor": 0, "text": TEXT, "comment": TEXT, "done": False}
       for step in ("upload", "review", "export")}}
Call = Callable[[str, int], object]  # a session, and a number that is different each time
Open = Callable[[], Any]
Rows = dict[str, dict[str, Callable[[], object]]]  # by call, and by contender

def say(*words: Any) -> None: print(*words, file=sys.stderr, flush=True)

# -- a network

class Relay:
    "Sits between client and server, delays each packet by half of the latency, and counts how often the client waits."
    def __init__(self, server: PostgresServer) -> None:
        self.folder = server.folder/"relay"
        self.folder.mkdir()
        context, name = get_context("spawn"), f".s.PGSQL.{server.port}"
        self.latency, self.waits = context.Value("d", 0), context.Value("q", 0)
        self.process = context.Process(target=relay, daemon=True, args=(
            str(self.folder/name), str(server.folder/name), self.latency, self.waits))
        self.process.start()
        self.conninfo = f"host={self.folder} port={server.port} user=postgres dbname=postgres"
        while not (self.folder/name).exists(): time.sleep(0.01)

    def close(self) -> None:
        self.process.terminate()
        self.process.join()

def relay(path: str, server: str, latency: Any, waits: Any) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(100)
    other: dict[socket.socket, socket.socket] = {}
    clients: set[socket.socket] = set()
    answered: set[socket.socket] = set()  # clients that the server has answered since their last packet
    held: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        now = time.perf_counter()
        while held and held[0][0] <= now:
            _, to, data = held.popleft()
            try: to.sendall(data) if data else to.shutdown(socket.SHUT_WR)
            except OSError: pass
        wait = max(0, held[0][0] - time.perf_counter()) if held else None
        ready, _, _ = select.select([listener, *other], [], [], wait)
        for one in ready:
            if one is listener:
                client, upstream = listener.accept()[0], socket.socket(socket.AF_UNIX)
                upstream.connect(server)
                other.update({client: upstream, upstream: client})
                clients.add(client)
                continue
            try: data = one.recv(1 << 20)
            except OSError: data = b""
            held.append((time.perf_counter() + latency.value / 2000, other[one], data))
            if one in clients:
                if one in answered: waits.value += 1
                answered.discard(one)
            else: answered.add(other[one])
            if not data: del other[one]

# -- what is compared

@dataclass
class Contender:
    merge: Call
    read: Call
    newest: Call
    edit: Call

def of_package(store: Any) -> Contender:
    texts = notes()
    def merge(sid: str, i: int) -> object: return store.update_state(FLOW, sid, {"note": next(texts)})
    def read(sid: str, i: int) -> object: return store.get_step_state(FLOW, sid, "review")
    def newest(sid: str, i: int) -> object: return store.list_sessions(FLOW, limit=50)
    def edit(sid: str, i: int) -> object:
        with store.edit_step_state(FLOW, sid, "review", undo_label="Move") as state: state["cursor"] = i
        return state
    return Contender(merge, read, newest, edit)

FLOOR = """
CREATE TABLE session (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, flow TEXT NOT NULL, name TEXT NOT NULL,
    label TEXT, step TEXT, created BIGINT NOT NULL, updated BIGINT NOT NULL, revision BIGINT NOT NULL,
    UNIQUE (flow, name)
) WITH (fillfactor = 70);
CREATE INDEX newest ON session (flow, updated, id);
CREATE TABLE field (
    session BIGINT NOT NULL REFERENCES session (id), step TEXT NOT NULL, key TEXT NOT NULL,
    position BIGINT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (session, step, key)
);
CREATE TABLE action (
    session BIGINT NOT NULL REFERENCES session (id), step TEXT NOT NULL, number BIGINT NOT NULL,
    label TEXT NOT NULL, created BIGINT NOT NULL, key TEXT NOT NULL, before TEXT NOT NULL,
    PRIMARY KEY (session, step, number)
)"""

def of_floor(con: Any) -> Contender:
    "Raw psycopg on one open connection: a row per field, and only the statements that no store can do without."
    texts = notes()
    lock = "SELECT id FROM session WHERE flow = $1 AND name = $2 FOR UPDATE"
    this = "session = (SELECT id FROM session WHERE flow = $1 AND name = $2)"
    one_field = f"SELECT position FROM field WHERE {this} AND step = '' AND key = $3"
    fields_of = f"SELECT key, position, value FROM field WHERE {this} AND step = $3"
    last_action = f"SELECT max(number) FROM action WHERE {this} AND step = $3"
    changed = "UPDATE session SET updated = greatest(updated + 1, $2), revision = revision + 1 WHERE id = $1"
    write = """INSERT INTO field (session, step, key, position, value) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (session, step, key) DO UPDATE SET position = excluded.position, value = excluded.value"""
    record = """INSERT INTO action (session, step, number, label, created, key, before)
        VALUES ($1, $2, $3, $4, $5, $6, $7)"""
    trim = "DELETE FROM action WHERE session = $1 AND step = $2 AND number <= $3"
    listing = """SELECT flow, name, label, step, created, updated, revision FROM session
        WHERE flow = $1 ORDER BY updated DESC, id DESC LIMIT $2"""

    def now() -> int: return time.time_ns() // 1000
    def merge(sid: str, i: int) -> object:
        with con.pipeline():
            con.execute("BEGIN")
            locked, found = con.execute(lock, (FLOW, sid)), con.execute(one_field, (FLOW, sid, "note"))
            [[id]], [[position]] = locked.fetchall(), found.fetchall()
            con.execute(write, (id, "", "note", position, json.dumps(next(texts))))
            con.execute(changed, (id, now()))
            con.execute("COMMIT")
        return id

    def read(sid: str, i: int) -> object:
        return {key: json.loads(text) for key, _, text in con.execute(fields_of, (FLOW, sid, "review")).fetchall()}

    def newest(sid: str, i: int) -> object: return con.execute(listing, (FLOW, 50)).fetchall()

    def edit(sid: str, i: int) -> object:
        with con.pipeline():
            con.execute("BEGIN")
            locked, found = con.execute(lock, (FLOW, sid)), con.execute(fields_of, (FLOW, sid, "review"))
            newest_action = con.execute(last_action, (FLOW, sid, "review"))
            [[id]], fields = locked.fetchall(), {key: (position, text) for key, position, text in found.fetchall()}
            [[last]], (position, before) = newest_action.fetchall(), fields["cursor"]
            state = {key: json.loads(text) for key, (_, text) in fields.items()}
            number = (last or 0) + 1
            con.execute(write, (id, "review", "cursor", position, json.dumps(i)))
            con.execute(trim, (id, "review", number - 50))
            con.execute(record, (id, "review", number, "Move", now(), "cursor", before))
            con.execute(changed, (id, now()))
            con.execute("COMMIT")
        return state
    return Contender(merge, read, newest, edit)

def fill_floor(con: Any) -> None:
    "The same sessions as those of the package."
    con.execute(f"CREATE SCHEMA {con.execute('SHOW search_path').fetchone()[0]}")
    for statement in FLOOR.split(";\n"): con.execute(statement)
    con.execute(f"""INSERT INTO session (flow, name, created, updated, revision)
        SELECT '{FLOW}', 's' || i, i, i, 2 FROM generate_series(0, {SESSIONS - 1}) AS i""")
    own = {key: value for key, value in STATE.items() if not key.startswith("_step_")}
    steps = {key[6:]: value for key, value in STATE.items() if key.startswith("_step_")}
    for step, fields in {"": own, **steps}.items():
        for position, (key, value) in enumerate(fields.items()):
            con.execute("INSERT INTO field SELECT id, $1, $2, $3, $4 FROM session",
                        (step, key, position, json.dumps(value)))
    con.execute("INSERT INTO action SELECT id, 'review', 1, 'Move', created, 'cursor', '0' FROM session")
    con.execute("VACUUM (ANALYZE)")

def of_langgraph(saver: Any) -> Contender:
    "A checkpoint for each change, which shares unchanged values; older checkpoints are the undo. It lists checkpoints."
    from langgraph.checkpoint.base import empty_checkpoint
    texts = notes()
    def config(sid: str) -> Any: return {"configurable": {"thread_id": sid, "checkpoint_ns": ""}}

    def change(sid: str, channel: str, new: Callable[[Any], Any]) -> object:
        before = saver.get_tuple(config(sid))
        values, versions = before.checkpoint["channel_values"], before.checkpoint["channel_versions"]
        version = {channel: saver.get_next_version(versions.get(channel), None)}
        after = {**empty_checkpoint(), "channel_values": {**values, channel: new(values[channel])},
                 "channel_versions": {**versions, **version}}
        return saver.put(before.config, after, {"source": "update", "step": 1}, version)

    def merge(sid: str, i: int) -> object: return change(sid, "note", lambda _: next(texts))
    def edit(sid: str, i: int) -> object: return change(sid, "_step_review", lambda step: {**step, "cursor": i})
    def read(sid: str, i: int) -> object:
        return saver.get_tuple(config(sid)).checkpoint["channel_values"]["_step_review"]
    def newest(sid: str, i: int) -> object: return [*saver.list(None, limit=50)]

    for i in range(SESSIONS):
        versions = {name: saver.get_next_version(None, None) for name in STATE}
        first = {**empty_checkpoint(), "channel_values": STATE, "channel_versions": versions}
        saver.put(config(f"s{i}"), first, {}, versions)
    return Contender(merge, read, newest, edit)

@contextmanager
def contenders(conninfo: str, schema: str) -> Iterator[dict[str, Contender]]:
    from langgraph.checkpoint.postgres import PostgresSaver
    def in_schema(name: str) -> str: return f"{conninfo} options='-c search_path={schema}_{name}'"
    with (PostgresWorkflowStateStore(conninfo, schema=f"{schema}_package") as store,
          psycopg.connect(in_schema("floor"), autocommit=True, cursor_factory=psycopg.RawCursor) as con,
          PostgresSaver.from_conn_string(in_schema("peer")) as saver):
        con.execute(f"CREATE SCHEMA {schema}_peer")
        saver.setup()
        for i in range(SESSIONS): fill(store, f"s{i}")
        fill_floor(con)
        con.execute(f"VACUUM (ANALYZE) {', '.join(tables(con, f'{schema}_package'))}")
        yield {"package": of_package(store), "floor": of_floor(con), "peer": of_langgraph(saver)}

def fill(store: Any, sid: str) -> None:
    "A session with an undo entry."
    store.update_state(FLOW, sid, STATE)
    store.update_step_state(FLOW, sid, "review", {"cursor": 1}, undo_label="Move")

def tables(con: Any, schema: str) -> list[str]:
    found = con.execute("SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'", (schema,))
    return [f"{schema}.{name}" for name, in found.fetchall()]

def multiply(conninfo: str, schema: str, sessions: int, at_once: int = 100_000) -> None:
    "Copy the rows of the first session until there are so many sessions; calls of the store would take hours."
    with psycopg.connect(conninfo, autocommit=True) as con:
        con.execute(f"SET search_path = {schema}")
        con.execute("SET session_replication_role = replica")  # skip the check of each foreign key
        for first in range(1, sessions, at_once):
            numbers = f"generate_series({first}, {min(first + at_once, sessions) - 1}) AS i"
            con.execute(f"""INSERT INTO workflow_session SELECT id + i, flow_id, 's' || i, label, current_step,
                created + i, updated + i, revision, state_size FROM workflow_session, {numbers} WHERE id = 1""")
            con.execute(f"""INSERT INTO workflow_value SELECT session + i, k1, k2, k3, position, value
                FROM {numbers}, workflow_value WHERE session = 1 ORDER BY i, k1, k2, k3""")
            con.execute(f"""INSERT INTO workflow_undo SELECT session + i, scope, seq, undone, label, undo_group,
                created, keys, size, entry FROM {numbers}, workflow_undo WHERE session = 1 ORDER BY i""")
            if sessions > at_once: say(f"{min(first + at_once, sessions):,} sessions")
        con.execute(f"SELECT setval(pg_get_serial_sequence('{schema}.workflow_session', 'id'), {sessions})")
        con.execute("VACUUM (ANALYZE)")

# -- measuring

def timed(rows: Rows, rounds: int, seconds: float) -> dict[str, dict[str, list[float]]]:
    "Microseconds of each call of each row, as the median of each round; the contenders of a row take turns."
    found: dict[str, dict[str, list[float]]] = {name: {who: [] for who in row} for name, row in rows.items()}
    for row in rows.values():
        for call in row.values():
            for _ in range(12): call()  # enough for the driver to prepare the statements and the server to keep their plans
    gc.collect()
    for i in range(rounds):
        for name, row in rows.items():
            order = [*row]
            for who in order[i % len(order):] + order[:i % len(order)]:
                times, end = list[int](), time.perf_counter() + seconds
                while time.perf_counter() < end:
                    start = time.perf_counter_ns()
                    row[who]()
                    times.append(time.perf_counter_ns() - start)
                found[name][who].append(median(times) / 1000)
    return found

def medians(found: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    return {name: {who: round(median(times), 1) for who, times in row.items()} for name, row in found.items()}

def ratios(found: dict[str, dict[str, list[float]]], one: str, other: str) -> dict[str, float]:
    "How many times as long `one` takes as `other`: the median over the rounds, because a round has the same conditions for both."
    return {name: round(median(a / b for a, b in zip(row[one], row[other])), 2) for name, row in found.items()}

def calls(contender: Contender, sessions: int, seed: int = 0) -> dict[str, Callable[[], object]]:
    "The calls on random sessions, the same for all contenders."
    rng, numbers = random.Random(seed), count(2)
    def of(call: Call) -> Callable[[], object]: return lambda: call(f"s{rng.randrange(sessions)}", next(numbers))
    return {name: of(getattr(contender, name)) for name in ("merge", "read", "newest", "edit")}

def turned(by_who: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = next(iter(by_who.values()))
    return {name: {who: row[name] for who, row in by_who.items()} for name in names}

def trips(store: Any, relay: Relay) -> dict[str, int]:
    "How often each method waits for the server."
    def edit_session() -> None:
        with store.edit_session(FLOW, "s1", undo_label="Move") as session:
            session.step("export")["cursor"] += 1
            session.current_step = str(time.monotonic())
    def edit() -> None:
        with store.edit_step_state(FLOW, "s1", "review", undo_label="Move", undo_group="g") as step: step["cursor"] += 1
    def merge(**options: Any) -> Callable[[], object]:
        return lambda: store.update_state(FLOW, "s1", {"note": str(time.monotonic())}, **options)
    methods: dict[str, Callable[[], object]] = {
        "get_current_step": lambda: store.get_current_step(FLOW, "s1"),
        "get_state": lambda: store.get_state(FLOW, "s1"), "get_session": lambda: store.get_session(FLOW, "s1"),
        "get_step_state": lambda: store.get_step_state(FLOW, "s1", "review"),
        "list_sessions": lambda: store.list_sessions(FLOW, limit=50),
        "get_undo_history": lambda: store.get_undo_history(FLOW, "s1", "review"),
        "set_current_step": lambda: store.set_current_step(FLOW, "s1", str(time.monotonic())),
        "update_state": merge(), "update_state, undo_label": merge(undo_label="Note"),
        "update_state, undo_group": merge(undo_label="Note", undo_group="g"),
        "update_step_state, undo_label": lambda: store.update_step_state(
            FLOW, "s1", "review", {"text": str(time.monotonic())}, undo_label="Text"),
        "edit_step_state, undo_label and undo_group": edit, "edit_session, undo_label": edit_session,
        "undo": lambda: store.undo(FLOW, "s1", "review"), "redo": lambda: store.redo(FLOW, "s1", "review")}
    found: dict[str, set[int]] = {name: set() for name in methods}
    for i in range(12):
        for name, method in methods.items():
            before = relay.waits.value
            method()
            time.sleep(0.003)  # the last answer may still be in the relay
            if i >= 7: found[name].add(relay.waits.value - before)  # then the statements are prepared
    return {name: max(seen) for name, seen in found.items()}

def writer(opened: Open, sid: str, merges: int, ready: Any, start: Any, ends: Any) -> None:
    "Merge in a new process, which stands for another host."
    with opened() as store:
        for i in range(12): store.update_state(FLOW, sid, {f"key{os.getpid()}": -i})
        ready.release()
        start.wait()
        for i in range(merges): store.update_state(FLOW, sid, {f"key{os.getpid()}": i})
        ends.put(time.monotonic())

def rate(opened: Open, sessions: int, writers: int = 8, merges: int = 200) -> float:
    "Merges per second by several processes, into one session or one session each."
    context = get_context("spawn")
    ready, start, ends = context.Semaphore(0), context.Event(), context.Queue()
    crew = [context.Process(target=writer, args=(opened, f"s{i % sessions}", merges, ready, start, ends))
            for i in range(writers)]
    for one in crew: one.start()
    for _ in crew: ready.acquire(timeout=60)
    begun = time.monotonic()
    start.set()
    end = max(ends.get(timeout=120) for _ in crew)
    for one in crew: one.join()
    return writers * merges / float(end - begun)

def rates(opened: Open, rounds: int) -> dict[str, float]:
    kinds = {"1 writer": (1, 1), "8 writers, 1 session": (1, 8), "8 writers, 8 sessions": (8, 8)}
    runs = [{name: rate(opened, *kind) for name, kind in kinds.items()} for _ in range(rounds)]
    found = {name: round(median(run[name] for run in runs)) for name in kinds}
    times = median(run["8 writers, 8 sessions"] / run["8 writers, 1 session"] for run in runs)
    return {**found, "8 sessions to 1": round(times, 2)}

def usual(server: PostgresServer, rounds: int) -> dict[str, Any]:
    "The comparisons, over a Unix socket and through the relay."
    found: dict[str, Any] = {name: {} for name in ("us", "to the floor", "to the peer", "merges per second")}
    with closing(Relay(server)) as between:
        for latency in LATENCIES:
            name, conninfo = (f"{latency:g} ms", between.conninfo) if latency else ("Unix socket", server.conninfo)
            between.latency.value = latency
            with contenders(conninfo, f"at{latency:g}") as those:
                rows = turned({who: calls(one, SESSIONS) for who, one in those.items()})
                times = timed(rows, rounds, 0.2 + latency / 20)
            found["us"][name] = {**medians(times), "empty question": empty_question(conninfo)}
            found["to the floor"][name] = ratios(times, "package", "floor")
            found["to the peer"][name] = ratios(times, "package", "peer")
            opened = partial(PostgresWorkflowStateStore, conninfo, schema="rate")
            found["merges per second"][name] = rates(opened, 7 if latency < 10 else 3)
            say(name, *(json.dumps(part[name]) for part in found.values()))
        between.latency.value = 1
        with PostgresWorkflowStateStore(between.conninfo, schema="at1_package") as store:
            found["round trips"] = trips(store, between)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # for comparison
        file = partial(SQLiteWorkflowStateStore, Path(folder)/"wf.db", synchronous="FULL")
        with file() as store:
            for i in range(SESSIONS): store.update_state(FLOW, f"s{i}", STATE)
            found["us"]["SQLite"] = medians(timed(turned({"package": calls(of_package(store), SESSIONS)}), rounds, 0.2))
        found["merges per second"]["SQLite"] = rates(file, 7)
    return {**found, "targets": targets(found)}

def targets(found: dict[str, Any]) -> dict[str, Any]:
    "The targets: figure, limit, and whether the figure meets it."
    most: dict[str, tuple[float, float]] = {}
    for where, limit in ("Unix socket", 2.2), ("1 ms", 1.3):
        for call, ratio in found["to the floor"][where].items(): most[f"{call}, to the floor, {where}"] = ratio, limit
        most[f"merge, to the peer, {where}"] = found["to the peer"][where]["merge"], 1
    for name, number in found["round trips"].items():
        most[f"{name}, round trips"] = number, 1 if name.startswith(("get", "list")) else 2 if "update" in name else 3
    least = {"8 sessions to 1, merges per second, 1 ms": (found["merges per second"]["1 ms"]["8 sessions to 1"], 2.5)}
    return {name: {"is": figure, word: limit, "met": figure <= limit if word == "at most" else figure >= limit}
            for word, those in {"at most": most, "at least": least}.items() for name, (figure, limit) in those.items()}

def empty_question(conninfo: str) -> float:
    "Microseconds of a round trip with an empty statement."
    with psycopg.connect(conninfo, autocommit=True) as con:
        found = timed({"": {"": lambda: con.execute("")}}, 5, 0.1)
    return round(median(found[""][""]), 1)

def large(server: PostgresServer, sessions: int, rounds: int) -> dict[str, Any]:
    "Time the calls on `sessions` sessions and on 1,000, on one server; then again with its default memory."
    start, crew, us, targets = time.monotonic(), {}, {}, {}
    for number in (SESSIONS, sessions):
        store = PostgresWorkflowStateStore(server.conninfo, schema=f"n{number}")
        fill(store, "s0")
        multiply(server.conninfo, f"n{number}", number)
        crew[f"{number:,}"] = with_undo(store, number)
    with psycopg.connect(server.conninfo, autocommit=True) as con:
        con.execute("CHECKPOINT")
        sizes = con.execute(f"""
            SELECT relname, pg_relation_size(oid), pg_indexes_size(oid) FROM pg_class
            WHERE relnamespace = 'n{sessions}'::regnamespace AND relkind = 'r' AND relname <> 'workflow_schema'
            """).fetchall()
        [[rows]] = con.execute(f"SELECT count(*) FROM n{sessions}.workflow_value").fetchall()
    filled = round(time.monotonic() - start)
    say(f"filled in {filled} s")
    for memory in ("a quarter of the memory", "128MB"):
        if memory == "128MB": settings(server, shared_buffers=memory)
        times = timed(turned(crew), rounds, 0.4)
        us[memory] = medians(times)
        for name, ratio in ratios(times, f"{sessions:,}", f"{SESSIONS:,}").items():
            targets[f"{name}, to {SESSIONS:,} sessions, {memory}"] = {"is": ratio, "at most": 2, "met": ratio <= 2}
        say(memory, json.dumps(us[memory]))
    each = {name: {"table": round(table / sessions), "indexes": round(index / sessions)}
            for name, table, index in sizes}
    return {"us": us, "rows": rows, "seconds to fill": filled, "bytes a session": each, "targets": targets}

def with_undo(store: Any, sessions: int) -> dict[str, Callable[[], object]]:
    rng = random.Random(1)
    def undo() -> object:
        sid = f"s{rng.randrange(sessions)}"
        return store.undo(FLOW, sid, "review") or store.redo(FLOW, sid, "review")
    return {**calls(of_package(store), sessions), "undo": undo}

def settings(server: PostgresServer, **values: str) -> dict[str, str]:
    "Change these settings of the server; returns the settings that matter for the figures."
    with psycopg.connect(server.conninfo, autocommit=True) as con:
        for name, value in values.items(): con.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    server.restart()
    with psycopg.connect(server.conninfo) as con:
        return {name: con.execute(f"SHOW {name}").fetchall()[0][0] for name in SETTINGS}

def main() -> None:
    options = {*sys.argv[1:]}
    with PostgresServer(fsync=True) as server:
        told = settings(server, shared_buffers=QUARTER, max_wal_size="4GB")
        about = {**machine(server.folder), "psycopg": psycopg.__version__, **told}
        name = "large" if "--large" in options else "usual"
        found = large(server, 1_000_000, 15) if name == "large" else usual(server, 15)
    results = {"machine": about, **found}
    print(json.dumps(results, indent=1))
    if "--check" in options: return
    both = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    OUT.write_text(json.dumps({**both, name: results}, indent=1) + "\n", encoding="utf-8")

if __name__ == "__main__": main()
