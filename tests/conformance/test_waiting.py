"Waiting for a change: what ends a wait, and what a wait costs others."
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import internals
import pytest

from .helpers import F, S, WRITE_METHODS, call, revision

@contextmanager
def waiting(store, seen, session_id=S, count=1, **options):
    "So many threads wait for the session; the value lists their results as futures."
    with ThreadPoolExecutor(count) as pool:
        results = [pool.submit(store.wait_for_change, F, session_id, seen, **options) for _ in range(count)]
        wait_until(lambda: len([wait for wait in internals.waits(store) if wait.session == (F, session_id)]) == count)
        yield results

def wait_until(done):
    while not done(): time.sleep(0.001)

def thread_ends(store):
    "Whether the store's watcher ends by itself."
    thread = internals.watcher_thread(store)
    if thread: thread.join(20)
    return internals.watcher_thread(store) is None and not (thread and thread.is_alive())

@pytest.mark.parametrize('method', WRITE_METHODS)
def test_every_kind_of_change_ends_a_wait(full, method):
    seen, options = revision(full), {'step_id': 'b'} if method == 'set_current_step' else {}
    with waiting(full, seen) as [result]:
        call(full, method, **options)
        summary = full.get_session_summary(F, S)
        assert result.result() == (summary.revision if summary else 0) != seen

def test_a_wait_for_another_revision_returns_at_once(full):
    assert full.wait_for_change(F, S, 0, timeout=0) == full.wait_for_change(F, S, 99) == revision(full)
    assert full.wait_for_change(F, 'none', 3) == 0
    assert internals.watcher_thread(full) is None

def test_a_wait_for_a_session_that_does_not_exist_yet(store):
    with waiting(store, 0) as [result]:
        store.create_session(F, 'other')
        store.create_session(F, S)
        assert result.result() == 1

def test_what_changes_nothing_or_another_session_ends_no_wait(full):
    seen = revision(full)
    with waiting(full, seen, timeout=0.3) as [result]:
        full.update_state(F, S, {})
        full.update_state(F, 'other', {'n': 1})
        full.update_state('other', S, {'n': 1})
        assert result.result() == seen

def test_after_the_timeout_the_given_revision_returns(full):
    seen = revision(full)
    assert full.wait_for_change(F, S, seen, timeout=0) == full.wait_for_change(F, S, seen, timeout=0.01) == seen

