"What type checkers know about the public API, and what importing the package does not load."
import subprocess
import sys

import pytest
from type_checker import run_mypy

CODE = '''
from typing import Any, Dict, List, Optional
from typing_extensions import assert_type
from cjm_workflow_state.state_store import (
    AsyncWorkflowStateStore, SessionEdit, SessionSummary, SQLiteWorkflowStateStore, UndoEntry)

async def main() -> None:
    store = AsyncWorkflowStateStore(SQLiteWorkflowStateStore("wf.db"))
    assert_type(await store.get_state("f", "s", keys=["n"]), Dict[str, Any])
    assert_type(await store.undo("f", "s", count=2), Optional[List[UndoEntry]])
    assert_type(await store.list_sessions("f", limit=5), List[SessionSummary])
    assert_type(await store.wait_for_change("f", "s", 3, timeout=5), int)
    async with store.edit_session("f", "s", undo_label="x") as edit: assert_type(edit, SessionEdit)
    async with store.edit_step_state("f", "s", "a") as state: assert_type(state, Dict[str, Any])
    await store.get_state("f", 1)
    await store.update_state("f", "s")
    await store.update_state("f", "s", {}, undo="x")
    store.edit_state("f", "s", label="x")
'''

def test_type_checkers_know_the_coroutines(tmp_path):
    run = run_mypy(CODE, tmp_path)
    first = CODE.splitlines().index('    await store.get_state("f", 1)') + 1
    errors = [line.split(': ', 2)[::2] for line in run.stdout.splitlines() if ': error: ' in line]
    assert [place for place, _ in errors] == [f'code.py:{first + i}' for i in range(4)], run.stdout + run.stderr
    assert all(kind in text for kind, (_, text) in zip(['[arg-type]', '[call-arg]', '[call-arg]', '[call-arg]'], errors))

@pytest.mark.parametrize('module', ['cjm_workflow_state', 'cjm_workflow_state.state_store'])
def test_importing_loads_nothing_big_and_starts_no_thread(module):
    code = f'import sys, threading, {module}; print([name for name in ("argparse", "asyncio", "concurrent.futures", "logging", "psycopg") if name in sys.modules], threading.active_count())'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout == '[] 1\n'
