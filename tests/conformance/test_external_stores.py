"The conformance suite runs on a store from outside this package, and finds where it breaks a rule."
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STORES = '''
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

class Correct(SQLiteWorkflowStateStore): pass

class Broken(Correct):
    def undo(self, *args, force=False, **kw): return super().undo(*args, force=True, **kw)

def open_correct(name, **options): return Correct(f'{name}.db', **options)
def open_broken(name, **options): return Broken(f'{name}.db', **options)
'''

@pytest.mark.parametrize('factory, failed', [
    ('open_correct', set()),
    ('open_broken', {'test_a_field_that_has_changed_since_is_a_conflict',
                     'test_a_conflict_in_one_of_several_actions_undoes_none'})])
def test_an_external_store(tmp_path, factory, failed):
    (tmp_path/'external_stores.py').write_text(STORES)
    conflicts = Path(__file__).with_name('test_undo_conflicts.py')
    run = subprocess.run([
        sys.executable, '-m', 'pytest', conflicts, '--store', f'external_stores:{factory}',
        '-k', 'has_changed_since_is or undoes_none', '-q', '-rf', '--tb=no', '-p', 'no:cacheprovider'],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert {*re.findall(r'^FAILED .*::(\w+)', run.stdout, re.M)} == failed, run.stdout + run.stderr
    assert f'{2 - len(failed)} passed' in run.stdout or failed
    assert list(tmp_path.glob('wf*.db')), 'no external store was opened'
