"Creating, labelling, resetting, copying and deleting sessions."
import uuid

import pytest

from cjm_workflow_state.state_store import UndoHistory

from .helpers import F, S, as_json, call, everything, refuses, revision

@pytest.mark.parametrize('method, nothing', [
    ('get_current_step', None), ('get_state', {}), ('get_step_state', {}), ('get_session_summary', None),
    ('get_session', None), ('session_exists', False), ('get_undo_history', UndoHistory([], [])), ('undo', None),
    ('redo', None), ('set_session_label', None), ('clear_state', None), ('delete_session', None),
    ('reset_session', None), ('clear_step_state', None), ('list_sessions', []), ('count_sessions', 0),
    ('prune_sessions', 0), ('list_flows', []), ('check', [])])
def test_methods_do_nothing_for_a_missing_session(store, method, nothing):
    assert call(store, method) == nothing
    assert store.list_flows() == []

@pytest.mark.parametrize('method, args', [
    ('set_current_step', {}), ('update_state', {}), ('update_state', {'updates': {}}), ('update_step_state', {}),
    ('update_step_state', {'updates': {}}), ('edit_state', {}), ('edit_step_state', {}), ('edit_session', {}),
    ('create_session', {'session_id': S})])
def test_a_write_creates_a_missing_session_at_revision_1(store, method, args):
    call(store, method, **args)
    assert store.session_exists(F, S) and revision(store) == 1
    assert store.list_flows() == [F] and store.count_sessions(F) == 1

def test_a_new_session_is_empty(store):
    assert store.create_session(F, S, 'Lease') == S
    summary = store.get_session_summary(F, S)
    assert (summary.flow_id, summary.session_id, summary.label, summary.current_step) == (F, S, 'Lease', None)
    assert (summary.state_size_bytes, summary.revision, store.get_state(F, S)) == (2, 1, {})
    assert summary.created_at == summary.updated_at
    assert store.create_session(F, 'no label') and store.get_session_summary(F, 'no label').label is None

def test_create_session_generates_a_uuid4(store):
    made = store.create_session(F)
    assert uuid.UUID(made).version == 4 and str(uuid.UUID(made)) == made and store.session_exists(F, made)

def test_creating_an_existing_session_raises_integrity_error(full):
    error = refuses(full, full.IntegrityError, repr(F), lambda: full.create_session(F, S))
    assert repr(S) in str(error)

def test_set_and_get_current_step(store):
    store.set_current_step(F, S, 'split')
    store.set_current_step(F, S, 'review')
    assert store.get_current_step(F, S) == store.get_session_summary(F, S).current_step == 'review'

def test_set_and_remove_a_session_label(full):
    full.set_session_label(F, S, 'Loan')
    assert full.get_session_summary(F, S).label == 'Loan'
    full.set_session_label(F, S, None)
    assert full.get_session_summary(F, S).label is None
    refuses(full, TypeError, 'label', lambda: full.set_session_label(F, S, 5))
    refuses(full, TypeError, 'label', lambda: full.create_session(F, 'new', 5))

@pytest.mark.parametrize('method', ['delete_session', 'clear_state'])
def test_deleting_a_session_deletes_everything_stored_with_it(full, method):
    full.update_state(F, 'other', {'n': 1})
    getattr(full, method)(F, S)
    assert [s.session_id for s in full.list_sessions(F)] == ['other'] and full.get_state(F, S) == {}
    full.create_session(F, S)  # under the same id
    assert (full.get_state(F, S), full.get_current_step(F, S), revision(full)) == ({}, None, 1)
    assert full.get_undo_history(F, S) == full.get_undo_history(F, S, 'a') == UndoHistory([], [])

def test_reset_keeps_the_session_its_label_and_created_at(full):
    before = full.get_session_summary(F, S)
    full.reset_session(F, S)
    after = full.get_session_summary(F, S)
    assert (after.label, after.created_at, after.revision) == ('Lease', before.created_at, before.revision + 1)
    assert (after.current_step, after.state_size_bytes, full.get_state(F, S)) == (None, 2, {})
    assert full.get_undo_history(F, S) == full.get_undo_history(F, S, 'a') == UndoHistory([], [])
    full.reset_session(F, S)
    assert revision(full) == after.revision, 'there was nothing to delete'

def test_a_copy_has_state_steps_and_current_step_but_no_undo(full):
    before = everything(full)
    made = full.copy_session(F, S)
    assert uuid.UUID(made).version == 4
    assert full.copy_session(F, S, to_flow_id='g', to_session_id='t', label='Mine') == 't'
    for where, label in (((F, made), 'Lease'), (('g', 't'), 'Mine')):
        one = full.get_session(*where)
        assert (one.label, one.current_step, one.revision) == (label, 'a', 1)
        assert as_json(full.get_state(*where)) == as_json(full.get_state(F, S))
        assert one.state_size_bytes == full.get_session_summary(F, S).state_size_bytes
        assert one.history() == one.history('a') == UndoHistory([], [])
        full.update_state(*where, {'n': 'changed'})
        full.delete_session(*where)
    assert everything(full) == before

def test_copy_session_needs_a_source_and_an_unused_id(full):
    full.create_session(F, 'taken')
    error = refuses(full, LookupError, repr(F), lambda: full.copy_session(F, 'none'))
    assert "'none'" in str(error)
    error = refuses(full, full.IntegrityError, repr(F), lambda: full.copy_session(F, S, to_session_id='taken'))
    assert "'taken'" in str(error)
    refuses(full, TypeError, 'label', lambda: full.copy_session(F, S, label=5))
