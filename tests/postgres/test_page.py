"The code of the tutorial runs on a server and prints what the page shows."
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = 'nbs/tutorials/machines.ipynb'

@pytest.mark.usefixtures('postgres')
def test_the_page_from_one_file_to_many_machines(postgres):
    pytest.importorskip('nbclient')
    run = subprocess.run([sys.executable, '.ci/outputs.py', '--check', PAGE], cwd=ROOT, capture_output=True, text=True,
                         env={**os.environ, 'DATABASE_URL': postgres.url})
    assert run.returncode == 0, run.stdout + run.stderr
