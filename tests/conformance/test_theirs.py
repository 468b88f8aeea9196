"The contract's tests run on a store of somebody else, and see where it differs."
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STORE = '''
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

class Right(SQLiteWorkflowStateStore): pass

class Wrong(Right):
    def undo(self, *args, force=False, **kw): return super().undo(*args, force=True, **kw)

def open_right(name, **options): return Right(f'{name}.db', **options)
def open_wrong(name, **options): return Wrong(f'{name}.db', **options)
'''

@pytest.mark.parametrize('factory, failed', [
    ('open_right', set()),
    ('open_wrong', {'test_a_field_that_holds_something_else_now_is_a_conflict',
                    'test_of_several_actions_a_conflict_in_one_moves_none'})])
def test_store_of_somebody_else(tmp_path, factory, failed):
    (tmp_path/'their_module.py').write_text(STORE)
    contract = Path(__file__).with_name('test_contract.py')
    done = subprocess.run([
        sys.executable, '-m', 'pytest', contract, '--store', f'their_module:{factory}', '-k', 'conflict and not redo',
        '-q', '-rf', '--tb=no', '-p', 'no:cacheprovider'], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert {*re.findall(r'^FAILED .*::(\w+)', done.stdout, re.M)} == failed, done.stdout + done.stderr
    assert f'{2 - len(failed)} passed' in done.stdout or failed
    assert list(tmp_path.glob('wf*.db')), 'none of their stores was opened'
