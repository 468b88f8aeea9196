"The state: merging, values, keys and their order, and the steps inside it."
import warnings
from datetime import datetime
from types import MappingProxyType

import pytest

from .helpers import F, LONG, S, as_json, everything, refuses, revision

def test_update_merges_top_level_keys_and_replaces_their_values(store):
    store.update_state(F, S, {'a': {'x': 1, 'y': 2}, 'b': 1})
    store.update_state(F, S, {'a': {'x': 3}, 'c': [1]})
    assert store.get_state(F, S) == {'a': {'x': 3}, 'b': 1, 'c': [1]}
    store.update_step_state(F, S, 'a', {'a': {'x': 1, 'y': 2}, 'b': 1})
    store.update_step_state(F, S, 'a', {'a': {'x': 3}})
    assert store.get_step_state(F, S, 'a') == {'a': {'x': 3}, 'b': 1}

VALUES = [1, 1.0, True, '1', None, [], {}, '', 0.1 + 0.2, -0.0, 5e-324, float('nan'), float('inf'), -float('inf'),
          2 ** 70, 10 ** 4000, '\ud800', {'\ud800': '\udfff'}, 'a\0b', {'\0': '\0'}, '\\u0000', '😀\u2028\x7f', '{}',
          "'; DROP TABLE workflow_session; --", {'b': {'z': 1, 'a': [{'d': {}, 'c': None}]}, 'a': 0}, LONG,
          {'long': LONG, 'b': {'long': LONG, 'a': {'long': LONG}}}, {f'k{i}': i for i in range(100)}]

def test_values_come_back_as_json_returns_them(store):
    for i, value in enumerate(VALUES):
        for write in (lambda value: store.update_state(F, S, {'v': value}),
                      lambda value: store.update_step_state(F, S, 'a', {'v': value})):
            write(value)
            before = revision(store)
            write(value)
            assert revision(store) == before, 'writing the same text changes nothing'
        assert as_json(store.get_state(F, S)['v']) == as_json(store.get_step_state(F, S, 'a')['v']) == as_json(value)
    store.update_state(F, S, {'v': (1, (2,)), 'w': {2: 'a', None: 'b', True: 'c', 1.5: {2: 'd'}}})
    state = store.get_state(F, S, keys=['v', 'w'])
    assert state == {'v': [1, [2]], 'w': {'2': 'a', 'null': 'b', 'true': 'c', '1.5': {'2': 'd'}}}

def test_values_that_are_equal_in_python_but_not_in_json_differ(store):
    "The store compares JSON texts: `1`, `1.0` and `True` are equal in Python only."
    for i, value in enumerate([1, 1.0, True, '1', 0.0, -0.0, False]):
        store.update_state(F, S, {'v': value})
        assert revision(store) == i + 1

def test_keys_must_be_strings(full):
    refuses(full, TypeError, '5', lambda: full.update_state(F, S, {'ok': 1, 5: 2}))
    refuses(full, TypeError, '5', lambda: full.update_step_state(F, S, 'a', {'ok': 1, 5: 2}))
    for bad in (None, 5, [('a', 1)], 'a'): refuses(full, TypeError, 'updates', lambda: full.update_state(F, S, bad))

def test_a_value_that_json_cannot_hold_raises_type_error_with_its_path(full):
    bad = {'segments': [0, 1, 2, {'when': datetime(2026, 3, 1)}]}
    def edit(block):
        with block as state: state.update(bad, ok=1)
    refuses(full, TypeError, 'segments[3].when', lambda: full.update_state(F, S, {'ok': 1, **bad}))
    refuses(full, TypeError, 'segments[3].when', lambda: full.update_step_state(F, S, 'a', {'ok': 1, **bad}))
    refuses(full, TypeError, 'segments[3].when', lambda: edit(full.edit_state(F, S)))
    refuses(full, TypeError, 'segments[3].when', lambda: edit(full.edit_step_state(F, S, 'a')))
    refuses(full, TypeError, 'ok', lambda: full.update_state(F, 'new', {'ok': {1, 2}}))
    cycle = []
    cycle.append(cycle)
    refuses(full, TypeError, 'v', lambda: full.update_state(F, S, {'v': cycle}))

