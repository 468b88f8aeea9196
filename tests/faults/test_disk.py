"Disks and files that are full, read-only, missing, truncated or overwritten: the error names the file, earlier data stays, and writing works again as soon as it can."
import json
import os
import random
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

from .processes import check_file, files, in_private_mount, is_old, old_file, run

@pytest.mark.rounds(12, 60)
def test_full_disk(tmp_path, rounds, figures):
    "A small file system with less and less space."
    figures |= run('full_disk', str(tmp_path), rounds, before=in_private_mount(tmp_path, '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs'))
    assert figures['refused'] > rounds / 2 and figures['half'] == 0

@pytest.mark.rounds(12, 60)
def test_full_disk_while_migrating(tmp_path, rounds, figures):
    old_file(tmp_path/'old.db')
    folder = tmp_path/'full'
    folder.mkdir()
    disk = in_private_mount(folder, '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs')
    figures |= run('full_disk_migration', str(folder), str(tmp_path/'old.db'), rounds, before=disk)
    assert 0 < figures['refused'] < rounds

def test_full_disk_while_backing_up(tmp_path, figures):
    figures |= run('full_disk_backup', str(tmp_path), before=in_private_mount(tmp_path, '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs'))

def test_read_only_folder_and_file(figures):
    "Modes do not restrict root, so the child process gives up its rights."
    if not hasattr(os, 'geteuid'): pytest.skip('this system has no POSIX modes')
    with TemporaryDirectory() as folder: figures |= run('read_only', folder)

def test_read_only_disk(tmp_path, figures):
    with Store(tmp_path/'wf.db') as store: store.update_state('f', 's', {'n': 1})
    figures |= run('read_only_disk', str(tmp_path), before=in_private_mount(tmp_path, '--bind', '-o', 'ro', str(tmp_path)))

def named(path):
    "An `OperationalError` that names the path."
    return pytest.raises(sqlite3.DatabaseError, match=re.escape(str(path)))

def test_deleted_file_under_an_open_store(tmp_path, figures):
    path = tmp_path/'wf.db'
    store = Store(path)
    store.update_state('f', 's', {'n': 1})
    os.remove(path)
    with named(path): store.update_state('f', 's', {'n': 2})  # it must not write into a file that has no name any more
    assert not path.exists()
    with Store(path) as new:
        new.update_state('f', 's', {'n': 3})
        with named(path): store.set_current_step('f', 's', 'a')
        store.close()  # it must not damage the new file
        new.update_state('f', 's', {'m': 4})
        assert new.get_state('f', 's') == {'n': 3, 'm': 4}
        with Store(path) as other: assert other.get_state('f', 's') == {'n': 3, 'm': 4}
    check_file(path)
    assert files(tmp_path) == ['wf.db']
    figures |= {'writes_refused': 2}

def full_file(path):
    with Store(path) as store:
        for s in range(20):
            store.update_state('f', f'{s}', {'n': s, 'text': f'{s}' * 3000})
            store.update_step_state('f', f'{s}', 'review', {'at': s}, undo_label='move')
    return path.read_bytes()

def survives(path, content):
    "Whether a store refuses `content` with an error that names the path, and keeps its bytes; otherwise it must read what `full_file` wrote."
    path.write_bytes(content)
    try:
        with Store(path) as store:
            sessions = [s.session_id for s in store.list_sessions('f', 'created_at', False)]
            assert sessions == [f'{s}' for s in range(20)]
            for s in range(20):
                assert store.get_state('f', f'{s}') == {'n': s, 'text': f'{s}' * 3000, '_step_review': {'at': s}}
                assert [entry.label for entry in store.get_undo_history('f', f'{s}', 'review').undo] == ['move']
    except sqlite3.DatabaseError as error:
        assert str(path) in str(error)
        assert path.read_bytes() == content
        return True
    finally:
        for name in ('wf.db-wal', 'wf.db-shm'): path.with_name(name).unlink(missing_ok=True)
    return False

@pytest.mark.rounds(60, 1000)
def test_truncated_file(tmp_path, rounds, figures):
    "Down to 2 bytes: SQLite calls a shorter file new."
    path = tmp_path/'wf.db'
    whole = full_file(path)
    lengths = [2 + i * (len(whole) - 3) // (rounds - 1) for i in range(rounds)]
    assert [length for length in lengths if not survives(path, whole[:length])] == []
    figures |= {'lengths': rounds, 'refused': rounds}

@pytest.mark.rounds(60, 1000)
def test_garbage_file(tmp_path, rounds, figures):
    path, chance = tmp_path/'wf.db', random.Random(7)
    for i in range(rounds):
        head = [b'', b'SQLite format 3\0', b'{"state": {}}', b'SQLite format 3\0\x10\0\1\1'][i % 4]
        assert survives(path, head + chance.randbytes(chance.choice([2, 50, 100, 5000, 100_000])))
    figures |= {'files': rounds, 'refused': rounds}

@pytest.mark.rounds(60, 1000)
def test_overwritten_pages(tmp_path, rounds, figures):
    "Some pages hold random bytes: the store reports it, unless it reads none of them."
    path, chance, refused = tmp_path/'wf.db', random.Random(7), 0
    whole = full_file(path)
    for _ in range(rounds):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 3])):
            page = chance.randrange(len(whole) // 4096) * 4096
            content[page:page + 4096] = chance.randbytes(4096)
        refused += survives(path, bytes(content))
    assert refused > rounds / 2
    figures |= {'files': rounds, 'refused': refused}

@pytest.mark.rounds(60, 2100)
def test_flipped_bits(tmp_path, rounds, figures):
    """Flip bits of the file, of the file beside the log that a killed process left, and of that log, whose checksums
    SQLite checks: it ignores the log from a wrong checksum on."""
    figures |= run('flipped', str(tmp_path), rounds, 7, longest=1800)
    bad = figures.pop('bad')
    assert not bad and not figures['half'], (bad, figures)
    assert figures['refused'] > rounds / 10 and figures['memory_grown_kb'] < 200_000

def test_newer_schema(tmp_path, figures):
    path = tmp_path/'wf.db'
    full_file(path)
    with closing(sqlite3.connect(path)) as con:
        [[version]] = con.execute('PRAGMA user_version')
        con.execute(f'PRAGMA user_version = {version + 41}')
        con.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    content = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError) as error: Store(path)
    assert str(path) in str(error.value) and {str(version), str(version + 41)} <= set(re.findall(r'\d+', str(error.value).replace(str(path), '')))
    assert path.read_bytes() == content
    figures |= {'refused': 1}

