"Raw `sqlite3`: the least code that could work, to compare the others with."
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

from benchmarks.stores import FLOW, State, Store, Whole

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
    "One connection with the package's pragmas; a lock, for the job with threads."
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
    def undoable(self, sid: str, step: str, updates: State) -> None: self.merge_step(sid, step, updates)  # the plain write: no undo

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
