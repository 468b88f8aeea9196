"Stores from the package index, each used in the way its documentation shows."
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from heapq import nlargest
from operator import itemgetter
from typing import Any, Optional

from benchmarks.stores import State, Store, Whole, push

Record = dict[str, Any]

def record(sid: str, state: State, step: Optional[str] = None) -> Record:
    return {"session_id": sid, "label": "Label " + sid, "current_step": step, "updated": time.time(), "state": state}

def summaries(records: Iterable[Record], count: int) -> list[Record]:
    newest = nlargest(count, records, key=itemgetter("updated"))
    return [{key: value for key, value in one.items() if key != "state"} for one in newest]

class Records(Whole):
    "One entry per session holds all; a subclass says how an entry is read and written."
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
    "A merge sets its keys and nothing else: no session that knows when it changed."
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
        "Each thread has its own `Database`, which is not for several."
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
