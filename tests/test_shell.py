"The command line: in a pipe and on a terminal, on a file and on a server, and what it says when something is wrong."
import io
import json
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import datetime, timedelta, timezone

import internals
import pytest
from engines import FileEngine, PostgresEngine

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, main

pytest.register_assert_rewrite('conformance.helpers')
from conformance.helpers import everything  # noqa: E402

COMMAND = [sys.executable, '-m', 'cjm_workflow_state']

def address(engine, name='wf'):
    "The arguments that name a database of the engine."
    if isinstance(engine, FileEngine): return [str(engine.path(name))]
    return [engine.server.url, '--schema', engine.schema_name(name)]

def invoke(args, stdin, process):
    "Status, output and errors of a command whose output is no terminal; in this process, unless a real one is asked for."
    if process:
        done = subprocess.run([*COMMAND, *args], input=stdin, capture_output=True, text=True, encoding='utf-8', timeout=100)
        return done.returncode, done.stdout, done.stderr
    out, err, old = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with redirect_stdout(out), redirect_stderr(err): status = main(args)
    except SystemExit as end: status = end.code
    finally: sys.stdin = old
    return status, out.getvalue(), err.getvalue()

def run(*args, stdin='', status=0, process=False):
    "What the command prints."
    result, out, err = invoke([*map(str, args)], stdin, process)
    assert result == status and 'Traceback' not in err, (result, out, err)
    if status != 2: assert not err, err
    return out

def fails(*args, stdin='', process=False):
    "The one line that it prints about an error."
    result, out, err = invoke([*map(str, args)], stdin, process)
    assert result == 2 and not out and 'Traceback' not in err, (result, out, err)
    [line] = err.splitlines()
    return line