def test_two_keys_that_become_the_same_raise_value_error(full):
    for bad in ({'v': {1: 'a', '1': 'b'}}, {'v': {'w': {None: 1, 'null': 2}}}):
        refuses(full, ValueError, 'v', lambda: full.update_state(F, S, bad))
    refuses(full, ValueError, 'v', lambda: full.update_step_state(F, S, 'a', {'v': {True: 1, 'true': 2}}))

def test_a_value_deeper_than_500_levels_raises_type_error(full):
    def nested(levels): return [nested(levels - 1)] if levels else 0
    full.update_state(F, S, {'v': nested(500)})
    assert as_json(full.get_state(F, S)['v']) == as_json(nested(500))
    refuses(full, TypeError, 'v', lambda: full.update_state(F, S, {'v': nested(501)}))

def test_changing_a_returned_value_changes_nothing_in_the_store(full):
    for get in (lambda: full.get_state(F, S), lambda: full.get_step_state(F, S, 'a'),
                lambda: full.get_session(F, S).state, lambda: full.get_session(F, S).step('a')):
        before = as_json(get())
        mine = get()
        mine['n'] = 'mine'
        for value in mine.values():
            if isinstance(value, dict): value.clear()
        assert as_json(get()) == before

def test_keys_keep_their_insertion_order(store):
    store.update_state(F, S, {'b': 1, 'a': {'z': LONG, 'y': 1}})
    store.update_state(F, S, {'c': 0, 'b': 3})
    assert list(store.get_state(F, S)) == ['b', 'a', 'c']
    store.update_state(F, S, {'b': 1}, remove=['a'])
    store.update_state(F, S, {'a': {'z': LONG, 'y': 1}})
    assert list(store.get_state(F, S)) == ['b', 'c', 'a']
    store.update_state(F, S, {'a': {'new': 0, 'y': 1, 'z': LONG}})  # replaces the value, so this order counts
    assert list(store.get_state(F, S)['a']) == ['new', 'y', 'z']
    with store.edit_state(F, S) as state: state['b'] = state.pop('b')
    assert list(store.get_state(F, S)) == ['c', 'a', 'b']

def test_keys_limits_what_is_read(full):
    assert full.get_state(F, S, keys=['n', 'none']) == full.get_step_state(F, S, 'a', keys=['none', 'n']) == {'n': 1}
    assert full.get_state(F, S, keys=[]) == {} and full.get_state(F, S, keys=iter(['n'])) == {'n': 1}
    assert full.get_state(F, S, keys=['_step_a']) == {'_step_a': {'n': 1}}
    full.update_state(F, 'many', {f'k{i}': i for i in range(2000)})
    assert len(full.get_state(F, 'many', keys=[f'k{i}' for i in range(0, 2000, 2)])) == 1000
    for bad in ('n', b'n', 5, [5], [None]):
        refuses(full, TypeError, 'keys', lambda: full.get_state(F, S, keys=bad))
        refuses(full, TypeError, 'keys', lambda: full.get_step_state(F, S, 'a', keys=bad))

def test_remove_deletes_keys_in_the_same_transaction(full):
    full.update_state(F, S, {'new': 1}, remove=['n', 'none'])
    assert list(full.get_state(F, S)) == ['doc', '_step_a', 'new']
    full.update_step_state(F, S, 'a', {'m': 2}, remove=['n'])
    assert full.get_step_state(F, S, 'a') == {'m': 2}
    refuses(full, ValueError, "'x'", lambda: full.update_state(F, S, {'x': 1}, remove=['x']))
    refuses(full, ValueError, "'x'", lambda: full.update_step_state(F, S, 'a', {'x': 1}, remove=['x']))
    for bad in ('n', 5, [5]): refuses(full, TypeError, 'remove', lambda: full.update_state(F, S, {}, remove=bad))
    full.update_state(F, S, {}, remove=['_step_a'])
    assert full.get_step_state(F, S, 'a') == {}

def test_get_state_shows_each_step_under_its_key(store):
    store.update_step_state(F, S, 'review', {'cursor': 3, 'accepted': [0]})
    store.update_step_state(F, S, 'empty', {})
    assert store.get_state(F, S) == {'_step_review': {'cursor': 3, 'accepted': [0]}, '_step_empty': {}}
    store.update_state(F, S, {'_step_review': {'cursor': 0}, 'own': 1})  # replaces the step's state
    assert store.get_step_state(F, S, 'review') == {'cursor': 0}
    store.update_step_state(F, S, '_step_', {'odd': 1})
    store.update_state(F, S, {'_step_': 5})  # not the key of a step
    assert store.get_step_state(F, S, '_step_') == {'odd': 1} and store.get_state(F, S)['_step_'] == 5
    for bad in (5, None, [1], 'x'):
        refuses(store, ValueError, '_step_review', lambda: store.update_state(F, S, {'ok': 1, '_step_review': bad}))

