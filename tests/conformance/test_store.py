"Opening and closing a store, its options, pickling, forks, errors and `check`."
import os
import pickle
from datetime import timedelta

import pytest

from cjm_workflow_state.state_store import WorkflowStateStore

from .helpers import F, LONG, METHODS, S, call, refuses, revision, undo_labels

@pytest.mark.parametrize('method', METHODS)
def test_every_method_of_a_closed_store_raises_programming_error(open_store, method):
    with open_store() as store: store.update_state(F, S, {'n': 1})
    with pytest.raises(store.ProgrammingError, match='closed'): call(store, method)
    store.close()  # closing twice does nothing
    assert 'closed' in store._repr_markdown_()

def test_the_store_has_the_exceptions_of_its_driver(store):
    "With the class hierarchy of PEP 249."
    assert issubclass(store.Error, Exception) and issubclass(store.DatabaseError, store.Error)
    for kind in (store.OperationalError, store.IntegrityError, store.ProgrammingError):
        assert issubclass(kind, store.DatabaseError)

@pytest.mark.parametrize('option, bad', [
    ('timeout', '1'), ('timeout', -1), ('timeout', True), ('synchronous', 'OFF'), ('max_undo_depth', -1),
    ('max_undo_depth', True), ('max_undo_depth', '1'), ('max_undo_bytes', -1), ('max_undo_bytes', 1.5)])
def test_an_invalid_option_raises_value_error(open_store, option, bad):
    with pytest.raises(ValueError, match=option): open_store(**{option: bad})

@pytest.mark.parametrize('synchronous', ['FULL', 'NORMAL'])
@pytest.mark.shared
def test_a_returned_write_is_visible_to_a_new_store(open_store, synchronous):
    open_store(synchronous=synchronous).update_state(F, S, {'n': 1})
    assert open_store().get_state(F, S) == {'n': 1}

@pytest.mark.shared
def test_waiting_longer_than_timeout_for_another_writer_raises_operational_error(open_store):
    one, other = open_store(), open_store(timeout=0.1)
    one.update_state(F, S, {'n': 1})
    with one.edit_state(F, S) as state:
        refuses(other, other.OperationalError, '', lambda: other.update_state(F, S, {'n': 2}))
        state['n'] = 3
    other.update_state(F, S, {'m': 4})
    assert one.get_state(F, S) == {'n': 3, 'm': 4}

def test_default_converts_what_json_cannot_hold(open_store):
    store = open_store(default=vars)
    box = type('Box', (), {})()
    box.text, box.pair = LONG, (1, 2)
    store.update_state(F, S, {'box': box}, undo_label='Box')
    assert store.get_state(F, S) == {'box': {'text': LONG, 'pair': [1, 2]}}
    store.update_state(F, S, store.get_state(F, S))
    assert revision(store) == 1, 'the same value, whether converted by `default` or not'
    refuses(store, TypeError, 'bad', lambda: store.update_state(F, S, {'bad': 5j}))
    with pytest.raises(TypeError, match='default'): open_store(default=5)

def test_check_finds_nothing_wrong_with_a_healthy_store(full):
    for i in range(60):
        full.update_state(F, 'many', {'v': [LONG] * (i % 3), 'doc': {'n': i, 't': LONG}}, undo_label='x')
    full.undo(F, 'many', count=7)
    assert full.check() == []

@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
@pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')
def test_parent_and_child_can_both_write_after_a_fork(full):
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

@pytest.mark.shared
def test_a_pickled_store_opens_the_same_data_with_the_same_options(open_store):
    store = open_store(max_undo_depth=1, default=str, timeout=5)
    with pickle.loads(pickle.dumps(store)) as other:
        assert repr(other) == repr(store)
        other.update_state(F, S, {'when': timedelta(1)}, undo_label='one')
        other.update_state(F, S, {'n': 1}, undo_label='two')
    assert store.get_state(F, S) == {'when': '1 day, 0:00:00', 'n': 1} and undo_labels(store) == ['two']

def test_entering_a_closed_store_raises(open_store):
    store = open_store()
    store.close()
    with pytest.raises(store.ProgrammingError, match='closed'):
        with store: raise AssertionError('the block was entered')

@pytest.mark.parametrize('arguments', [(), ('wf.db',)])
def test_the_base_class_can_not_be_constructed(arguments):
    with pytest.raises(TypeError, match='use SQLiteWorkflowStateStore or PostgresWorkflowStateStore'):
        WorkflowStateStore(*arguments)
