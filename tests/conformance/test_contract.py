"""What every store does, whatever its engine: the contract's rules that are not about files, a test for each.

The stores of this package are tested on `:memory:`, on a file and on PostgreSQL. Another one is tested by a function
`open_store(name, **options)`, which opens a store on the data called `name`, empty if it is new, and takes the options
of every store (`timeout`, `synchronous`, `max_undo_depth`, `max_undo_bytes`, `default`):

    pytest tests/conformance --store my_package.my_module:open_store

A failing test names a rule that is not kept. An engine that can't hold NUL in ids leaves out `-k "not nul"`.
"""
import contextvars
import dataclasses
import inspect
import json
import multiprocessing
import os
import pickle
import re
import threading
import uuid
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from cjm_workflow_state.state_store import (
    SessionSummary, StaleSessionError, UndoConflictError, UndoHistory, WorkflowStateStore)

F, S = 'f', 's'
LONG = 'The tenant pays the rent on the first day of each month. ' * 60  # 3 KB: stored in another way than short ones
WRITE = {'expected_revision': None}
LABELLED = {**WRITE, 'undo_label': None, 'undo_group': None}
REST = inspect.Parameter.KEYWORD_ONLY

# each method: its parameters by place, those by name only with their defaults
METHODS = {
    'create_session': (['flow_id', ('session_id', None), ('label', None)], {}),
    'session_exists': (['flow_id', 'session_id'], {}),
    'get_session_summary': (['flow_id', 'session_id'], {}),
    'get_session': (['flow_id', 'session_id'], {'keys': None, 'steps': None}),
    'set_session_label': (['flow_id', 'session_id', 'label'], WRITE),
    'delete_session': (['flow_id', 'session_id'], WRITE),
    'clear_state': (['flow_id', 'session_id'], WRITE),
    'reset_session': (['flow_id', 'session_id'], WRITE),
    'copy_session': (['flow_id', 'session_id'], {'to_flow_id': None, 'to_session_id': None, 'label': None}),
    'get_current_step': (['flow_id', 'session_id'], {}),
    'set_current_step': (['flow_id', 'session_id', 'step_id'], WRITE),
    'get_state': (['flow_id', 'session_id'], {'keys': None}),
    'update_state': (['flow_id', 'session_id', 'updates'], {'remove': (), **LABELLED}),
    'edit_state': (['flow_id', 'session_id'], LABELLED),
    'edit_session': (['flow_id', 'session_id'], LABELLED),
    'get_step_state': (['flow_id', 'session_id', 'step_id'], {'keys': None}),
    'update_step_state': (['flow_id', 'session_id', 'step_id', 'updates'], {'remove': (), **LABELLED}),
    'edit_step_state': (['flow_id', 'session_id', 'step_id'], LABELLED),
    'clear_step_state': (['flow_id', 'session_id', 'step_id'], {**WRITE, 'undo_label': None}),
    'undo': (['flow_id', 'session_id', ('step_id', None)], {'count': 1, 'force': False, **WRITE}),
    'redo': (['flow_id', 'session_id', ('step_id', None)], {'count': 1, 'force': False, **WRITE}),
    'get_undo_history': (['flow_id', 'session_id', ('step_id', None)], {}),
    'list_sessions': (['flow_id', ('order_by', 'updated_at'), ('descending', True)], {'limit': None, 'offset': 0}),
    'count_sessions': (['flow_id'], {}),
    'list_flows': ([], {}),
    'prune_sessions': (['flow_id', 'older_than'], {}),
    'check': ([], {})}

GOOD = {'flow_id': F, 'session_id': S, 'step_id': 'a', 'label': 'x', 'updates': {'n': 2}, 'older_than': timedelta(1)}
CALLS = {name: {p: GOOD[p] for p in by_place if isinstance(p, str)} for name, (by_place, _) in METHODS.items()}
WRITES = [name for name, (_, by_name) in METHODS.items() if 'expected_revision' in by_name]

def call(store, method, **args):
    "Call it, and where it gives a block to edit in, enter and leave that."
    result = getattr(store, method)(**{**CALLS[method], **args})
    if not method.startswith('edit'): return result
    with result as inside: (inside.state if method == 'edit_session' else inside).update(n=2)

def text(value): return json.dumps(value)  # equal only where values, types and order are

def labels(entries): return [entry.label for entry in entries]

def undo_labels(store, *scope): return labels(store.get_undo_history(F, S, *scope).undo)

def redo_labels(store, *scope): return labels(store.get_undo_history(F, S, *scope).redo)

def revision(store, flow=F, session=S): return store.get_session_summary(flow, session).revision

def seen(store):
    "Everything that can be read."
    found = []
    for flow in store.list_flows():
        for summary in store.list_sessions(flow):
            where, state = (flow, summary.session_id), store.get_state(flow, summary.session_id)
            scopes = [None, 'a', *(key[6:] for key in state if key.startswith('_step_') and key != '_step_')]
            found.append((summary, text(state), [store.get_undo_history(*where, scope) for scope in scopes]))
    return found

def refused(store, kind, names, action):
    "It raises, names this, and nothing is written."
    before = seen(store)
    with pytest.raises(kind) as error: action()
    assert names in str(error.value)
    assert seen(store) == before
    return error.value

@pytest.fixture
def full(store):
    "A store with a session that has some of everything."
    store.create_session(F, S, label='Lease')
    store.set_current_step(F, S, 'a')
    store.update_state(F, S, {'n': 1, 'doc': {'cursor': 0, 'text': LONG}}, undo_label='Own')
    store.update_step_state(F, S, 'a', {'n': 1}, undo_label='In a')
    store.update_state(F, S, {'m': 1}, undo_label='More')
    store.undo(F, S)
    return store

# -- section 2: names

def test_summary_has_these_fields_in_this_order():
    assert [field.name for field in dataclasses.fields(SessionSummary)] == [
        'flow_id', 'session_id', 'label', 'current_step', 'created_at', 'updated_at', 'state_size_bytes', 'revision']
    assert SessionSummary('f', 's', None, None, '', '', 2).revision == 0

@pytest.mark.parametrize('name', METHODS)
def test_names_order_and_defaults_of_parameters(store, name):
    by_place, by_name = METHODS[name]
    found = inspect.signature(getattr(store, name)).parameters.values()
    empty = inspect.Parameter.empty
    assert [p.name if p.default is empty else (p.name, p.default) for p in found if p.kind != REST] == by_place
    assert {p.name: p.default for p in found if p.kind == REST} == by_name

def test_every_method_is_in_this_module(store):
    public = {name for name, _ in inspect.getmembers(WorkflowStateStore, inspect.isfunction) if name[0] != '_'}
    assert public == METHODS.keys() | {'close'} and isinstance(store, WorkflowStateStore)

# -- section 2: sessions

@pytest.mark.parametrize('method, nothing', [
    ('get_current_step', None), ('get_state', {}), ('get_step_state', {}), ('get_session_summary', None),
    ('get_session', None), ('session_exists', False), ('get_undo_history', UndoHistory([], [])), ('undo', None),
    ('redo', None), ('set_session_label', None), ('clear_state', None), ('delete_session', None),
    ('reset_session', None), ('clear_step_state', None), ('list_sessions', []), ('count_sessions', 0),
    ('prune_sessions', 0), ('list_flows', []), ('check', [])])
def test_of_an_absent_session_nothing_is_told_and_none_is_made(store, method, nothing):
    assert call(store, method) == nothing
    assert store.list_flows() == []

