"Undo and redo: what is recorded, limits, and what deletes undo."
import uuid

import pytest

from cjm_workflow_state.state_store import UndoHistory

from .helpers import F, LONG, METHODS, S, as_json, call, everything, labels, redo_labels, refuses, undo_labels

def test_only_labelled_writes_that_change_something_can_be_undone(store):
    store.update_state(F, S, {'n': 1})
    store.update_state(F, S, {'n': 2}, undo_label='two')
    store.update_state(F, S, {'n': 2}, undo_label='the same')
    assert undo_labels(store) == ['two']
    assert labels(store.undo(F, S)) == ['two'] and store.get_state(F, S) == {'n': 1}
    store.update_state(F, S, {'cursor': 5})  # without a label, redo stays
    store.update_state(F, S, {'n': 1}, undo_label='the same')  # without a change, redo stays
    assert redo_labels(store) == ['two']
    assert labels(store.redo(F, S)) == ['two'] and store.get_state(F, S) == {'n': 2, 'cursor': 5}
    assert store.undo(F, S) and store.undo(F, S) is None

@pytest.mark.parametrize('method', [name for name, (_, options) in METHODS.items() if 'undo_label' in options])
def test_an_undo_label_has_1_to_1000_characters_and_is_not_blank(full, method):
    for bad in ('', ' ', '\n\t', 'x' * 1001):
        refuses(full, ValueError, 'undo_label', lambda: call(full, method, undo_label=bad))
    for bad in (5, b'x', True): refuses(full, TypeError, 'undo_label', lambda: call(full, method, undo_label=bad))
    if method != 'clear_step_state':
        refuses(full, ValueError, 'undo_group', lambda: call(full, method, undo_group='g'))
        refuses(full, TypeError, 'undo_group', lambda: call(full, method, undo_label='x', undo_group=5))
    call(full, method, undo_label='é' * 1000)
    scope = ['a'] if 'step' in method else []
    assert undo_labels(full, *scope)[0] == 'é' * 1000

def test_undo_history_begins_with_the_next_entry_to_undo_or_redo(store):
    assert store.get_undo_history(F, 'none') == UndoHistory([], [])
    for n in range(5): store.update_state(F, S, {'n': n, f'k{n}': n}, undo_label=f'n={n}')
    assert labels(store.undo(F, S, count=3)) == ['n=4', 'n=3', 'n=2'], 'in the order of undoing'
    history = store.get_undo_history(F, S)
    assert (labels(history.undo), labels(history.redo)) == (['n=1', 'n=0'], ['n=2', 'n=3', 'n=4'])
    assert (history.undo[0].keys, history.redo[0].keys) == (['n', 'k1'], ['n', 'k2'])
    assert labels(store.redo(F, S, count=2)) == ['n=2', 'n=3'] and store.get_state(F, S)['n'] == 3
    assert store.undo(F, S, count=4) and store.get_state(F, S) == {}

def test_undoing_more_than_there_is_changes_nothing(store):
    store.update_state(F, S, {'n': 1}, undo_label='x')
    before = everything(store)
    assert store.undo(F, S, count=2) is store.undo(F, S, count=10 ** 30) is store.redo(F, S) is None
    assert store.undo(F, S, 'a') is None, 'the step has its own undo'
    assert everything(store) == before
    for bad in (0, -1, True, 1.5, '1'):
        refuses(store, ValueError, 'count', lambda: store.undo(F, S, count=bad))
        refuses(store, ValueError, 'count', lambda: store.redo(F, S, count=bad))

def test_a_new_action_deletes_redo_before_the_limits_apply(open_store):
    store = open_store(max_undo_depth=3)
    for n in range(5): store.update_state(F, S, {'n': n}, undo_label=f'n={n}')
    assert undo_labels(store) == ['n=4', 'n=3', 'n=2']
    store.undo(F, S, count=2)
    store.update_state(F, S, {'n': 'new'}, undo_label='new')
    assert (undo_labels(store), redo_labels(store)) == (['new', 'n=2'], []), 'redo entries no longer count'
    assert store.undo(F, S, count=2) and store.get_state(F, S) == {'n': 1} and store.undo(F, S) is None

def test_max_undo_depth_defaults_to_50_and_0_turns_undo_off(open_store):
    store = open_store()
    for n in range(60): store.update_state(F, S, {'n': n}, undo_label=f'n={n}')
    assert undo_labels(store) == [f'n={n}' for n in range(59, 9, -1)]
    off = open_store(max_undo_depth=0)
    off.update_state('g', S, {'n': 1}, undo_label='x')
    assert off.get_undo_history('g', S) == UndoHistory([], []) and off.undo('g', S) is None
    assert off.get_state('g', S) == {'n': 1}

