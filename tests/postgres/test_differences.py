"What is different on PostgreSQL; tests/conformance has everything else."
import contextvars
import inspect
import pickle
import re
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone

import internals
import pytest

from cjm_workflow_state.state_store import PostgresWorkflowStateStore, SQLiteWorkflowStateStore, copy_store

F, S = 'f', 's'
on_postgres = pytest.mark.parametrize('engine', ['postgres'], indirect=True)

@pytest.fixture
def store(engine): return engine.open()

def refused(engine, store, names, call):
    "The block raises a `ValueError` that names this, and writes nothing."
    with closing(engine.connect()) as con:
        before = engine.content(con)
        with pytest.raises(ValueError, match=names): call()
        assert engine.content(con) == before

def long_text(length):
    "Text that the server can't compress."
    return ''.join(uuid.uuid4().hex for _ in range(length // 32 + 1))[:length]

# -- values that the server can't hold

@on_postgres
@pytest.mark.parametrize('bad', ['\0', 'a\0', 'a\0b'])
def test_nul_in_ids_and_labels_raises_value_error(engine, store, bad):
    store.update_state(F, S, {'n': 1}, undo_label='x')
    ids = ('flow_id', lambda id: (id, S)), ('session_id', lambda id: (F, id))
    for name, where in ids:
        for call in (store.create_session, store.get_state, store.get_session, store.undo, store.delete_session,
                     lambda *ids: store.update_state(*ids, {}), lambda *ids: store.edit_state(*ids).__enter__()):
            refused(engine, store, name, lambda: call(*where(bad)))
    refused(engine, store, 'flow_id', lambda: store.list_sessions(bad))
    refused(engine, store, 'step_id', lambda: store.set_current_step(F, S, bad))
    refused(engine, store, 'step_id', lambda: store.update_step_state(F, S, bad, {'n': 1}))
    refused(engine, store, 'to_flow_id', lambda: store.copy_session(F, S, to_flow_id=bad))
    refused(engine, store, 'to_session_id', lambda: store.copy_session(F, S, to_session_id=bad))
    refused(engine, store, 'label', lambda: store.copy_session(F, S, label=bad))
    refused(engine, store, 'label', lambda: store.create_session(F, 'new', bad))
    refused(engine, store, 'label', lambda: store.set_session_label(F, S, bad))
    refused(engine, store, 'undo_label', lambda: store.update_state(F, S, {'n': 2}, undo_label=bad))
    refused(engine, store, 'undo_group', lambda: store.update_state(F, S, {'n': 2}, undo_label='x', undo_group=bad))
    for name in ('label', 'current_step'):
        def edit():
            with store.edit_session(F, S) as session: setattr(session, name, bad)
        refused(engine, store, name, edit)

@on_postgres
def test_nul_in_keys_and_values_is_allowed(store):
    state = {'\0': 'a\0b', 'v': {'\0': ['\0']}}
    store.update_state(F, S, state, undo_label='x')
    assert store.get_state(F, S) == state and store.get_state(F, S, keys=['\0']) == {'\0': 'a\0b'}
    store.undo(F, S)
    store.redo(F, S)
    assert store.get_state(F, S) == state

@on_postgres
def test_a_path_of_keys_that_is_too_long_raises_value_error(engine, store):
    a, b, c = (long_text(1000) for _ in range(3))
    big = {'x': 'x' * 9000}  # such a dict is split into rows
    fine = {long_text(2000): 1, 'v': {b: {c: 1, **big}, **big}}
    store.update_state(F, S, fine)
    store.update_step_state(F, S, 'a', {c: 1, 'v': {b: 1, **big}})
    assert store.get_state(F, S, keys=[*fine]) == fine
    for bad in ({long_text(3000): 1}, {'y' * 3000: 1}, {a: {b: {c: 1, **big}, **big}}):
        refused(engine, store, 'updates', lambda: store.update_state(F, S, bad))
    refused(engine, store, 'updates', lambda: store.update_step_state(F, S, 'a', {long_text(3000): 1}))
    def edit():
        with store.edit_state(F, S) as state: state[long_text(3000)] = 1
    refused(engine, store, 'state', edit)

@on_postgres
def test_an_id_of_any_length_works_or_raises_value_error(engine, store):
    for length in (1000, 2000, 3000, 9000):
        for name, where in (('flow_id', (long_text(length), S)), ('session_id', (F, long_text(length)))):
            try: store.set_current_step(*where, 'a')
            except ValueError as error: assert name in str(error) and length > 1000
            else: assert store.get_current_step(*where) == 'a'

# -- transactions

@on_postgres
def test_writers_of_different_sessions_never_wait_for_each_other(engine, store):
    other = engine.open(timeout=1)
    with store.edit_state(F, 's1') as state, ThreadPoolExecutor(1) as pool:
        state['n'] = 1
        other.update_state(F, 's2', {'n': 2})
        unrelated = contextvars.Context().run  # a second call of the same store
        pool.submit(unrelated, store.update_state, F, 's3', {'n': 3}).result(20)
        pool.submit(contextvars.Context().run, store.create_session, F, 's4').result(20)
    assert {s.session_id: store.get_state(F, s.session_id).get('n') for s in store.list_sessions(F)} == {
        's1': 1, 's2': 2, 's3': 3, 's4': None}

@on_postgres
def test_times_come_from_the_server(store, monkeypatch):
    real, later = time.time_ns, timedelta(days=3650)
    monkeypatch.setattr(time, 'time_ns', lambda: real() + later // timedelta(microseconds=1) * 1000)
    monkeypatch.setattr(time, 'time', lambda: real() / 1e9 + later.total_seconds())
    store.update_state(F, S, {'n': 1}, undo_label='x')
    summary, [entry] = store.get_session_summary(F, S), store.get_undo_history(F, S).undo
    for time_text in (summary.created_at, summary.updated_at, entry.created_at):
        assert abs(datetime.fromisoformat(time_text + '+00:00') - datetime.now(timezone.utc)) < timedelta(minutes=10)
    assert store.prune_sessions(F, timedelta(days=1)) == 0, 'written by the host whose clock is ahead'

@on_postgres
def test_a_timeout_error_says_what_the_call_waited_for(engine):
    one, hasty, narrow = engine.open(), engine.open(timeout=0.1), engine.open(timeout=0.1, max_size=1)
    one.update_state(F, S, {'n': 1})
    with one.edit_state(F, S):
        with pytest.raises(hasty.OperationalError, match='(?i)lock|writ') as error: hasty.update_state(F, S, {'n': 2})
        assert 'timeout=0.1' in str(error.value)
    with narrow.edit_state(F, S), ThreadPoolExecutor(1) as pool:
        with pytest.raises(narrow.OperationalError, match='(?i)connection') as error:
            pool.submit(narrow.get_state, F, S).result(20)
        assert 'timeout=0.1' in str(error.value)
    assert narrow.get_state(F, S) == hasty.get_state(F, S) == {'n': 1}

# -- schema

@on_postgres
def test_a_user_who_owns_only_the_schema_can_use_it(engine, store):
    user, schema = f'app_{uuid.uuid4().hex[:8]}', engine.schema_name('owned')
    with closing(engine.connect()) as con:
        con.execute(f'CREATE ROLE {user} LOGIN')
        try:
            con.execute(f'CREATE SCHEMA "{schema}" AUTHORIZATION {user}')
            conninfo = f'{engine.server.conninfo} user={user}'
            for _ in range(2):  # once to create the schema, and once to find it
                with PostgresWorkflowStateStore(conninfo, schema=schema) as owned:
                    owned.update_state(F, S, {'n': 1})
                    assert owned.get_state(F, S) == {'n': 1}
        finally:
            con.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
            con.execute(f'DROP ROLE {user}')

@on_postgres
def test_schemas_and_tables_of_other_applications_are_separate(engine):
    one, other = engine.open('one'), engine.open('Other; DROP SCHEMA x')
    one.update_state(F, S, {'n': 1})
    assert other.list_flows() == []
    with closing(engine.connect()) as con:
        con.execute(f'CREATE TABLE "{engine.schema_name("one")}".others (x int)')
        con.execute(f'INSERT INTO "{engine.schema_name("one")}".others VALUES (7)')
        assert engine.open('one').get_state(F, S) == {'n': 1}
        assert con.execute(f'SELECT x FROM "{engine.schema_name("one")}".others').fetchall() == [(7,)]

@on_postgres
def test_many_stores_create_a_schema_at_the_same_time(engine):
    begin = threading.Barrier(8)
    def work(i):
        begin.wait()
        engine.open('fresh').update_state(F, S, {f'k{i}': i})
    with ThreadPoolExecutor(8) as pool: list(pool.map(work, range(8)))
    assert engine.open('fresh').get_state(F, S) == {f'k{i}': i for i in range(8)}

# -- connections

def test_the_pool_survives_a_restart_of_the_server(own_server, own_store):
    own_store.update_state(F, S, {'n': 1})
    own_server.restart()
    assert own_store.get_state(F, S) == {'n': 1}, 'the store must notice dead connections'
    own_server.restart()
    own_store.update_state(F, S, {'n': 2})
    assert own_store.get_state(F, S) == {'n': 2}

def test_calls_raise_a_clear_error_while_the_server_is_down(own_server, own_store):
    own_store.update_state(F, S, {'n': 1})
    own_server.kill()
    for call in (lambda: own_store.update_state(F, S, {'n': 2}), lambda: own_store.get_state(F, S)):
        with pytest.raises(own_store.OperationalError): call()
    own_server.start()
    assert own_store.get_state(F, S) == {'n': 1}, 'exactly the acknowledged writes'
    own_store.update_state(F, S, {'n': 3})
    assert own_store.get_state(F, S) == {'n': 3}

def test_without_prepared_statements(own_server, own_store):
    "PgBouncer in transaction mode needs it; the log of the server shows it."
    import psycopg
    with psycopg.connect(own_server.conninfo) as con: con.execute("ALTER DATABASE postgres SET log_statement = 'all'")
    for prepare in (True, False):
        begin = len(own_server.log())
        with PostgresWorkflowStateStore(own_server.conninfo, prepare=prepare) as store:
            for n in range(12): store.update_state(F, S, {'n': [prepare, n]}, undo_label=f'n={n}')
            store.undo(F, S)
        log = own_server.log()[begin:]
        assert 'UPDATE' in log and bool(re.search(r'execute (?!<unnamed>)', log)) == prepare

# -- names, pickle, unsupported methods

@on_postgres
def test_errors_name_host_database_and_schema_but_never_the_password(engine):
    conninfo = f'{engine.server.conninfo} password=geheim'
    schema = engine.schema_name('wf')
    engine.open().update_state(F, S, {'n': 1})
    with PostgresWorkflowStateStore(conninfo, schema=schema) as store:
        copied = pickle.loads(pickle.dumps(store))
        assert copied.get_state(F, S) == {'n': 1} and repr(copied) == repr(store)
        copied.close()
        assert schema in repr(store) and 'postgres' in repr(store) and 'geheim' not in repr(store)
        shown = store._repr_markdown_()
    assert 'geheim' not in shown and 'geheim' not in store._repr_markdown_()
    with pytest.raises(store.ProgrammingError) as closed: store.get_state(F, S)
    assert schema in str(closed.value) and 'geheim' not in str(closed.value)

@on_postgres
def test_the_error_of_a_missing_server_never_shows_the_password(engine):
    nowhere = 'postgresql://somebody:geheim@127.0.0.1:1/wf'
    def open_and_read():
        with PostgresWorkflowStateStore(nowhere, timeout=1) as store: store.get_state(F, S)
    with pytest.raises(engine.open().OperationalError) as error: open_and_read()
    text = repr(error.value) + repr(error.value.__cause__) + repr(error.value.__context__)
    assert '127.0.0.1' in text and 'geheim' not in text

@on_postgres
def test_backup_and_restore_name_pg_dump(store, tmp_path):
    for call in (store.backup, store.restore):
        with pytest.raises(NotImplementedError, match='pg_dump'): call(tmp_path/'copy')

@on_postgres
def test_memory_mode_is_not_supported(engine):
    with pytest.raises(NotImplementedError): PostgresWorkflowStateStore(':memory:')

@on_postgres
def test_option_names_order_and_defaults(engine):
    found = inspect.signature(PostgresWorkflowStateStore).parameters
    assert {name: p.default for name, p in found.items()} == {
        'conninfo': '', 'schema': 'public', 'timeout': 30.0, 'synchronous': 'FULL', 'max_undo_depth': 50,
        'max_undo_bytes': None, 'default': None, 'max_size': 8, 'prepare': True}
    assert [name for name, p in found.items() if p.kind is not p.KEYWORD_ONLY] == ['conninfo']
    for option, bad in (('schema', ''), ('schema', 5), ('max_size', 0), ('max_size', True), ('timeout', -1),
                        ('synchronous', 'off')):
        with pytest.raises((ValueError, TypeError), match=option): engine.open(**{option: bad})

@on_postgres
def test_check_finds_a_damaged_row(engine, store):
    store.update_state(F, S, {'title': 'Lease'})
    with closing(engine.connect()) as con:
        con.execute(f"""UPDATE "{engine.schema_name('wf')}".workflow_value SET value = 'Lease'""")
    with pytest.raises(store.DatabaseError, match=engine.schema_name('wf')): store.get_state(F, S)
    [sentence, *_] = store.check()
    assert repr(F) in sentence and repr(S) in sentence

# -- without psycopg

def python(code):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)

def test_importing_the_package_loads_no_driver():
    done = python('import sys, cjm_workflow_state.state_store; print([m for m in sys.modules if "psycopg" in m])')
    assert done.stdout == '[]\n', done.stderr

@on_postgres
def test_without_psycopg_the_error_names_the_extra(engine):
    done = python('import sys\nsys.modules["psycopg"] = None\n'
                  'from cjm_workflow_state.state_store import PostgresWorkflowStateStore\nPostgresWorkflowStateStore()')
    assert 'ImportError' in done.stderr.splitlines()[-1] and '[postgres]' in done.stderr.splitlines()[-1], done.stderr

@on_postgres
def test_a_host_that_dies_inside_an_edit_block_releases_the_session_within_seconds(postgres, engine):
    if 'host=/' in postgres.conninfo and postgres.url == postgres.conninfo: pytest.skip('the server has no TCP address')
    with closing(PostgresWorkflowStateStore(postgres.url, schema=engine.schema_name('wf'))) as store:
        with internals.transaction(store) as tx:
            found = [tx.execute(f'SHOW tcp_keepalives_{name}').fetchall() for name in ('idle', 'interval', 'count')]
        assert found == [[('10',)], [('5',)], [('3',)]]

@on_postgres
def test_writers_that_create_one_session_at_the_same_time_lock_it_one_by_one(engine):
    "A session that is created between the locking and the reading statement is not locked yet."
    stores, rounds = [engine.open() for _ in range(4)], 150
    start = threading.Barrier(4, timeout=30)
    def count(store):
        for n in range(rounds):
            start.wait()
            with store.edit_state(F, f's{n}') as state: state['n'] = state.get('n', 0) + 1
    with ThreadPoolExecutor(4) as pool: list(pool.map(count, stores))
    assert [stores[0].get_state(F, f's{n}')['n'] for n in range(rounds)] == [4] * rounds

# -- first steps

@pytest.mark.parametrize('address', ['postgresql://me:s3/cret@h:1/db', 'postgresql://me:s3@cret@h/db', 'postgresql://me:%zz@h/cret'])
def test_the_error_of_an_unquoted_password_does_not_show_it(address):
    pytest.importorskip('psycopg')
    with pytest.raises(ValueError, match='%25|%40') as error: PostgresWorkflowStateStore(address, timeout=1)
    assert 'cret' not in str(error.value)
    with pytest.raises(ValueError, match='PostgresWorkflowStateStore') as error: SQLiteWorkflowStateStore(address)
    assert 'cret' not in str(error.value)

@on_postgres
def test_waiting_writers_leave_a_connection_for_readers(engine):
    store = engine.open(max_size=3, timeout=30)
    store.update_state(F, S, {'n': 0})
    writers = [threading.Thread(target=store.update_state, args=(F, S, {f'{n}': n})) for n in range(4)]
    with store.edit_state(F, S) as state:
        for writer in writers: writer.start()
        while internals.pending_writes(store) < 5: time.sleep(0.01)  # until all of them wait
        assert store.get_state(F, S) == {'n': 0}
        state['n'] = 1
    for writer in writers: writer.join(30)
    assert store.get_state(F, S) == {'n': 1, **{f'{n}': n for n in range(4)}}

@on_postgres
def test_copy_store_names_what_the_server_cannot_hold(engine, tmp_path):
    target, key = engine.open(), long_text(4000)
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as file:
        file.update_state(F, 'label', {'n': 1}, undo_label='a\0b')
        with pytest.raises(ValueError, match='undo_label'): copy_store(file, target)
        file.delete_session(F, 'label')
        file.update_state(F, 'key', {key: 1})
        file.update_state(F, 'key', {}, remove=[key], undo_label='Drop')
        with pytest.raises(ValueError, match="session 'key'"): copy_store(file, target)
        with pytest.raises(TypeError, match='source'): copy_store(tmp_path, target)
    assert target.list_flows() == []

@on_postgres
def test_another_encoding_and_a_schema_name_that_is_too_long_are_refused(postgres, engine):
    with closing(engine.connect()) as con:
        con.execute("CREATE DATABASE latin ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            with pytest.raises(Exception, match='UTF8'):
                PostgresWorkflowStateStore(f'{postgres.conninfo} dbname=latin')
        finally: con.execute('DROP DATABASE latin WITH (FORCE)')
    with pytest.raises(ValueError, match='63 bytes'): PostgresWorkflowStateStore(postgres.conninfo, schema='s' * 64)