@pytest.mark.parametrize('method, args', [
    ('set_current_step', {}), ('update_state', {}), ('update_state', {'updates': {}}), ('update_step_state', {}),
    ('update_step_state', {'updates': {}}), ('edit_state', {}), ('edit_step_state', {}), ('edit_session', {}),
    ('create_session', {'session_id': S})])
def test_an_absent_session_is_made_at_revision_1(store, method, args):
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

def test_without_an_id_a_session_gets_a_uuid4(store):
    made = store.create_session(F)
    assert uuid.UUID(made).version == 4 and str(uuid.UUID(made)) == made and store.session_exists(F, made)

def test_an_id_that_is_taken_is_an_integrity_error_that_names_flow_and_session(full):
    error = refused(full, full.IntegrityError, repr(F), lambda: full.create_session(F, S))
    assert repr(S) in str(error)

def test_current_step(store):
    store.set_current_step(F, S, 'split')
    store.set_current_step(F, S, 'review')
    assert store.get_current_step(F, S) == store.get_session_summary(F, S).current_step == 'review'

def test_a_label_is_set_and_cleared(full):
    full.set_session_label(F, S, 'Loan')
    assert full.get_session_summary(F, S).label == 'Loan'
    full.set_session_label(F, S, None)
    assert full.get_session_summary(F, S).label is None
    refused(full, TypeError, 'label', lambda: full.set_session_label(F, S, 5))
    refused(full, TypeError, 'label', lambda: full.create_session(F, 'new', 5))

@pytest.mark.parametrize('method', ['delete_session', 'clear_state'])
def test_deleting_takes_all_that_hangs_on_the_session(full, method):
    full.update_state(F, 'other', {'n': 1})
    getattr(full, method)(F, S)
    assert [s.session_id for s in full.list_sessions(F)] == ['other'] and full.get_state(F, S) == {}
    full.create_session(F, S)  # under the same id
    assert (full.get_state(F, S), full.get_current_step(F, S), revision(full)) == ({}, None, 1)
    assert full.get_undo_history(F, S) == full.get_undo_history(F, S, 'a') == UndoHistory([], [])

# -- section 2: ids

@pytest.mark.parametrize('method', [name for name, args in CALLS.items() if 'flow_id' in args])
def test_ids_are_non_empty_texts(full, method):
    "`TypeError` and `ValueError` name the argument; nothing is written."
    by_place, by_name = METHODS[method]
    nullable = {p[0] for p in by_place if not isinstance(p, str)} | by_name.keys()
    for name in [*(p if isinstance(p, str) else p[0] for p in by_place), *by_name]:
        if not name.endswith('_id'): continue
        refused(full, ValueError, name, lambda: call(full, method, **{name: ''}))
        refused(full, ValueError, name, lambda: call(full, method, **{name: '\ud83d'}))  # half a character
        for bad in (5, b's', True, ['s'], *([] if name in nullable else [None])):
            refused(full, TypeError, name, lambda: call(full, method, **{name: bad}))

ODD = ['a', 'A', 'a:b', 'ab', ':', '%', '_', 'a%', "'", '"', '😀', ' ', 'a ', 'é', 'e\u0301', '--', ';', '../x', '\n',
       '?', '$1', '%s', '{}', '\\', "'; DROP TABLE workflow_session; --", 'x' * 500]

def check_ids(store, odd):
    for flow in odd:
        for session in odd[:8]: store.set_current_step(flow, session, f'{flow}/{session}')
        for step in odd: store.update_step_state(flow, odd[0], step, {step: flow}, undo_label=f'To {step}')
    assert sorted(store.list_flows()) == sorted(odd)
    for flow in odd:
        assert {s.session_id: s.current_step for s in store.list_sessions(flow)} == {
            session: f'{flow}/{session}' for session in odd[:8]}
        assert store.get_state(flow, odd[0]) == {f'_step_{step}': {step: flow} for step in odd}
        for step in odd:
            assert store.get_step_state(flow, odd[0], step) == {step: flow}
            assert labels(store.get_undo_history(flow, odd[0], step).undo) == [f'To {step}']
    store.delete_session(odd[0], odd[1])
    store.prune_sessions(odd[1], timedelta(0))
    assert [store.count_sessions(flow) for flow in odd] == [7, 0, *[8] * (len(odd) - 2)]

def test_any_other_character_is_just_a_character(store): check_ids(store, ODD)

def test_nul_is_just_a_character(engine, store):
    if engine.takes_nul: check_ids(store, ['a', 'a\0', '\0', 'a\0b', 'a\0c', 'b', 'c', 'd', 'e'])
    else: refused(store, ValueError, 'flow_id', lambda: store.create_session('a\0'))

def test_a_colon_splits_nothing(store):
    store.update_state('a', 'b:c', {'n': 1})
    store.update_state('a:b', 'c', {'n': 2})
    assert (store.get_state('a', 'b:c'), store.get_state('a:b', 'c')) == ({'n': 1}, {'n': 2})
    assert [s.session_id for s in store.list_sessions('a')] == ['b:c']

# -- section 2: state

def test_an_update_merges_top_level_keys_and_replaces_values_whole(store):
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

def test_values_come_back_as_json_does(store):
    for i, value in enumerate(VALUES):
        for write in (lambda value: store.update_state(F, S, {'v': value}),
                      lambda value: store.update_step_state(F, S, 'a', {'v': value})):
            write(value)
            before = revision(store)
            write(value)
            assert revision(store) == before, 'the same text is no change'
        assert text(store.get_state(F, S)['v']) == text(store.get_step_state(F, S, 'a')['v']) == text(value)
    store.update_state(F, S, {'v': (1, (2,)), 'w': {2: 'a', None: 'b', True: 'c', 1.5: {2: 'd'}}})
    state = store.get_state(F, S, keys=['v', 'w'])
    assert state == {'v': [1, [2]], 'w': {'2': 'a', 'null': 'b', 'true': 'c', '1.5': {'2': 'd'}}}

def test_one_and_true_are_two_values(store):
    "Compared are texts of JSON, not what Python takes for equal."
    for i, value in enumerate([1, 1.0, True, '1', 0.0, -0.0, False]):
        store.update_state(F, S, {'v': value})
        assert revision(store) == i + 1

def test_keys_are_texts(full):
    refused(full, TypeError, '5', lambda: full.update_state(F, S, {'ok': 1, 5: 2}))
    refused(full, TypeError, '5', lambda: full.update_step_state(F, S, 'a', {'ok': 1, 5: 2}))
    for bad in (None, 5, [('a', 1)], 'a'): refused(full, TypeError, 'updates', lambda: full.update_state(F, S, bad))

def test_what_json_cannot_hold_is_a_type_error_that_names_the_path(full):
    bad = {'segments': [0, 1, 2, {'when': datetime(2026, 3, 1)}]}
    def edit(block):
        with block as state: state.update(bad, ok=1)
    refused(full, TypeError, 'segments[3].when', lambda: full.update_state(F, S, {'ok': 1, **bad}))
    refused(full, TypeError, 'segments[3].when', lambda: full.update_step_state(F, S, 'a', {'ok': 1, **bad}))
    refused(full, TypeError, 'segments[3].when', lambda: edit(full.edit_state(F, S)))
    refused(full, TypeError, 'segments[3].when', lambda: edit(full.edit_step_state(F, S, 'a')))
    refused(full, TypeError, 'ok', lambda: full.update_state(F, 'new', {'ok': {1, 2}}))
    circle = []
    circle.append(circle)
    refused(full, TypeError, 'v', lambda: full.update_state(F, S, {'v': circle}))

def test_two_keys_that_become_one_are_a_value_error(full):
    for bad in ({'v': {1: 'a', '1': 'b'}}, {'v': {'w': {None: 1, 'null': 2}}}):
        refused(full, ValueError, 'v', lambda: full.update_state(F, S, bad))
    refused(full, ValueError, 'v', lambda: full.update_step_state(F, S, 'a', {'v': {True: 1, 'true': 2}}))