def test_clear_step_state_removes_only_that_step(full):
    full.update_step_state(F, S, 'b', {'n': 2})
    full.clear_step_state(F, S, 'a')
    state = full.get_state(F, S)
    assert full.get_step_state(F, S, 'a') == {} and list(state) == ['n', 'doc', '_step_b']
    before = everything(full)
    full.clear_step_state(F, S, 'a')
    full.clear_step_state(F, 'none', 'a')
    assert everything(full) == before

def itself(value): return value
def another(value): return object()
def looped(value): return {'again': value}
def broken(value): raise KeyError('no such unit')
def not_json(value): return {1, 2}

@pytest.mark.parametrize('default, why', [
    (itself, 'default returned'), (another, 'default returned'), (looped, 'default returned'),
    (not_json, 'default returned'), (broken, "default raised KeyError: 'no such unit'")])
def test_an_error_of_default_names_default_and_the_path(open_store, default, why):
    store, bad = open_store(default=default), {'a': {'items': [1, {'when': datetime(2026, 3, 1)}]}}
    store.update_state(F, S, {'n': 1})
    def edit():
        with store.edit_state(F, S) as state: state.update(bad)
    def edit_session():
        with store.edit_session(F, S) as session: session.step('a').update(bad)
    for write in (lambda: store.update_state(F, S, bad), lambda: store.update_step_state(F, S, 'a', bad), edit,
                  edit_session):
        error = refuses(store, TypeError, "a.items[1].when is not JSON", write)
        assert why in str(error)
    if default is broken: assert isinstance(error.__cause__, KeyError)
    loop = []
    loop.append(loop)
    error = refuses(store, TypeError, 'loop', lambda: store.update_state(F, S, {'loop': loop}))
    assert 'default' not in str(error), 'this is no fault of default'

def test_two_keys_that_become_the_same_in_what_default_returns_raise_value_error(open_store):
    store = open_store(default=lambda value: {1: 'a', '1': 'b'})
    for value in (object(), {'x': object()}, {'x': {'y': object()}}):
        refuses(store, ValueError, 'default returned', lambda: store.update_state(F, S, {'a': value}))
    for value in (object(), {'x': object()}):  # one level less, because the step is the first
        refuses(store, ValueError, 'default returned', lambda: store.update_step_state(F, S, 'a', {'a': value}))

def test_updates_can_be_any_mapping(store):
    store.update_state(F, S, MappingProxyType({'a': 1}))
    store.update_step_state(F, S, 'a', MappingProxyType({'b': 2}))
    assert store.get_state(F, S) == {'a': 1, '_step_a': {'b': 2}}
    refuses(store, TypeError, 'keys of updates must be str', lambda: store.update_state(F, S, MappingProxyType({1: 2})))
    refuses(store, TypeError, 'updates must be a dict', lambda: store.update_state(F, S, [('a', 1)]))

def test_a_step_id_with_the_prefix_of_its_key_warns(store):
    store.update_step_state(F, S, 'a', {'n': 1}, undo_label='n')
    def edit():
        with store.edit_step_state(F, S, '_step_a'): pass
    def edit_session():
        with store.edit_session(F, S) as session: session.step('_step_a')
    for use in (lambda: store.get_step_state(F, S, '_step_a'), lambda: store.undo(F, S, '_step_a'),
                lambda: store.get_undo_history(F, S, '_step_a'), lambda: store.clear_step_state(F, S, '_step_a'),
                lambda: store.get_session(F, S, steps=['_step_a']), lambda: store.get_session(F, S).step('_step_a'),
                edit, edit_session):
        with pytest.warns(RuntimeWarning, match="did you mean 'a'"): use()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for step in ('a', '_step_', '_', 'step_a'): store.get_step_state(F, S, step)
    with pytest.warns(RuntimeWarning): store.update_step_state(F, S, '_step_a', {'n': 2})
    assert store.get_state(F, S) == {'_step_a': {'n': 1}, '_step__step_a': {'n': 2}}, 'any text can be the id of a step'
