"What is measured: the operations of a store, this package, the simplest raw `sqlite3` that could work, and stores from the package index, used as their documentation shows."
import json
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from heapq import nlargest
from importlib.metadata import PackageNotFoundError, version
from operator import itemgetter
from typing import Any, Optional

from cjm_workflow_state.state_store import SessionSnapshot, SessionSummary, SQLiteWorkflowStateStore

FLOW = "review"
State = dict[str, Any]

class Store(ABC):
    "One file of sessions. A session has a label, a current step, the time of its last change, and a state with its steps in it."
    @abstractmethod
    def create(self, sid: str, state: State) -> None: "A new session."
    @abstractmethod
    def read(self, sid: str) -> State: "The whole state."
    @abstractmethod
    def read_step(self, sid: str, step: str) -> State: "One step's state."
    @abstractmethod
    def merge(self, sid: str, updates: State) -> None: "Set top-level keys."
    @abstractmethod
    def merge_step(self, sid: str, step: str, updates: State) -> None: "Set keys of one step."
    @abstractmethod
    def save(self, sid: str, state: State) -> None: "Save a state that was read and changed."
    @abstractmethod
    def undoable(self, sid: str, step: str, updates: State) -> None: "Set keys of one step, so that the last 50 such edits can be undone."
    @abstractmethod
    def get_step(self, sid: str) -> Optional[str]: "The current step."
    @abstractmethod
    def set_step(self, sid: str, step: str) -> None: "Move to a step."
    @abstractmethod
    def exists(self, sid: str) -> bool: "Whether there is such a session."
    @abstractmethod
    def newest(self, count: int) -> Sequence[Any]: "The sessions that changed last, without their state."

def push(step: State, updates: State) -> None:
    "Undo as apps do it without this package: a list of 50 snapshots inside the state."
    step["history"] = [*step.get("history", []), {key: step.get(key) for key in updates}][-50:]
    step.update(updates)

class Whole(Store):
    "A store that can only replace a session's state as a whole."
    @abstractmethod
    def change(self, sid: str, edit: Callable[[State], None]) -> None: "Read the state, edit it, write it."

    def read_step(self, sid: str, step: str) -> State: return dict(self.read(sid)["_step_" + step])
    def merge(self, sid: str, updates: State) -> None: self.change(sid, lambda state: state.update(updates))
    def merge_step(self, sid: str, step: str, updates: State) -> None: self.change(sid, lambda state: state["_step_" + step].update(updates))
    def undoable(self, sid: str, step: str, updates: State) -> None: self.change(sid, lambda state: push(state["_step_" + step], updates))

# This package

class Package(Store):
    def __init__(self, path: str, synchronous: str, depth: int = 50) -> None:
        self.store = SQLiteWorkflowStateStore(path, synchronous=synchronous, max_undo_depth=depth)

    def create(self, sid: str, state: State) -> None:
        self.store.create_session(FLOW, sid, label="Label " + sid)
        self.store.update_state(FLOW, sid, state)

    def read(self, sid: str) -> State: return self.store.get_state(FLOW, sid)
    def read_step(self, sid: str, step: str) -> State: return self.store.get_step_state(FLOW, sid, step)
    def merge(self, sid: str, updates: State) -> None: self.store.update_state(FLOW, sid, updates)
    def merge_step(self, sid: str, step: str, updates: State) -> None: self.store.update_step_state(FLOW, sid, step, updates)
    def save(self, sid: str, state: State) -> None: self.store.update_state(FLOW, sid, state)
    def undoable(self, sid: str, step: str, updates: State) -> None: self.store.update_step_state(FLOW, sid, step, updates, undo_label="Edit")
    def session(self, sid: str) -> Optional[SessionSnapshot]: return self.store.get_session(FLOW, sid)
    def edit(self, sid: str, step: str, updates: State) -> None:
        with self.store.edit_session(FLOW, sid) as session: session.step(step).update(updates)
    def get_step(self, sid: str) -> Optional[str]: return self.store.get_current_step(FLOW, sid)
    def set_step(self, sid: str, step: str) -> None: self.store.set_current_step(FLOW, sid, step)
    def exists(self, sid: str) -> bool: return self.store.session_exists(FLOW, sid)
    def newest(self, count: int) -> list[SessionSummary]: return self.store.list_sessions(FLOW, limit=count)

# Raw sqlite3: the floors

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