@pytest.mark.parametrize('bad', [{'revision': -1}, {'revision': None}, {'revision': True}, {'timeout': -1}, {'timeout': None}])
def test_bad_arguments(store, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        store.wait_for_change(F, S, **{'revision': 0, **bad})

def test_a_thousand_waits_share_one_thread_and_hold_no_connection(store):
    "More than either engine has connections; each waits for a session of its own."
    for i in range(10): store.create_session(F, f's{i}')
    with ThreadPoolExecutor(1000) as pool:
        results = [pool.submit(store.wait_for_change, F, f's{i % 10}', 1) for i in range(1000)]
        wait_until(lambda: len(internals.waits(store)) == 1000)
        assert len([thread for thread in threading.enumerate() if 'watcher' in thread.name]) == 1
        for i in range(10):
            assert store.get_state(F, f's{i}') == {}
            store.update_state(F, f's{i}', {'n': 1})
        assert {result.result() for result in results} == {2}
    assert thread_ends(store)

def test_nothing_runs_once_nobody_waits(full):
    with waiting(full, revision(full)):
        assert internals.watcher_thread(full).is_alive()
        full.set_session_label(F, S, 'other')
    assert thread_ends(full)
    full.wait_for_change(F, S, revision(full), timeout=0.01)
    assert thread_ends(full)

def test_close_ends_every_wait(full):
    with waiting(full, revision(full), count=3) as results:
        full.close()
        for result in results:
            with pytest.raises(full.ProgrammingError, match='the store is closed'): result.result()

def test_an_error_of_the_watcher_reaches_those_who_wait(full, monkeypatch):
    seen = revision(full)
    with waiting(full, seen, count=2) as results:
        def fail(): raise full.OperationalError('the disk is gone')
        internals.fail_watcher(monkeypatch, full, fail)
        for result in results:
            with pytest.raises(full.OperationalError, match='the disk is gone'): result.result()
        monkeypatch.undo()
    with waiting(full, seen) as [result]:  # and the next wait works again
        full.set_session_label(F, S, 'other')
        assert result.result() == seen + 1

def test_an_interrupted_wait_leaves_nothing_behind(full, monkeypatch):
    "As Ctrl+C does: the exception arrives while the thread waits."
    from concurrent.futures import Future
    def interrupt(future, timeout): raise KeyboardInterrupt
    monkeypatch.setattr(Future, 'result', interrupt)
    with pytest.raises(KeyboardInterrupt): full.wait_for_change(F, S, revision(full), timeout=1000)
    monkeypatch.undo()
    assert thread_ends(full)

def test_others_read_and_write_inside_and_outside_edit_blocks_meanwhile(full):
    seen = revision(full)
    with waiting(full, seen) as [result]:
        with full.edit_state(F, S) as state:
            state['n'] = 7
            assert not result.done()
        assert result.result() == seen + 1

def test_a_change_just_before_the_watcher_knows_of_the_wait(full, monkeypatch):
    "The watcher has looked after that change already, and others keep it running."
    seen = revision(full)
    with waiting(full, seen) as [first], waiting(full, 0, session_id='other', timeout=20):
        def change():
            full.set_session_label(F, S, 'other')
            first.result()
        internals.before_watching(monkeypatch, full, change)
        assert full.wait_for_change(F, S, seen, timeout=20) == seen + 1
        monkeypatch.undo()
        full.create_session(F, 'other')

@pytest.mark.shared
def test_another_store_ends_a_wait(open_store):
    one, other = open_store(), open_store()
    one.create_session(F, S)
    with waiting(one, 1) as [result]:
        other.update_state(F, S, {'n': 1})
        assert result.result() == 2

# -- other processes

def python(code, *args):
    with subprocess.Popen([sys.executable, '-c', code, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        out, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    return out

WRITE_ONCE = '''
import pickle, sys
with pickle.loads(bytes.fromhex(sys.argv[1])) as store: store.update_state('f', 's', {'n': 1})'''

@pytest.mark.processes
def test_a_commit_of_another_process_ends_a_wait(open_store):
    store = open_store()
    store.create_session(F, S)
    with waiting(store, 1) as [result]:
        python(WRITE_ONCE, pickle.dumps(store).hex())
        assert result.result() == 2

FORK_WHILE_WAITING = '''
import os, pickle, sys, warnings
from concurrent.futures import ThreadPoolExecutor
warnings.simplefilter('ignore', DeprecationWarning)  # Python warns of forks beside threads
sys.path.append(sys.argv[2])
import internals
store = pickle.loads(bytes.fromhex(sys.argv[1]))
with ThreadPoolExecutor() as pool:
    result = pool.submit(store.wait_for_change, 'f', 's', 1)
    while not internals.waits(store): pass
    child = os.fork()
    if not child:  # its threads and their waits stayed in the parent
        status = 1
        try:
            with ThreadPoolExecutor() as pool:
                own = pool.submit(store.wait_for_change, 'f', 'child', 0)
                store.create_session('f', 'child')
                assert own.result() == 1
                store.close()
                status = 0
        finally: os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert not result.done()
    store.update_state('f', 's', {'n': 1})
    print(result.result(), store.wait_for_change('f', 'child', 0))
store.close()
'''

@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='Windows has no fork')
def test_parent_and_child_wait_on_after_a_fork(open_store):
    store = open_store()
    store.create_session(F, S)
    assert python(FORK_WHILE_WAITING, pickle.dumps(store).hex(), os.path.dirname(internals.__file__)) == '2 1\n'
