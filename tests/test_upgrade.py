"From one schema version to the next, on both engines."
import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import internals
import pytest
import upgrade_processes
from engines import FileEngine
from postgres.server import programs
from upgrade_processes import F, open_store

NEWEST = internals.SCHEMA_VERSION
spawn = multiprocessing.get_context('spawn')


class Process:
    "A process that runs one function of upgrade_processes.py, as a release with this schema version (`None`: this release)."
    def __init__(self, function, where, version=None):
        self.inbox, self.outbox = spawn.Queue(), spawn.Queue()
        self.process = spawn.Process(target=upgrade_processes.run, args=(function, version, where, self.inbox, self.outbox))
        self.process.start()

    def ready(self):
        said = self.outbox.get(timeout=60)
        assert said == 'ready', said

    def end(self, word=None):
        "What it returned, or `failed` and the error."
        if word is not None: self.inbox.put(word)
        said, result, *trace = self.outbox.get(timeout=120)
        self.process.join(60)
        return result if said == 'done' else (said, result, *trace)

    def end_after_ready(self):
        self.ready()
        return self.end()

    def kill(self):
        self.process.kill()
        self.process.join()


class Data:
    "The data that stores of several processes share."
    def __init__(self, engine):
        self.engine, self.is_file = engine, isinstance(engine, FileEngine)
        if self.is_file: engine.path('wf').parent.mkdir()

    def where(self, name='wf'):
        return str(self.engine.path(name)) if self.is_file else (self.engine.server.conninfo, self.engine.schema_name(name))

    def rows(self, sql):
        with closing(self.engine.connect()) as con:
            if not self.is_file: con.execute(f'SET search_path = "{self.engine.schema_name("wf")}"')
            found = con.execute(sql)
            rows = found.fetchall() if found.description else []
            con.commit()
            return rows

    def content(self):
        "What version 1 stores."
        return [self.rows(f'SELECT * FROM workflow_{table} ORDER BY 1, 2, 3, 4') for table in ('session', 'value', 'undo')]

    def schema(self):
        if self.is_file: return self.rows('SELECT name, sql FROM sqlite_master ORDER BY name')
        name = self.engine.schema_name('wf')
        indexes = self.rows(f"SELECT indexname, replace(indexdef, '{name}', '') FROM pg_indexes WHERE schemaname = '{name}' ORDER BY 1")
        with closing(self.engine.connect()) as con: return self.engine.schema(con), indexes

    def version(self):
        return self.rows('PRAGMA user_version' if self.is_file else 'SELECT version FROM workflow_schema')[0][0]

    def drop(self):
        if self.is_file:
            for end in ('', '-wal', '-shm'): Path(f'{self.engine.path("wf")}{end}').unlink(missing_ok=True)
        else: self.engine.remove('wf')


@pytest.fixture
def data(engine):
    data = Data(engine)
    yield data
    if not data.is_file: data.drop()


@pytest.fixture
def old(data):
    "Data that a release with schema version 1 has written."
    assert Process('write_sessions', data.where(), version=1).end() is None and data.version() == 1
    return data


def check_content(store):
    "The sessions that `write_sessions` wrote, and their undo."
    for name in 'abc':
        session = store.get_session(F, name)
        assert (session.label, session.current_step, session.metadata) == (f'Label {name}', 'review', {})
        assert session.state['doc'] == {'cursor': 0, 'text': upgrade_processes.LONG} and session.step('review') == {'n': 1}
        assert [entry.label for entry in session.history('review').redo] == ['Again'] and session.history().undo
    assert store.check() == []


def test_nothing_is_lost_and_undo_still_works(old):
    before = old.content()
    with open_store(old.where()) as store:
        assert old.version() == NEWEST and old.content() == before
        check_content(store)
        assert store.redo(F, 'a', 'review')[0].label == 'Again' and store.get_step_state(F, 'a', 'review') == {'n': 2}
        assert store.undo(F, 'a')[0].label == 'Own' and store.get_state(F, 'a', keys=['n', 'odd']) == {}
        store.set_session_metadata(F, 'a', {'owner': 'ana'})
        assert [s.session_id for s in store.list_sessions(F, metadata={'owner': 'ana'})] == ['a'] and store.check() == []
        assert [s.session_id for s in store.list_sessions(F, 'created_at', current_step='review')] == ['c', 'b', 'a']


def test_an_upgraded_schema_is_the_same_as_a_new_one(old):
    open_store(old.where()).close()
    upgraded = old.schema()
    old.drop()
    open_store(old.where()).close()
    assert old.schema() == upgraded


def test_eight_processes_upgrade_at_once(old):
    before = old.content()
    processes = [Process('open_and_write', old.where()) for _ in range(8)]
    for process in processes: process.ready()
    for n, process in enumerate(processes): process.inbox.put(f'{n}')
    assert [process.end() for process in processes] == [None] * 8
    with open_store(old.where()) as store:
        assert store.get_state(F, 'all') == {f'{n}': 1 for n in range(8)}
        store.delete_session(F, 'all')
        check_content(store)
    assert old.version() == NEWEST and old.content() == before


