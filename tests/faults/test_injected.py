"The n-th write, sync, truncation, rename, read, deletion or opening fails: the call succeeds or raises an error that names the file, and nothing is lost."
import pytest

from .power import under_shim
from .processes import old_file, run

@pytest.mark.rounds(12, 1)
def test_injected_faults(tmp_path, rounds, figures):
    old_file(tmp_path/'old.db', 5)
    live = tmp_path/'live'
    figures |= run('injected', str(live), str(tmp_path/'old.db'), rounds, before=under_shim(live), longest=1800)
    bad = figures.pop('bad')
    assert figures['refused'] > 20 and figures['done_all_the_same'] and not bad, (len(bad), bad[:5], figures)