SESSION = """
CREATE TABLE IF NOT EXISTS session (
    id INTEGER PRIMARY KEY, flow_id TEXT NOT NULL, session_id TEXT NOT NULL, label TEXT, current_step TEXT,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, size INTEGER NOT NULL, revision INTEGER NOT NULL, {}
    UNIQUE (flow_id, session_id));
CREATE INDEX IF NOT EXISTS listing ON session (flow_id, updated, session_id, label, current_step, created, size, revision);
"""
FIELD = """
CREATE TABLE IF NOT EXISTS field (
    session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE, step TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    UNIQUE (session, step, key));
"""
THIS = "flow_id = ? AND session_id = ?"
TOUCH = "updated = ?, revision = revision + 1"

@dataclass
class Summary:
    flow_id: str
    session_id: str
    label: Optional[str]
    current_step: Optional[str]
    created: int
    updated: int
    size: int
    revision: int

def now() -> int: return time.time_ns() // 1000

class Raw(Store):
    "One connection with the pragmas of the package, and a lock for the job with threads."
    schema = ""

    def __init__(self, path: str, synchronous: str) -> None:
        self.con = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self.lock = threading.Lock()
        for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}", "secure_delete = FAST"):
            self.con.execute("PRAGMA " + pragma)
        self.con.executescript(self.schema)

    def get_step(self, sid: str) -> Optional[str]:
        row: Optional[tuple[Optional[str]]] = self.con.execute(f"SELECT current_step FROM session WHERE {THIS}", (FLOW, sid)).fetchone()
        return row[0] if row else None

    def exists(self, sid: str) -> bool:
        return self.con.execute(f"SELECT 1 FROM session WHERE {THIS}", (FLOW, sid)).fetchone() is not None

    def set_step(self, sid: str, step: str) -> None:
        with self.lock: self.con.execute(f"UPDATE session SET current_step = ?, {TOUCH} WHERE {THIS}", (step, now(), FLOW, sid))

    def newest(self, count: int) -> list[Summary]:
        return [Summary(*row) for row in self.con.execute("""
            SELECT flow_id, session_id, label, current_step, created, updated, size, revision FROM session
            WHERE flow_id = ? ORDER BY updated DESC LIMIT ?""", (FLOW, count))]

def fields(state: State) -> Iterator[tuple[str, str, str]]:
    "Step, key as JSON text, value as JSON text; step is '' for the session's own keys."
    for key, value in state.items():
        if key.startswith("_step_"): inside = {key[6:]: value}
        elif key == "step_states": inside = value
        else: inside = {"": {key: value}}
        for step, entries in inside.items():
            for name, part in entries.items(): yield step, encode(name), encode(part)

PUT = """INSERT INTO field (session, step, key, value) VALUES (?, ?, ?, ?)
ON CONFLICT (session, step, key) DO UPDATE SET value = excluded.value"""

class Fields(Raw):
    "A row per field."
    schema = SESSION.format("") + FIELD

    def create(self, sid: str, state: State) -> None:
        self.con.execute("BEGIN IMMEDIATE")
        [[session]] = self.con.execute("""
            INSERT INTO session (flow_id, session_id, label, created, updated, size, revision) VALUES (?, ?, ?, ?, ?, 0, 1) RETURNING id""",
            (FLOW, sid, "Label " + sid, now(), now())).fetchall()
        self.con.executemany(PUT, ((session, *row) for row in fields(state)))
        self.con.execute("COMMIT")

    def _select(self, columns: str, sid: str, more: str = "", *values: str) -> list[Any]:
        return self.con.execute(f"SELECT {columns} FROM field WHERE session = (SELECT id FROM session WHERE {THIS}){more}", (FLOW, sid, *values)).fetchall()

    def read(self, sid: str) -> State:
        inside: dict[str, list[str]] = {}
        for step, key, text in self._select("step, key, value", sid): inside.setdefault(step, []).append(f"{key}:{text}")
        parts = inside.pop("", []) + [encode("_step_" + step) + ":{" + ",".join(pairs) + "}" for step, pairs in inside.items()]
        state: State = json.loads("{" + ",".join(parts) + "}")
        return state

    def read_step(self, sid: str, step: str) -> State:
        pairs = [f"{key}:{text}" for key, text in self._select("key, value", sid, " AND step = ?", step)]
        state: State = json.loads("{" + ",".join(pairs) + "}")
        return state

    def _put(self, sid: str, rows: list[tuple[str, str, str]], sql: str = PUT) -> None:
        with self.lock:
            self.con.execute("BEGIN IMMEDIATE")
            [[session]] = self.con.execute(f"UPDATE session SET {TOUCH} WHERE {THIS} RETURNING id", (now(), FLOW, sid)).fetchall()
            for row in rows: self.con.execute(sql, (session, *row))
            self.con.execute("COMMIT")

    def merge(self, sid: str, updates: State) -> None: self._put(sid, [("", encode(key), encode(value)) for key, value in updates.items()])
    def merge_step(self, sid: str, step: str, updates: State) -> None: self._put(sid, [(step, encode(key), encode(value)) for key, value in updates.items()])
    def save(self, sid: str, state: State) -> None: self._put(sid, list(fields(state)), PUT + " WHERE value <> excluded.value")
    def undoable(self, sid: str, step: str, updates: State) -> None: self.merge_step(sid, step, updates)  # a plain write, without undo