def test_an_upgrade_is_killed_at_random_instants(old):
    "It has happened as a whole, or not at all."
    many = ('WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 30000) INSERT INTO workflow_session '
            '(flow_id, session_id, created, updated, revision, state_size) SELECT {}, x, x, 1, 0 FROM n')
    old.rows(many.format("'many', 's' || x"))
    old_schema, before, outcomes, rng = old.schema(), old.content(), [], random.Random()
    started = time.monotonic()
    longest = 0.0
    while len(outcomes) < 12 and time.monotonic() - started < 60:
        process = Process('just_open', old.where())
        process.ready()
        begun = time.monotonic()
        if not longest:  # how long an upgrade takes here
            assert process.end() is None
            longest = time.monotonic() - begun
            new_schema = old.schema()
        else:
            time.sleep(rng.uniform(0, longest))
            process.kill()
            if not old.is_file:  # the server may not have noticed yet
                others = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'cjm_workflow_state' AND backend_type = 'client backend'"
                while old.rows(others) != [(0,)]: time.sleep(0.01)
            outcomes.append(old.version())
            assert old.schema() == (old_schema if old.version() == 1 else new_schema) and old.content() == before
        if old.version() == NEWEST:  # again
            open_store(old.where()).close()
            downgrade(old)
            assert (old.version(), old.schema()) == (1, old_schema)
    assert outcomes and set(outcomes) <= {1, NEWEST}
    with open_store(old.where()) as store: check_content(store)


def downgrade(data):
    "Make it version 1 again, so that it can be upgraded once more."
    statements = ['DROP TABLE workflow_metadata', *[f'DROP INDEX {name}' for name in ('workflow_session_created', 'workflow_session_step', 'workflow_value_order')]]
    if data.is_file:
        [(trigger,)] = [(sql,) for name, sql in data.schema() if name == 'workflow_session_deleted']
        lines = trigger.splitlines(keepends=True)
        old_trigger = ''.join(line for line in lines if 'workflow_metadata' not in line)
        statements += ['DROP TRIGGER workflow_session_deleted', old_trigger, 'PRAGMA user_version = 1']
    else: statements.append('UPDATE workflow_schema SET version = 1')
    for statement in statements: data.rows(statement)


def test_a_process_of_the_old_release_continues(old):
    "It reads and writes correctly during the upgrade and after it, and can't open the data again."
    worker = Process('work', old.where(), version=1)
    worker.ready()
    with open_store(old.where()) as store:
        store.set_session_metadata(F, 'a', {'owner': 'ana'})
        for n in range(20): store.update_state(F, 'b', {'n': n})
        result = worker.end('stop')
        assert isinstance(result, int), result
        assert store.list_sessions(F, metadata={'owner': 'ana'}) == [] and store.check() == [], 'it has deleted session a'
        assert old.rows('SELECT count(*) FROM workflow_metadata') == [(0,)]
    failed, error, _ = Process('just_open', old.where(), version=1).end_after_ready()
    assert failed == 'failed' and f'schema version {NEWEST} is newer than 1' in error and 'DatabaseError' in error


def test_an_edit_block_of_the_old_release_stops_nobody_else(old):
    "On SQLite, one writer at a time is all there is; there the upgrade waits for the block, as any writer does."
    if old.is_file: pytest.skip('SQLite has one writer at a time')
    holder, writer = Process('hold', old.where(), version=1), Process('write_often', old.where(), version=1)
    holder.ready(), writer.ready()
    opening = Thread(target=lambda: open_store(old.where()).close())
    opening.start()
    waits = "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND NOT granted"
    while old.rows(waits) == [(0,)]: assert opening.is_alive()  # the upgrade waits for the block now
    result = writer.end('go')
    assert result is None and opening.is_alive() and old.version() == 1, result
    assert holder.end('end') is None
    opening.join(60)
    with open_store(old.where()) as store:
        assert store.get_state(F, 'held') == {'held': True} and store.get_state(F, 'b', keys=['n']) == {'n': 9}


def test_an_old_backup_that_an_old_process_restores_is_upgraded_again(old):
    "The old release's `restore` copies the pages of its backup over the live file."
    if not old.is_file: pytest.skip('there is no restore on PostgreSQL')
    backup = old.engine.folder/'backup.db'
    shutil.copy(old.where(), backup)
    @contextmanager
    def restored():
        with closing(sqlite3.connect(backup)) as src, closing(sqlite3.connect(old.where())) as live: src.backup(live)
        assert old.version() == 1
        yield
        assert old.version() == NEWEST
    with open_store(old.where()) as store:
        for read in (lambda: store.list_sessions(F), lambda: store.list_sessions(F, 'created_at', metadata={'a': 1}),
                     lambda: store.count_sessions(F, current_step='a'), lambda: check_content(store)):
            read()
            with restored(): read()
        for write in (lambda: store.set_session_metadata(F, 'a', {'owner': 'ana'}), lambda: store.copy_session(F, 'a'),
                      lambda: store.create_session(F, metadata={'owner': 'ana'})):
            with restored():
                with pytest.raises(store.OperationalError, match='restored a backup of an older release; repeat the call'): write()
                write()
        check_content(store)


