"The code of the pages on PostgreSQL, run on a server: what a page shows is what happens."
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = 'machines', 'postgres'

@pytest.mark.parametrize('page', PAGES)
@pytest.mark.usefixtures('postgres')
def test_page(postgres, page):
    pytest.importorskip('nbclient')
    run = subprocess.run([sys.executable, '.ci/outputs.py', '--check', f'nbs/tutorials/{page}.ipynb'], cwd=ROOT, capture_output=True, text=True,
                         env={**os.environ, 'DATABASE_URL': postgres.url})
    assert run.returncode == 0, run.stdout + run.stderr
