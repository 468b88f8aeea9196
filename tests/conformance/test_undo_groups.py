"`undo_group=`: consecutive writes that become one entry."
from .helpers import F, S, undo_labels

def type_it(store, note, group='note', **kw):
    store.update_step_state(F, S, 'a', {'note': note, **kw}, undo_label=f'Type {note}', undo_group=group)

def test_consecutive_writes_of_a_group_are_one_entry(store):
    store.update_step_state(F, S, 'a', {'note': ''})
    for note in ('T', 'Th', 'The'): type_it(store, note)
    assert undo_labels(store, 'a') == ['Type The']
    store.undo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'note': ''}
    store.redo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'note': 'The'}
    for group in ('x', 'y', None, None): type_it(store, f'by {group}', group), type_it(store, f'2 {group}', group)
    assert len(undo_labels(store, 'a')) == 1 + 2 + 4, 'None is not a group'

def test_a_group_that_cancels_out_leaves_no_entry(store):
    store.update_step_state(F, S, 'a', {'note': ''})
    type_it(store, 'before', None)
    for note in ('T', 'before'): type_it(store, note)
    assert undo_labels(store, 'a') == ['Type before']
    store.undo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'note': ''}

def test_an_undone_action_ends_a_group(store):
    type_it(store, '1')
    type_it(store, '2', 'other')
    store.undo(F, S, 'a')
    type_it(store, '3')
    assert undo_labels(store, 'a') == ['Type 3', 'Type 1']

def test_an_unlabelled_write_to_a_field_of_a_group_ends_it(store):
    type_it(store, '1')
    store.update_step_state(F, S, 'a', {'cursor': 1})  # another field
    type_it(store, '2')
    assert undo_labels(store, 'a') == ['Type 2']
    store.update_step_state(F, S, 'a', {'note': 'by hand'})
    type_it(store, '3')
    assert undo_labels(store, 'a') == ['Type 3', 'Type 2']
    store.undo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'note': 'by hand', 'cursor': 1}

def test_a_group_ends_at_an_action_that_was_undone_even_if_it_was_redone(store):
    store.update_step_state(F, S, 'a', {'note': ''})
    for note in ('T', 'Th'): type_it(store, note)
    store.undo(F, S, 'a')
    store.redo(F, S, 'a')
    for note in ('The', 'Then'): type_it(store, note)
    assert undo_labels(store, 'a') == ['Type Then', 'Type Th']
    store.undo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'note': 'Th'}

def test_a_group_ends_at_an_action_that_was_dropped(store):
    type_it(store, 'T')
    store.update_step_state(F, S, 'a', {'verdict': 1}, undo_label='Accept')
    store.update_step_state(F, S, 'a', {'verdict': 2})
    assert store.undo(F, S, 'a', keep=True) == []
    type_it(store, 'Th')
    assert undo_labels(store, 'a') == ['Type Th', 'Type T']

def test_a_key_that_a_group_removes_and_adds_again_has_moved(store):
    store.update_state(F, S, {f'k{n}': n for n in range(20)})
    store.update_state(F, S, {}, remove=['k5'], undo_label='Cut', undo_group='move')
    store.update_state(F, S, {'k5': 5}, undo_label='Paste', undo_group='move')
    assert undo_labels(store) == ['Paste'], 'the value is the same, and the place is not'
    store.undo(F, S)
    assert list(store.get_state(F, S)) == [f'k{n}' for n in range(20)]
    store.redo(F, S)
    assert list(store.get_state(F, S))[-1] == 'k5'

def test_a_group_merges_only_if_its_fields_hold_what_it_left(store):
    store.update_state(F, S, {'n': 1})
    store.update_state(F, S, {'n': 2}, undo_label='two', undo_group='g')
    store.update_state(F, S, {'n': 1})  # what undo would restore: no conflict, and yet another write between the two
    store.update_state(F, S, {'n': 3}, undo_label='three', undo_group='g')
    assert undo_labels(store) == ['three', 'two']
    assert len(store.undo(F, S, count=2)) == 2 and store.get_state(F, S) == {'n': 1}
