"Conflicts: fields that another write has changed since the action."
import pickle

import pytest

from cjm_workflow_state.state_store import UndoConflictError

from .helpers import F, S, labels, redo_labels, refuses, revision, undo_labels

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

def accept_then_reject(store, step='a'):
    store.update_step_state(F, S, step, {'verdict': 'open', 'note': '', 'n': 1})
    store.update_step_state(F, S, step, {'n': 2}, undo_label='Count')
    store.update_step_state(F, S, step, {'verdict': 'accept', 'note': 'fine'}, undo_label='Accept')
    store.update_step_state(F, S, step, {'verdict': 'reject'})

def test_the_error_names_the_action(store):
    accept_then_reject(store)
    error = refuses(store, UndoConflictError, "'Accept'", lambda: store.undo(F, S, 'a'))
    assert (error.label, error.keys) == ('Accept', ['verdict'])
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.label, copied.keys, copied.fields, str(copied)) == (error.label, error.keys, error.fields, str(error))
    for n in range(2): store.update_state(F, S, {f'k{n}': n}, undo_label=f'k{n}')
    store.update_state(F, S, {'k0': 'changed'})
    assert refuses(store, UndoConflictError, "'k0'", lambda: store.undo(F, S, count=2)).label == 'k0'

@pytest.mark.parametrize('before, after', [(1, 2), ({'x': 1}, {'x': 2}), ([1], [2]), (None, 0), ('a', 'b' * 900)])
def test_a_field_that_already_holds_what_undo_would_restore_is_no_conflict(store, before, after):
    store.update_step_state(F, S, 'a', {'value': before, 'other': 1})
    store.update_step_state(F, S, 'a', {'value': after, 'other': 2}, undo_label='Set')
    store.update_step_state(F, S, 'a', {'value': before})
    assert labels(store.undo(F, S, 'a')) == ['Set']
    assert store.get_step_state(F, S, 'a') == {'value': before, 'other': 1}
    store.redo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'value': before, 'other': 2}, 'redo reverses what undo did'

def test_a_field_that_undo_would_remove_and_that_is_gone_is_no_conflict(store):
    store.update_state(F, S, {'a': {'p': 1, 'x': 1}, 'n': 1}, undo_label='Add')
    store.update_state(F, S, {'a': 5}, undo_label='Replace')
    store.update_state(F, S, {}, remove=['a'])
    with pytest.raises(UndoConflictError): store.undo(F, S)
    store.undo(F, S, keep=True)
    assert labels(store.undo(F, S)) == ['Add'] and store.get_state(F, S) == {}
    store.update_state(F, S, {'b': {'p': 1}})
    store.update_state(F, S, {'b': {'p': 1, 'q': 1}}, undo_label='q')
    store.update_state(F, S, {'b': 5})
    assert labels(store.undo(F, S)) == ['q'] and store.get_state(F, S) == {'b': 5}

@pytest.mark.parametrize('keep', [True, ['verdict'], ['verdict', 'more'], ('verdict',)])
def test_keep_leaves_conflicting_fields_and_restores_the_others(store, keep):
    accept_then_reject(store)
    assert labels(store.undo(F, S, 'a', keep=keep)) == ['Accept']
    assert store.get_step_state(F, S, 'a') == {'verdict': 'reject', 'note': '', 'n': 2}
    assert (undo_labels(store, 'a'), redo_labels(store, 'a')) == (['Count'], ['Accept'])
    store.redo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'verdict': 'reject', 'note': 'fine', 'n': 2}
    store.undo(F, S, 'a', count=2)
    assert store.get_step_state(F, S, 'a') == {'verdict': 'reject', 'note': '', 'n': 1}
    assert store.check() == []

def test_an_action_of_which_nothing_is_left_is_dropped(store):
    for n in range(3): store.update_state(F, S, {f'k{n}': n}, undo_label=f'k{n}')
    store.undo(F, S)
    store.update_state(F, S, {'k1': 'changed'})
    refuses(store, UndoConflictError, "'k1'", lambda: store.undo(F, S, keep=['k0']))
    now = revision(store)
    assert store.undo(F, S, keep=True) == [] and revision(store) == now + 1
    assert (undo_labels(store), redo_labels(store)) == (['k0'], ['k2']), 'neither undone nor in the way'
    assert store.get_state(F, S) == {'k0': 0, 'k1': 'changed'} and store.check() == []
    store.redo(F, S)
    assert labels(store.undo(F, S, count=2)) == ['k2', 'k0'] and store.get_state(F, S) == {'k1': 'changed'}
    assert store.undo(F, S) is None

def test_several_actions_with_keep_move_those_that_are_left(store):
    for n in range(5): store.update_state(F, S, {f'k{n}': n}, undo_label=f'k{n}')
    store.update_state(F, S, {'k1': 'changed', 'k3': 'changed'})
    assert labels(store.undo(F, S, count=5, keep=True)) == ['k4', 'k2', 'k0']
    assert redo_labels(store) == ['k0', 'k2', 'k4'] and store.check() == []
    assert store.get_state(F, S) == {'k1': 'changed', 'k3': 'changed'}
    store.update_state(F, S, {'k2': 'changed'})
    assert labels(store.redo(F, S, count=3, keep=['k2'])) == ['k0', 'k4']
    assert (undo_labels(store), redo_labels(store)) == (['k4', 'k0'], []) and store.check() == []
    for n in range(60): store.update_state(F, S, {'n': n}, undo_label=f'n={n}')
    assert len(undo_labels(store)) == 50 and store.check() == []

@pytest.mark.parametrize('force, keep, left', [
    (['a'], ['b'], {'a': 0, 'b': 2}), (['a'], True, {'a': 0, 'b': 2}), (True, ['b'], {'a': 0, 'b': 2}),
    (['a', 'b'], True, {'a': 0, 'b': 0}), (True, (), {'a': 0, 'b': 0}), (True, False, {'a': 0, 'b': 0})])
def test_force_and_keep_together(store, force, keep, left):
    store.update_state(F, S, {'a': 0, 'b': 0})
    store.update_state(F, S, {'a': 1, 'b': 1}, undo_label='One')
    store.update_state(F, S, {'a': 2, 'b': 2})
    store.undo(F, S, force=force, keep=keep)
    assert store.get_state(F, S) == left

@pytest.mark.parametrize('kind, names, choice', [
    (TypeError, 'force must be True, False or a list of keys, not 1', {'force': 1}),
    (TypeError, 'keep must be True, False or a list of keys, not None', {'keep': None}),
    (TypeError, "keep must be True, False or a list of keys, not 'a'", {'keep': 'a'}),
    (TypeError, 'keep must contain str keys, not 5', {'keep': [5]}),
    (ValueError, "in both force and keep: 'a'", {'force': ['a', 'b'], 'keep': ['a']}),
    (ValueError, 'force=True and keep=True', {'force': True, 'keep': True})])
@pytest.mark.parametrize('method', ['undo', 'redo'])
def test_force_and_keep_are_checked_first(full, method, kind, names, choice):
    refuses(full, kind, names, lambda: getattr(full, method)(F, 'none', **choice))