def test_values_deeper_than_500_levels_are_a_type_error(full):
    def nested(levels): return [nested(levels - 1)] if levels else 0
    full.update_state(F, S, {'v': nested(500)})
    assert text(full.get_state(F, S)['v']) == text(nested(500))
    refused(full, TypeError, 'v', lambda: full.update_state(F, S, {'v': nested(501)}))

def test_what_a_getter_returns_is_the_callers_own(full):
    for get in (lambda: full.get_state(F, S), lambda: full.get_step_state(F, S, 'a'),
                lambda: full.get_session(F, S).state, lambda: full.get_session(F, S).step('a')):
        before = text(get())
        mine = get()
        mine['n'] = 'mine'
        for value in mine.values():
            if isinstance(value, dict): value.clear()
        assert text(get()) == before

def test_order_of_keys_is_that_of_a_dict(store):
    store.update_state(F, S, {'b': 1, 'a': {'z': LONG, 'y': 1}})
    store.update_state(F, S, {'c': 0, 'b': 3})
    assert list(store.get_state(F, S)) == ['b', 'a', 'c']
    store.update_state(F, S, {'b': 1}, remove=['a'])
    store.update_state(F, S, {'a': {'z': LONG, 'y': 1}})
    assert list(store.get_state(F, S)) == ['b', 'c', 'a']
    store.update_state(F, S, {'a': {'new': 0, 'y': 1, 'z': LONG}})  # replaced whole, so with this order
    assert list(store.get_state(F, S)['a']) == ['new', 'y', 'z']
    with store.edit_state(F, S) as state: state['b'] = state.pop('b')
    assert list(store.get_state(F, S)) == ['c', 'a', 'b']

def test_keys_names_what_is_read(full):
    assert full.get_state(F, S, keys=['n', 'none']) == full.get_step_state(F, S, 'a', keys=['none', 'n']) == {'n': 1}
    assert full.get_state(F, S, keys=[]) == {} and full.get_state(F, S, keys=iter(['n'])) == {'n': 1}
    assert full.get_state(F, S, keys=['_step_a']) == {'_step_a': {'n': 1}}
    full.update_state(F, 'many', {f'k{i}': i for i in range(2000)})
    assert len(full.get_state(F, 'many', keys=[f'k{i}' for i in range(0, 2000, 2)])) == 1000
    for bad in ('n', b'n', 5, [5], [None]):
        refused(full, TypeError, 'keys', lambda: full.get_state(F, S, keys=bad))
        refused(full, TypeError, 'keys', lambda: full.get_step_state(F, S, 'a', keys=bad))

def test_remove_drops_keys_in_the_same_transaction(full):
    full.update_state(F, S, {'new': 1}, remove=['n', 'none'])
    assert list(full.get_state(F, S)) == ['doc', '_step_a', 'new']
    full.update_step_state(F, S, 'a', {'m': 2}, remove=['n'])
    assert full.get_step_state(F, S, 'a') == {'m': 2}
    refused(full, ValueError, "'x'", lambda: full.update_state(F, S, {'x': 1}, remove=['x']))
    refused(full, ValueError, "'x'", lambda: full.update_step_state(F, S, 'a', {'x': 1}, remove=['x']))
    for bad in ('n', 5, [5]): refused(full, TypeError, 'remove', lambda: full.update_state(F, S, {}, remove=bad))
    full.update_state(F, S, {}, remove=['_step_a'])
    assert full.get_step_state(F, S, 'a') == {}

# -- section 2: steps inside the state

def test_steps_stand_in_the_state_under_their_key(store):
    store.update_step_state(F, S, 'review', {'cursor': 3, 'accepted': [0]})
    store.update_step_state(F, S, 'empty', {})
    assert store.get_state(F, S) == {'_step_review': {'cursor': 3, 'accepted': [0]}, '_step_empty': {}}
    store.update_state(F, S, {'_step_review': {'cursor': 0}, 'own': 1})  # replaces the step's state
    assert store.get_step_state(F, S, 'review') == {'cursor': 0}
    store.update_step_state(F, S, '_step_', {'odd': 1})
    store.update_state(F, S, {'_step_': 5})  # of no step
    assert store.get_step_state(F, S, '_step_') == {'odd': 1} and store.get_state(F, S)['_step_'] == 5
    for bad in (5, None, [1], 'x'):
        refused(store, ValueError, '_step_review', lambda: store.update_state(F, S, {'ok': 1, '_step_review': bad}))

def test_clearing_a_step_takes_that_step_only(full):
    full.update_step_state(F, S, 'b', {'n': 2})
    full.clear_step_state(F, S, 'a')
    state = full.get_state(F, S)
    assert full.get_step_state(F, S, 'a') == {} and list(state) == ['n', 'doc', '_step_b']
    before = seen(full)
    full.clear_step_state(F, S, 'a')
    full.clear_step_state(F, 'none', 'a')
    assert seen(full) == before

# -- section 2: atomic, concurrent

@pytest.mark.parametrize('sessions', [1, 4])
def test_no_merge_of_threads_is_lost(store, sessions):
    def merge(i): store.update_state(F, f's{i % sessions}', {f'k{i}': i})
    with ThreadPoolExecutor(8) as pool: list(pool.map(merge, range(100)))
    got = [store.get_state(F, f's{i}') for i in range(sessions)]
    assert {key: n for state in got for key, n in state.items()} == {f'k{i}': i for i in range(100)}
    assert sum(revision(store, F, f's{i}') for i in range(sessions)) == 100

def merge_some(pickled, start):
    with pickle.loads(pickled) as store:
        for i in range(start, start + 25):
            store.update_state(F, S, {f'k{i}': i}, undo_label=f'k{i}')
            with store.edit_step_state(F, S, 'a') as state: state['n'] = state.get('n', 0) + 1

@pytest.mark.shared
def test_no_merge_of_processes_is_lost(open_store):
    "Each by a copy of the store that was pickled."
    store = open_store(max_undo_depth=200)
    with ProcessPoolExecutor(4, multiprocessing.get_context('spawn')) as pool:
        list(pool.map(merge_some, [pickle.dumps(store)] * 4, range(0, 100, 25)))
    assert store.get_state(F, S) == {**{f'k{i}': i for i in range(100)}, '_step_a': {'n': 100}}
    assert revision(store) == 200 and sorted(undo_labels(store)) == sorted(f'k{i}' for i in range(100))
    assert store.check() == []

def test_nobody_sees_half_of_an_update(store):
    store.update_state(F, S, {'a': 0, 'b': {'n': 0}, '_step_a': {'n': 0}})
    ended = threading.Event()
    def write():
        try:
            for i in range(1, 60):
                store.update_state(F, S, {'a': i, 'b': {'n': i}, '_step_a': {'n': i}}, undo_label=f'{i}')
        finally: ended.set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while True:
            last = ended.is_set()
            state = store.get_state(F, S)
            assert state['a'] == state['b']['n'] == state['_step_a']['n']
            one = store.get_session(F, S)
            assert one.state['a'] == one.step('a')['n'] == one.revision - 1
            assert (one.history().undo[0].label if one.history().undo else '0') == str(one.state['a'])
            if last: break
        writing.result()

