"Writers of several processes take turns, whoever stops, dies, forks or drops SQLite's locks."
import gc
import json
import os
import signal
import sqlite3
import stat
import struct
import textwrap
import threading
import time
from contextlib import closing
from datetime import timedelta

import pytest

import internals
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

from .processes import Child, check_file, files, run_code, with_imports

posix = pytest.mark.skipif(os.name != 'posix', reason='this system has no flock')
WRITE = '''
    try:
        with Store(sys.argv[1], timeout=0.3) as store: store.update_state("f", "s", {sys.argv[2]: 1})
    except sqlite3.OperationalError as error: print(error)
    else: print("written")'''

# -- turns

@posix
@pytest.mark.parametrize('how', ['all', 'one stopped', 'one killed'])
@pytest.mark.rounds(2, 10)
def test_turns(tmp_path, how, rounds, figures):
    "Four processes that write without a pause, for so many seconds; one of them may be stopped for a while, or killed."
    path = str(tmp_path/'wf.db')
    Store(path).close()
    children = [Child('write_in_turn', path, f'{me}', rounds) for me in range(4)]
    for child in children: child.ready()
    for child in children: child.go()
    if how != 'all':
        first = children[0].process
        time.sleep(rounds / 4)
        first.send_signal(signal.SIGSTOP if how == 'one stopped' else signal.SIGKILL)
        time.sleep(rounds / 4)
        if how == 'one stopped': first.send_signal(signal.SIGCONT)
        else: children.pop(0).kill()
    done = [json.loads(child.end()[-1]) for child in children]
    with Store(path) as store: state = store.get_state('turns', 'shared')
    check_file(path)
    assert files(tmp_path) == ['wf.db'] and [state[f'{me}'] for me in range(4 - len(done), 4)] == [n for n, *_ in done]
    counts, waits, between = zip(*done[how == 'one stopped':])  # whoever was stopped has missed its turns
    share = [round(100 * n / sum(counts)) for n in counts]
    figures |= {'seconds': rounds, 'writes': counts, 'share_percent': share, 'longest_wait_ms': max(waits), 'writes_of_others_between_two': max(between)}
    assert min(share) >= 60 / len(share) and max(between) < 1500, figures

@posix
@pytest.mark.parametrize('how', ['stopped', 'killed'])
def test_holder_stopped_or_killed(tmp_path, how):
    "Who has the turn is stopped: the others get an error after their timeout, and go on afterwards. Killed: they go on."
    path = str(tmp_path/'wf.db')
    with Store(path, timeout=0.2) as store:
        store.update_state('f', 's', {'a': 1})
        holder = Child('hold_turn', path)
        holder.ready()
        if how == 'stopped': holder.process.send_signal(signal.SIGSTOP)
        with pytest.raises(sqlite3.OperationalError, match=r'database is locked.*another process.*timeout=0\.2') as error:
            store.update_state('f', 's', {'a': 2})
        assert path in str(error.value) and store.get_state('f', 's') == {'a': 1}
        if how == 'stopped':
            holder.process.send_signal(signal.SIGCONT)
            holder.go()
            assert holder.end() == ['done']
        else: holder.kill()
        store.update_state('f', 's', {'a': 3})
        assert store.get_state('turns', 'held') == ({'n': 1} if how == 'stopped' else {})
    assert files(tmp_path) == ['wf.db']

@posix
def test_timeout_is_for_the_whole_wait(tmp_path, monkeypatch):
    "What a writer has waited for its turn is missing when it waits for a program that knows only SQLite's lock."
    import fcntl
    statements = []
    internals.watch_connections(monkeypatch, lambda con: con.set_trace_callback(statements.append))
    with Store(tmp_path/'wf.db', timeout=0.5) as store, closing(sqlite3.connect(tmp_path/'wf.db', isolation_level=None)) as con:
        store.update_state('f', 's', {'a': 1})
        con.execute('BEGIN IMMEDIATE')
        with open(tmp_path/'wf.db-lock', 'rb+') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            timer = threading.Timer(0.3, fcntl.flock, (lock, fcntl.LOCK_UN))
            timer.start()
            with pytest.raises(sqlite3.OperationalError): store.update_state('f', 's', {'a': 2})
            timer.join()
        con.execute('ROLLBACK')
        waits = [int(sql.rpartition('=')[2]) for sql in statements if sql.startswith('PRAGMA busy_timeout')]
        assert min(waits) < 500 and waits[-1] == 500
        store.update_state('f', 's', {'a': 3})

# -- the lock file

