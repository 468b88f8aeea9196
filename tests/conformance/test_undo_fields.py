"Scopes of undo, and the fields that an action changed."
import pytest

from cjm_workflow_state.state_store import UndoConflictError

from .helpers import F, LONG, S, everything, labels, redo_labels, refuses, undo_labels

def test_each_step_and_the_session_have_their_own_undo(store):
    store.update_step_state(F, S, 'a', {'n': 1}, undo_label='a 1')
    store.update_step_state(F, S, 'b', {'n': 1}, undo_label='b 1')
    store.update_state(F, S, {'n': 1}, undo_label='own 1')
    assert (undo_labels(store), undo_labels(store, 'a'), undo_labels(store, 'b')) == (['own 1'], ['a 1'], ['b 1'])
    store.undo(F, S, 'a')
    assert store.get_state(F, S) == {'_step_b': {'n': 1}, 'n': 1}, 'undoing the action that created the step removes it'
    store.update_state(F, S, {'n': 2}, undo_label='own 2')
    assert redo_labels(store, 'a') == ['a 1'], 'a new action deletes redo in its own scope only'
    store.redo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'n': 1}

def edit_both(store, **kw):
    with store.edit_state(F, S, **kw) as state: state['_step_a']['n'], state['_step_b'] = 2, {'n': 2}

def edit_all(store, **kw):
    with store.edit_session(F, S, **kw) as session: session.step('a')['n'], session.step('b')['n'] = 2, 2

def update_both(store, **kw): store.update_state(F, S, {'_step_a': {'n': 2}, '_step_b': {'n': 2}}, **kw)

@pytest.mark.parametrize('write', [update_both, edit_both, edit_all])
def test_an_action_in_the_session_scope_can_cover_steps(store, write):
    store.update_step_state(F, S, 'a', {'n': 1})
    write(store, undo_label='Both')
    assert undo_labels(store) == ['Both'] and undo_labels(store, 'a') == undo_labels(store, 'b') == []
    assert sorted(store.get_undo_history(F, S).undo[0].keys) == ['_step_a', '_step_b']
    store.undo(F, S)
    assert store.get_state(F, S) == {'_step_a': {'n': 1}}
    store.redo(F, S)
    assert store.get_state(F, S) == {'_step_a': {'n': 2}, '_step_b': {'n': 2}}
    store.update_step_state(F, S, 'b', {'n': 3}, undo_label='In b')
    error = refuses(store, UndoConflictError, '_step_b.n', lambda: store.undo(F, S))
    assert error.keys == ['_step_b']
    store.undo(F, S, 'b')
    assert labels(store.undo(F, S)) == ['Both']

@pytest.mark.parametrize('long', ['short', LONG])
@pytest.mark.parametrize('scope', [[], ['a']])
def test_a_field_is_a_path_of_up_to_three_keys(store, long, scope):
    def update(value, **kw):
        if scope: store.update_step_state(F, S, *scope, {'doc': value}, **kw)
        else: store.update_state(F, S, {'doc': value}, **kw)
    def now(): return (store.get_step_state(F, S, *scope) if scope else store.get_state(F, S))['doc']
    update({'cursor': 0, 'text': long, 'list': [{'n': 1}]})
    update({'cursor': 0, 'text': long + '!', 'list': [{'n': 1}]}, undo_label='Type')
    update({'cursor': 9, 'text': long + '!', 'list': [{'n': 1}, {}]})  # a neighbouring field
    store.undo(F, S, *scope)
    assert now() == {'cursor': 9, 'text': long, 'list': [{'n': 1}, {}]}
    store.redo(F, S, *scope)
    assert now() == {'cursor': 9, 'text': long + '!', 'list': [{'n': 1}, {}]}
    update({'cursor': 9, 'text': long + '!', 'list': [{'n': 2}]}, undo_label='Item')
    update({'cursor': 9, 'text': long + '!', 'list': [{'n': 2, 'm': 1}]})  # a list is one field
    error = refuses(store, UndoConflictError, 'doc.list', lambda: store.undo(F, S, *scope))
    assert error.keys == ['doc']

def test_values_below_three_keys_are_one_field(store):
    store.update_state(F, S, {'a': {'b': {'c': {'d': 1, 'e': 1}, 'x': 1}}})
    store.update_state(F, S, {'a': {'b': {'c': {'d': 2, 'e': 1}, 'x': 1}}}, undo_label='d')
    store.update_state(F, S, {'a': {'b': {'c': {'d': 2, 'e': 1}, 'x': 2}}})
    store.undo(F, S)
    assert store.get_state(F, S) == {'a': {'b': {'c': {'d': 1, 'e': 1}, 'x': 2}}}
    store.redo(F, S)
    store.update_state(F, S, {'a': {'b': {'c': {'d': 2, 'e': 2}, 'x': 2}}})
    refuses(store, UndoConflictError, 'a.b.c', lambda: store.undo(F, S))

def test_undo_removes_what_the_action_added_and_restores_what_it_removed(store):
    store.update_state(F, S, {'a': 1, 'b': {'x': LONG, 'y': 1}})
    store.update_state(F, S, {'new': 1, 'b': {'x': LONG, 'z': 1}}, remove=['a'], undo_label='All')
    after = store.get_state(F, S)
    store.undo(F, S)
    assert store.get_state(F, S) == {'a': 1, 'b': {'x': LONG, 'y': 1}}
    store.redo(F, S)
    assert store.get_state(F, S) == after
    store.undo(F, S)
    assert store.get_state(F, S) == {'a': 1, 'b': {'x': LONG, 'y': 1}}

def test_a_restored_field_follows_its_old_neighbour(store):
    store.update_state(F, S, dict.fromkeys('abcd', 1))
    store.update_state(F, S, {}, remove=['b', 'c'], undo_label='Two go')
    store.update_state(F, S, {'e': 1})
    store.undo(F, S)
    assert ''.join(store.get_state(F, S)) == 'abcde'
    store.redo(F, S)
    assert ''.join(store.get_state(F, S)) == 'ade'
    store.undo(F, S)
    store.update_state(F, S, {}, remove=['c'], undo_label='c goes')
    store.update_state(F, S, {'b': 2}, remove=[])
    with store.edit_state(F, S) as state: state['b'] = state.pop('b')
    store.undo(F, S)
    assert ''.join(store.get_state(F, S)) == 'adebc', 'after b, wherever b is now'

@pytest.mark.shared
def test_undo_and_redo_survive_a_restart(open_store):
    with open_store() as store:
        for n in range(3): store.update_state(F, S, {'n': n, 'text': LONG + str(n)}, undo_label=f'n={n}')
        store.undo(F, S)
        before = everything(store)
    store = open_store()
    assert everything(store) == before
    assert labels(store.redo(F, S)) == ['n=2'] and store.get_state(F, S)['text'] == LONG + '2'
    assert labels(store.undo(F, S, count=3)) == ['n=2', 'n=1', 'n=0'] and store.get_state(F, S) == {}
