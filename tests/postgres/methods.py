"One call of each public method that uses the server, to count its round trips."
import uuid
from datetime import timedelta


def new(): return uuid.uuid4().hex


def prepare(store, flow, session):
    "A session that every call finds something in; after eight rounds, the driver has prepared the statements."
    for _ in range(8):
        store.update_state(flow, session, {'n': new(), 'm': {'a': [1] * 500, 'b': 'x' * 2000}}, undo_label='x')
        store.update_step_state(flow, session, 'step', {'n': new()}, undo_label='x')
    store.update_state(flow, session, {'n': 0}, undo_label='x', undo_group='g')


def edit(store, flow, session, **options):
    with store.edit_state(flow, session, **options) as state: state['n'] = new()


def edit_step(store, flow, session, **options):
    with store.edit_step_state(flow, session, 'step', **options) as state: state['n'] = new()


def edit_parts(store, flow, session, **options):
    with store.edit_session(flow, session, **options) as edited:
        edited.state['n'], edited.step('step')['n'], edited.step('other')['n'] = new(), new(), new()


def calls(store, flow, session):
    "By name, in an order in which each of them finds what it needs."
    ids, label = (flow, session), {'undo_label': 'x'}
    return {
        'create_session': lambda: store.create_session(flow), 'session_exists': lambda: store.session_exists(*ids),
        'get_session_summary': lambda: store.get_session_summary(*ids), 'get_session': lambda: store.get_session(*ids),
        'get_state': lambda: store.get_state(*ids), 'get_step_state': lambda: store.get_step_state(*ids, 'step'),
        'get_current_step': lambda: store.get_current_step(*ids), 'list_sessions': lambda: store.list_sessions(flow),
        'count_sessions': lambda: store.count_sessions(flow), 'list_flows': store.list_flows,
        'get_undo_history': lambda: store.get_undo_history(*ids),
        'set_session_label': lambda: store.set_session_label(*ids, new()),
        'set_session_metadata': lambda: store.set_session_metadata(*ids, {'owner': new()}),
        'set_current_step': lambda: store.set_current_step(*ids, new()),
        'set_current_step of a new session': lambda: store.set_current_step(flow, new(), 'a'),
        'update_state': lambda: store.update_state(*ids, {'n': new()}),
        'update_state with a label': lambda: store.update_state(*ids, {'n': new()}, **label),
        'update_state in an undo group': lambda: store.update_state(*ids, {'n': 1}, **label, undo_group='g'),
        'update_state that removes a key': lambda: store.update_state(*ids, {}, remove=['m'], **label),
        'update_state of a new session': lambda: store.update_state(flow, new(), {'n': 1}),
        'update_state of a new session, labelled': lambda: store.update_state(flow, new(), {'n': 1}, **label),
        'update_step_state': lambda: store.update_step_state(*ids, 'step', {'n': new()}),
        'update_step_state with a label': lambda: store.update_step_state(*ids, 'step', {'n': new()}, **label),
        'update_step_state of a new session': lambda: store.update_step_state(flow, new(), 'step', {'n': 1}),
        'edit_state': lambda: edit(store, *ids), 'edit_state with a label': lambda: edit(store, *ids, **label),
        'edit_step_state': lambda: edit_step(store, *ids),
        'edit_step_state in an undo group': lambda: edit_step(store, *ids, **label, undo_group='g'),
        'edit_session of three parts': lambda: edit_parts(store, *ids),
        'edit_session of three parts, labelled': lambda: edit_parts(store, *ids, **label),
        'edit_session of a new session': lambda: edit_parts(store, flow, new()),
        'undo': lambda: store.undo(*ids), 'redo': lambda: store.redo(*ids),
        'clear_step_state': lambda: store.clear_step_state(*ids, 'step'),
        'clear_step_state of nothing': lambda: store.clear_step_state(*ids, 'step'),
        'copy_session': lambda: store.copy_session(*ids), 'reset_session': lambda: store.reset_session(*ids),
        'delete_session': lambda: store.delete_session(*ids),
        'prune_sessions': lambda: store.prune_sessions(flow, timedelta(0))}
