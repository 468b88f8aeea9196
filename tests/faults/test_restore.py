"Restores: nothing stale gets in afterwards, nothing half, and nothing that is not a complete store at rest."
import json
import os
import re
import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import datetime, timezone

import pytest

import internals
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store, StaleSessionError

from .processes import Child, check_file, files, in_private_mount, old_file, run

HERE = 'f', 's'

@pytest.fixture
def store(tmp_path):
    with Store(tmp_path/'wf.db') as store: yield store

@pytest.fixture
def src(tmp_path):
    "A backup: a session `s` of revision 2, with undo, and a session `gone`."
    (tmp_path/'copies').mkdir()
    with Store(tmp_path/'copies'/'live.db') as other:
        other.update_state(*HERE, {'from': 'src'}, undo_label='first')
        other.update_step_state(*HERE, 'x', {'n': 1}, undo_label='second')
        other.create_session('f', 'gone')
        other.backup(tmp_path/'copies'/'src.db')
    os.unlink(tmp_path/'copies'/'live.db')
    return tmp_path/'copies'/'src.db'

def restored(store, damaged=()):
    "Whether the store has the content of `src`, and `check` reports exactly these sessions."
    reported = [problem.split(':')[0] for problem in store.check()]
    return store.get_state(*HERE) == {'from': 'src', '_step_x': {'n': 1}} and reported == [f"flow 'f', session {s!r}" for s in damaged] and \
        [e.label for e in store.get_undo_history(*HERE).undo] == ['first'] and internals.attached_databases(store) == []

# -- what was shown before is stale

@pytest.mark.parametrize('path', ['wf.db', ':memory:'])
@pytest.mark.parametrize('ahead', [0, 1, 5])
def test_save_from_a_tab(tmp_path, path, ahead):
    "Whatever the tab shows, whoever has written since: the save is refused, and a poller sees a change."
    with Store(path if path == ':memory:' else tmp_path/path) as store:
        store.update_state(*HERE, {'n': 0})
        store.backup(tmp_path/'copy.db')
        for n in range(ahead): store.update_state(*HERE, {'n': n})
        shown = store.get_session_summary(*HERE).revision
        for _ in range(3):
            store.restore(tmp_path/'copy.db')
            for _ in range(ahead + 3):
                now = store.get_session_summary(*HERE).revision
                assert now > shown
                for save in (lambda: store.update_state(*HERE, {'tab': 1}, expected_revision=shown), lambda: store.delete_session(*HERE, expected_revision=shown),
                             lambda: store.edit_session(*HERE, expected_revision=shown).__enter__()):
                    with pytest.raises(StaleSessionError): save()
                store.update_state(*HERE, {'other': now})
            shown = store.get_session_summary(*HERE).revision

@pytest.mark.parametrize('how', ['deleted', 'all deleted', 'other sessions'])
def test_save_from_a_tab_of_another_session(tmp_path, store, how):
    "The session was deleted at a high revision, or never had one so high."
    store.update_state(*HERE, {'n': 0})
    store.backup(tmp_path/'copy.db')
    for n in range(20): store.update_state('f', 'other' if how == 'other sessions' else 's', {'n': n})
    shown = max(one.revision for one in store.list_sessions('f'))
    if how != 'other sessions': store.delete_session(*HERE)
    if how == 'all deleted': store.delete_session('f', 'other')
    store.restore(tmp_path/'copy.db')
    for n in range(25):
        assert store.get_session_summary(*HERE).revision > shown
        store.update_state(*HERE, {'n': n})

@pytest.mark.parametrize('year', [1970, 2019, 2026, 2150, 9998])
def test_revisions_with_a_wrong_clock(tmp_path, store, monkeypatch, year):
    "The store goes on, also after a hundred restores."
    store.update_state(*HERE, {'n': 0})
    store.backup(tmp_path/'copy.db')
    now = datetime(year, 6, 1, tzinfo=timezone.utc).timestamp()
    internals.set_clock(monkeypatch, lambda: int(now * 10 ** 9))
    for i in range(100):
        before = store.get_session_summary(*HERE).revision
        store.restore(tmp_path/'copy.db')
        store.update_state(*HERE, {f'new {i}': i})
        assert store.get_state(*HERE) == {'n': 0, f'new {i}': i} and before < store.get_session_summary(*HERE).revision < 2 ** 31
    assert store.check() == []

@pytest.mark.parametrize('revision', ["'x'", 'x\'00\'', 2 ** 62, -5])
@pytest.mark.parametrize('where', ['live', 'src'])
def test_damaged_revisions(store, src, revision, where):
    "They do not become those of all sessions."
    store.update_state('f', 'live', {'n': 1})
    with closing(sqlite3.connect(store.db_path if where == 'live' else src)) as con:
        con.execute(f"UPDATE workflow_session SET revision = {revision} WHERE session_id IN ('live', 'gone')")
        con.commit()
    store.restore(src)
    assert restored(store, damaged=['gone'] if where == 'src' else [])
    store.update_state(*HERE, {'n': 2})
    assert 2 < store.get_session_summary(*HERE).revision < 2 ** 31