@posix
@pytest.mark.parametrize('mode', [0o600, 0o660, 0o644])
def test_lock_file_has_the_mode_of_the_database(tmp_path, mode):
    "Whoever may write to the database may lock it, whatever the umask is."
    Store(tmp_path/'wf.db').close()
    os.chmod(tmp_path/'wf.db', mode)
    before = os.umask(0o077)
    try:
        with Store(tmp_path/'wf.db') as store:
            store.update_state('f', 's', {'a': 1})
            assert stat.S_IMODE(os.stat(tmp_path/'wf.db-lock').st_mode) == mode
    finally: os.umask(before)
    assert files(tmp_path) == ['wf.db']

@posix
def test_lock_file_of_a_killed_process(tmp_path):
    "The next store that closes deletes it, even if it only reads."
    child = Child('hold_turn', str(tmp_path/'wf.db'))
    child.ready()
    child.kill()
    assert 'wf.db-lock' in files(tmp_path)
    with Store(tmp_path/'wf.db') as store: store.list_flows()
    assert files(tmp_path) == ['wf.db']

@posix
@pytest.mark.parametrize('kind', ['file', 'symlink', 'folder'])
def test_foreign_file_of_that_name(tmp_path, kind):
    lock = tmp_path/'wf.db-lock'
    if kind == 'file': lock.write_text('mine')
    if kind == 'symlink':
        (tmp_path/'target').write_text('')
        os.symlink(tmp_path/'target', lock)
    if kind == 'folder': lock.mkdir()
    before = files(tmp_path)
    with Store(tmp_path/'wf.db') as store:
        store.update_state('f', 's', {'a': 1})
        assert store.get_state('f', 's') == {'a': 1}
    assert files(tmp_path) == sorted([*before, 'wf.db'])
    if kind == 'file': assert lock.read_text() == 'mine'
    if kind == 'symlink': assert (tmp_path/'target').read_text() == ''

@posix
def test_lock_file_deleted_by_hand(tmp_path):
    "The next write creates a new one, and everybody finds it."
    path = tmp_path/'wf.db'
    with Store(path, timeout=0.2) as store, Store(path, timeout=0.2) as second:
        for one in (store, second): one.update_state('f', 's', {'a': 1})
        os.unlink(f'{path}-lock')
        with store.edit_state('f', 's') as state:
            assert 'another process' in run_code(WRITE, path, 'b')
            with pytest.raises(sqlite3.OperationalError, match='another process'): second.update_state('f', 's', {'b': 1})
            state['a'] = 2
        second.update_state('f', 's', {'b': 2})
        assert store.get_state('f', 's') == {'a': 2, 'b': 2}
    assert files(tmp_path) == ['wf.db']

def no_locks(*_): raise OSError(37, 'No locks available')

@pytest.mark.parametrize('flock', [None, no_locks], ids=['no fcntl', 'flock fails'])
def test_without_flock(tmp_path, monkeypatch, flock):
    "As on Windows, or on a file system that has no such lock: SQLite's own lock is the only one."
    internals.without_flock(monkeypatch, flock)
    with Store(tmp_path/'wf.db', timeout=0.2) as store, Store(tmp_path/'wf.db', timeout=0.2) as second:
        with store.edit_state('f', 's') as state:
            with pytest.raises(sqlite3.OperationalError, match='database is locked'): second.update_state('f', 's', {'b': 1})
            state['a'] = 1
        second.update_state('f', 's', {'b': 2})
        store.backup(tmp_path/'copy.db')
        second.restore(tmp_path/'copy.db')
        assert store.get_state('f', 's') == {'a': 1, 'b': 2}
    assert set(files(tmp_path)) <= {'wf.db', 'copy.db', 'wf.db-lock'}

def test_memory_has_no_lock_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store(':memory:') as store: store.update_state('f', 's', {'a': 1})
    assert files(tmp_path) == []

@posix
def test_waiter_that_died(tmp_path):
    "It has marked the lock file and takes no turn: the others write on, and the mark goes."
    with Store(tmp_path/'wf.db', synchronous='NORMAL', timeout=0) as store:
        store.update_state('f', 's', {'n': 0})
        os.truncate(tmp_path/'wf.db-lock', 1)
        for n in range(500): store.update_state('f', 's', {'n': n})
    with Store(tmp_path/'wf.db', synchronous='NORMAL') as store:
        store.update_state('f', 's', {'n': 0})
        os.truncate(tmp_path/'wf.db-lock', 1)
        deadline = time.monotonic() + 10
        while os.path.getsize(tmp_path/'wf.db-lock') and time.monotonic() < deadline: store.update_state('f', 's', {'n': time.time()})
        assert os.path.getsize(tmp_path/'wf.db-lock') == 0

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
@pytest.mark.parametrize('fork', ['os.fork()', 'ctypes.CDLL(None).fork()'])
def test_fork_in_the_turn(tmp_path, fork):
    "The child only closes its descriptor: the parent keeps its turn, whatever the child does."
    said = run_code(f'''
        import ctypes, subprocess
        path, code = sys.argv[1:]
        store = Store(path)
        with store.edit_state("f", "s") as state:
            child = {fork}
            if child == 0:
                for call in (lambda: store.get_state("f", "s"), lambda: store.update_state("f", "s", {{"child": 1}}), store.close):
                    try: call()
                    except Exception: pass
                os._exit(0)
            os.waitpid(child, 0)
            print(subprocess.run([sys.executable, "-c", code, path, "b"], capture_output=True, text=True).stdout)
            state["a"] = 1
        store.close()
        print(os.listdir(os.path.dirname(path)))
        ''', tmp_path/'wf.db', with_imports(WRITE))
    assert 'another process has been writing' in said and said.endswith("['wf.db']")

