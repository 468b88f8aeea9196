"Times, revisions and the size of the state."
import json
import re
from datetime import datetime, timedelta, timezone

import pytest

from .helpers import F, LONG, S, everything, revision

def test_timestamps_are_utc_without_offset(full):
    summary = full.get_session_summary(F, S)
    entry = full.get_undo_history(F, S).undo[0]
    for time in (summary.created_at, summary.updated_at, entry.created_at):
        assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', time)
        assert abs(datetime.fromisoformat(f'{time}+00:00') - datetime.now(timezone.utc)) < timedelta(minutes=10)

def test_sessions_touched_in_the_same_second_sort_in_order(store):
    for i in range(20): store.create_session(F, f'{i}')
    for i in range(0, 20, 2): store.update_state(F, f'{i}', {'n': 1})
    odd, even = [f'{i}' for i in range(1, 20, 2)], [f'{i}' for i in range(0, 20, 2)]
    assert [s.session_id for s in store.list_sessions(F)] == [*even[::-1], *odd[::-1]]
    assert [s.session_id for s in store.list_sessions(F, 'created_at', False)] == [f'{i}' for i in range(20)]

CHANGES = {
    'current step': lambda store: store.set_current_step(F, S, 'b'),
    'label': lambda store: store.set_session_label(F, S, 'Loan'),
    'no label': lambda store: store.set_session_label(F, S, None),
    'merge': lambda store: store.update_state(F, S, {'n': 2, 'new': 1}),
    'order of keys below': lambda store: store.update_state(F, S, {'doc': {'text': LONG, 'cursor': 0}}),
    'remove': lambda store: store.update_state(F, S, {}, remove=['n']),
    'step': lambda store: store.update_step_state(F, S, 'a', {'n': 2}),
    'new empty step': lambda store: store.update_step_state(F, S, 'b', {}),
    'clear a step': lambda store: store.clear_step_state(F, S, 'a'),
    'undo': lambda store: store.undo(F, S),
    'redo': lambda store: store.redo(F, S),
    'reset': lambda store: store.reset_session(F, S)}

NO_CHANGES = {
    'current step': lambda store: store.set_current_step(F, S, 'a'),
    'label': lambda store: store.set_session_label(F, S, 'Lease'),
    'merge nothing': lambda store: store.update_state(F, S, {}),
    'merge the same': lambda store: store.update_state(F, S, store.get_state(F, S), undo_label='Same'),
    'remove what is not there': lambda store: store.update_state(F, S, {}, remove=['none', '_step_none']),
    'step': lambda store: store.update_step_state(F, S, 'a', {'n': 1}, undo_label='Same'),
    'clear no step': lambda store: store.clear_step_state(F, S, 'none'),
    'edit nothing': lambda store: store.edit_state(F, S).__enter__(),
    'too few to undo': lambda store: store.undo(F, S, count=9),
    'too few to redo': lambda store: store.redo(F, S, 'a'),
    'a copy of it': lambda store: store.copy_session(F, S, to_flow_id='elsewhere'),
    'reads': lambda store: (everything(store), store.check(), store.get_session(F, S), store._repr_markdown_())}

@pytest.mark.parametrize('change', CHANGES)
def test_a_change_increments_the_revision_by_one(full, change):
    full.create_session(F, 'newer')
    before = revision(full)
    CHANGES[change](full)
    assert revision(full) == before + 1 and full.list_sessions(F)[0].session_id == S, 'updated_at has not changed'

@pytest.mark.parametrize('same', NO_CHANGES)
def test_a_call_without_a_change_keeps_the_revision(full, same):
    full.create_session(F, 'newer')
    before = [full.list_sessions(F), full.get_undo_history(F, S), full.get_undo_history(F, S, 'a')]
    if same == 'edit nothing':
        with full.edit_state(F, S), pytest.raises(RuntimeError): full.update_state(F, S, {})
        with full.edit_step_state(F, S, 'none'): pass
        with full.edit_session(F, S) as session: session.step('none'), session.state
        assert session.revision == revision(full)
    else: NO_CHANGES[same](full)
    assert [full.list_sessions(F), full.get_undo_history(F, S), full.get_undo_history(F, S, 'a')] == before

def test_state_size_bytes(store):
    def compact(): return json.dumps(store.get_state(F, S), separators=(',', ':'), ensure_ascii=False)
    for value in ('é' * 2000, LONG, {'a': {'b': LONG, 'c': 1}}, [1] * 999, {f'k{i}': 'x' * 50 for i in range(99)}, 0):
        store.update_state(F, S, {'v': value}, undo_label='x')
        store.update_step_state(F, S, 'a', {'v': value})
        for check in range(2):
            size = len(compact().encode())
            assert abs(store.get_session_summary(F, S).state_size_bytes - size) <= max(size / 10, 200)
            if not check: store.undo(F, S)
    store.update_state(F, S, {}, remove=['v', '_step_a'])
    assert store.get_session_summary(F, S).state_size_bytes == 2