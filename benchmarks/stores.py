"What is measured, and what each store must be able to do."
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Optional

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
    def undoable(self, sid: str, step: str, updates: State) -> None: "Set keys of one step so that the last 50 such edits can be undone."
    @abstractmethod
    def get_step(self, sid: str) -> Optional[str]: "The current step."
    @abstractmethod
    def set_step(self, sid: str, step: str) -> None: "Move to a step."
    @abstractmethod
    def exists(self, sid: str) -> bool: "Whether there is such a session."
    @abstractmethod
    def newest(self, count: int) -> Sequence[Any]: "The sessions changed last, without their state."

def push(step: State, updates: State) -> None:
    "What apps do for undo today: a list of 50 snapshots inside the state."
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

@dataclass(frozen=True)
class Kind:
    "A store and the way it is used."
    place: str        # module:class
    synchronous: str  # what it is opened with, or its default
    package: str      # distribution; "" for raw sqlite3
    how: str          # one sentence for the reader

    def open(self, path: str, **options: Any) -> Store:
        module, name = self.place.split(":")
        made: Store = getattr(import_module("benchmarks." + module), name)(path, self.synchronous, **options)
        return made

    @property
    def floor(self) -> bool: return not self.package

    @property
    def version(self) -> Optional[str]:
        "`None` where it isn't installed."
        try: return version(self.package)
        except PackageNotFoundError: return None

_FIELDS = "Raw `sqlite3`, one open connection, a row per field; each write also touches the session's row in the same transaction."
_BLOB = "Raw `sqlite3`, one open connection, the state as one JSON text in the session's row; read, change and write in one transaction."
_OURS = "`update_state` and `update_step_state` with what changed; `undo_label=` for undo."

KINDS = {
    "fields-NORMAL": Kind("floors:Fields", "NORMAL", "", _FIELDS),
    "fields-FULL": Kind("floors:Fields", "FULL", "", _FIELDS),
    "blob-NORMAL": Kind("floors:Blob", "NORMAL", "", _BLOB),
    "blob-FULL": Kind("floors:Blob", "FULL", "", _BLOB),
    "package-NORMAL": Kind("package:Package", "NORMAL", "cjm-workflow-state", _OURS),
    "package-FULL": Kind("package:Package", "FULL", "cjm-workflow-state", _OURS),
    "diskcache-keys": Kind("others:DiskcacheKeys", "NORMAL", "diskcache",
        "An entry per top-level key and one for the session; entries that belong together change inside `transact()`; eviction is off."),
    "diskcache-one-key": Kind("others:DiskcacheOneKey", "NORMAL", "diskcache",
        "The same, but a merge sets the one key alone: no time of change, no revision, no second entry."),
    "diskcache-entry": Kind("others:DiskcacheEntry", "NORMAL", "diskcache",
        "One entry per session; read, change and write inside `transact()`; eviction is off."),
    "sqlitedict": Kind("others:Sqlitedict", "OFF", "sqlitedict",
        "One entry per session, and `commit()`, which waits, after each write. It sets `synchronous=OFF` itself."),
    "langgraph": Kind("others:Langgraph", "FULL", "langgraph-checkpoint-sqlite",
        "`SqliteSaver.get_tuple` and `put`, the keys as channels; each `put` keeps the checkpoints before it, which are its undo."),
    "huey": Kind("others:Huey", "FULL", "huey", "`SqliteStorage.peek_data` and `put_data` with huey's own serializer, one entry per session."),
    "sqlite-utils": Kind("others:SqliteUtils", "FULL", "sqlite-utils",
        "A table with a row per session, the state in a JSON column, WAL, an index on the time; `get`, then `update`."),
}