@posix
def test_descriptors_of_many_stores(tmp_path):
    "None is left open, also by a store that is dropped inside its own edit block."
    if not os.path.isdir('/proc/self/fd'): pytest.skip('this system does not list open descriptors')
    def opened(): return len(os.listdir('/proc/self/fd'))
    gc.collect()
    before = opened()
    for i in range(50):
        with Store(tmp_path/'wf.db') as store: store.update_state('f', 's', {'n': i})
        block = Store(tmp_path/'wf.db').edit_state('f', 's')
        with block as state: state['n'] = -i
        del block
    assert opened() <= before and files(tmp_path) == ['wf.db']  # fewer, if garbage of an earlier test was collected meanwhile

# -- others in this process drop SQLite's locks, or delete the log

@posix
def test_locks_dropped_in_an_edit_block(tmp_path):
    "Closing any descriptor of -shm drops the process's locks on it. No other process writes before the block ends."
    path = tmp_path/'wf.db'
    with Store(path) as store:
        store.update_state('f', 's', {'a': 1})
        with store.edit_state('f', 's') as state:
            os.close(os.open(f'{path}-shm', os.O_RDWR))
            said = run_code(WRITE, path, 'b')
            state['a'] = 2
        assert 'another process' in said and run_code(WRITE, path, 'c') == 'written'
        assert store.get_state('f', 's') == {'a': 2, 'c': 1}
    check_file(path)

def edit(store):
    with store.edit_session('f', 's', undo_label='edit') as one: one.state['n'] = one.state.get('n', 0) + 1

WRITES = {
    'merge': lambda store: store.update_state('f', 's', {'lost': 1}), 'step': lambda store: store.update_step_state('f', 's', 'x', {'lost': 1}),
    'edit': edit, 'undo': lambda store: store.undo('f', 's'), 'create': lambda store: store.create_session('f', 'new'),
    'delete': lambda store: store.delete_session('f', 's'), 'label': lambda store: store.set_session_label('f', 's', 'lost'),
    'copy': lambda store: store.copy_session('f', 's'), 'prune': lambda store: store.prune_sessions('f', timedelta(0)),
    'restore': lambda store: store.restore(f'{store.db_path}.copy')}

@posix
@pytest.mark.parametrize('write', WRITES)
def test_log_deleted_before_commit(tmp_path, monkeypatch, write):
    "Another library took itself for the last user: a write that it lost is not acknowledged, and no later one."
    path, armed = tmp_path/'wf.db', []
    def watch(con):
        def trace(sql):
            if armed and sql == 'COMMIT': [os.unlink(f'{path}{end}') for end in ('-wal', '-shm') if armed]; armed.clear()
        con.set_trace_callback(trace)
    internals.watch_connections(monkeypatch, watch)
    store = Store(path)
    edit(store)
    store.backup(f'{path}.copy')
    armed.append(True)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match='log .-wal. was deleted or replaced while the store was open') as error:
            WRITES[write](store)
        assert str(path) in str(error.value)
    assert not armed
    store.close()

def library(name):
    if name == 'shm': return name
    pytest.importorskip(name, reason=f'{name} is not installed')
    return name

