"Fork, spawn, pickle, the end of the interpreter, Ctrl-C, and a writer that keeps its lock."
import multiprocessing
import os
import pickle
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing

import pytest

import internals
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

from .processes import Child, check_file, files, run

needs_fork = pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')

@needs_fork
@pytest.mark.rounds(15, 200)
def test_fork_while_threads_write(tmp_path, rounds, figures):
    figures |= run('fork_while_writing', str(tmp_path/'wf.db'), rounds)
    for name in files(tmp_path): check_file(tmp_path/name)
    assert files(tmp_path) == ['wf.db', 'wf.db.copy'] and figures['fds_left'] == 0

@needs_fork
def test_fork_inside_an_edit_block(tmp_path):
    assert Child('fork_inside_edit', str(tmp_path/'wf.db')).end() == ['done']
    check_file(tmp_path/'wf.db')

@pytest.mark.parametrize('method', multiprocessing.get_all_start_methods())
def test_store_sent_to_a_process_pool(tmp_path, method, figures):
    assert Child('pickled', str(tmp_path/'wf.db'), method).end() == ['done']
    assert files(tmp_path) == ['wf.db']
    figures |= {'writes': 42}

def test_pickle_carries_path_and_options(tmp_path):
    with Store(tmp_path/'wf.db', timeout=7, synchronous='NORMAL', max_undo_depth=3, max_undo_bytes=9999) as store:
        store.update_state('f', 's', {'n': 1})
        with pickle.loads(pickle.dumps(store)) as copy:
            assert (copy.db_path, copy.get_state('f', 's')) == (store.db_path, {'n': 1})
            assert copy.__getstate__() == store.__getstate__()
            for n in range(5): copy.update_state('f', 's', {'n': n}, undo_label=f'{n}')
            assert len(store.get_undo_history('f', 's').undo) == 3

ENDS = {'falls off the end': 0, 'sys.exit': 3, 'an error': 1, 'os._exit': 3, 'in atexit': 0, 'in a circle': 0, 'with readers': 0,
        'a generator in an edit block': 0, 'daemon threads': 0}

@pytest.mark.parametrize('how', ENDS)
@pytest.mark.rounds(2, 20)
def test_interpreter_ends_with_an_open_store(tmp_path, how, rounds, figures):
    path = tmp_path/'wf.db'
    for _ in range(rounds):
        child = Child('end_with_open_store', str(path), how)
        lines = child.rest()
        assert lines == ['done'] and child.process.returncode == ENDS[how], child.failure()
        complaint = child.complaint()
        assert complaint.endswith('SystemError: on purpose\n') and complaint.count('Error') == 2 if how == 'an error' else not complaint, complaint
        if how not in ('os._exit', 'daemon threads'): assert files(tmp_path) == ['wf.db']
        with Store(path) as store:
            expected = {'done': 1} if how != 'a generator in an edit block' else {}
            if how == 'in atexit': expected['at exit'] = 1
            state = store.get_state('end', how)
            if how == 'daemon threads': state.pop('daemon', None)
            assert state == expected
        check_file(path)
    figures |= {'ends': rounds}

@pytest.mark.rounds(20, 1000)
def test_keyboard_interrupt_inside_edit_step_state(tmp_path, rounds, figures):
    figures |= run('interrupted_edits', str(tmp_path/'wf.db'), rounds)

@pytest.mark.skipif(os.name == 'nt', reason='no SIGINT for one process on Windows')
@pytest.mark.rounds(10, 200)
def test_keyboard_interrupt_while_waiting_for_another_writer(tmp_path, rounds, figures):
    path = tmp_path/'wf.db'
    with Store(path) as store: store.create_session('c', 's')
    with closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as writer:
        child = Child('wait_for_lock', str(path))
        child.ready()
        for i in range(rounds):
            writer.execute('BEGIN IMMEDIATE')
            child.go()
            assert child.line() == 'waiting'
            time.sleep(random.uniform(0, .02))  # at a random time while it waits
            child.process.send_signal(signal.SIGINT)
            writer.execute('COMMIT')
            assert child.line() == 'interrupted'
            writer.execute('BEGIN IMMEDIATE')  # the interrupted call holds no lock
            writer.execute('COMMIT')
            child.go()
            assert child.line() == 'done', child.failure()
        child.end()
    with Store(path) as store: assert store.get_state('c', 's') == {'n': rounds - 1}
    figures |= {'interrupts': rounds, 'locks_left': 0}

@pytest.mark.skipif(not hasattr(signal, 'setitimer'), reason='this system has no timer that interrupts')
@pytest.mark.rounds(100, 2000)
def test_keyboard_interrupt_anywhere(tmp_path, rounds, figures):
    "Ctrl-C at random times inside the calls: each call is done or not done, and leaves no lock or transaction behind."
    figures |= run('click_under_interrupts', str(tmp_path/'wf.db'), rounds)
    check_file(tmp_path/'wf.db')

@pytest.mark.parametrize('timeout', [0, 0.1])
def test_timeout(tmp_path, timeout, monkeypatch, figures):
    "While another process or an edit block keeps the lock, reads work and writes raise an error after the timeout; later they work again."
    path, opened = tmp_path/'wf.db', []
    internals.watch_connections(monkeypatch, opened.append)
    with Store(path, timeout=timeout) as store, closing(sqlite3.connect(path, isolation_level=None)) as writer:
        store.update_state('f', 's', {'n': 1})
        writes = [lambda: store.update_state('f', 's', {'n': 2}), lambda: store.create_session('f', 'new'), lambda: store.delete_session('f', 's'),
                  lambda: store.undo('f', 's'), lambda: store.edit_state('f', 's').__enter__(), lambda: store.set_session_label('f', 's', 'x')]
        def all_refused():
            for write in writes:
                with pytest.raises(sqlite3.OperationalError, match=str(path)): write()
            assert store.get_state('f', 's') == {'n': 1} and store.get_session_summary('f', 's').revision == 1
        writer.execute('BEGIN IMMEDIATE')
        all_refused()
        writer.execute('ROLLBACK')
        entered, leave = threading.Event(), threading.Event()
        def hold():
            with store.edit_state('f', 's'):
                entered.set()
                leave.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        entered.wait()
        all_refused()
        leave.set()
        thread.join()
        store.update_state('f', 's', {'n': 3})
        assert store.get_state('f', 's') == {'n': 3}
        assert {con.execute('PRAGMA busy_timeout').fetchone() for con in opened} == {(int(timeout * 1000),)}  # exactly the timeout
    figures |= {'refused': 2 * len(writes)}
