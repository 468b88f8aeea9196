"`edit_state`, `edit_step_state` and `edit_session`."
import contextvars
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from .helpers import ARGUMENTS, F, LONG, S, WRITE_METHODS, call, refuses, revision, undo_labels

@pytest.mark.parametrize('method', ['edit_state', 'edit_step_state', 'edit_session'])
def test_an_edit_block_reads_under_the_write_lock(open_store, method):
    store = open_store(max_undo_depth=100)
    def count_up(_):
        with getattr(store, method)(**ARGUMENTS[method], undo_label='up') as inside:
            state = inside.state if method == 'edit_session' else inside
            state['n'] = state.get('n', 0) + 1
    with ThreadPoolExecutor(8) as pool: list(pool.map(count_up, range(80)))
    scope = ['a'] if method == 'edit_step_state' else []
    assert (store.get_step_state(F, S, 'a') if scope else store.get_state(F, S)) == {'n': 80}
    assert revision(store) == len(undo_labels(store, *scope)) == 80

@pytest.mark.parametrize('method', ['edit_state', 'edit_step_state', 'edit_session'])
def test_an_exception_in_an_edit_block_writes_nothing(full, method):
    def stop(session_id):
        with getattr(full, method)(**{**ARGUMENTS[method], 'session_id': session_id}, undo_label='x') as inside:
            (inside.state if method == 'edit_session' else inside)['n'] = 9
            raise KeyError('changed my mind')
    for session_id in (S, 'new'): refuses(full, KeyError, 'changed my mind', lambda: stop(session_id))
    full.update_state(F, S, {'n': 3})  # the write lock has been released
    assert full.get_state(F, S)['n'] == 3

def test_an_edit_block_writes_only_what_changed(full):
    with full.edit_state(F, S, undo_label='Edit') as state:
        assert list(state) == ['n', 'doc', '_step_a']
        state['doc']['cursor'] = 4
        del state['n']
        state['new'] = [1]
    assert sorted(full.get_undo_history(F, S).undo[0].keys) == ['doc', 'n', 'new']
    assert full.get_state(F, S) == {'doc': {'cursor': 4, 'text': LONG}, '_step_a': {'n': 1}, 'new': [1]}
    with full.edit_step_state(F, S, 'a') as state: state.clear()
    assert full.get_state(F, S)['_step_a'] == {}, 'the step is empty, but still there'

def test_an_edit_block_that_stays_empty_creates_no_session(store):
    with store.edit_state(F, S): pass
    with store.edit_step_state(F, S, 'a'): pass
    with store.edit_session(F, S) as session: session.state, session.step('a')
    assert session.revision == 0 and store.list_flows() == []

@pytest.mark.parametrize('method', [*WRITE_METHODS, 'create_session', 'copy_session', 'prune_sessions'])
def test_another_write_inside_an_edit_block_raises_runtime_error(full, method):
    for block in (full.edit_state(F, S), full.edit_step_state(F, S, 'a'), full.edit_session(F, S)):
        with block:
            with pytest.raises(RuntimeError, match='inside an edit block'): call(full, method)
            if 'session_id' in ARGUMENTS[method]:
                with pytest.raises(RuntimeError, match='inside an edit block'): call(full, method, session_id='other')
            assert full.get_state(F, S, keys=['n']) == {'n': 1}, 'reading is allowed'
    full.update_state(F, S, {'n': 2})

def test_an_unrelated_call_in_the_same_thread_waits_for_the_edit_block(store):
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

def test_edit_session_changes_several_parts_in_one_transaction(full):
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
    assert (full.get_current_step(F, S), full.get_session_summary(F, S).label) == ('c', 'Sent'), 'not undone'
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
def test_edit_session_refuses_what_other_methods_refuse(full, kind, names, change):
    def edit():
        with full.edit_session(F, S, undo_label='x') as session:
            session.step('a')['n'] = 9
            change(session)
    refuses(full, kind, names, edit)

EDITS = ['edit_state', 'edit_step_state', 'edit_session']

def test_an_attribute_that_edit_session_does_not_have_raises(full):
    def misspell(name):
        with full.edit_session(F, S) as session:
            session.state['n'] = 9
            setattr(session, name, 'b')
    for name in ('curent_step', 'Label', 'steps', 'metdata'): refuses(full, AttributeError, name, lambda: misspell(name))
    for name in ('revision', 'state'): refuses(full, AttributeError, '', lambda: misspell(name))

@pytest.mark.parametrize('use', [
    lambda session: session.state, lambda session: session.step('a'), lambda session: session.step('new'),
    lambda session: session.current_step, lambda session: session.label,
    lambda session: setattr(session, 'current_step', 'b'), lambda session: setattr(session, 'label', 'b')])
def test_no_part_of_edit_session_can_be_used_after_the_block(full, use):
    with full.edit_session(F, S) as session: session.state['n'], session.step('a')['n'], session.label = 5, 5, 'L'
    refuses(full, RuntimeError, 'has ended', lambda: use(session))
    assert session.revision == revision(full)
    with pytest.raises(KeyError):
        with full.edit_session(F, S) as session: raise KeyError
    refuses(full, RuntimeError, 'has ended', lambda: use(session))

@pytest.mark.parametrize('method', EDITS)
@pytest.mark.parametrize('kind, bad', [
    (TypeError, {'flow_id': None}), (ValueError, {'session_id': ''}), (ValueError, {'undo_label': ' '}),
    (ValueError, {'expected_revision': -1}), (ValueError, {'undo_group': 'g'}), (TypeError, {'undo_label': 5})])
def test_an_edit_method_checks_its_arguments_when_it_is_called(store, method, kind, bad):
    with pytest.raises(kind, match=next(iter(bad))): getattr(store, method)(**{**ARGUMENTS[method], **bad})

@pytest.mark.parametrize('method', EDITS)
def test_a_forgotten_with_raises_an_error_that_says_so(full, method):
    def forgotten(): return getattr(full, method)(**ARGUMENTS[method])
    def delete(): del forgotten()['n']
    for kind, use in (
            (TypeError, lambda: forgotten()['n']), (TypeError, lambda: forgotten().__setitem__('n', 1)),
            (TypeError, delete), (TypeError, lambda: 'n' in forgotten()), (TypeError, lambda: dict(forgotten())),
            (AttributeError, lambda: forgotten().state), (AttributeError, lambda: forgotten().update(n=1)),
            (AttributeError, lambda: setattr(forgotten(), 'label', 'x'))):
        refuses(full, kind, f'use {method} in a with statement', use)
    block = forgotten()
    with block: pass
    refuses(full, RuntimeError, 'only once', block.__enter__)

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_a_forked_child_can_not_use_its_parents_block(full):
    uses = [lambda: session.step('a'), lambda: session.step('b'), lambda: session.state, lambda: session.label,
            lambda: setattr(session, 'label', 'child')]
    with full.edit_session(F, S) as session:
        session.step('a')['n'] = 5
        child = os.fork()
        if not child:
            refused = 0
            for use in uses:
                try: use()
                except RuntimeError as error: refused += 'parent process' in str(error)
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(uses)
        session.step('b')['n'] = 6
    assert full.get_step_state(F, S, 'a') == {'n': 5} and full.get_step_state(F, S, 'b') == {'n': 6}