# -- what is refused

def refused(store, src, match, named, kind=Exception):
    folder = named.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    store.update_state('f', 'live', {'n': 1})
    with pytest.raises(kind, match=match) as error: store.restore(src)
    assert str(named) in str(error.value) and str(store.db_path) not in str(error.value)
    assert store.get_state('f', 'live') == {'n': 1} and store.check() == []
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before

def link_to(path, link):
    try: os.symlink(path, link)
    except OSError: pytest.skip('this user may not create links')
    return link

@pytest.mark.parametrize('linked', [False, True])
def test_own_file(tmp_path, store, linked):
    store.update_state(*HERE, {'n': 1})
    path = link_to('wf.db', tmp_path/'link.db') if linked else store.db_path
    with pytest.raises(ValueError, match="src is the store's own file"): store.restore(path)
    assert store.get_state(*HERE) == {'n': 1}

@pytest.mark.parametrize('linked', [False, True])
def test_file_in_use(tmp_path, store, src, linked):
    "Its newest commits are in a log, which is beside the file itself."
    with Store(src) as other:
        other.update_state('f', 'only in the log', {'n': 1})
        path = link_to(src, tmp_path/'link.db') if linked else src
        store.update_state('f', 'live', {'n': 1})
        with pytest.raises(ValueError, match='src is a database in use') as error: store.restore(path)
        assert f'{src}-wal' in str(error.value) and store.get_state('f', 'live') == {'n': 1}
    store.restore(path)
    assert store.session_exists('f', 'only in the log')

@pytest.mark.parametrize('linked', [False, True])
def test_hot_journal(tmp_path, store, src, linked):
    "Half a transaction is in the file, and the way back in the journal beside it."
    with closing(sqlite3.connect(src, isolation_level=None)) as con:
        con.execute('PRAGMA cache_size = 1')
        con.execute('PRAGMA journal_mode = DELETE')
        con.execute('BEGIN')
        con.execute('DELETE FROM workflow_value')
        con.executemany("INSERT INTO workflow_value VALUES (?, '\"k\"', '', '', 1, ?)", [(i, 'x' * 3000) for i in range(100, 200)])
        (tmp_path/'killed').mkdir()
        for name in ('src.db', 'src.db-journal'): shutil.copy(src.with_name(name), tmp_path/'killed'/name)
        con.execute('ROLLBACK')
    killed = tmp_path/'killed'/'src.db'
    refused(store, link_to(killed, tmp_path/'link.db') if linked else killed, 'its log exists', killed.with_name('src.db-journal'), ValueError)
    Store(killed).close()  # which completes it, as the error says
    store.restore(killed)
    assert restored(store)