@posix
@pytest.mark.parametrize('name', ['shm', 'apsw', 'pysqlite3'])
@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.rounds((1, 1), (10, 2))
def test_second_library_in_the_process(tmp_path, name, processes, rounds, figures):
    "A library opens and closes the file in a process that writes, alone or beside another one: no acknowledged write is lost."
    library(name)
    (repeats, seconds), lost = rounds, []
    figures |= dict.fromkeys(('acknowledged_writes', 'lost', 'stores_that_refused', 'processes_that_died'), 0)
    for r in range(repeats):
        path, saids = str(tmp_path/f'{r}.db'), [tmp_path/f'{me}' for me in 'ab'[:processes]]
        with Store(path) as store: store.create_session('library', 'none')
        for said in saids: said.write_bytes(bytes(16))
        children = [Child('write_beside_library', path, str(said), said.name, used, seconds) for said, used in zip(saids, [name, 'none'])]
        for child in children: child.ready()
        for child in children: child.go()
        for child in children:
            lines = child.rest()
            figures['processes_that_died'] += child.process.returncode == -signal.SIGBUS  # SQLite's own memory was truncated
            assert child.process.returncode in (0, -signal.SIGBUS), child.failure()
            figures['stores_that_refused'] += lines[-1:] not in ([], ['[]'])
        check_file(path)
        with Store(path) as store:
            for said in saids:
                for t, acknowledged in enumerate(struct.unpack('=qq', said.read_bytes())):
                    summary = store.get_session_summary('library', f'{said.name}{t}')
                    there = summary.revision if summary else 0
                    if there < acknowledged: lost.append(f'run {r}, {said.name}{t}: {there} of {acknowledged}')
                    figures['acknowledged_writes'] += acknowledged
                    figures['lost'] += max(0, acknowledged - there)
    # alone, a commit can still fall between the other library's move of the log into the file and its deletion
    assert figures['lost'] <= (repeats if processes == 1 and name != 'shm' else 0), lost

@posix
@pytest.mark.parametrize('before', ['first write', 'first read', 'later write'])
def test_log_deleted_while_the_store_is_idle(tmp_path, before):
    "Also before its first write, which would go to a log that nobody else sees."
    path = tmp_path/'wf.db'
    Store(path).close()
    store = Store(path)
    if before == 'later write': store.update_state('f', 's', {'a': 1})
    for end in ('-wal', '-shm'): os.unlink(f'{path}{end}')
    assert run_code(WRITE, path, 'b') == 'written'
    with pytest.raises(sqlite3.OperationalError, match='log .-wal. was deleted or replaced'):
        if before == 'first read': store.get_state('f', 's')
        else: store.update_state('f', 's', {'lost': 1})
    store.close()
    assert "'b': 1" in run_code('with Store(sys.argv[1]) as store: print(store.get_state("f", "s"))', path)

# -- the log

def test_reader_that_stays(tmp_path, monkeypatch):
    "While readers leave no gap, an attempt to restart the log blocks writers shortly, and the next comes at twice its length."
    path, statements = tmp_path/'wf.db', []
    internals.watch_connections(monkeypatch, lambda con: con.set_trace_callback(statements.append))
    with Store(path, synchronous='NORMAL') as store, closing(sqlite3.connect(path, isolation_level=None)) as reader:
        store.update_state('f', 's', {'v': ''})
        reader.execute('BEGIN')
        reader.execute('SELECT count(*) FROM workflow_session').fetchall()
        while os.path.getsize(f'{path}-wal') < 100e6: store.update_state('f', 's', {'v': os.urandom(1_000_000).hex()})
        waits = [int(before.rpartition('=')[2]) for before, sql in zip(statements, statements[1:]) if sql.startswith('PRAGMA wal_checkpoint')]
        assert waits and sum(waits) <= 200
        reader.execute('ROLLBACK')
        for i in range(60): store.update_state('f', 's', {'v': 'x' * 2_000_000 + f'{i}'})
        assert os.path.getsize(f'{path}-wal') < 64e6  # it is restarted once the reader has gone

# -- a fork while another thread parses for the first time

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_fork_while_the_parser_is_imported(tmp_path):
    "A child that was forked during an import waits for it for ever: so msgspec is imported when a store is opened."
    (tmp_path/'msgspec').mkdir()
    (tmp_path/'msgspec'/'__init__.py').write_text('')
    (tmp_path/'msgspec'/'json.py').write_text(textwrap.dedent('''
        import json, sys
        sys.importing.set()
        sys.go_on.wait(30)
        decode = json.loads'''))
    said = run_code('''
        import signal, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of a fork of a process with threads
        path, folder = sys.argv[1:]
        sys.path.insert(0, folder)
        sys.importing, sys.go_on = threading.Event(), threading.Event()
        sys.go_on.set()
        store = Store(path)
        sys.go_on.clear()
        store.update_state("f", "s", {"a": 1})
        thread = threading.Thread(target=store.get_state, args=("f", "s"))
        thread.start()
        sys.importing.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # if it hangs
            os._exit(store.get_state("f", "s") != {"a": 1})
        status = os.waitpid(child, 0)[1]
        sys.go_on.set()
        thread.join()
        print(status)
        store.close()
        ''', tmp_path/'wf.db', tmp_path)
    assert said == '0'
