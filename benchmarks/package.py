"This package."
from typing import Optional

from benchmarks.stores import FLOW, State, Store
from cjm_workflow_state.state_store import SessionSnapshot, SessionSummary, SQLiteWorkflowStateStore

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
