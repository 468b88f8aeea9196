"The order of keys is part of an action, at every level where undo knows fields."
import pytest
from hypothesis import given, settings, strategies as st

from cjm_workflow_state.state_store import UndoConflictError

from .helpers import F, LONG, S, as_json, labels, refuses, undo_labels

LEVELS = [[], ['doc'], ['doc', 'tasks'], ['doc', 'tasks', 'open'], ['doc', 'tasks', 'open', 'mine']]


def nested(path, value, long=''):
    for key in reversed(path): value = {'before': long, key: value, 'after': 0}
    return value

@pytest.mark.parametrize('long', ['short', LONG])
@pytest.mark.parametrize('scope', [[], ['a']])
@pytest.mark.parametrize('path', LEVELS)
def test_a_reorder_is_undone_at_every_level(store, path, scope, long):
    def edit(value, **kw):
        with (store.edit_step_state(F, S, *scope, **kw) if scope else store.edit_state(F, S, **kw)) as state:
            state.clear()
            state.update(nested(path, value, long))
    def now(): return as_json(store.get_step_state(F, S, *scope) if scope else store.get_state(F, S))
    edit({'a': 1, 'b': 1, 'c': 1})
    edit({'a': 2, 'b': 1, 'c': 1}, undo_label='Set a')
    before = now()
    edit({'b': 1, 'c': 1, 'a': 2}, undo_label='Sort')
    after = now()
    assert before != after and undo_labels(store, *scope) == ['Sort', 'Set a']
    assert labels(store.undo(F, S, *scope)) == ['Sort'] and now() == before
    assert labels(store.redo(F, S, *scope)) == ['Sort'] and now() == after
    assert labels(store.undo(F, S, *scope, count=2)) == ['Sort', 'Set a']
    assert now() == as_json(nested(path, {'a': 1, 'b': 1, 'c': 1}, long))

def test_an_update_that_only_reorders_a_nested_dict_is_an_action(store):
    store.update_step_state(F, S, 'a', {'tasks': {'a': 1, 'b': 2}, 'title': 'Lease'})
    store.update_step_state(F, S, 'a', {'title': 'Lease A'}, undo_label='Rename')
    store.update_step_state(F, S, 'a', {'tasks': {'b': 2, 'a': 1}}, undo_label='Sort')
    entry = store.get_undo_history(F, S, 'a').undo[0]
    assert (entry.label, entry.keys) == ('Sort', ['tasks'])
    store.undo(F, S, 'a')
    assert as_json(store.get_step_state(F, S, 'a')) == as_json({'tasks': {'a': 1, 'b': 2}, 'title': 'Lease A'})

def test_edit_session_restores_the_places_among_steps_that_it_did_not_use(store):
    store.update_state(F, S, {'a': 1, '_step_x': {'k': 1}, 'b': 2, '_step_y': {'k': 1}, 'c': 3})
    before = list(store.get_state(F, S))
    with store.edit_session(F, S, undo_label='Sort') as session:
        own = dict(reversed(session.state.items()))
        session.state.clear()
        session.state.update(own)
    after = list(store.get_state(F, S))
    assert [key for key in after if key[0] != '_'] == ['c', 'b', 'a']
    store.undo(F, S)
    assert list(store.get_state(F, S)) == before
    store.redo(F, S)
    assert list(store.get_state(F, S)) == after

def test_undo_restores_the_order_of_the_keys_that_are_still_there(store):
    store.update_state(F, S, {'m': dict.fromkeys('abcd', 1)})
    store.update_state(F, S, {'m': dict.fromkeys('dcba', 1)}, undo_label='Sort')
    store.update_state(F, S, {'m': dict.fromkeys('dxba', 1)})
    store.undo(F, S)
    assert ''.join(store.get_state(F, S)['m']) == 'axbd'

def test_an_order_that_changed_again_is_a_conflict(store):
    store.update_state(F, S, {'m': dict.fromkeys('abc', 1)})
    store.update_state(F, S, {'m': dict.fromkeys('cba', 1)}, undo_label='Sort')
    store.update_state(F, S, {'m': dict.fromkeys('bca', 1)})
    error = refuses(store, UndoConflictError, "'m'", lambda: store.undo(F, S))
    assert (error.keys, error.fields, error.label) == (['m'], ['m'], 'Sort')
    assert labels(store.undo(F, S, force=['m'])) == ['Sort'] and ''.join(store.get_state(F, S)['m']) == 'abc'
    store.redo(F, S)
    assert ''.join(store.get_state(F, S)['m']) == 'bca'

def test_keys_of_a_reordered_scope_are_those_that_changed_places(store):
    store.update_state(F, S, dict.fromkeys('abcde', 1))
    def turn(order, **kw):
        with store.edit_state(F, S, **kw) as state:
            state.clear()
            state.update(dict.fromkeys(order, 1))
    turn('acbde', undo_label='Sort')
    assert store.get_undo_history(F, S).undo[0].keys == ['b', 'c']
    turn('cdbae')
    store.undo(F, S)
    assert ''.join(store.get_state(F, S)) == 'bdcae', 'only b and c change places'
    store.redo(F, S)
    turn('abcde', undo_label='Back')
    turn('eadbc')
    error = refuses(store, UndoConflictError, "'Back'", lambda: store.undo(F, S, force=['a', 'b']))
    assert set(error.keys) == set(error.fields) == set('abcd')
    store.undo(F, S, force=['a', 'b', 'c', 'd'])
    assert ''.join(store.get_state(F, S)) == 'ecdba'

