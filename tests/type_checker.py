"Runs mypy on a piece of code that uses the package."
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cjm_workflow_state
import pytest


def run_mypy(code, folder):
    "The finished process; its output names the file `code.py`."
    if not find_spec('mypy'): pytest.skip('mypy is not installed')
    (folder/'code.py').write_text(code)
    root = Path(cjm_workflow_state.__file__).parents[1]  # mypy does not follow an editable install
    path = {} if 'site-packages' in root.parts else {'MYPYPATH': str(root)}
    return subprocess.run([sys.executable, '-m', 'mypy', '--strict', '--hide-error-context',
                           '--follow-imports=silent',  # the types gate checks the package, with psycopg installed
                           '--cache-dir', str(folder/'cache'), 'code.py'],
                          cwd=folder, env={**os.environ, **path}, capture_output=True, text=True)
