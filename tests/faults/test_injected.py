"The n-th write, sync, truncation, rename, read, deletion, open or new folder of a call fails: the call is done, or refused by name, and nothing is lost."
import pytest

from .power import under_shim
from .processes import old_file, run

@pytest.mark.rounds(12, 1)
def test_injected_faults(tmp_path, rounds, figures):
    "Every so many of them."
    old_file(tmp_path/'old.db', 5)
    figures |= run('injected', str(tmp_path/'live'), str(tmp_path/'old.db'), rounds, before=under_shim(tmp_path/'live'), longest=1800)
    bad = figures.pop('bad')
    assert figures['refused'] > 20 and figures['done_all_the_same'] and not bad, (len(bad), bad[:5], figures)