def test_a_restored_field_follows_its_old_neighbour_among_many_keys(store):
    store.update_state(F, S, {f'k{n}': n for n in range(60)})
    store.update_state(F, S, {}, remove=['k20', 'k21', 'k40'], undo_label='Remove')
    store.update_state(F, S, {'new': 1}, undo_label='Add')
    names = [f'k{n}' for n in range(60)]
    store.undo(F, S, count=2)
    assert list(store.get_state(F, S)) == names
    store.redo(F, S, count=2)
    with store.edit_state(F, S) as state: state['k19'] = state.pop('k19')
    store.undo(F, S, count=2)
    moved = [name for name in names if name not in ('k19', 'k20', 'k21')] + ['k19', 'k20', 'k21']
    assert list(store.get_state(F, S)) == moved, 'k20 follows k19, wherever k19 is now'
    store.update_step_state(F, S, 'x', {'n': 1}, undo_label='Begin')
    store.update_state(F, S, dict.fromkeys('abcdefghi', 1))
    order = list(store.get_state(F, S))
    store.undo(F, S, 'x')
    store.redo(F, S, 'x')
    assert list(store.get_state(F, S)) == order, 'a step comes back where it was'

@pytest.mark.parametrize('scope', [[], ['x']])
def test_a_key_that_goes_and_comes_back_in_one_undo_returns_to_its_place(store, scope):
    def update(new, **kw):
        if scope: store.update_step_state(F, S, *scope, new, **kw)
        else: store.update_state(F, S, new, **kw)
    def names(): return list(store.get_step_state(F, S, *scope) if scope else store.get_state(F, S))
    update({f'k{n}': n for n in range(30)})
    update({}, remove=['k9'], undo_label='Remove')
    update({'k9': 1}, undo_label='Add')
    store.undo(F, S, *scope, count=2)
    assert names() == [f'k{n}' for n in range(30)]
    store.redo(F, S, *scope, count=2)
    assert names() == [f'k{n}' for n in range(30) if n != 9] + ['k9']

def test_a_step_that_goes_and_comes_back_in_one_undo_returns_to_its_place(store):
    for n in range(20): store.update_step_state(F, S, f's{n}', {'n': n})
    before = list(store.get_state(F, S))
    store.clear_step_state(F, S, 's4', undo_label='Clear')
    store.update_step_state(F, S, 's4', {'n': 1}, undo_label='Begin again')
    store.undo(F, S, 's4', count=2)
    assert list(store.get_state(F, S)) == before and store.check() == []

def test_a_forced_undo_of_a_deleted_key_puts_it_last(store):
    store.update_state(F, S, {f'k{n}': n for n in range(30)})
    store.update_state(F, S, {'k10': -1}, undo_label='Set')
    store.update_state(F, S, {}, remove=['k10'])
    store.undo(F, S, force=True)
    assert list(store.get_state(F, S)) == [f'k{n}' for n in range(30) if n != 10] + ['k10']

def test_a_key_that_comes_back_again_and_again_has_room(store):
    store.update_state(F, S, dict.fromkeys('abcd', 1))
    for n in range(60):
        store.update_state(F, S, {}, remove=['b'], undo_label='Remove')
        store.undo(F, S)
        store.update_state(F, S, {}, remove=['c'], undo_label='Remove')
        store.undo(F, S)
    assert ''.join(store.get_state(F, S)) == 'abcd' and store.check() == []

@settings(max_examples=60, deadline=None)
@given(st.permutations(range(12)), st.permutations(range(12)), st.integers(0, 12), st.integers(0, 12))
def test_any_new_order_with_added_and_removed_keys_is_undone(old, new, without, less):
    from cjm_workflow_state.state_store import SQLiteWorkflowStateStore
    old, new = [f'k{n}' for n in old[without:]], [f'k{n}' for n in new[less:]]
    with SQLiteWorkflowStateStore(':memory:') as store:
        def turn(keys, **kw):
            with store.edit_step_state(F, S, 'a', **kw) as state:
                state.clear()
                state.update(dict.fromkeys(keys, 1))
        store.update_step_state(F, S, 'a', dict.fromkeys(old, 1))
        turn(new, undo_label='Turn')
        if store.undo(F, S, 'a'):
            assert list(store.get_step_state(F, S, 'a')) == old
            store.redo(F, S, 'a')
        assert list(store.get_step_state(F, S, 'a')) == new

@pytest.mark.parametrize('removed', ['n', '_step_s'])
def test_a_key_that_an_edit_puts_between_others_does_not_take_the_place_of_a_step(store, removed):
    store.update_state(F, S, {'x': 1, '_step_s': {'n': 1}, 'b': 2, '_step_t': {'n': 1}, 'c': 3})
    with store.edit_session(F, S) as session:
        session.state.clear()
        session.state.update({'x': 1, 'n': 3, 'b': 2, 'c': 3, 'm': 4})
    before = list(store.get_state(F, S))
    assert [key for key in before if not key.startswith('_step_')] == ['x', 'n', 'b', 'c', 'm']
    with store.edit_session(F, S) as session:
        session.state.clear()
        session.state.update({'b': 2, 'x': 1, 'o': 5, 'n': 3, 'c': 3, 'm': 4})
    before = list(store.get_state(F, S))
    assert [key for key in before if not key.startswith('_step_')] == ['b', 'x', 'o', 'n', 'c', 'm'] and store.check() == []
    store.update_state(F, S, {}, remove=[removed], undo_label='Remove')
    store.undo(F, S)
    assert list(store.get_state(F, S)) == before and store.check() == []
