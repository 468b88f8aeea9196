"Conflicts: fields that another write has changed since the action."
from cjm_workflow_state.state_store import UndoConflictError

from .helpers import F, S, labels, refuses

def test_a_field_that_has_changed_since_is_a_conflict(store):
    store.update_state(F, S, {'a': 1, 'b': 1, 'doc': {'x': 1, 'y': 1}})
    store.update_state(F, S, {'a': 2, 'b': 2, 'doc': {'x': 2, 'y': 1}}, undo_label='Three')
    store.update_state(F, S, {'a': 3, 'doc': {'x': 3, 'y': 1}})
    error = refuses(store, UndoConflictError, 'doc.x', lambda: store.undo(F, S))
    assert sorted(error.keys) == ['a', 'doc'] and "'a'" in str(error)
    for force in (['a'], ['doc', 'b'], [], False):
        refuses(store, UndoConflictError, '', lambda: store.undo(F, S, force=force))
    store.undo(F, S, force=['a', 'doc', 'more'])
    assert store.get_state(F, S) == {'a': 1, 'b': 1, 'doc': {'x': 1, 'y': 1}}
    store.redo(F, S)
    assert store.get_state(F, S) == {'a': 3, 'b': 2, 'doc': {'x': 3, 'y': 1}}, 'redo restores what undo overwrote'
    for bad in ('a', 5, [5]): refuses(store, TypeError, 'force', lambda: store.undo(F, S, force=bad))

def test_redo_has_the_same_conflicts_as_undo(store):
    store.update_step_state(F, S, 'a', {'n': 1})
    store.update_step_state(F, S, 'a', {'n': 2}, undo_label='two')
    store.undo(F, S, 'a')
    store.update_step_state(F, S, 'a', {'n': 3})
    error = refuses(store, UndoConflictError, "'n'", lambda: store.redo(F, S, 'a'))
    assert error.keys == ['n'], "keys of the step, not of the session"
    assert labels(store.redo(F, S, 'a', force=True)) == ['two'] and store.get_step_state(F, S, 'a') == {'n': 2}
    store.undo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'n': 3}

def test_forced_undo_keeps_what_the_action_did_not_change(store):
    store.update_state(F, S, {'doc': {'x': 1, 'y': 1}})
    store.update_state(F, S, {'doc': {'x': 2, 'y': 1}}, undo_label='x')
    store.update_state(F, S, {'doc': {'x': 3, 'y': 3, 'z': 3}, 'other': 3})
    store.undo(F, S, force=True)
    assert store.get_state(F, S) == {'doc': {'x': 1, 'y': 3, 'z': 3}, 'other': 3}

def test_a_conflict_in_one_of_several_actions_undoes_none(store):
    for n in range(3): store.update_state(F, S, {f'k{n}': n}, undo_label=f'k{n}')
    store.update_state(F, S, {'k0': 'changed'})
    refuses(store, UndoConflictError, 'k0', lambda: store.undo(F, S, count=3))
    assert labels(store.undo(F, S, count=3, force=['k0'])) == ['k2', 'k1', 'k0'] and store.get_state(F, S) == {}
