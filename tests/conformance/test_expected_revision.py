"`expected_revision=`: two tabs that save the same session."
from concurrent.futures import ThreadPoolExecutor

import pytest

from cjm_workflow_state.state_store import StaleSessionError

from .helpers import F, S, WRITE_METHODS, call, refuses, revision

@pytest.mark.parametrize('method', WRITE_METHODS)
def test_every_write_checks_the_expected_revision(full, method):
    actual = revision(full)
    for stale in (actual - 1, actual + 1, 0):
        error = refuses(full, StaleSessionError, str(stale), lambda: call(full, method, expected_revision=stale))
        assert (error.expected, error.actual) == (stale, actual) and str(actual) in str(error)
    for bad in (-1, True, '1', 1.0):
        refuses(full, ValueError, 'expected_revision', lambda: call(full, method, expected_revision=bad))
    call(full, method, expected_revision=actual)
    error = refuses(full, StaleSessionError, '3', lambda: call(full, method, session_id='none', expected_revision=3))
    assert error.actual == 0

@pytest.mark.parametrize('method', ['set_current_step', 'update_state', 'update_step_state', 'edit_state',
                                    'edit_step_state', 'edit_session'])
def test_expected_revision_0_means_that_the_session_must_not_exist(store, method):
    call(store, method, expected_revision=0)
    assert revision(store) == 1
    refuses(store, StaleSessionError, '0', lambda: call(store, method, expected_revision=0))

def test_only_one_of_several_saves_with_the_same_revision_succeeds(store):
    store.create_session(F, S)
    def save(i):
        try: store.update_state(F, S, {f'k{i}': i}, expected_revision=1)
        except StaleSessionError: return 0
        return 1
    with ThreadPoolExecutor(8) as pool: assert sum(pool.map(save, range(8))) == 1
    assert len(store.get_state(F, S)) == 1 and revision(store) == 2
    store.update_state(F, S, {'n': 1})  # a write without expected_revision is never refuses