class Blob(Raw, Whole):
    "One text per session."
    schema = SESSION.format("state TEXT NOT NULL,")

    def create(self, sid: str, state: State) -> None:
        self.con.execute("""
            INSERT INTO session (flow_id, session_id, label, created, updated, size, revision, state) VALUES (?, ?, ?, ?, ?, 0, 1, ?)""",
            (FLOW, sid, "Label " + sid, now(), now(), encode(state)))

    def read(self, sid: str) -> State:
        state: State = json.loads(self.con.execute(f"SELECT state FROM session WHERE {THIS}", (FLOW, sid)).fetchone()[0])
        return state

    def save(self, sid: str, state: State) -> None:
        self.con.execute(f"UPDATE session SET state = ?, {TOUCH} WHERE {THIS}", (encode(state), now(), FLOW, sid))

    def change(self, sid: str, edit: Callable[[State], None]) -> None:
        with self.lock:
            self.con.execute("BEGIN IMMEDIATE")
            state = self.read(sid)
            edit(state)
            self.save(sid, state)
            self.con.execute("COMMIT")

# Stores from the package index

Record = dict[str, Any]

def record(sid: str, state: State, step: Optional[str] = None) -> Record:
    return {"session_id": sid, "label": "Label " + sid, "current_step": step, "updated": time.time(), "state": state}

def summaries(records: Iterable[Record], count: int) -> list[Record]:
    newest = nlargest(count, records, key=itemgetter("updated"))
    return [{key: value for key, value in one.items() if key != "state"} for one in newest]

class Records(Whole):
    "One entry holds a whole session; a subclass reads and writes entries."
    def get(self, sid: str) -> Record: raise NotImplementedError
    def put(self, sid: str, entry: Record) -> None: raise NotImplementedError
    def all(self) -> Iterable[Record]: raise NotImplementedError
    def alone(self) -> AbstractContextManager[Any]: return nullcontext()

    def create(self, sid: str, state: State) -> None: self.put(sid, record(sid, state))
    def read(self, sid: str) -> State: return dict(self.get(sid)["state"])
    def save(self, sid: str, state: State) -> None: self.put(sid, record(sid, state, "review"))
    def get_step(self, sid: str) -> Optional[str]: return str(self.get(sid)["current_step"])
    def newest(self, count: int) -> list[Record]: return summaries(self.all(), count)
    def change(self, sid: str, edit: Callable[[State], None]) -> None: self._change(sid, lambda entry: edit(entry["state"]))
    def set_step(self, sid: str, step: str) -> None: self._change(sid, lambda entry: entry.update(current_step=step))

    def _change(self, sid: str, edit: Callable[[Record], None]) -> None:
        with self.alone():
            entry = self.get(sid)
            edit(entry)
            entry["updated"] = time.time()
            self.put(sid, entry)

class DiskcacheEntry(Records):
    def __init__(self, path: str, synchronous: str) -> None:
        from diskcache import Cache
        self.cache = Cache(path, eviction_policy="none")

    def get(self, sid: str) -> Record: return dict(self.cache[sid])
    def put(self, sid: str, entry: Record) -> None: self.cache[sid] = entry
    def all(self) -> Iterable[Record]: return (self.cache[sid] for sid in self.cache)
    def exists(self, sid: str) -> bool: return sid in self.cache
    def alone(self) -> AbstractContextManager[Any]: return self.cache.transact(retry=True)  # type: ignore[no-any-return]