@pytest.mark.shared
def test_a_reader_never_waits_for_a_writer(open_store):
    one, other = open_store(), open_store()
    one.update_state(F, S, {'n': 1})
    with one.edit_state(F, S) as state, ThreadPoolExecutor(1) as pool:
        state['n'] = 2
        for store in (one, other):  # from another thread, as if from another process
            assert pool.submit(store.get_state, F, S).result(20) == {'n': 1}
            assert pool.submit(store.list_sessions, F).result(20)[0].revision == 1
            assert pool.submit(store.get_session, F, S).result(20).state == {'n': 1}
    assert other.get_state(F, S) == {'n': 2}

@pytest.mark.shared
def test_only_what_changed_is_written(engine, store):
    "An app that keeps everything under one key, and undo of a small thing in it."
    if engine.written() is None: pytest.skip('this engine does not tell what it writes')
    def segments(step): return [{'id': str(uuid.uuid5(uuid.NAMESPACE_URL, f'{step}{i}'))} for i in range(4000)]
    state = {'steps': {step: {'cursor': 0, 'segments': segments(step)} for step in ('split', 'review')}}
    def cost(action):
        before = engine.written()
        action()
        return engine.written() - before
    whole = cost(lambda: store.update_state(F, S, state))
    assert whole > len(text(state)) / 2, 'of such texts nothing can be left out'
    state['steps']['review']['cursor'] = 41
    assert cost(lambda: store.update_state(F, S, state, undo_label='Move')) < whole / 5
    assert cost(lambda: store.undo(F, S)) < whole / 5
    assert store.get_state(F, S)['steps']['review']['cursor'] == 0

# -- section 2: times, revision, size

def test_times_are_utc_without_offset(full):
    summary = full.get_session_summary(F, S)
    entry = full.get_undo_history(F, S).undo[0]
    for time in (summary.created_at, summary.updated_at, entry.created_at):
        assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', time)
        assert abs(datetime.fromisoformat(f'{time}+00:00') - datetime.now(timezone.utc)) < timedelta(minutes=10)

def test_of_two_in_one_second_the_later_one_is_later(store):
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

SAME = {
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
    'reads': lambda store: (seen(store), store.check(), store.get_session(F, S), store._repr_markdown_())}

@pytest.mark.parametrize('change', CHANGES)
def test_a_call_that_changes_something_counts_up_by_one(full, change):
    full.create_session(F, 'newer')
    before = revision(full)
    CHANGES[change](full)
    assert revision(full) == before + 1 and full.list_sessions(F)[0].session_id == S, 'updated_at has not moved'

@pytest.mark.parametrize('same', SAME)
def test_a_call_that_changes_nothing_counts_nothing(full, same):
    full.create_session(F, 'newer')
    before = [full.list_sessions(F), full.get_undo_history(F, S), full.get_undo_history(F, S, 'a')]
    if same == 'edit nothing':
        with full.edit_state(F, S), pytest.raises(RuntimeError): full.update_state(F, S, {})
        with full.edit_step_state(F, S, 'none'): pass
        with full.edit_session(F, S) as session: session.step('none'), session.state
        assert session.revision == revision(full)
    else: SAME[same](full)
    assert [full.list_sessions(F), full.get_undo_history(F, S), full.get_undo_history(F, S, 'a')] == before

def test_size_of_the_state(store):
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

@pytest.mark.shared
def test_a_pickled_store_is_one_on_the_same_data_with_the_same_options(open_store):
    store = open_store(max_undo_depth=1, default=str, timeout=5)
    with pickle.loads(pickle.dumps(store)) as other:
        assert repr(other) == repr(store)
        other.update_state(F, S, {'when': timedelta(1)}, undo_label='one')
        other.update_state(F, S, {'n': 1}, undo_label='two')
    assert store.get_state(F, S) == {'when': '1 day, 0:00:00', 'n': 1} and undo_labels(store) == ['two']

# -- section 3: edit

@pytest.mark.parametrize('method', ['edit_state', 'edit_step_state', 'edit_session'])
def test_an_edit_reads_while_it_holds_the_right_to_write(open_store, method):
    store = open_store(max_undo_depth=100)
    def count_up(_):
        with getattr(store, method)(**CALLS[method], undo_label='up') as inside:
            state = inside.state if method == 'edit_session' else inside
            state['n'] = state.get('n', 0) + 1
    with ThreadPoolExecutor(8) as pool: list(pool.map(count_up, range(80)))
    scope = ['a'] if method == 'edit_step_state' else []
    assert (store.get_step_state(F, S, 'a') if scope else store.get_state(F, S)) == {'n': 80}
    assert revision(store) == len(undo_labels(store, *scope)) == 80

@pytest.mark.parametrize('method', ['edit_state', 'edit_step_state', 'edit_session'])
def test_an_exception_in_an_edit_writes_nothing(full, method):
    def stop(session_id):
        with getattr(full, method)(**{**CALLS[method], 'session_id': session_id}, undo_label='x') as inside:
            (inside.state if method == 'edit_session' else inside)['n'] = 9
            raise KeyError('changed my mind')
    for session_id in (S, 'new'): refused(full, KeyError, 'changed my mind', lambda: stop(session_id))
    full.update_state(F, S, {'n': 3})  # and the right to write is given back
    assert full.get_state(F, S)['n'] == 3

def test_of_an_edit_only_what_changed_is_written(full):
    with full.edit_state(F, S, undo_label='Edit') as state:
        assert list(state) == ['n', 'doc', '_step_a']
        state['doc']['cursor'] = 4
        del state['n']
        state['new'] = [1]
    assert sorted(full.get_undo_history(F, S).undo[0].keys) == ['doc', 'n', 'new']
    assert full.get_state(F, S) == {'doc': {'cursor': 4, 'text': LONG}, '_step_a': {'n': 1}, 'new': [1]}
    with full.edit_step_state(F, S, 'a') as state: state.clear()
    assert full.get_state(F, S)['_step_a'] == {}, 'cleared, and still a step'

def test_an_edit_that_puts_nothing_in_makes_no_session(store):
    with store.edit_state(F, S): pass
    with store.edit_step_state(F, S, 'a'): pass
    with store.edit_session(F, S) as session: session.state, session.step('a')
    assert session.revision == 0 and store.list_flows() == []

@pytest.mark.parametrize('method', [*WRITES, 'create_session', 'copy_session', 'prune_sessions'])
def test_another_write_of_the_same_call_inside_an_edit_is_a_runtime_error(full, method):
    for block in (full.edit_state(F, S), full.edit_step_state(F, S, 'a'), full.edit_session(F, S)):
        with block:
            with pytest.raises(RuntimeError, match='inside an edit block'): call(full, method)
            if 'session_id' in CALLS[method]:
                with pytest.raises(RuntimeError, match='inside an edit block'): call(full, method, session_id='other')
            assert full.get_state(F, S, keys=['n']) == {'n': 1}, 'reading is fine'
    full.update_state(F, S, {'n': 2})

def test_an_unrelated_call_in_the_thread_that_began_the_block_waits_its_turn(store):
    block, begun = store.edit_state(F, S), threading.Event()
    def merge():
        begun.set()
        store.update_state(F, S, {'unrelated': 1})
    with ThreadPoolExecutor(1) as pool:
        state = pool.submit(contextvars.copy_context().run, block.__enter__).result()
        unrelated = pool.submit(contextvars.copy_context().run, merge)
        begun.wait()
        state['block'] = 1
        block.__exit__(None, None, None)
        unrelated.result()
    assert store.get_state(F, S) == {'block': 1, 'unrelated': 1}

