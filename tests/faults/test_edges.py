"Cases in which a careless store would silently lose data: a replaced log or file, two names, forks in C, hostile rows."
import asyncio
import contextvars
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import internals
import pytest

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store
from .processes import check_file, files, in_private_mount, old_file, run_code, with_imports

READ = 'with Store(sys.argv[1]) as store: print(store.get_state("f", "s"))'

# -- the log was replaced or deleted

@pytest.mark.skipif(os.name != 'posix', reason='this test is about POSIX locks')
@pytest.mark.parametrize('how', ['read', 'copy', 'delete'])
def test_a_replaced_or_deleted_log_stops_writes(tmp_path, how):
    "After the process has lost its locks, or the log was deleted, the store refuses writes that others would not see."
    path = tmp_path/'wf.db'
    store, acknowledged = Store(path), 0
    for i in range(5): store.update_state('f', 's', {f'k{i}': i})
    if how == 'read': open(path, 'rb').read(1)
    if how == 'copy': (tmp_path/'copy').write_bytes(path.read_bytes())
    if how == 'delete': os.unlink(f'{path}-wal')
    before = '' if how == 'delete' else run_code(READ, path)  # SQLite itself refuses to read beside a deleted log
    for _ in range(20):
        with pytest.raises(sqlite3.OperationalError, match='log .-wal. was deleted or replaced while the store was open') as error:
            store.update_state('f', 's', {'lost': True})
            acknowledged += 1
    assert str(path) in str(error.value) and not acknowledged
    store.close()
    if how != 'delete':
        assert run_code(READ, path) == before and len(eval(before)) == 5
        check_file(path)

def test_a_replaced_log_is_left_alone_at_exit(tmp_path):
    "If the log was replaced, the store neither merges nor deletes it when Python ends."
    path = tmp_path/'wf.db'
    run_code('''
        store = Store(sys.argv[1])
        store.update_state("f", "s", {"a": 1})
        open(sys.argv[1], "rb").read(1)
        if os.fork() == 0: os._exit(0)  # nothing but a pause for the locks
        os.wait()
        import subprocess
        subprocess.run([sys.executable, "-c", "from cjm_workflow_state.state_store import *; s = SQLiteWorkflowStateStore(%r); s.update_state('f', 's', {'b': 2})" % sys.argv[1]], check=True)
        try: store.update_state("f", "s", {"c": 3})
        except sqlite3.OperationalError: pass
        ''', path)
    assert run_code(READ, path) in ("{'a': 1, 'b': 2}", "{'a': 1, 'b': 2, 'c': 3}")
    check_file(path)

# -- the file was replaced

@pytest.mark.skipif(os.name != 'posix', reason='Windows does not allow replacing an open file')
def test_replaced_file(tmp_path):
    "The store refuses writes, no reader combines the new file with the old log, and the new file is not damaged."
    path = tmp_path/'wf.db'
    store = Store(path)
    store.update_state('f', 's', {'a': 1})
    store.backup(tmp_path/'copy.db')
    for i in range(50): store.update_state('f', 's', {f'k{i}': 'x' * 500})
    os.replace(tmp_path/'copy.db', path)
    with pytest.raises(sqlite3.OperationalError, match='the file was deleted or replaced'): store.get_state('f', 's')  # opens a reader
    with pytest.raises(sqlite3.OperationalError, match='the file was deleted or replaced'): store.update_state('f', 's', {'a': 2})
    store.close()
    assert run_code(READ, path) == "{'a': 1}"
    check_file(path)

# -- two names

@pytest.mark.skipif(not hasattr(os, 'link'), reason='this system has no hard links')
def test_hard_link(tmp_path):
    path = tmp_path/'wf.db'
    Store(path).close()
    os.link(path, tmp_path/'second.db')
    with pytest.warns(RuntimeWarning, match='second name') as seen: Store(path).close()
    assert str(path) in str(seen[0].message) and seen[0].filename == __file__
    os.unlink(tmp_path/'second.db')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        Store(path).close()