def on_terminal(*args, stdin='/dev/null', status=0, redirect=''):
    "What the command shows on a terminal of its own."
    if not shutil.which('script'): pytest.skip('the program script is missing')
    command = f'{shlex.join([*COMMAND, *map(str, args)])} < {shlex.quote(str(stdin))} {redirect}'
    done = subprocess.run(['script', '-qec', command, '/dev/null'], stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
    shown = done.stdout.decode().replace('\r\n', '\n')
    assert done.returncode == status and 'Traceback' not in shown, shown
    return shown

def fill(store):
    "Sessions with everything that an export must keep."
    store.create_session('review', 'empty')
    store.create_session('review', 'named', label='Lease \u00e9\U0001f600')
    store.update_state('review', 'named', {'z': 1, 'a': [float('inf'), None, '\0', '\ud800'], 'doc': {'cursor': 1, 'text': 'x' * 3000}}, undo_label='Begin')
    store.update_step_state('review', 'named', 'split', {'n': 1}, undo_label='Split')
    store.update_step_state('review', 'named', 'none', {})
    store.set_current_step('review', 'named', 'split')
    store.update_state('a:b', 'c%d', {'n': 10 ** 30})

@pytest.fixture
def store(engine):
    store = engine.open()
    fill(store)
    return store

# -- every command, in a pipe and on a terminal

COMMANDS = {
    'sessions': [], 'show': ['review', 'named'], 'check': [], 'prune': ['--older-than', '30d'], 'export': [], 'import': []}
LONG = 'check', 'prune', 'import'  # export prints its lines on the same terminal, and shows its progress beside a file

@pytest.mark.parametrize('command', COMMANDS)
def test_in_a_pipe_and_on_a_terminal(engine, store, tmp_path, command):
    lines = tmp_path/'lines'
    lines.write_text(run('export', *address(engine)))
    arguments = command, *address(engine), *COMMANDS[command]
    piped = run(*arguments, stdin=lines.read_text(), process=True)
    shown = on_terminal(*arguments, stdin=lines)
    assert ('\r\x1b[K' in shown) == (command in LONG)
    assert re.sub('\r[^\n]*?\x1b\\[K', '', shown) == piped
    if command == 'export':
        shown = on_terminal(*arguments, redirect=f'> {tmp_path}/exported')
        assert 'exporting' in shown and (tmp_path/'exported').read_text() == piped
    json_lines = run(*arguments, '--json', stdin=lines.read_text()).splitlines()
    assert [json.loads(line) for line in json_lines]

@pytest.mark.parametrize('command', ['backup', 'restore', 'copy'])
def test_copies_in_a_pipe_and_on_a_terminal(tmp_path, command):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: fill(store)
    with SQLiteWorkflowStateStore(tmp_path/'other.db') as other: other.create_session('other', 's')
    arguments = command, tmp_path/'wf.db', tmp_path/'other.db'
    piped, shown = run(*arguments, process=True), on_terminal(*arguments)
    assert len(piped.splitlines()) == 1 and '\r\x1b[K' in shown
    assert json.loads(run(*arguments, '--json'))

def test_sessions(engine, store):
    head, *rows = run('sessions', *address(engine)).splitlines()
    assert head.split() == ['FLOW', 'SESSION', 'LABEL', 'STEP', 'UPDATED', 'REVISION', 'BYTES', 'METADATA'] and len(rows) == 3
    [row] = json.loads(run('sessions', *address(engine), '--flow', 'a:b', '--json'))
    assert row == {name: value for name, value in vars(store.list_sessions('a:b')[0]).items() if name[0] != '_'}
    assert len(json.loads(run('sessions', *address(engine), '--limit', 2, '--json'))) == 2
    assert json.loads(run('sessions', *address(engine), '--flow', 'none', '--json')) == []

def test_a_table_shows_control_characters_as_escapes(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: store.create_session('f', 's\n\x9b', label='\x1b[2K\u202e')
    shown = run('sessions', tmp_path/'wf.db')
    assert '\\x1b[2K\\u202e' in shown and 's\\n\\x9b' in shown and len(shown.splitlines()) == 2
    assert json.loads(run('show', tmp_path/'wf.db', 'f', 's\n\x9b'))['label'] == '\x1b[2K\u202e'

def test_filters(engine):
    with engine.open() as store:
        for i in range(6):
            store.create_session('f', f's{i}', label=f'Lease {i}', metadata={'owner': 'ana' if i % 2 else 'bo', 'n': i})
            store.set_current_step('f', f's{i}', 'a' if i < 3 else 'b')
    def ids(*options): return sorted(one['session_id'] for one in json.loads(run('sessions', *address(engine), '--json', *options)))
    assert ids('--metadata', 'owner=ana') == ['s1', 's3', 's5'] and ids('--metadata', 'owner=ana', '--metadata', 'n=3') == ['s3']
    assert ids('--step', 'a', '--flow', 'f') == ['s0', 's1', 's2'] and ids('--label', 'lease 4') == ['s4']
    assert '{"owner":"ana","n":1}' in run('sessions', *address(engine))

def test_show(engine, store):
    shown = json.loads(run('show', *address(engine), 'review', 'named'))
    session = store.get_session('review', 'named')
    assert json.dumps(shown['state']) == json.dumps(session.state)
    assert shown['steps'] == {'split': {'n': 1}, 'none': {}} and shown['revision'] == session.revision
    assert [(one['step'], [entry['label'] for entry in one['undo']]) for one in shown['undo']] == [(None, ['Begin']), ('split', ['Split'])]
    assert "flow 'review' has no session 'x'" in fails('show', *address(engine), 'review', 'x')

def test_check_ends_with_1_if_it_finds_something(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: fill(store)
    assert run('check', tmp_path/'wf.db') == 'no problems\n'
    with closing(sqlite3.connect(tmp_path/'wf.db')) as con: con.execute("UPDATE workflow_value SET value = 'x'").connection.commit()
    assert "session 'named'" in run('check', tmp_path/'wf.db', status=1)
    assert json.loads(run('check', tmp_path/'wf.db', '--json', status=1))

# -- copies

def test_backup_says_what_it_replaces(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: fill(store)
    assert 'replacing' not in run('backup', tmp_path/'wf.db', tmp_path/'copy.db')
    size = (tmp_path/'copy.db').stat().st_size
    assert f'replacing a file of {size:,} bytes' in run('backup', tmp_path/'wf.db', tmp_path/'copy.db')
    assert 'use --keep' in fails('backup', tmp_path/'wf.db', tmp_path)

def test_backup_keeps_the_newest_copies_and_everybody_elses_files(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: fill(store)
    folder = tmp_path/'copies'
    for i in range(4):
        said = json.loads(run('backup', tmp_path/'wf.db', folder, '--keep', 2, '--json'))
        if not i:
            for name in 'wf-old.db', 'wf-2026.db', 'other-20200101T000000.000000Z.db': (folder/name).touch()
        assert len(said['deleted']) == (i > 1)
    copies = sorted(path.name for path in folder.iterdir() if path.stat().st_size)
    assert len(copies) == 2 and copies[-1] == os.path.basename(said['path'])
    assert abs(datetime.strptime(copies[-1], 'wf-%Y%m%dT%H%M%S.%fZ.db') - datetime.now(timezone.utc).replace(tzinfo=None)) < timedelta(days=1)
    assert len(list(folder.iterdir())) == 5
    with SQLiteWorkflowStateStore(folder/copies[0]) as store: assert store.count_sessions('review') == 2

def test_restore_says_how_much_it_replaces(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store:
        fill(store)
        store.backup(tmp_path/'copy.db')
        store.create_session('review', 'new')
    assert run('restore', tmp_path/'wf.db', tmp_path/'copy.db').startswith('replaced 4 sessions with 3 sessions of ')
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: assert not store.session_exists('review', 'new')

def test_copy_from_a_file_to_an_engine(engine, tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'source.db') as source:
        fill(source)
        source.update_state('review', 'named', {}, remove=['a'])  # a server can't store NUL in ids only
        engine.open().close()
        place, *options = address(engine)
        assert run('copy', tmp_path/'source.db', place, *options) == 'copied 3 sessions; 0 were there already\n'
        assert run('copy', tmp_path/'source.db', place, *options) == 'copied 0 sessions; 3 were there already\n'
        assert everything(engine.open()) == everything(source)

def test_prune(engine, store):
    assert run('prune', *address(engine), '--older-than', '1d') == 'deleted no sessions\n'
    before = everything(store)
    assert run('prune', *address(engine), '--older-than', '0s', '--flow', 'review', '--dry-run') == "would delete 2 sessions of flow 'review'\n"
    assert everything(store) == before
    assert run('prune', *address(engine), '--older-than', '0s', '--flow', 'review') == "deleted 2 sessions of flow 'review'\n"
    assert json.loads(run('prune', *address(engine), '--older-than', '0s', '--json')) == {'deleted': {'a:b': 1}, 'dry_run': False}
    assert store.list_flows() == []

# -- export and import

def readings(store):
    "What a reader sees of each session: not its times and its undo."
    found = {}
    for flow in store.list_flows():
        for one in store.list_sessions(flow):
            session = store.get_session(flow, one.session_id)
            steps = {step: json.dumps(state) for step, state in internals.steps_of(session).items()}
            found[flow, one.session_id] = (
                one.label, one.current_step, one.metadata, json.dumps(session.state), steps, one.state_size_bytes)
    return found

def test_an_export_reads_the_same_in_the_other_engine(engine, tmp_path):
    store, other = engine.open(), SQLiteWorkflowStateStore(tmp_path/'other.db')
    fill(store)
    for i in range(300): store.update_state('many', f's{i}', {'i': i, '_step_a': {'text': f'{i}'}, 'doc': {'n': [i] * 50}})
    store.set_session_metadata('many', 's7', {'owner': 'ana', 'n': 1.5})
    with other:
        exported = run('export', *address(engine))
        assert len(exported.splitlines()) == 303 and exported.isascii()
        assert run('import', tmp_path/'other.db', stdin=exported) == 'imported 303 sessions; 0 were there already\n'
        assert readings(other) == readings(store) and other.check() == []
        again = run('export', tmp_path/'other.db')
        assert sorted(again.splitlines()) == sorted(exported.splitlines())
        engine.drop()
        with engine.open() as back:  # and back
            assert json.loads(run('import', *address(engine), '--json', stdin=again)) == {'imported': 303, 'present': 0}
            assert readings(back) == readings(other) and back.check() == []
            assert run('import', *address(engine), stdin=again) == 'imported 0 sessions; 303 were there already\n'

def test_an_export_names_the_session_that_it_cannot_read(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: fill(store)
    with closing(sqlite3.connect(tmp_path/'wf.db')) as con, con:
        con.execute("UPDATE workflow_value SET value = '[' WHERE session = (SELECT id FROM workflow_session WHERE session_id = 'c%d')")
    result, out, err = invoke(['export', str(tmp_path/'wf.db')], '', False)
    assert result == 2 and len(out.splitlines()) == 2
    assert "flow 'a:b', session 'c%d': the database is damaged" in err and '(2 sessions exported before)' in err

def test_export_of_a_flow_or_a_session(engine, store):
    records = [json.loads(line) for line in run('export', *address(engine), '--flow', 'review').splitlines()]
    assert [one['session_id'] for one in records] == ['empty', 'named']
    [record] = map(json.loads, run('export', *address(engine), '--flow', 'a:b', '--session', 'c%d').splitlines())
    assert {'flow_id', 'session_id', 'label', 'current_step', 'state', 'steps'} <= set(record)
    assert "has no session 'x'" in fails('export', *address(engine), '--flow', 'review', '--session', 'x')
    assert '--session needs --flow' in fails('export', *address(engine), '--session', 'x')
    assert run('export', *address(engine), '--flow', 'none') == ''

@pytest.mark.parametrize('line, what', [
    ('no json', 'Expecting value'), ('[]', 'not a JSON object'), ('{"flow_id": "f"}', 'session_id is missing'),
    ('{"flow_id": "f", "session_id": ""}', 'session_id must not be empty'),
    ('{"flow_id": "f", "session_id": "s", "state": 5}', 'line 2'), ('{"flow_id": "f", "session_id": "s", "steps": [1]}', 'steps'),
    ('{"flow_id": "f", "session_id": "s", "steps": {"a": 1}}', 'line 2'), ('{"flow_id": "f", "session_id": "s", "label": 5}', 'label'),
    ('{"flow_id": "f", "session_id": "ok", "state": {"n": 2}}', "session 'ok' exists with other content")])
def test_import_stops_at_a_bad_line_and_names_it(engine, line, what):
    with engine.open() as store:
        good = '{"flow_id": "f", "session_id": "ok", "state": {"n": 1}}'
        said = fails('import', *address(engine), stdin=f'{good}\n{line}\n')
        assert 'line 2: ' in said and what in said and '1 session imported before' in said
        assert [one.session_id for one in store.list_sessions('f')] == ['ok'] and store.get_state('f', 'ok') == {'n': 1}

def test_a_reader_that_stops_early_is_no_error(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store:
        for i in range(50): store.update_state('f', f's{i}', {'text': 'x' * 10_000})
    with subprocess.Popen([*COMMAND, 'export', str(tmp_path/'wf.db')], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b'' and child.wait() == 141

# -- what is wrong

ALL = {**COMMANDS, 'backup': ['copy.db'], 'restore': ['copy.db'], 'copy': ['copy.db']}

@pytest.mark.parametrize('command', ALL)
def test_a_missing_file_is_an_error_and_is_not_created(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', os.path.dirname(os.path.dirname(sys.modules['cjm_workflow_state'].__file__)))
    assert fails(command, 'wf.db', *ALL[command], process=True) == 'cjm-workflow-state: no such file: wf.db'
    assert os.listdir() == []
    assert 'no such file: wf.db' in on_terminal(command, 'wf.db', *ALL[command], status=2)
    if command in ('copy', 'restore'):
        SQLiteWorkflowStateStore('wf.db').close()
        assert 'copy.db' in fails(command, 'wf.db', 'copy.db') and os.listdir() == ['wf.db']

@pytest.mark.parametrize('command', ALL)
def test_a_damaged_file_is_an_error_and_stays_as_it_is(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', os.path.dirname(os.path.dirname(sys.modules['cjm_workflow_state'].__file__)))
    (tmp_path/'wf.db').write_bytes(b'no database ' * 500)
    SQLiteWorkflowStateStore('copy.db').close()
    assert 'file is not a database' in fails(command, 'wf.db', *ALL[command], process=True)
    assert 'file is not a database' in on_terminal(command, 'wf.db', *ALL[command], status=2)
    assert (tmp_path/'wf.db').read_bytes() == b'no database ' * 500

@pytest.mark.parametrize('command', ALL)
def test_a_server_that_is_down_is_an_error(tmp_path, command):
    pytest.importorskip('psycopg', reason='psycopg is not installed')
    with closing(socket.create_server(('127.0.0.1', 0))) as taken: port = taken.getsockname()[1]
    said = fails(command, f'postgresql://me:secret@127.0.0.1:{port}/none', *ALL[command], process=True)
    assert f'127.0.0.1:{port}/none' in said and 'secret' not in said
    if command == 'check': assert f'127.0.0.1:{port}/none' in on_terminal(command, f'postgresql://me:secret@127.0.0.1:{port}/none', status=2)

def test_a_server_has_no_backup(postgres):
    with closing(PostgresEngine(postgres)) as engine:
        engine.open()
        assert 'pg_dump' in fails('backup', postgres.url, 'x.db', *address(engine)[1:])
        assert 'pg_restore' in fails('restore', postgres.url, 'x.db', *address(engine)[1:])

@pytest.mark.parametrize('args, what', [
    ([], 'COMMAND'), (['nonsense', 'wf.db'], 'nonsense'), (['sessions'], 'DATABASE'), (['prune', 'wf.db'], '--older-than'),
    (['prune', 'wf.db', '--older-than', '30'], 'such as 30d'), (['sessions', 'wf.db', '--limit', '-1'], 'at least 1'),
    (['sessions', 'wf.db', '--metadata', 'owner'], 'KEY=VALUE'), (['backup', 'wf.db', 'x', '--keep', '0'], 'at least 1'),
    (['sessions', 'wf.db', '--\x1b[2K'], '\\x1b[2K')])
def test_wrong_arguments_are_one_line(args, what):
    assert what in fails(*args)

def test_copy_and_import_create_a_file_only_if_told_to(tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as store: fill(store)
    assert run('copy', tmp_path/'wf.db', tmp_path/'copied.db', '--create').startswith('copied 3 sessions')
    assert run('import', tmp_path/'imported.db', '--create', stdin=run('export', tmp_path/'wf.db')).startswith('imported 3 sessions')