def test_edit_session_is_one_change_of_any_parts(full):
    before = revision(full)
    with full.edit_session(F, S, undo_label='Send') as session:
        assert (session.current_step, session.label, session.revision) == ('a', 'Lease', before)
        assert list(session.state) == ['n', 'doc'] and session.step('a') == {'n': 1} and session.step('b') == {}
        session.state['n'] = 5
        session.step('c')['k'] = session.step('a').pop('n')
        session.current_step, session.label = 'c', 'Sent'
    assert session.revision == revision(full) == before + 1
    assert list(full.get_state(F, S)) == ['n', 'doc', '_step_a', '_step_c']
    assert (full.get_current_step(F, S), full.get_session_summary(F, S).label) == ('c', 'Sent')
    [entry] = full.undo(F, S)
    assert entry.label == 'Send' and sorted(entry.keys) == ['_step_a', '_step_c', 'n']
    state = full.get_state(F, S)
    assert (state['n'], state['_step_a'], '_step_c' in state) == (1, {'n': 1}, False)
    assert (full.get_current_step(F, S), full.get_session_summary(F, S).label) == ('c', 'Sent'), 'are not undone'
    full.redo(F, S)
    assert full.get_step_state(F, S, 'c') == {'k': 1}
    with full.edit_session(F, S) as session: session.current_step = session.label = None
    assert (full.get_current_step(F, S), full.get_session_summary(F, S).label) == (None, None)
    with pytest.raises(RuntimeError, match='ended'): session.step('later')

@pytest.mark.parametrize('kind, names, change', [
    (ValueError, 'a', lambda session: session.state.update({'_step_a': {}})),
    (TypeError, 'v', lambda session: session.state.update(v={1})),
    (ValueError, 'step_id', lambda session: session.step('')),
    (ValueError, 'current_step', lambda session: setattr(session, 'current_step', '')),
    (TypeError, 'current_step', lambda session: setattr(session, 'current_step', 5)),
    (TypeError, 'label', lambda session: setattr(session, 'label', 5))])
def test_edit_session_refuses_what_the_methods_refuse(full, kind, names, change):
    def edit():
        with full.edit_session(F, S, undo_label='x') as session:
            session.step('a')['n'] = 9
            change(session)
    refused(full, kind, names, edit)

# -- section 3: one read

def test_get_session_has_all_of_one_moment(full):
    one, summary = full.get_session(F, S), full.get_session_summary(F, S)
    assert [getattr(one, f.name) for f in dataclasses.fields(summary)] == list(dataclasses.astuple(summary))
    assert one.state == {'n': 1, 'doc': {'cursor': 0, 'text': LONG}} and one.step('a') == {'n': 1}
    assert one.step('none') == {} and one.history('none') == UndoHistory([], [])
    assert one.history() == full.get_undo_history(F, S) and one.history('a') == full.get_undo_history(F, S, 'a')
    assert (labels(one.history().undo), labels(one.history().redo)) == (['Own'], ['More'])

def test_get_session_loads_what_keys_and_steps_name(full):
    full.update_step_state(F, S, 'b', {'m': 2})
    assert full.get_session(F, S, keys=['n', 'none', '_step_a']).state == {'n': 1}
    assert full.get_session(F, S, keys=[]).step('b') == {'m': 2}
    one = full.get_session(F, S, steps=['a', 'none'])
    assert (one.step('a'), one.step('none'), list(one.state)) == ({'n': 1}, {}, ['n', 'doc'])
    for read in (one.step, one.history, full.get_session(F, S, steps=[]).step):
        with pytest.raises(LookupError, match="'b'"): read('b')
    for bad in ('a', 5, [5]):
        refused(full, TypeError, 'keys', lambda: full.get_session(F, S, keys=bad))
        refused(full, TypeError, 'steps', lambda: full.get_session(F, S, steps=bad))

def test_get_session_shows_itself_in_jupyter(full):
    odd = '<b>' + 'x' * 999
    full.update_state('html', odd, {odd: odd}, undo_label='<i>')
    html = full.get_session('html', odd)._repr_html_()
    assert '<b>x' not in html and '<i>' not in html and '&lt;b&gt;x' in html and len(html) < 5000

# -- section 3: two tabs

@pytest.mark.parametrize('method', WRITES)
def test_every_write_asks_for_the_expected_revision_in_its_transaction(full, method):
    actual = revision(full)
    for stale in (actual - 1, actual + 1, 0):
        error = refused(full, StaleSessionError, str(stale), lambda: call(full, method, expected_revision=stale))
        assert (error.expected, error.actual) == (stale, actual) and str(actual) in str(error)
    for bad in (-1, True, '1', 1.0):
        refused(full, ValueError, 'expected_revision', lambda: call(full, method, expected_revision=bad))
    call(full, method, expected_revision=actual)
    error = refused(full, StaleSessionError, '3', lambda: call(full, method, session_id='none', expected_revision=3))
    assert error.actual == 0

@pytest.mark.parametrize('method', ['set_current_step', 'update_state', 'update_step_state', 'edit_state',
                                    'edit_step_state', 'edit_session'])
def test_expected_revision_0_means_that_there_is_no_session_yet(store, method):
    call(store, method, expected_revision=0)
    assert revision(store) == 1
    refused(store, StaleSessionError, '0', lambda: call(store, method, expected_revision=0))

def test_of_tabs_with_one_revision_one_wins(store):
    store.create_session(F, S)
    def save(i):
        try: store.update_state(F, S, {f'k{i}': i}, expected_revision=1)
        except StaleSessionError: return 0
        return 1
    with ThreadPoolExecutor(8) as pool: assert sum(pool.map(save, range(8))) == 1
    assert len(store.get_state(F, S)) == 1 and revision(store) == 2
    store.update_state(F, S, {'n': 1})  # who doesn't ask is never refused

# -- section 3: sessions

def test_reset_keeps_the_session_its_label_and_its_beginning(full):
    before = full.get_session_summary(F, S)
    full.reset_session(F, S)
    after = full.get_session_summary(F, S)
    assert (after.label, after.created_at, after.revision) == ('Lease', before.created_at, before.revision + 1)
    assert (after.current_step, after.state_size_bytes, full.get_state(F, S)) == (None, 2, {})
    assert full.get_undo_history(F, S) == full.get_undo_history(F, S, 'a') == UndoHistory([], [])
    full.reset_session(F, S)
    assert revision(full) == after.revision, 'there was nothing to drop'

def test_a_copy_has_state_steps_and_current_step_but_no_undo(full):
    before = seen(full)
    made = full.copy_session(F, S)
    assert uuid.UUID(made).version == 4
    assert full.copy_session(F, S, to_flow_id='g', to_session_id='t', label='Mine') == 't'
    for where, label in (((F, made), 'Lease'), (('g', 't'), 'Mine')):
        one = full.get_session(*where)
        assert (one.label, one.current_step, one.revision) == (label, 'a', 1)
        assert text(full.get_state(*where)) == text(full.get_state(F, S))
        assert one.state_size_bytes == full.get_session_summary(F, S).state_size_bytes
        assert one.history() == one.history('a') == UndoHistory([], [])
        full.update_state(*where, {'n': 'changed'})
        full.delete_session(*where)
    assert seen(full) == before

def test_a_copy_needs_a_source_and_a_free_id(full):
    full.create_session(F, 'taken')
    error = refused(full, LookupError, repr(F), lambda: full.copy_session(F, 'none'))
    assert "'none'" in str(error)
    error = refused(full, full.IntegrityError, repr(F), lambda: full.copy_session(F, S, to_session_id='taken'))
    assert "'taken'" in str(error)
    refused(full, TypeError, 'label', lambda: full.copy_session(F, S, label=5))

# -- section 3: lists