@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux can mount single files')
@pytest.mark.parametrize('name', ['inside.db', 'with space.db', 'back\\slash.db', 'tab\there.db', 'Ж\r\x85.db'], ids=ascii)
def test_mount_point(tmp_path, name):
    "The log of a mounted file would be in another file system. The list of mounts escapes some characters."
    for one in ('outside.db', name): Store(tmp_path/one).close()
    words = in_private_mount(tmp_path/name, '--bind', str(tmp_path/'outside.db'))
    code = with_imports('try: Store(sys.argv[1])\nexcept OSError as error: print(ascii(str(error)))')
    words += [sys.executable, '-c', code, str(tmp_path/name)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert 'is itself a mount point' in said and 'mount the folder' in said and ascii(str(tmp_path/name))[1:-1] in said

@pytest.mark.skipif(os.name != 'posix', reason='the limit counts bytes only on POSIX systems')
@pytest.mark.parametrize('name', ['a' * 248, 'a' * 255, 'Ж' * 124], ids=len)
def test_a_file_name_too_long_for_its_log(tmp_path, name):
    "The store refuses it before it creates a file; it can open and copy a file with the longest valid name."
    with pytest.raises(OSError, match='use at most 247') as error: Store(tmp_path/'new'/name)
    assert str(tmp_path/'new'/name) in str(error.value) and files(tmp_path) == []
    longest = name[:len(name) * 247 // len(os.fsencode(name))]
    with Store(tmp_path/longest) as store:
        store.update_state('f', 's', {'a': 1})
        with pytest.raises(OSError, match='use at most 247'): store.backup(tmp_path/'to'/name)
        store.backup(tmp_path/'to'/longest)
    assert files(tmp_path/'to') == [longest] and run_code(READ, tmp_path/'to'/longest) == "{'a': 1}"

@pytest.mark.skipif(os.name != 'posix', reason='symlinks need a special right on Windows')
def test_dangling_symlink(tmp_path):
    os.symlink(tmp_path/'target.db', tmp_path/'link.db')
    with Store(tmp_path/'link.db') as store: store.update_state('f', 's', {'a': 1})
    assert run_code(READ, tmp_path/'target.db') == "{'a': 1}" and files(tmp_path) == ['link.db', 'target.db']

# -- forks that Python does not notice

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_a_fork_in_c(tmp_path):
    "After a fork in C, the store refuses calls of the child; the parent keeps working."
    path = tmp_path/'wf.db'
    said = run_code('''
        import ctypes
        store = Store(sys.argv[1])
        store.update_state("f", "s", {"a": 1}); store.get_state("f", "s")
        pid = ctypes.CDLL(None).fork()
        if pid == 0:
            for call in (lambda: store.update_state("f", "s", {"child": 1}), lambda: store.get_state("f", "s")):
                try: call()
                except sqlite3.ProgrammingError as error: os.write(1, b"refused " if "forked" in str(error) else str(error).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        store.update_state("f", "s", {"b": 2})
        print(store.get_state("f", "s"))
        ''', path)
    assert said == "refused refused {'a': 1, 'b': 2}"
    check_file(path)

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_reloading_the_module(tmp_path):
    "Reloading the module must not register the fork hooks twice, or the next fork deadlocks."
    said = run_code('''
        import importlib, cjm_workflow_state.state_store as module
        importlib.reload(module)
        store = module.SQLiteWorkflowStateStore(sys.argv[1])
        if os.fork() == 0: os._exit(0)
        os.wait()
        store.update_state("f", "s", {"a": 1}); print(store.get_state("f", "s"))
        ''', tmp_path/'wf.db')
    assert said == "{'a': 1}"

def test_opening_beside_a_locked_file(tmp_path):
    "A store that waits for a locked new file does not block the opening of another file."
    with closing(sqlite3.connect(tmp_path/'locked.db', isolation_level=None)) as con, ThreadPoolExecutor() as pool:
        con.execute('BEGIN EXCLUSIVE')
        waiting = pool.submit(Store, tmp_path/'locked.db', timeout=5)
        Store(tmp_path/'free.db').close()
        assert not waiting.done()
        con.execute('ROLLBACK')
        waiting.result().close()

# -- exit

def test_save_at_exit(tmp_path):
    "An exit handler can save, even if it was registered before the store was created."
    run_code('''
        made = []
        atexit.register(lambda: made[0].update_state("f", "s", {"at": "exit"}))
        made.append(Store(sys.argv[1]))
        made[0].update_state("f", "s", {"a": 1})
        ''', tmp_path/'wf.db')
    assert run_code(READ, tmp_path/'wf.db') == "{'a': 1, 'at': 'exit'}"

# -- calls that would deadlock on themselves

def test_edit_block_in_another_thread(tmp_path):
    "The thread in which a block began does unrelated work: its write waits until the block ends."
    with Store(tmp_path/'wf.db') as store, ThreadPoolExecutor(1) as pool:
        block = store.edit_state('f', 's')
        state = pool.submit(contextvars.copy_context().run, block.__enter__).result()
        unrelated = pool.submit(contextvars.copy_context().run, store.update_state, 'f', 's', {'unrelated': 1})
        state['block'] = 1
        assert not unrelated.done()
        block.__exit__(None, None, None)
        unrelated.result()
        assert store.get_state('f', 's') == {'block': 1, 'unrelated': 1}

def test_two_coroutines(tmp_path):
    async def hold(store, inside, leave):
        with store.edit_state('f', 's') as state:
            inside.set()
            await leave.wait()
            state['a'] = 1
    async def main(store):
        inside, leave = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(hold(store, inside, leave))
        await inside.wait()
        with pytest.raises(RuntimeError, match="don't await inside one"): store.update_state('f', 's', {'b': 1})
        leave.set()
        await task
        store.update_state('f', 's', {'b': 2})
    with Store(tmp_path/'wf.db') as store:
        asyncio.run(main(store))
        assert store.get_state('f', 's') == {'a': 1, 'b': 2}

@pytest.mark.skipif(not hasattr(signal, 'setitimer'), reason='this system has no timer that interrupts')
def test_signal_handler_in_a_write(tmp_path):
    said = []
    with Store(tmp_path/'wf.db', synchronous='NORMAL') as store:
        def handler(*_):
            try: store.update_state('f', 's', {'handler': 1})
            except RuntimeError as error: said.append(str(error))
        before = signal.signal(signal.SIGALRM, handler)
        try:
            for i in range(3000):
                signal.setitimer(signal.ITIMER_REAL, 2e-5 * (i % 20 + 1))
                store.update_state('f', 's', {'n': i})
                if said: break
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert said and 'signal handler' in said[0]
        store.update_state('f', 's', {'n': -1})

# -- two processes open one file

@pytest.mark.parametrize('kind', ['new', 'old'])
def test_two_processes_create_the_schema_at_the_same_time(tmp_path, monkeypatch, kind):
    "The other process opens the file after this one has read the version, and before it has the lock."
    path, raced = tmp_path/'wf.db', []
    if kind == 'old': old_file(path, 3)
    def trace(sql):
        if sql == 'BEGIN IMMEDIATE' and not raced:
            raced.append(sql)
            run_code('with Store(sys.argv[1]) as store: store.update_state("f", "s", {"a": 1})', path)
    internals.watch_connections(monkeypatch, lambda con: con.set_trace_callback(trace))
    with Store(path) as store:
        assert raced and store.get_state('f', 's') == {'a': 1} and store.check() == []
        assert sum(map(store.count_sessions, store.list_flows())) == (4 if kind == 'old' else 1)

# -- damaged and hostile files

def damaged(path, *statements):
    with Store(path) as store:
        store.update_state('f', 's', {'a': {'b': 'x' * 3000}, '_step_x': {'n': 1}})
        store.update_state('f', 's', {'a': {'b': 'y' * 3000}}, undo_label='y')
    with closing(sqlite3.connect(path)) as con:
        for statement, *values in statements: con.execute(statement, values)
        con.commit()
    return Store(path)

BOMB = zlib.compress(b'[' + b' ' * (1 << 29), 9)

@pytest.mark.parametrize('entry', [BOMB, b'', b'[', b'[[],', b'[[[["a"],[1],null]],{}]', b'\xff', zlib.compress(b'[' * 10_000), b'[[[[{}],[1],null,null]],{}]'], ids=len)
def test_damaged_undo_entry(tmp_path, entry):
    "The store raises an error of the driver that names the file, and uses little memory."
    import resource
    with damaged(tmp_path/'wf.db', ('UPDATE workflow_undo SET entry = ?', entry)) as store:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(sqlite3.DatabaseError) as error: store.undo('f', 's')
        assert str(tmp_path/'wf.db') in str(error.value)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KB; the entry has 512 MB unpacked
        assert any('undo entry' in fault for fault in store.check())

@pytest.mark.parametrize('statement', ["UPDATE workflow_undo SET keys = '{'", "UPDATE workflow_undo SET keys = 7", "UPDATE workflow_value SET value = '{' WHERE k2 <> ''",
                                       "UPDATE workflow_value SET value = '[' || '9' WHERE k1 LIKE '%a%'", "UPDATE workflow_value SET k2 = 'x' WHERE k2 <> ''"])
def test_damaged_rows(tmp_path, statement):
    with damaged(tmp_path/'wf.db', (statement,)) as store:
        assert store.check()
        calls = [lambda: store.get_state('f', 's'), lambda: store.get_undo_history('f', 's'), lambda: store.get_session('f', 's'), lambda: store.edit_state('f', 's').__enter__()]
        failed = 0
        for call in calls:
            try: call()
            except sqlite3.DatabaseError as error:
                failed += 1
                assert str(tmp_path/'wf.db') in str(error)
        assert failed

@pytest.mark.parametrize('statement, difference', [
    ('CREATE TRIGGER spy AFTER UPDATE ON workflow_session BEGIN SELECT 1; END', 'foreign or changed: trigger spy'),
    ('ALTER TABLE workflow_value ADD COLUMN more', 'foreign or changed: table workflow_value'),
    ('DROP TRIGGER workflow_session_deleted', 'missing or changed: workflow_session_deleted'),
    ('DROP VIEW workflow_state', 'missing or changed: workflow_state'),
    ('DROP INDEX workflow_session_listing', 'missing or changed: workflow_session_listing')])
def test_foreign_schema(tmp_path, statement, difference):
    path = tmp_path/'wf.db'
    with closing(damaged(path)): pass
    with closing(sqlite3.connect(path)) as con: con.execute(statement)
    before = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError) as error: Store(path)
    assert f'differs from the one that this package creates ({difference})' in str(error.value)
    assert str(path) in str(error.value) and path.read_bytes() == before

def test_tables_of_other_applications_stay(tmp_path):
    with closing(damaged(tmp_path/'wf.db')): pass
    with closing(sqlite3.connect(tmp_path/'wf.db')) as con:
        con.executescript('CREATE TABLE others (n); CREATE TRIGGER t AFTER INSERT ON others BEGIN SELECT 1; END; CREATE VIEW v AS SELECT * FROM workflow_session;'
                          'CREATE INDEX by_label ON workflow_session (label)')
    with Store(tmp_path/'wf.db') as store: store.update_state('f', 's', {'a': 2})
    with closing(sqlite3.connect(tmp_path/'wf.db')) as con: assert con.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('others', 't', 'v', 'by_label')").fetchone() == (4,)

# -- recovery, times, size of the log

@pytest.mark.skipif(os.name != 'posix', reason='no POSIX modes here')
def test_a_file_that_becomes_writable_again():
    "Modes do not restrict root, so another user runs this, in a folder outside of pytest's."
    with TemporaryDirectory() as folder:
        said = run_code("""
            import urllib.parse  # which pathlib needs later, when the user may not read the library any more
            folder, path = sys.argv[1:]
            if os.geteuid() == 0:
                os.chown(folder, 65534, 65534)
                os.setegid(65534)
                os.seteuid(65534)
            Store(path).close()
            os.chmod(path, 0o400)
            with Store(path) as store:
                try: store.update_state("f", "s", {"a": 1})
                except store.OperationalError as error: print("readonly" in str(error), path in str(error))
                for name in os.listdir(folder): os.chmod(os.path.join(folder, name), 0o600)  # its logs have the same mode
                store.update_state("f", "s", {"a": 1})
                print(store.get_state("f", "s"))
            """, folder, f'{folder}/wf.db')
    assert said == "True True\n{'a': 1}"

def test_a_time_at_the_end_of_the_calendar(tmp_path):
    "A session of the year 9999 in an old file: later changes still have valid times."
    with closing(sqlite3.connect(tmp_path/'old.db')) as con:
        con.execute("CREATE TABLE workflow_state (flow_session_key TEXT PRIMARY KEY, current_step TEXT, state_json TEXT, created_at TEXT, updated_at TEXT)")
        con.execute("INSERT INTO workflow_state VALUES ('f:s', NULL, '{}', '9999-12-31 23:59:59', '9999-12-31 23:59:59')")
        con.commit()
    with Store(tmp_path/'old.db') as store:
        for i in range(3): store.update_state('f', f's{i}', {'n': i})
        assert all(summary.updated_at for summary in store.list_sessions('f'))

def test_log_stays_small(tmp_path):
    "The size of the log is bounded, even if readers never stop."
    path, stop, largest = tmp_path/'wf.db', threading.Event(), 0
    with Store(path, synchronous='NORMAL') as store:
        store.update_state('f', 's', {'v': 'x' * 200_000})
        def read():
            while not stop.is_set(): store.get_state('f', 's')
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads: thread.start()
        try:
            for i in range(480):
                store.update_state('f', 's', {'v': chr(97 + i % 26) * 200_000})
                largest = max(largest, os.path.getsize(f'{path}-wal'))
        finally:
            stop.set()
            for thread in threads: thread.join()
    assert largest < 64e6

@pytest.fixture
def log_restarts(tmp_path, monkeypatch):
    "Size of the log each time that the store tries to restart it; `events` run just before that."
    found = SimpleNamespace(sizes=[], events=[])
    def trace(sql):
        if sql != 'PRAGMA wal_checkpoint(RESTART)': return
        found.sizes.append(os.path.getsize(tmp_path/'wf.db-wal'))
        for event in found.events: event()
    internals.watch_connections(monkeypatch, lambda con: con.set_trace_callback(trace))
    return found

@contextmanager
def snapshot(path):
    "A reader in another program that keeps its snapshot."
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute('BEGIN')
        con.execute('SELECT count(*) FROM workflow_session').fetchall()
        yield con

VALUE = 200_000  # bytes of each write

def write_bytes(store, count):
    for i in range(count // VALUE + 1): store.update_state('f', 's', {'v': chr(97 + i % 26) * VALUE})

def test_log_restarts_at_its_limit(tmp_path, log_restarts):
    "Each time that it reaches the limit. SQLite shortens the file with the next write, so the store may try once more."
    limit = internals.LOG_LIMIT
    with Store(tmp_path/'wf.db', synchronous='NORMAL') as store:
        store.update_state('f', 's', {'v': ''})
        for _ in range(2):
            with snapshot(tmp_path/'wf.db') as reader:
                log_restarts.events[:] = [lambda: reader.in_transaction and reader.execute('ROLLBACK')]
                write_bytes(store, limit + 10 * VALUE)
            size, *again = log_restarts.sizes
            assert limit < size < limit + 2 * VALUE and len(again) <= 1
            write_bytes(store, 2 * limit)
            assert log_restarts.sizes == [size, *again] and os.path.getsize(tmp_path/'wf.db-wal') < limit
            log_restarts.sizes.clear()

def test_log_restart_backs_off_beside_a_long_reader(tmp_path, log_restarts):
    limit = internals.LOG_LIMIT
    with Store(tmp_path/'wf.db', synchronous='NORMAL') as store:
        store.update_state('f', 's', {'v': ''})
        with snapshot(tmp_path/'wf.db'): write_bytes(store, 2 * limit + 20 * VALUE)
        first, second = log_restarts.sizes
        assert limit < first < limit + 2 * VALUE and first + limit < second < first + limit + 2 * VALUE
        assert store.get_state('f', 's') and store.check() == []

KILLED = r"""
    import re
    from pathlib import Path
    path = Path(sys.argv[1])
    store = Store(path)
    def stop(number):
        for name in os.listdir(path.parent):
            if re.fullmatch(r"wf\.db\.copy\.[0-9a-f]{32}\.part", name): (path.parent/f"{name}-journal").touch()
        if sys.argv[2] == "kill": os._exit(9)
        print("in the middle", flush=True)
        sys.stdin.read()
    os.fsync = stop  # the backup syncs its copy before it renames it
    store.backup(f"{path}.copy")
    """

@pytest.mark.skipif(os.name != 'posix', reason='on other systems, an open file cannot be deleted')
def test_the_next_backup_removes_what_a_killed_one_left(tmp_path):
    "The next backup deletes what a killed one left, and keeps files of a running backup and of other programs."
    path, other_names = tmp_path/'wf.db', ['wf.db.copy.1.part', f'other.{"0" * 32}.part']
    for name in other_names: (tmp_path/name).touch()
    with Store(path) as store:
        store.update_state('f', 's', {'a': 1})
        for _ in range(3): run_code(KILLED, path, 'kill', status=9)
        left = [name for name in files(tmp_path) if '.part' in name and name not in other_names]
        assert len(left) == 2  # from the third run
        (tmp_path/left[0]).unlink()  # a loss of power may remove one and keep the other
        words = [sys.executable, '-c', with_imports(KILLED), str(path), 'wait']
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as making:
            assert making.stdout.readline() == 'in the middle\n'
            now = [name for name in files(tmp_path) if '.part' in name and name not in other_names]
            assert len(now) == 2 and not set(now) & set(left)
            store.backup(f'{path}.copy')
            assert set(now) <= set(files(tmp_path))
            making.kill()
        store.backup(f'{path}.copy')
    assert files(tmp_path) == sorted(['wf.db', 'wf.db.copy', *other_names]) and run_code(READ, f'{path}.copy') == "{'a': 1}"

@pytest.mark.parametrize('place', ['wf.db', ':memory:'])
def test_an_error_of_another_database_inside_an_edit_block(tmp_path, place):
    "An error of another database, raised inside an edit block, does not make the store reconnect."
    with Store(place if place == ':memory:' else tmp_path/place) as store:
        store.update_state('f', 's', {'a': 1})
        with pytest.raises(sqlite3.OperationalError), store.edit_state('f', 's'):
            sqlite3.connect(f"{(tmp_path/'none'/'x.db').as_uri()}?mode=ro", uri=True)
        store.update_state('f', 's', {'b': 2})
        assert store.get_state('f', 's') == {'a': 1, 'b': 2}

LIMITED = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = Store(sys.argv[1])
    store.update_state("f", "s", {"a": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try: store.update_state("f", "s", {"big": "x" * 200_000})
    except store.OperationalError: print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.update_state("f", "s", {"b": 2})
    print(store.get_state("f", "s"), store.check())
    """

@pytest.mark.skipif(os.name != 'posix', reason='this system can not limit the size of a file')
def test_writing_works_again_after_a_failed_write(tmp_path): assert run_code(LIMITED, tmp_path/'wf.db') == "refused\n{'a': 1, 'b': 2} []"

def test_restore_waits_for_its_timeout(tmp_path):
    with Store(tmp_path/'wf.db', timeout=0.2) as store, Store(tmp_path/'wf.db') as second:
        store.update_state('f', 's', {'a': 1})
        store.backup(tmp_path/'copy.db')
        with second.edit_state('f', 's') as state:
            with pytest.raises(sqlite3.OperationalError, match='timeout=0.2'): store.restore(tmp_path/'copy.db')
            state['b'] = 2
        store.restore(tmp_path/'copy.db')
        assert second.get_state('f', 's') == {'a': 1}

def test_check_while_others_write(tmp_path):
    stop = threading.Event()
    with Store(tmp_path/'wf.db', synchronous='NORMAL') as store, ThreadPoolExecutor(1) as pool:
        def write():
            i = 0
            while not stop.is_set():
                store.update_state('f', f's{i % 5}', {f'k{i % 50}': 'x' * (i * 7 % 3000)}, undo_label='x')
                i += 1
        writing = pool.submit(write)
        try: assert not any(store.check() for _ in range(30))
        finally: stop.set()
        writing.result()

# -- edits of many processes and threads

EDIT = '''
    store = Store(sys.argv[1], max_undo_depth=10_000)
    from concurrent.futures import ThreadPoolExecutor
    def click(i):
        with store.edit_session("f", "s", undo_label=f"{sys.argv[2]} {i}") as session:
            session.state["n"] = session.state.get("n", 0) + 1
            session.step(f"step {i % 2}")[f"{sys.argv[2]} {i}"] = i
    with ThreadPoolExecutor(8) as pool: list(pool.map(click, range(40)))
    '''

def test_edit_session_by_many(tmp_path):
    "Four processes with eight threads each: no edit is lost, and each is one undo entry."
    with ThreadPoolExecutor(4) as pool: list(pool.map(lambda name: run_code(EDIT, tmp_path/'wf.db', name), 'abcd'))
    with Store(tmp_path/'wf.db', max_undo_depth=10_000) as store:
        one = store.get_session('f', 's')
        assert one.state['n'] == 160 and len(one.step('step 0')) + len(one.step('step 1')) == 160
        assert len({entry.label for entry in one.history().undo}) == 160 == len(one.history().undo)
        assert len(store.undo('f', 's', count=160)) == 160 and store.get_state('f', 's') == {}
        assert len(store.redo('f', 's', count=160)) == 160 and store.get_session('f', 's').state['n'] == 160
        assert store.check() == []