# -- a made-up next version

def test_a_next_version_is_reached_by_whichever_process_comes_first(old):
    processes = [Process('open_and_write', old.where(), version='next') for _ in range(4)]
    for process in processes: process.ready()
    for n, process in enumerate(processes): process.inbox.put(f'{n}')
    assert [process.end() for process in processes] == [None] * 4
    assert old.version() == NEWEST + 1 and 'workflow_next' in str(old.schema())
    assert old.rows("SELECT revision > 100, revision < 200 FROM workflow_session WHERE session_id = 'a'") == [(True, True)], 'once'
    before = old.content(), old.schema()
    with pytest.raises(Exception, match=f'schema version {NEWEST + 1} is newer than {NEWEST}') as error: open_store(old.where())
    assert type(error.value).__name__ == 'DatabaseError'
    assert (old.content(), old.schema()) == before


def test_a_failing_statement_leaves_everything_as_it_was(old):
    before = old.version(), old.content(), old.schema()
    failed, error, _ = Process('just_open', old.where(), version='failing').end_after_ready()
    assert failed == 'failed' and 'workflow_missing' in error
    assert (old.version(), old.content(), old.schema()) == before
    with open_store(old.where()) as store: check_content(store)


# -- one number of key columns

def test_the_tables_have_the_key_columns_that_paths_have(data):
    open_store(data.where()).close()
    with closing(data.engine.connect()) as con:
        if data.is_file: found = [name for _, name, *_ in con.execute('PRAGMA table_info(workflow_value)')]
        else: found = [attname for relname, _, attname, _ in data.engine.schema(con) if relname == 'workflow_value']
    assert [name for name in found if name.startswith('k')] == [*internals.KEY_COLUMNS]


@pytest.mark.parametrize('names', [('k1', 'k2', 'k3', 'k4'), ('k1', 'k2')])
def test_another_number_of_key_columns_fails_aloud(data, monkeypatch, names):
    state = {f'{n}': {'a': {'b': {'c': 'x' * 3000}}} for n in range(20)}
    with open_store(data.where()) as store:
        internals.set_key_columns(monkeypatch, names)
        with pytest.raises(Exception): store.update_state(F, 's', state)  # each driver has its own error
        monkeypatch.undo()
        assert not store.session_exists(F, 's')
        store.update_state(F, 's', state)
        assert store.get_state(F, 's') == state


# -- files that releases wrote

@pytest.fixture
def released(data):
    "What a release with schema version 1 wrote, and what it must read as."
    folder = Path(os.environ.get('SCHEMA_1_DATA', ''))
    if not (folder/'schema-1.db').exists(): pytest.skip('SCHEMA_1_DATA names no folder with schema-1.db, .postgres.sql and .json')
    if data.is_file: shutil.copy(folder/'schema-1.db', data.where())
    else:
        sql = (folder/'schema-1.postgres.sql').read_text().replace('public.', f'"{data.engine.schema_name("wf")}".')
        data.rows(f'CREATE SCHEMA "{data.engine.schema_name("wf")}"')
        subprocess.run([str(programs()/'psql'), '-q', '-v', 'ON_ERROR_STOP=1', data.engine.server.conninfo], input=sql, text=True,
                       check=True, capture_output=True)
    return data, json.loads((folder/'schema-1.json').read_text())


def test_what_a_release_wrote_reads_the_same(released):
    data, sessions = released
    assert data.version() == 1
    with open_store(data.where()) as store:
        assert data.version() == NEWEST and len(sessions) == sum(store.count_sessions(flow) for flow in store.list_flows()) > 0
        for one in sessions:
            ids = one['flow'], one['session']
            summary, state = store.get_session_summary(*ids), store.get_state(*ids)
            assert repr(state) == repr(one['state']) and list(state) == list(one['state'])
            assert (summary.label, summary.current_step, summary.revision, summary.state_size_bytes) == (
                one['label'], one['step'], one['revision'], one['size'])
            for scope, entries in one['history'].items():
                history = store.get_undo_history(*ids, json.loads(scope)[len('_step_'):] if scope else None)
                assert [entry.label for entry in history.undo] == entries['undo'] and [entry.label for entry in history.redo] == entries['redo']
        entries = len(store.get_undo_history('review', 'ana').undo)
        assert len(store.undo('review', 'ana', count=entries)) == len(store.redo('review', 'ana', count=entries)) == entries
        assert store.check() == []