FOREIGN = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, note BLOB); CREATE INDEX users_note ON users (note);
CREATE VIEW names AS SELECT name FROM users;
CREATE TABLE log (what TEXT); CREATE TRIGGER logged AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.name); END;
CREATE TABLE workflow_state_old_backup (a); INSERT INTO users VALUES (1, 'Ana', x'00ff'), (2, 'Бен', NULL);"""

def foreign(path):
    with closing(sqlite3.connect(path)) as con:
        schema = con.execute("SELECT type, name, sql FROM sqlite_master WHERE tbl_name NOT LIKE 'workflow_%' OR tbl_name LIKE '%backup' ORDER BY name")
        return schema.fetchall(), con.execute('SELECT * FROM users').fetchall(), con.execute('SELECT * FROM log').fetchall()

@pytest.mark.parametrize('old', [True, False])
def test_foreign_tables(tmp_path, old, figures):
    path = tmp_path/'wf.db'
    if old: states = old_file(path, extra=FOREIGN)
    else:
        states = {}
        with closing(sqlite3.connect(path)) as con: con.executescript(FOREIGN)
    before = foreign(path)
    with Store(path) as store:
        for ids, state in states.items(): assert store.get_state(*ids) == state
        for ids in states: store.delete_session(*ids)
        store.update_state('f', 's', {'n': 1})
        store.backup(tmp_path/'copy.db')
    assert len(before[0]) == 7 and foreign(path) == foreign(tmp_path/'copy.db') == before
    check_file(path)
    figures |= {'objects': len(before[0])}

def test_file_of_another_application(tmp_path, figures):
    path, pragmas = tmp_path/'wf.db', ['application_id = 77', 'user_version = 3', 'user_version = -1']
    for pragma in pragmas:
        with closing(sqlite3.connect(path)) as con: con.executescript(f'{FOREIGN} PRAGMA {pragma}')
        content = path.read_bytes()
        with named(path): Store(path)
        assert path.read_bytes() == content
        path.unlink()
    figures |= {'refused': len(pragmas)}

BROKEN = ['[1, 2]', '"text"', '3', 'null', '{"a": ', '{} {}', "{'a': 1}"]

@pytest.mark.parametrize('bad', BROKEN)
def test_old_row_that_is_no_object(tmp_path, bad, figures):
    path = tmp_path/'wf.db'
    old_file(path)
    with closing(sqlite3.connect(path)) as con:
        con.execute("UPDATE workflow_state SET state_json = ? WHERE flow_session_key = 'Wizard:session-7'", (bad,))
        con.commit()
    content = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match='Wizard:session-7'): Store(path)
    assert path.read_bytes() == content and is_old(path)
    figures |= {'refused': 1}

@pytest.mark.parametrize('label', [True, False])
def test_old_files(tmp_path, label, figures):
    path = tmp_path/'wf.db'
    states = old_file(path, label=label)
    with closing(sqlite3.connect(path)) as con:
        con.execute("INSERT INTO workflow_state (flow_session_key, state_json) VALUES ('a:b:empty', NULL)")
        con.commit()
    with Store(path) as store:
        for i, (ids, state) in enumerate(states.items()):
            summary = store.get_session_summary(*ids)
            assert store.get_state(*ids) == state and store.get_step_state(*ids, 'review') == state['_step_review']
            assert (summary.label, summary.current_step) == (f'label {i}' if label else None, f'step {i}')
            assert (summary.created_at, summary.updated_at) == ('2024-01-02 03:04:05', '2024-06-07 08:09:10')
        assert store.get_state('a:b', 'empty') == {} and store.session_exists('a:b', 'empty')
        assert sum(map(store.count_sessions, store.list_flows())) == len(states) + 1
    figures |= {'sessions': len(states) + 1}

def test_files_of_published_releases(tmp_path, figures):
    "CJM_OLD_FILES is a folder of such files."
    folder = os.environ.get('CJM_OLD_FILES')
    if not folder: pytest.skip('CJM_OLD_FILES is not set to a folder of files from published releases')
    figures['sessions'] = 0
    for file in sorted(Path(folder).glob('*.db')):
        path = shutil.copy(file, tmp_path)
        with closing(sqlite3.connect(path)) as con:
            con.row_factory = sqlite3.Row
            rows = [dict(row) for row in con.execute('SELECT * FROM workflow_state')]
        with Store(path) as store:
            for row in rows:
                ids = row['flow_session_key'].rsplit(':', 1)
                summary, columns = store.get_session_summary(*ids), ('label', 'current_step', 'created_at', 'updated_at')
                assert repr(store.get_state(*ids)) == repr(json.loads(row['state_json'] or '{}'))
                assert [getattr(summary, column) for column in columns] == [row.get(column) for column in columns]
            assert sum(map(store.count_sessions, store.list_flows())) == len(rows)
        check_file(path)
        figures['sessions'] += len(rows)
