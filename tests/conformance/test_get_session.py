"`get_session`: everything about a session from one snapshot."
import dataclasses

import pytest

from cjm_workflow_state.state_store import UndoHistory

from .helpers import F, LONG, S, labels, refuses

def test_get_session_returns_one_consistent_snapshot(full):
    one, summary = full.get_session(F, S), full.get_session_summary(F, S)
    assert [getattr(one, f.name) for f in dataclasses.fields(summary)] == list(dataclasses.astuple(summary))
    assert one.state == {'n': 1, 'doc': {'cursor': 0, 'text': LONG}} and one.step('a') == {'n': 1}
    assert one.step('none') == {} and one.history('none') == UndoHistory([], [])
    assert one.history() == full.get_undo_history(F, S) and one.history('a') == full.get_undo_history(F, S, 'a')
    assert (labels(one.history().undo), labels(one.history().redo)) == (['Own'], ['More'])

def test_keys_and_steps_limit_what_get_session_loads(full):
    full.update_step_state(F, S, 'b', {'m': 2})
    assert full.get_session(F, S, keys=['n', 'none', '_step_a']).state == {'n': 1}
    assert full.get_session(F, S, keys=[]).step('b') == {'m': 2}
    one = full.get_session(F, S, steps=['a', 'none'])
    assert (one.step('a'), one.step('none'), list(one.state)) == ({'n': 1}, {}, ['n', 'doc'])
    for read in (one.step, one.history, full.get_session(F, S, steps=[]).step):
        with pytest.raises(LookupError, match="'b'"): read('b')
    for bad in ('a', 5, [5]):
        refuses(full, TypeError, 'keys', lambda: full.get_session(F, S, keys=bad))
        refuses(full, TypeError, 'steps', lambda: full.get_session(F, S, steps=bad))