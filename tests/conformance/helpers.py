"What the conformance tests share: every method with its parameters, calls with valid arguments, and what can be read."
import inspect
import json
from datetime import timedelta

import pytest

F, S = 'f', 's'
LONG = 'The tenant pays the rent on the first day of each month. ' * 60  # 3 KB: stored differently from short texts
WRITE = {'expected_revision': None}
LABELLED = {**WRITE, 'undo_label': None, 'undo_group': None, 'create': True}
FILTERS = {'current_step': None, 'label_contains': None, 'metadata': None}
KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY

# each method: its positional parameters, and its keyword-only parameters with their defaults
METHODS = {
    'create_session': (['flow_id', ('session_id', None), ('label', None)], {'metadata': None}),
    'session_exists': (['flow_id', 'session_id'], {}),
    'get_session_summary': (['flow_id', 'session_id'], {}),
    'get_session': (['flow_id', 'session_id'], {'keys': None, 'steps': None}),
    'set_session_label': (['flow_id', 'session_id', 'label'], WRITE),
    'set_session_metadata': (['flow_id', 'session_id', 'updates'], {'remove': (), **WRITE}),
    'delete_session': (['flow_id', 'session_id'], WRITE),
    'clear_state': (['flow_id', 'session_id'], WRITE),
    'reset_session': (['flow_id', 'session_id'], WRITE),
    'copy_session': (['flow_id', 'session_id'], {'to_flow_id': None, 'to_session_id': None, 'label': None}),
    'get_current_step': (['flow_id', 'session_id'], {}),
    'set_current_step': (['flow_id', 'session_id', 'step_id'], {**WRITE, 'create': True}),
    'get_state': (['flow_id', 'session_id'], {'keys': None}),
    'update_state': (['flow_id', 'session_id', 'updates'], {'remove': (), **LABELLED}),
    'edit_state': (['flow_id', 'session_id'], LABELLED),
    'edit_session': (['flow_id', 'session_id'], LABELLED),
    'get_step_state': (['flow_id', 'session_id', 'step_id'], {'keys': None}),
    'update_step_state': (['flow_id', 'session_id', 'step_id', 'updates'], {'remove': (), **LABELLED}),
    'edit_step_state': (['flow_id', 'session_id', 'step_id'], LABELLED),
    'clear_step_state': (['flow_id', 'session_id', 'step_id'], {**WRITE, 'undo_label': None}),
    'undo': (['flow_id', 'session_id', ('step_id', None)], {'count': 1, 'force': False, 'keep': False, **WRITE}),
    'redo': (['flow_id', 'session_id', ('step_id', None)], {'count': 1, 'force': False, 'keep': False, **WRITE}),
    'get_undo_history': (['flow_id', 'session_id', ('step_id', None)], {}),
    'list_sessions': (['flow_id', ('order_by', 'updated_at'), ('descending', True)],
                      {'limit': None, 'offset': 0, 'after': None, **FILTERS}),
    'count_sessions': (['flow_id'], FILTERS),
    'wait_for_change': (['flow_id', 'session_id', 'revision'], {'timeout': 30.0}),
    'list_flows': ([], {}),
    'prune_sessions': (['flow_id', 'older_than'], {}),
    'check': ([], {})}

VALID = {'flow_id': F, 'session_id': S, 'step_id': 'a', 'label': 'x', 'updates': {'n': 2}, 'older_than': timedelta(1),
         'revision': 99}
ARGUMENTS = {name: {p: VALID[p] for p in positional if isinstance(p, str)} for name, (positional, _) in METHODS.items()}
WRITE_METHODS = [name for name, (_, keyword_only) in METHODS.items() if 'expected_revision' in keyword_only]
CREATING_METHODS = [name for name, (_, keyword_only) in METHODS.items() if 'create' in keyword_only]

def call(store, method, **args):
    "Call a method with valid arguments; enter and leave the block that an edit method returns."
    result = getattr(store, method)(**{**ARGUMENTS[method], **args})
    if not method.startswith('edit'): return result
    with result as edit: (edit.state if method == 'edit_session' else edit).update(n=2)

def as_json(value): return json.dumps(value)  # equal only if values, types and order are equal

def labels(entries): return [entry.label for entry in entries]

def undo_labels(store, *scope): return labels(store.get_undo_history(F, S, *scope).undo)

def redo_labels(store, *scope): return labels(store.get_undo_history(F, S, *scope).redo)

def revision(store, flow=F, session=S): return store.get_session_summary(flow, session).revision

def everything(store):
    "Everything that can be read from a store."
    found = []
    for flow in store.list_flows():
        for summary in store.list_sessions(flow):
            where, state = (flow, summary.session_id), store.get_state(flow, summary.session_id)
            scopes = [None, 'a', *(key[6:] for key in state if key.startswith('_step_') and key != '_step_')]
            found.append((summary, as_json(state), [store.get_undo_history(*where, scope) for scope in scopes]))
    return found

def refuses(store, kind, names, action):
    "The action raises an error that names this, and writes nothing."
    before = everything(store)
    with pytest.raises(kind) as error: action()
    assert names in str(error.value)
    assert everything(store) == before
    return error.value