def test_lists_are_of_one_flow_and_in_any_of_four_orders(store):
    given = {'1': 'a', '2': 'B', '3': None, '4': 'é', '5': '😀', '6': ''}
    for session_id, label in given.items(): store.create_session(F, session_id, label)
    for flow in ('F', 'f:', 'ff', 'f%', '_'): store.create_session(flow, 'x')
    store.set_current_step(F, '2', 'z')
    store.set_current_step(F, '1', 'A')
    def ids(*args, **kw): return ''.join(s.session_id for s in store.list_sessions(F, *args, **kw))
    assert ids() == ids('updated_at', True) == '126543' and ids(descending=False) == '345621'
    assert ids('created_at') == '654321' and ids('created_at', False) == '123456'
    assert ids('label', False) == '362145', 'byte by byte, those without a label first'
    assert ids('label') == '541263'
    assert ids('current_step', False) == '345612' and ids('current_step') == '216543'
    refused(store, ValueError, 'updated_at, created_at, label, current_step', lambda: ids('size'))
    for bad in (None, '', ['label'], 'label; DROP TABLE x'): refused(store, ValueError, 'order_by', lambda: ids(bad))

def test_lists_come_in_pages(store):
    for i in range(7): store.create_session(F, f'{i}', 'same')
    for order in ('updated_at', 'created_at', 'label', 'current_step'):
        for descending in (True, False):
            whole = store.list_sessions(F, order, descending)
            pages = [store.list_sessions(F, order, descending, limit=3, offset=n) for n in (0, 3, 6, 9)]
            assert sum(pages, []) == whole and list(map(len, pages)) == [3, 3, 1, 0]
            assert {s.session_id for s in whole} == set('0123456'), 'equal ones keep a stable order'
    assert store.list_sessions(F, limit=0) == [] and len(store.list_sessions(F, limit=10 ** 30)) == 7
    assert store.list_sessions(F, offset=10 ** 30) == []
    for bad in (-1, True, '1', 1.5):
        refused(store, ValueError, 'limit', lambda: store.list_sessions(F, limit=bad))
        refused(store, ValueError, 'offset', lambda: store.list_sessions(F, offset=bad))

def test_sessions_are_counted_and_flows_listed(store):
    for flow in ('b', 'B', 'a', 'é', 'a:b'): store.create_session(flow, 'x'), store.create_session(flow, 'y')
    store.delete_session('a', 'x')
    assert store.list_flows() == ['B', 'a', 'a:b', 'b', 'é'] and store.count_sessions('a') == 1
    store.delete_session('a', 'y')
    assert store.list_flows() == ['B', 'a:b', 'b', 'é'] and store.count_sessions('a') == 0

def test_pruning_deletes_what_was_not_updated_for_so_long(full):
    full.create_session(F, 'other')
    full.create_session('g', 'x')
    assert full.prune_sessions(F, timedelta(days=1)) == full.prune_sessions(F, timedelta.max) == 0
    assert full.prune_sessions(F, timedelta(0)) == 2
    assert full.list_flows() == ['g'] and full.check() == []
    refused(full, TypeError, 'older_than', lambda: full.prune_sessions('g', 30))
    refused(full, ValueError, 'older_than', lambda: full.prune_sessions('g', timedelta(-1)))

# -- section 3: open and close

@pytest.mark.parametrize('method', METHODS)
def test_after_close_every_method_is_a_programming_error(open_store, method):
    with open_store() as store: store.update_state(F, S, {'n': 1})
    with pytest.raises(store.ProgrammingError, match='closed'): call(store, method)
    store.close()  # twice is fine
    assert 'closed' in store._repr_markdown_()

def test_the_drivers_exceptions_are_the_stores(store):
    "As PEP 249 has them."
    assert issubclass(store.Error, Exception) and issubclass(store.DatabaseError, store.Error)
    for kind in (store.OperationalError, store.IntegrityError, store.ProgrammingError):
        assert issubclass(kind, store.DatabaseError)

@pytest.mark.parametrize('option, bad', [
    ('timeout', '1'), ('timeout', -1), ('timeout', True), ('synchronous', 'OFF'), ('max_undo_depth', -1),
    ('max_undo_depth', True), ('max_undo_depth', '1'), ('max_undo_bytes', -1), ('max_undo_bytes', 1.5)])
def test_an_option_that_is_none_is_a_value_error_that_names_it(open_store, option, bad):
    with pytest.raises(ValueError, match=option): open_store(**{option: bad})

@pytest.mark.parametrize('synchronous', ['FULL', 'NORMAL'])
@pytest.mark.shared
def test_what_was_returned_is_there_for_who_opens_the_store(open_store, synchronous):
    open_store(synchronous=synchronous).update_state(F, S, {'n': 1})
    assert open_store().get_state(F, S) == {'n': 1}

@pytest.mark.shared
def test_who_waits_for_longer_than_timeout_for_another_writer_gets_an_operational_error(open_store):
    one, other = open_store(), open_store(timeout=0.1)
    one.update_state(F, S, {'n': 1})
    with one.edit_state(F, S) as state:
        refused(other, other.OperationalError, '', lambda: other.update_state(F, S, {'n': 2}))
        state['n'] = 3
    other.update_state(F, S, {'m': 4})
    assert one.get_state(F, S) == {'n': 3, 'm': 4}

def test_default_says_what_json_does_not_know(open_store):
    store = open_store(default=vars)
    box = type('Box', (), {})()
    box.text, box.pair = LONG, (1, 2)
    store.update_state(F, S, {'box': box}, undo_label='Box')
    assert store.get_state(F, S) == {'box': {'text': LONG, 'pair': [1, 2]}}
    store.update_state(F, S, store.get_state(F, S))
    assert revision(store) == 1, 'the same, whoever made the dict'
    refused(store, TypeError, 'bad', lambda: store.update_state(F, S, {'bad': 5j}))
    with pytest.raises(TypeError, match='default'): open_store(default=5)

def test_check_finds_nothing_where_all_is_well(full):
    for i in range(60):
        full.update_state(F, 'many', {'v': [LONG] * (i % 3), 'doc': {'n': i, 't': LONG}}, undo_label='x')
    full.undo(F, 'many', count=7)
    assert full.check() == []

def test_in_jupyter_a_table_of_the_ten_newest(store):
    assert isinstance(store._repr_markdown_(), str) and store.list_flows() == []
    store.create_session(F, S)
    for i in range(12): store.create_session(F, f'session {i}')
    table = store._repr_markdown_()
    assert 'session 11' in table and 'session 2 ' in table and 'session 1 ' not in table and '3 more' in table
    store.set_session_label(F, S, 'Lease | <b>12</b>\n')
    store.set_current_step(F, S, '`step`')
    table = store._repr_markdown_()
    assert 'Lease' in table and not set('<`') & set(table) and table.count('\n') == 2 + 11 + 2
    assert type(store).__name__ in repr(store)

def test_in_jupyter_each_cell_is_cut_to_a_bounded_length(store):
    for name in ('a', 'b'): store.create_session(F, name, label='x' * 100_000)
    assert len(store._repr_markdown_()) < 10_000

@pytest.mark.shared
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
@pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')
def test_after_a_fork_parent_and_child_go_on(full):
    for n in range(3):
        child = os.fork()
        if not child:
            try:
                full.update_step_state(F, S, f'child {n}', {'n': full.get_state(F, S)['n']}, undo_label='child')
                full.close()
                os._exit(0)
            finally: os._exit(1)
        full.update_step_state(F, S, f'parent {n}', {'n': 1}, undo_label='parent')
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert full.get_step_state(F, S, f'child {n}') == full.get_step_state(F, S, f'parent {n}') == {'n': 1}
    assert full.check() == []

# -- section 4: entries