class DiskcacheKeys(Store):
    def __init__(self, path: str, synchronous: str) -> None:
        from diskcache import Cache
        self.cache = Cache(path, eviction_policy="none")

    def create(self, sid: str, state: State) -> None:
        with self.cache.transact(retry=True):
            self.cache[sid] = record(sid, {})
            self._set(sid, state)

    def _set(self, sid: str, updates: State) -> None:
        for key, value in updates.items(): self.cache[f"{sid}/{key}"] = value

    def _touch(self, sid: str, **changes: Any) -> None: self.cache[sid] = {**self.cache[sid], "updated": time.time(), **changes}

    def read(self, sid: str) -> State: return {key.partition("/")[2]: self.cache[key] for key in self.cache if key.startswith(sid + "/")}
    def read_step(self, sid: str, step: str) -> State: return dict(self.cache[f"{sid}/_step_{step}"])

    def merge(self, sid: str, updates: State) -> None:
        with self.cache.transact(retry=True):
            self._set(sid, updates)
            self._touch(sid)

    def _change_step(self, sid: str, step: str, edit: Callable[[State], None]) -> None:
        with self.cache.transact(retry=True):
            state = self.read_step(sid, step)
            edit(state)
            self.merge(sid, {f"_step_{step}": state})

    def merge_step(self, sid: str, step: str, updates: State) -> None: self._change_step(sid, step, lambda state: state.update(updates))
    def undoable(self, sid: str, step: str, updates: State) -> None: self._change_step(sid, step, lambda state: push(state, updates))
    def save(self, sid: str, state: State) -> None: self.merge(sid, state)
    def get_step(self, sid: str) -> Optional[str]: return str(self.cache[sid]["current_step"])
    def exists(self, sid: str) -> bool: return sid in self.cache
    def newest(self, count: int) -> list[Record]: return summaries((self.cache[key] for key in self.cache if "/" not in key), count)

    def set_step(self, sid: str, step: str) -> None:
        with self.cache.transact(retry=True): self._touch(sid, current_step=step)

class DiskcacheOneKey(DiskcacheKeys):
    "A merge only sets its keys: no session records when it changed."
    def merge(self, sid: str, updates: State) -> None: self._set(sid, updates)

class Sqlitedict(Records):
    def __init__(self, path: str, synchronous: str) -> None:
        from sqlitedict import SqliteDict
        self.entries = SqliteDict(path, timeout=30)

    def get(self, sid: str) -> Record: return dict(self.entries[sid])
    def all(self) -> Iterable[Record]: return self.entries.itervalues()  # type: ignore[no-any-return]
    def exists(self, sid: str) -> bool: return sid in self.entries

    def put(self, sid: str, entry: Record) -> None:
        self.entries[sid] = entry
        self.entries.commit()

class Huey(Records):
    def __init__(self, path: str, synchronous: str) -> None:
        from huey.serializer import Serializer
        from huey.storage import SqliteStorage
        self.storage, self.serializer = SqliteStorage(filename=path, timeout=30), Serializer()

    def get(self, sid: str) -> Record: return dict(self.serializer.deserialize(self.storage.peek_data(sid)))
    def put(self, sid: str, entry: Record) -> None: self.storage.put_data(sid, self.serializer.serialize(entry))
    def all(self) -> Iterable[Record]: return map(self.serializer.deserialize, self.storage.result_items().values())
    def exists(self, sid: str) -> bool: return bool(self.storage.has_data_for_key(sid))

class Langgraph(Records):
    def __init__(self, path: str, synchronous: str) -> None:
        from langgraph.checkpoint.base import empty_checkpoint
        from langgraph.checkpoint.sqlite import SqliteSaver
        self.empty = empty_checkpoint
        self.saver: Any = SqliteSaver(sqlite3.connect(path, timeout=30, check_same_thread=False))
        self.saver.setup()

    def _config(self, sid: str) -> Any: return {"configurable": {"thread_id": sid, "checkpoint_ns": ""}}

    def get(self, sid: str) -> Record: return dict(self.saver.get_tuple(self._config(sid)).checkpoint["channel_values"])
    def exists(self, sid: str) -> bool: return self.saver.get_tuple(self._config(sid)) is not None
    def undoable(self, sid: str, step: str, updates: State) -> None: self.merge_step(sid, step, updates)

    def put(self, sid: str, entry: Record) -> None:
        self.saver.put(self._config(sid), {**self.empty(), "channel_values": entry}, {}, {})

    def newest(self, count: int) -> list[Record]:
        found: dict[str, Record] = {}
        for one in self.saver.list(None):  # newest first
            found.setdefault(one.config["configurable"]["thread_id"], one.checkpoint["channel_values"])
            if len(found) == count: break
        return summaries(found.values(), count)

