"Importing the package, and what type checkers see of it."
import subprocess
import sys

import pytest
from type_checker import run_mypy

import cjm_workflow_state
from cjm_workflow_state import history, state_store

PUBLIC = {*history.__all__, *state_store.__all__}

TYPED = """
from collections.abc import Mapping
from typing import Any, TypedDict
from cjm_workflow_state import *

class Page(TypedDict):
    cursor: int

def use(page: Page, some: Mapping[str, Any]) -> None:
    with SQLiteWorkflowStateStore('wf.db') as store:
        store.backup('copy.db')
        store.update_state('f', 's', page)
        store.update_step_state('f', 's', 'a', some)
        store.list_sessions('f', 'label')
        with store.edit_session('f', 's') as session: session.current_step = 'a'
        store.undo('f', 's', keep=['a'])
"""


def test_import_star_and_dir_show_the_public_names():
    names = {}
    exec('from cjm_workflow_state import *', names)
    assert {name for name in names if name[:2] != '__'} == PUBLIC
    assert PUBLIC | {'__version__'} <= {*dir(cjm_workflow_state)}
    assert not {'Any', 'TYPE_CHECKING', 'import_module'} & {*dir(cjm_workflow_state)}
    with pytest.raises(AttributeError, match='SQLiteStore'): cjm_workflow_state.SQLiteStore


def test_importing_the_package_loads_no_module_of_it():
    code = "import sys, cjm_workflow_state; assert not [m for m in sys.modules if m.startswith('cjm_workflow_state.')]"
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize('mistake, message', [
    ('', ''), ("store.list_sessions('f', 'lable')", 'arg-type'), ("session.curent_step = 'b'", 'attr-defined'),
    ("store.edit_state('f', 's')['n']", 'index')])
def test_type_checkers_accept_right_calls_and_find_mistakes(tmp_path, mistake, message):
    found = run_mypy(f'{TYPED}        {mistake}\n', tmp_path)
    if mistake: assert message in found.stdout and 'Found 1 error' in found.stdout
    else: assert found.returncode == 0, found.stdout