def test_max_undo_bytes_never_deletes_the_newest_entry(open_store):
    store = open_store(max_undo_bytes=20_000)
    def noise(n): return [str(uuid.uuid5(uuid.NAMESPACE_URL, f'{n} {i}')) for i in range(100)]
    for n in range(20): store.update_state(F, S, {'v': noise(n)}, undo_label=f'n={n}')
    kept = undo_labels(store)
    assert kept == [f'n={n}' for n in range(19, 19 - len(kept), -1)] and 1 < len(kept) < 20
    store.update_state(F, S, {'v': [noise(n) for n in range(30)]})
    store.update_state(F, S, {'v': 0}, undo_label='huge')
    assert undo_labels(store) == ['huge']
    store.undo(F, S)
    assert store.get_state(F, S) == {'v': [noise(n) for n in range(30)]}

def test_clearing_a_step_without_a_label_deletes_its_undo(full):
    for clear in (lambda: full.clear_step_state(F, S, 'a'), lambda: full.update_state(F, S, {}, remove=['_step_a'])):
        full.update_step_state(F, S, 'a', {'text': 'secret'}, undo_label='Type')
        clear()
        assert full.get_undo_history(F, S, 'a') == UndoHistory([], []) and undo_labels(full) == ['Own']
        full.update_step_state(F, S, 'a', {'text': 'secret'}, undo_label='Type')
        full.clear_step_state(F, S, 'a', undo_label='Clear')
        clear()  # the step no longer exists
        assert full.get_undo_history(F, S, 'a') == UndoHistory([], [])
        assert full.get_step_state(F, S, 'a') == {}

def test_deleting_a_step_in_an_edit_block_deletes_its_undo(full):
    with full.edit_state(F, S) as state: del state['_step_a']
    assert full.get_undo_history(F, S, 'a') == UndoHistory([], [])
    assert undo_labels(full) == ['Own']
    full.update_step_state(F, S, 'a', {'n': 1}, undo_label='Again')
    with full.edit_state(F, S, undo_label='Delete a') as state: del state['_step_a']
    assert undo_labels(full, 'a') == ['Again'], 'with a label, the undo of the step stays'

def test_clearing_a_step_with_a_label_can_be_undone(full):
    full.clear_step_state(F, S, 'a', undo_label='Clear')
    assert '_step_a' not in full.get_state(F, S) and undo_labels(full, 'a') == ['Clear', 'In a']
    full.undo(F, S, 'a')
    assert full.get_step_state(F, S, 'a') == {'n': 1}
    full.redo(F, S, 'a')
    assert '_step_a' not in full.get_state(F, S)

def test_an_undo_history_is_true_if_there_is_anything_to_move(store):
    assert not store.get_undo_history(F, S)
    store.update_state(F, S, {'n': 1}, undo_label='n')
    assert store.get_undo_history(F, S) and not store.get_undo_history(F, S, 'a')
    store.undo(F, S)
    assert store.get_undo_history(F, S)

def deep(levels, kind):
    value = 0
    for n in range(levels): value = [value] if kind == 'lists' or kind == 'both' and n % 2 else {'k': value}
    return value

@pytest.mark.parametrize('kind', ['lists', 'dicts', 'both', 'big dicts'])
@pytest.mark.parametrize('scope', [[], ['a']])
def test_one_nesting_limit_and_whatever_was_accepted_can_be_undone(store, kind, scope):
    def update(value, **kw):
        if kind == 'big dicts': value = {**value, 'text': LONG} if isinstance(value, dict) else value
        if scope: store.update_step_state(F, S, *scope, {'v': value}, **kw)
        else: store.update_state(F, S, {'v': value}, **kw)
    refuses(store, TypeError, 'v is not JSON: nested deeper than 500 levels', lambda: update(deep(501, kind)))
    update(deep(500, kind))
    everything_as_before = as_json(store.get_state(F, S))
    for value in (1, deep(500, kind), [], {'k': 1}): update(value, undo_label='Replace')
    assert store.check() == []
    store.undo(F, S, *scope, count=4)
    assert as_json(store.get_state(F, S)) == everything_as_before
    store.redo(F, S, *scope, count=4)
    store.undo(F, S, *scope, count=4)
    store.update_state(F, S, store.get_state(F, S))
    update(1, undo_label='Type', undo_group='g')
    update(2, undo_label='Type', undo_group='g')
    store.undo(F, S, *scope)
    assert as_json(store.get_state(F, S)) == everything_as_before and store.check() == []