def test_only_labelled_writes_that_change_something_are_undoable(store):
    store.update_state(F, S, {'n': 1})
    store.update_state(F, S, {'n': 2}, undo_label='two')
    store.update_state(F, S, {'n': 2}, undo_label='the same')
    assert undo_labels(store) == ['two']
    assert labels(store.undo(F, S)) == ['two'] and store.get_state(F, S) == {'n': 1}
    store.update_state(F, S, {'cursor': 5})  # no label: redo stays
    store.update_state(F, S, {'n': 1}, undo_label='the same')  # no change: redo stays
    assert redo_labels(store) == ['two']
    assert labels(store.redo(F, S)) == ['two'] and store.get_state(F, S) == {'n': 2, 'cursor': 5}
    assert store.undo(F, S) and store.undo(F, S) is None

@pytest.mark.parametrize('method', [name for name, (_, by_name) in METHODS.items() if 'undo_label' in by_name])
def test_a_label_is_1_to_1000_characters_and_not_blank(full, method):
    for bad in ('', ' ', '\n\t', 'x' * 1001):
        refused(full, ValueError, 'undo_label', lambda: call(full, method, undo_label=bad))
    for bad in (5, b'x', True): refused(full, TypeError, 'undo_label', lambda: call(full, method, undo_label=bad))
    if method != 'clear_step_state':
        refused(full, ValueError, 'undo_group', lambda: call(full, method, undo_group='g'))
        refused(full, TypeError, 'undo_group', lambda: call(full, method, undo_label='x', undo_group=5))
    call(full, method, undo_label='é' * 1000)
    scope = ['a'] if 'step' in method else []
    assert undo_labels(full, *scope)[0] == 'é' * 1000

def test_history_lists_begin_with_what_the_next_call_takes(store):
    assert store.get_undo_history(F, 'none') == UndoHistory([], [])
    for n in range(5): store.update_state(F, S, {'n': n, f'k{n}': n}, undo_label=f'n={n}')
    assert labels(store.undo(F, S, count=3)) == ['n=4', 'n=3', 'n=2'], 'in the order moved'
    history = store.get_undo_history(F, S)
    assert (labels(history.undo), labels(history.redo)) == (['n=1', 'n=0'], ['n=2', 'n=3', 'n=4'])
    assert (history.undo[0].keys, history.redo[0].keys) == (['n', 'k1'], ['n', 'k2'])
    assert labels(store.redo(F, S, count=2)) == ['n=2', 'n=3'] and store.get_state(F, S)['n'] == 3
    assert store.undo(F, S, count=4) and store.get_state(F, S) == {}

def test_more_than_there_is_moves_nothing(store):
    store.update_state(F, S, {'n': 1}, undo_label='x')
    before = seen(store)
    assert store.undo(F, S, count=2) is store.undo(F, S, count=10 ** 30) is store.redo(F, S) is None
    assert store.undo(F, S, 'a') is None, 'a scope of its own'
    assert seen(store) == before
    for bad in (0, -1, True, 1.5, '1'):
        refused(store, ValueError, 'count', lambda: store.undo(F, S, count=bad))
        refused(store, ValueError, 'count', lambda: store.redo(F, S, count=bad))

# -- section 4: scopes and fields

def test_each_step_and_the_session_have_lists_of_their_own(store):
    store.update_step_state(F, S, 'a', {'n': 1}, undo_label='a 1')
    store.update_step_state(F, S, 'b', {'n': 1}, undo_label='b 1')
    store.update_state(F, S, {'n': 1}, undo_label='own 1')
    assert (undo_labels(store), undo_labels(store, 'a'), undo_labels(store, 'b')) == (['own 1'], ['a 1'], ['b 1'])
    store.undo(F, S, 'a')
    assert store.get_state(F, S) == {'_step_b': {'n': 1}, 'n': 1}, 'what made the step is undone, and it is gone'
    store.update_state(F, S, {'n': 2}, undo_label='own 2')
    assert redo_labels(store, 'a') == ['a 1'], 'a new action ends redo of its own scope alone'
    store.redo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'n': 1}

def edit_both(store, **kw):
    with store.edit_state(F, S, **kw) as state: state['_step_a']['n'], state['_step_b'] = 2, {'n': 2}

def edit_all(store, **kw):
    with store.edit_session(F, S, **kw) as session: session.step('a')['n'], session.step('b')['n'] = 2, 2

def update_both(store, **kw): store.update_state(F, S, {'_step_a': {'n': 2}, '_step_b': {'n': 2}}, **kw)

@pytest.mark.parametrize('write', [update_both, edit_both, edit_all])
def test_an_action_of_the_session_may_cover_steps(store, write):
    store.update_step_state(F, S, 'a', {'n': 1})
    write(store, undo_label='Both')
    assert undo_labels(store) == ['Both'] and undo_labels(store, 'a') == undo_labels(store, 'b') == []
    assert sorted(store.get_undo_history(F, S).undo[0].keys) == ['_step_a', '_step_b']
    store.undo(F, S)
    assert store.get_state(F, S) == {'_step_a': {'n': 1}}
    store.redo(F, S)
    assert store.get_state(F, S) == {'_step_a': {'n': 2}, '_step_b': {'n': 2}}
    store.update_step_state(F, S, 'b', {'n': 3}, undo_label='In b')
    error = refused(store, UndoConflictError, '_step_b.n', lambda: store.undo(F, S))
    assert error.keys == ['_step_b']
    store.undo(F, S, 'b')
    assert labels(store.undo(F, S)) == ['Both']

@pytest.mark.parametrize('long', ['short', LONG])
@pytest.mark.parametrize('scope', [[], ['a']])
def test_a_field_is_a_path_of_up_to_three_keys_however_long_its_neighbours_are(store, long, scope):
    def update(value, **kw):
        if scope: store.update_step_state(F, S, *scope, {'doc': value}, **kw)
        else: store.update_state(F, S, {'doc': value}, **kw)
    def now(): return (store.get_step_state(F, S, *scope) if scope else store.get_state(F, S))['doc']
    update({'cursor': 0, 'text': long, 'list': [{'n': 1}]})
    update({'cursor': 0, 'text': long + '!', 'list': [{'n': 1}]}, undo_label='Type')
    update({'cursor': 9, 'text': long + '!', 'list': [{'n': 1}, {}]})  # beside it
    store.undo(F, S, *scope)
    assert now() == {'cursor': 9, 'text': long, 'list': [{'n': 1}, {}]}
    store.redo(F, S, *scope)
    assert now() == {'cursor': 9, 'text': long + '!', 'list': [{'n': 1}, {}]}
    update({'cursor': 9, 'text': long + '!', 'list': [{'n': 2}]}, undo_label='Item')
    update({'cursor': 9, 'text': long + '!', 'list': [{'n': 2, 'm': 1}]})  # a list is one field
    error = refused(store, UndoConflictError, 'doc.list', lambda: store.undo(F, S, *scope))
    assert error.keys == ['doc']

def test_what_lies_deeper_than_three_keys_is_one_field(store):
    store.update_state(F, S, {'a': {'b': {'c': {'d': 1, 'e': 1}, 'x': 1}}})
    store.update_state(F, S, {'a': {'b': {'c': {'d': 2, 'e': 1}, 'x': 1}}}, undo_label='d')
    store.update_state(F, S, {'a': {'b': {'c': {'d': 2, 'e': 1}, 'x': 2}}})
    store.undo(F, S)
    assert store.get_state(F, S) == {'a': {'b': {'c': {'d': 1, 'e': 1}, 'x': 2}}}
    store.redo(F, S)
    store.update_state(F, S, {'a': {'b': {'c': {'d': 2, 'e': 2}, 'x': 2}}})
    refused(store, UndoConflictError, 'a.b.c', lambda: store.undo(F, S))