class SqliteUtils(Whole):
    columns = "session_id, label, current_step, updated"

    def __init__(self, path: str, synchronous: str) -> None:
        self.path, self.local = path, threading.local()
        self.table.create({"session_id": str, "label": str, "current_step": str, "updated": float, "state": str}, pk="session_id", if_not_exists=True)
        self.table.create_index(["updated"], if_not_exists=True)

    @property
    def table(self) -> Any:
        "Each thread has its own `Database`, because threads cannot share one."
        if not hasattr(self.local, "table"):
            from sqlite_utils import Database
            db = Database(sqlite3.connect(self.path, timeout=30))
            db.enable_wal()
            self.local.table = db["session"]
        return self.local.table

    def create(self, sid: str, state: State) -> None: self.table.insert(record(sid, state), pk="session_id")
    def read(self, sid: str) -> State: return dict(json.loads(self.table.get(sid)["state"]))
    def save(self, sid: str, state: State) -> None: self.table.update(sid, {"state": state, "updated": time.time()})
    def set_step(self, sid: str, step: str) -> None: self.table.update(sid, {"current_step": step, "updated": time.time()})
    def get_step(self, sid: str) -> Optional[str]: return str(self._where(sid, "current_step")[0]["current_step"])
    def exists(self, sid: str) -> bool: return bool(self._where(sid, "1"))
    def newest(self, count: int) -> list[Record]: return list(self.table.rows_where(select=self.columns, order_by="updated desc", limit=count))
    def _where(self, sid: str, columns: str) -> list[Record]: return list(self.table.rows_where("session_id = ?", [sid], select=columns))

    def change(self, sid: str, edit: Callable[[State], None]) -> None:
        state = self.read(sid)
        edit(state)
        self.save(sid, state)

# All of them

@dataclass(frozen=True)
class Kind:
    "A store and the way it is used."
    store: Callable[..., Store]
    synchronous: str  # how it is opened; "" for its default
    package: str      # distribution; "" for raw sqlite3
    how: str          # one sentence for the page

    def open(self, path: str, **options: Any) -> Store: return self.store(path, self.synchronous, **options)

    @property
    def floor(self) -> bool: return not self.package

    @property
    def version(self) -> Optional[str]:
        "The installed version, or `None`."
        try: return version(self.package)
        except PackageNotFoundError: return None

_FIELDS = "Raw `sqlite3`, one open connection, a row per field; each write also touches the session's row in the same transaction."
_BLOB = "Raw `sqlite3`, one open connection, the state as one JSON text in the session's row; read, change and write in one transaction."
_OURS = "`update_state` and `update_step_state` with what changed; `undo_label=` for undo."

KINDS = {
    "fields-NORMAL": Kind(Fields, "NORMAL", "", _FIELDS),
    "fields-FULL": Kind(Fields, "FULL", "", _FIELDS),
    "blob-NORMAL": Kind(Blob, "NORMAL", "", _BLOB),
    "blob-FULL": Kind(Blob, "FULL", "", _BLOB),
    "package-NORMAL": Kind(Package, "NORMAL", "cjm-workflow-state", _OURS),
    "package-FULL": Kind(Package, "FULL", "cjm-workflow-state", _OURS),
    "diskcache-keys": Kind(DiskcacheKeys, "NORMAL", "diskcache",
        "An entry per top-level key and one for the session; entries that belong together change inside `transact()`; eviction is off."),
    "diskcache-one-key": Kind(DiskcacheOneKey, "NORMAL", "diskcache",
        "The same, but a merge sets the one key alone: no time of change, no revision, no second entry."),
    "diskcache-entry": Kind(DiskcacheEntry, "NORMAL", "diskcache",
        "One entry per session; read, change and write inside `transact()`; eviction is off."),
    "sqlitedict": Kind(Sqlitedict, "OFF", "sqlitedict",
        "One entry per session, and `commit()`, which waits, after each write. It sets `synchronous=OFF` itself."),
    "langgraph": Kind(Langgraph, "FULL", "langgraph-checkpoint-sqlite",
        "`SqliteSaver.get_tuple` and `put`, the keys as channels; each `put` keeps the checkpoints before it, which are its undo."),
    "huey": Kind(Huey, "FULL", "huey", "`SqliteStorage.peek_data` and `put_data` with huey's own serializer, one entry per session."),
    "sqlite-utils": Kind(SqliteUtils, "FULL", "sqlite-utils",
        "A table with a row per session, the state in a JSON column, WAL, an index on the time; `get`, then `update`."),
}