def test_not_a_store(tmp_path, store, src):
    (tmp_path/'bad').mkdir()
    def bad(name, content=None):
        path = tmp_path/'bad'/name
        if content is not None: path.write_bytes(content)
        return path
    refused(store, bad('none.db'), 'src is not a file', tmp_path/'bad'/'none.db', FileNotFoundError)
    with pytest.raises(OSError, match='is a directory'): store.restore(tmp_path/'bad')
    refused(store, bad('text.db', b'Dear diary ' * 900), 'file is not a database', tmp_path/'bad'/'text.db', sqlite3.DatabaseError)
    refused(store, bad('empty.db', b''), 'src is not a store', tmp_path/'bad'/'empty.db', sqlite3.DatabaseError)
    whole = src.read_bytes()
    refused(store, bad('short.db', whole[:len(whole) // 2]), 'damaged|malformed', tmp_path/'bad'/'short.db', sqlite3.DatabaseError)
    old_file(tmp_path/'bad'/'old.db')
    refused(store, tmp_path/'bad'/'old.db', 'a release before 0.1', tmp_path/'bad'/'old.db', sqlite3.DatabaseError)
    for statement, match in [('PRAGMA user_version = 99', 'newer'), ('PRAGMA application_id = 7', 'belongs to another application'),
                             ('CREATE TRIGGER spy AFTER UPDATE ON workflow_session BEGIN SELECT 1; END', 'spy'), ('DROP TABLE workflow_undo', 'workflow_undo')]:
        shutil.copy(src, bad('changed.db'))
        with closing(sqlite3.connect(bad('changed.db'))) as con: con.execute(statement)
        refused(store, bad('changed.db'), match, bad('changed.db'), sqlite3.DatabaseError)

def test_rows_that_are_there_twice(store, src):
    "The indexes of src are not read, so it is the copy that finds this."
    unique = "name = 'sqlite_autoindex_workflow_value_1'"
    with closing(sqlite3.connect(src)) as con:
        [index] = con.execute(f'SELECT * FROM sqlite_master WHERE {unique}').fetchall()
        [(sql,)] = con.execute("SELECT sql FROM sqlite_master WHERE name = 'workflow_value'").fetchall()
        con.execute('PRAGMA writable_schema = ON')
        con.execute(f'DELETE FROM sqlite_master WHERE {unique}')
        con.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE workflow_value (session, k1, k2, k3, position, value)' WHERE name = 'workflow_value'")
        con.commit()
    with closing(sqlite3.connect(src)) as con:
        con.execute('INSERT INTO workflow_value SELECT * FROM workflow_value')
        con.execute('PRAGMA writable_schema = ON')
        con.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'workflow_value'", [sql])
        con.execute('INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)', index)
        con.commit()
    refused(store, src, 'src is damaged', src, sqlite3.DatabaseError)

@pytest.mark.parametrize('table', ['workflow_value', 'theirs'])
def test_hostile_index(store, src, table):
    "No expression of an index that others added is run, on our tables or on theirs."
    with closing(sqlite3.connect(src)) as con:
        con.create_function('bomb', 1, lambda value: 1, deterministic=True)
        con.executescript(f'CREATE TABLE theirs (session); INSERT INTO theirs VALUES (1); CREATE INDEX hostile ON {table} (bomb(session))')
    store.restore(src)  # where there is no such function
    assert restored(store)

@pytest.mark.parametrize('call', ['backup', 'restore'])
@pytest.mark.parametrize('name, kind', [('~/x.db', ValueError), ('sqlite:///x.db', ValueError), ('file:x.db', ValueError), ('', ValueError), ('.', OSError),
                                        (None, TypeError), (7, TypeError), (b'x.db', TypeError)])
def test_names_that_are_no_path(tmp_path, store, monkeypatch, call, name, kind):
    "The error names the argument, and nothing is created."
    (tmp_path/'cwd').mkdir()
    monkeypatch.chdir(tmp_path/'cwd')
    with pytest.raises(kind, match='^dest ' if call == 'backup' else '^src '): getattr(store, call)(name)
    assert files(tmp_path/'cwd') == []

def test_inside_an_edit_block(store, src):
    with store.edit_state(*HERE):
        with pytest.raises(RuntimeError, match='not inside it'): store.restore(src)
    store.restore(src)
    assert restored(store)

# -- what is accepted

@pytest.mark.parametrize('size', [512, 1024, 2048, 8192, 65536])
def test_page_sizes(tmp_path, store, src, size):
    with closing(sqlite3.connect(src, isolation_level=None)) as con:
        con.execute(f'PRAGMA page_size = {size}')
        con.execute('VACUUM')
        assert con.execute('PRAGMA page_size').fetchone() == (size,)
    store.restore(src)
    assert restored(store)
    with Store(':memory:') as memory:
        memory.restore(src)
        assert restored(memory)

def test_text_encoding(tmp_path, src):
    "SQLite can't copy rows between encodings: the error says so, and names src; with the same encoding, it works."
    for name in ('wf', 'src'):
        with closing(sqlite3.connect(tmp_path/f'{name}16.db')) as con: con.execute("PRAGMA encoding = 'UTF-16le'"), con.execute('CREATE TABLE theirs (a)')
    with Store(tmp_path/'src16.db') as other: other.update_state(*HERE, {'from': 'src'}, undo_label='first'), other.update_step_state(*HERE, 'x', {'n': 1})
    with Store(tmp_path/'wf.db') as store:
        with pytest.raises(sqlite3.DatabaseError, match='text encoding UTF-16le.*use copy_store') as error: store.restore(tmp_path/'src16.db')
        assert str(tmp_path/'src16.db') in str(error.value)
    with Store(tmp_path/'wf16.db') as store:
        store.restore(tmp_path/'src16.db')
        assert restored(store)

def test_tables_of_others(store, src):
    "Those in the live file stay, those in src are not copied, and a trigger of theirs is not run."
    for path, content in ((store.db_path, 'live'), (src, 'src')):
        with closing(sqlite3.connect(path)) as con:
            con.executescript(f"CREATE TABLE theirs (a); INSERT INTO theirs VALUES ('{content}'); CREATE TABLE only_{content} (a); CREATE INDEX by_label_{content} ON workflow_session (label);"
                              f"CREATE TRIGGER t_{content} AFTER INSERT ON theirs BEGIN DELETE FROM theirs; END")
    store.restore(src)
    with closing(sqlite3.connect(store.db_path)) as con:
        names = {name for name, in con.execute('SELECT name FROM sqlite_master')}
        assert con.execute('SELECT a FROM theirs').fetchall() == [('live',)]
    assert restored(store) and {'only_live', 'by_label_live', 't_live'} <= names and not {'only_src', 'by_label_src', 't_src'} & names

def test_older_schema(tmp_path, store, src, monkeypatch):
    "A column that its version lacks gets its default, a table is empty; the file itself is not upgraded."
    before = src.read_bytes()
    store.close()
    internals.add_sqlite_schema_version(
        monkeypatch, "CREATE TABLE workflow_note (session INTEGER NOT NULL, note TEXT)",
        "CREATE TABLE workflow_later (n INTEGER NOT NULL DEFAULT 7)")
    with Store(tmp_path/'new.db') as new:
        new.update_state('f', 'live', {'n': 1})
        with closing(sqlite3.connect(new.db_path)) as con:
            con.execute("INSERT INTO workflow_note VALUES (1, 'of a session that a restore deletes')")
            con.commit()
        new.restore(src)
        assert restored(new) and not new.session_exists('f', 'live')
        with closing(sqlite3.connect(new.db_path)) as con:
            assert con.execute('SELECT * FROM workflow_note').fetchall() == []
            con.execute("INSERT INTO workflow_note VALUES (1, 'kept')")
            con.commit()
        new.backup(tmp_path/'copy.db')
        with closing(sqlite3.connect(new.db_path)) as con:
            con.execute('DELETE FROM workflow_note')
            con.commit()
        new.restore(tmp_path/'copy.db')
        with closing(sqlite3.connect(new.db_path)) as con: assert con.execute('SELECT note FROM workflow_note').fetchall() == [('kept',)]
    assert src.read_bytes() == before
    monkeypatch.undo()
    with Store(tmp_path/'wf.db') as store:
        with pytest.raises(sqlite3.DatabaseError, match='is newer than') as error: store.restore(tmp_path/'copy.db')
        assert str(tmp_path/'copy.db') in str(error.value)

@pytest.mark.skipif(os.name != 'posix', reason='no POSIX modes here')
def test_source_that_can_only_be_read(store, src):
    os.chmod(src, 0o400)
    os.chmod(src.parent, 0o500)
    try:
        store.restore(src)
        assert restored(store) and files(src.parent) == ['src.db'] and stat.S_IMODE(src.stat().st_mode) == 0o400
    finally: os.chmod(src.parent, 0o700)

# -- disks, other processes, kills

def test_full_disk_while_restoring(tmp_path, figures):
    with Store(tmp_path/'live.db') as other:
        other.update_state('disk', 's', {'text': 'src' * 400_000})
        other.backup(tmp_path/'src.db')
    (tmp_path/'disk').mkdir()
    disk = in_private_mount(tmp_path/'disk', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs')
    figures |= run('full_disk_restore', str(tmp_path/'disk'), str(tmp_path/'src.db'), before=disk)

@pytest.mark.rounds(4, 60)
def test_restores_under_load(tmp_path, rounds, figures):
    "One process restores two backups in turn and is killed, two others show lists and save from tabs with what they have shown."
    path, copies, stop = str(tmp_path/'wf.db'), [str(tmp_path/f'{label}.copy') for label in 'ab'], tmp_path/'stop'
    for label, copy in zip('ab', copies):
        with Store(tmp_path/f'{label}.db') as store:
            for i in range(20):
                store.create_session('restore', f'{i}', label)
                store.update_state('restore', f'{i}', {'text': label * 3000, 'big': {f'{k}': label * 50 for k in range(40)}}, undo_label=label)
            store.backup(copy)
    with Store(path) as store: store.restore(copies[0])
    tabs = [Child('save_from_tab', path, str(stop)) for _ in range(2)]
    for tab in tabs: tab.ready()
    restores = 0
    with Store(path) as store:
        for _ in range(rounds):
            restores += len(Child('restore_on', path, copies).kill_at_random(.5))
            assert store.check() == [] and len({one.label for one in store.list_sessions('restore')}) == 1
            for one in store.list_sessions('restore'):
                state = store.get_state('restore', one.session_id)
                assert state['text'] == one.label * 3000 and set(state['big'].values()) == {one.label * 50}
            check_file(path)
    stop.touch()
    done = [json.loads(tab.end()[-1]) for tab in tabs]
    with Store(path) as store: assert store.check() == []  # two that close at the same instant may leave the log to this one
    assert files(tmp_path) == sorted(['wf.db', 'a.db', 'b.db', 'a.copy', 'b.copy', 'stop'])
    figures |= {'restores': restores, 'kills': rounds, **{key: sum(one[key] for one in done) for key in done[0]}}
    assert figures['stale_accepted'] == figures['mixed'] == 0 and figures['saves'] and re.match('[1-9]', f"{figures['stale_refused']}")