def test_undo_removes_what_the_action_added_and_puts_back_what_it_took(store):
    store.update_state(F, S, {'a': 1, 'b': {'x': LONG, 'y': 1}})
    store.update_state(F, S, {'new': 1, 'b': {'x': LONG, 'z': 1}}, remove=['a'], undo_label='All')
    after = store.get_state(F, S)
    store.undo(F, S)
    assert store.get_state(F, S) == {'a': 1, 'b': {'x': LONG, 'y': 1}}
    store.redo(F, S)
    assert store.get_state(F, S) == after
    store.undo(F, S)
    assert store.get_state(F, S) == {'a': 1, 'b': {'x': LONG, 'y': 1}}

def test_a_field_that_comes_back_stands_behind_its_old_neighbour(store):
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
    assert ''.join(store.get_state(F, S)) == 'adebc', 'behind b, wherever that is now'

@pytest.mark.shared
def test_undo_and_redo_survive_a_restart(open_store):
    with open_store() as store:
        for n in range(3): store.update_state(F, S, {'n': n, 'text': LONG + str(n)}, undo_label=f'n={n}')
        store.undo(F, S)
        before = seen(store)
    store = open_store()
    assert seen(store) == before
    assert labels(store.redo(F, S)) == ['n=2'] and store.get_state(F, S)['text'] == LONG + '2'
    assert labels(store.undo(F, S, count=3)) == ['n=2', 'n=1', 'n=0'] and store.get_state(F, S) == {}

# -- section 4: limits

def test_a_new_action_drops_redo_first_and_trims_after(open_store):
    store = open_store(max_undo_depth=3)
    for n in range(5): store.update_state(F, S, {'n': n}, undo_label=f'n={n}')
    assert undo_labels(store) == ['n=4', 'n=3', 'n=2']
    store.undo(F, S, count=2)
    store.update_state(F, S, {'n': 'new'}, undo_label='new')
    assert (undo_labels(store), redo_labels(store)) == (['new', 'n=2'], []), 'nothing is trimmed for what redo held'
    assert store.undo(F, S, count=2) and store.get_state(F, S) == {'n': 1} and store.undo(F, S) is None

def test_depth_is_50_unless_said_otherwise_and_0_turns_undo_off(open_store):
    store = open_store()
    for n in range(60): store.update_state(F, S, {'n': n}, undo_label=f'n={n}')
    assert undo_labels(store) == [f'n={n}' for n in range(59, 9, -1)]
    off = open_store(max_undo_depth=0)
    off.update_state('g', S, {'n': 1}, undo_label='x')
    assert off.get_undo_history('g', S) == UndoHistory([], []) and off.undo('g', S) is None
    assert off.get_state('g', S) == {'n': 1}

def test_bytes_are_limited_but_the_newest_entry_is_never_trimmed(open_store):
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

# -- section 4: groups

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
    assert len(undo_labels(store, 'a')) == 1 + 2 + 4, 'None is no group'

def test_a_group_that_cancels_out_vanishes(store):
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

def test_an_unlabelled_write_to_one_of_its_fields_ends_a_group(store):
    type_it(store, '1')
    store.update_step_state(F, S, 'a', {'cursor': 1})  # another field
    type_it(store, '2')
    assert undo_labels(store, 'a') == ['Type 2']
    store.update_step_state(F, S, 'a', {'note': 'by hand'})
    type_it(store, '3')
    assert undo_labels(store, 'a') == ['Type 3', 'Type 2']
    store.undo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'note': 'by hand', 'cursor': 1}

# -- section 4: conflicts

def test_a_field_that_holds_something_else_now_is_a_conflict(store):
    store.update_state(F, S, {'a': 1, 'b': 1, 'doc': {'x': 1, 'y': 1}})
    store.update_state(F, S, {'a': 2, 'b': 2, 'doc': {'x': 2, 'y': 1}}, undo_label='Three')
    store.update_state(F, S, {'a': 3, 'doc': {'x': 3, 'y': 1}})
    error = refused(store, UndoConflictError, 'doc.x', lambda: store.undo(F, S))
    assert sorted(error.keys) == ['a', 'doc'] and "'a'" in str(error)
    for force in (['a'], ['doc', 'b'], [], False):
        refused(store, UndoConflictError, '', lambda: store.undo(F, S, force=force))
    store.undo(F, S, force=['a', 'doc', 'more'])
    assert store.get_state(F, S) == {'a': 1, 'b': 1, 'doc': {'x': 1, 'y': 1}}
    store.redo(F, S)
    assert store.get_state(F, S) == {'a': 3, 'b': 2, 'doc': {'x': 3, 'y': 1}}, 'redo brings back what undo met'
    for bad in ('a', 5, [5]): refused(store, TypeError, 'force', lambda: store.undo(F, S, force=bad))

def test_redo_conflicts_as_undo_does(store):
    store.update_step_state(F, S, 'a', {'n': 1})
    store.update_step_state(F, S, 'a', {'n': 2}, undo_label='two')
    store.undo(F, S, 'a')
    store.update_step_state(F, S, 'a', {'n': 3})
    error = refused(store, UndoConflictError, "'n'", lambda: store.redo(F, S, 'a'))
    assert error.keys == ['n'], "the step's own keys"
    assert labels(store.redo(F, S, 'a', force=True)) == ['two'] and store.get_step_state(F, S, 'a') == {'n': 2}
    store.undo(F, S, 'a')
    assert store.get_step_state(F, S, 'a') == {'n': 3}

def test_what_forced_undo_did_not_change_stays(store):
    store.update_state(F, S, {'doc': {'x': 1, 'y': 1}})
    store.update_state(F, S, {'doc': {'x': 2, 'y': 1}}, undo_label='x')
    store.update_state(F, S, {'doc': {'x': 3, 'y': 3, 'z': 3}, 'other': 3})
    store.undo(F, S, force=True)
    assert store.get_state(F, S) == {'doc': {'x': 1, 'y': 3, 'z': 3}, 'other': 3}

def test_of_several_actions_a_conflict_in_one_moves_none(store):
    for n in range(3): store.update_state(F, S, {f'k{n}': n}, undo_label=f'k{n}')
    store.update_state(F, S, {'k0': 'changed'})
    refused(store, UndoConflictError, 'k0', lambda: store.undo(F, S, count=3))
    assert labels(store.undo(F, S, count=3, force=['k0'])) == ['k2', 'k1', 'k0'] and store.get_state(F, S) == {}

# -- section 4: what goes

def test_clearing_a_step_without_a_label_takes_its_undo(full):
    for clear in (lambda: full.clear_step_state(F, S, 'a'), lambda: full.update_state(F, S, {}, remove=['_step_a'])):
        full.update_step_state(F, S, 'a', {'text': 'secret'}, undo_label='Type')
        clear()
        assert full.get_undo_history(F, S, 'a') == UndoHistory([], []) and undo_labels(full) == ['Own']
        full.update_step_state(F, S, 'a', {'text': 'secret'}, undo_label='Type')
        full.clear_step_state(F, S, 'a', undo_label='Clear')
        clear()  # the step is absent already
        assert full.get_undo_history(F, S, 'a') == UndoHistory([], [])
        assert full.get_step_state(F, S, 'a') == {}

def test_clearing_a_step_with_a_label_can_be_undone(full):
    full.clear_step_state(F, S, 'a', undo_label='Clear')
    assert '_step_a' not in full.get_state(F, S) and undo_labels(full, 'a') == ['Clear', 'In a']
    full.undo(F, S, 'a')
    assert full.get_step_state(F, S, 'a') == {'n': 1}
    full.redo(F, S, 'a')
    assert '_step_a' not in full.get_state(F, S)
