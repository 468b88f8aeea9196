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
