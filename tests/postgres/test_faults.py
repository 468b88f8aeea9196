"""Faults of the server, the network and the clients: acknowledged writes are there, refused writes are not, and the store
says that it does not know only if it can't know."""
import contextlib
import gc
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import internals
from faults import processes

from cjm_workflow_state import state_store
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, copy_store

from . import methods
from .proxy import Proxy
from .server import PostgresServer, unprivileged

F, S = 'f', 's'
needs_fork = pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
needs_signals = pytest.mark.skipif(os.name != 'posix', reason='this system has no signals to one process')

def Store(options, **other): return state_store.PostgresWorkflowStateStore(**{**options, **other})

SCRIPTS = str(Path(__file__).with_name('subprocess_scripts.py'))

class Child(processes.Child):
    "A process that runs one function of this folder's subprocess_scripts.py."
    def __init__(self, name, *args, prefix=()):
        super().__init__(name, *args, before=(*prefix, sys.executable, SCRIPTS))

def run(name, *args): return json.loads(Child(name, *args).end()[-1])

@pytest.fixture(scope='module')
def own_server():
    "One server for all tests of this module, which kill it and start it again."
    with PostgresServer(fsync=True) as server: yield server

@pytest.fixture
def options(own_server):
    "Options of a store in a new schema."
    if own_server.process is None: own_server.start()
    return {'conninfo': own_server.conninfo, 'schema': f'wf_{uuid.uuid4().hex[:8]}', 'timeout': 5}

def address(server): return f'{server.folder}/.s.PGSQL.{server.port}'

@pytest.fixture
def proxy(own_server):
    with Proxy(address(own_server)) as proxy: yield proxy

def ask(options, sql, *values):
    import psycopg
    with psycopg.connect(options['conninfo'], autocommit=True) as con:
        found = con.execute(sql.replace('workflow_', f'"{options["schema"]}".workflow_'), values)
        return found.fetchall() if found.description else found.rowcount

def clients(options):
    "Ids of the server processes that serve stores."
    return [pid for pid, in ask(options, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'cjm_%%'")]

def answers(options):
    "Whether the server accepts connections."
    import psycopg
    try: return ask(options, 'SELECT 1')
    except psycopg.OperationalError: return False

def until(true, what='it never came'):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(.01)

def announce(proxy, sql, event):
    "Call `event(relay)` when such a statement arrives; returns a `threading.Event` that is set then."
    arrived = threading.Event()
    def happen(relay):
        event(relay)
        arrived.set()
    proxy.at(sql, happen)
    return arrived

@contextlib.contextmanager
def refused(store, options, names=None, unknown=False):
    "The block raises an `OperationalError` that names the database and matches `names`."
    with pytest.raises(store.OperationalError, match=names) as error: yield
    assert isinstance(error.value, state_store.CommitUnknownError) == unknown, error.value
    assert f'schema {options["schema"]}' in str(error.value)

# -- two hosts

@pytest.mark.rounds(50, 200)
def test_two_hosts_merge_with_a_millisecond_between(options, own_server, rounds, figures):
    "The rates depend on the machine, so the test prints them and does not check them."
    rates = {}
    with Store(options) as store, Proxy(address(own_server), .001) as one, Proxy(address(own_server), .001) as other:
        for sessions in (1, 8):
            hosts = [{**options, 'conninfo': (one, other)[me % 2].conninfo, 'timeout': 30} for me in range(8)]
            children = [Child('merge', host, me, f'{sessions} {me % sessions}', rounds) for me, host in enumerate(hosts)]
            for child in children: child.ready()
            for child in children: child.go()
            begins, ends = zip(*[json.loads(child.end()[-1]) for child in children])
            rates[sessions] = 8 * rounds / (max(ends) - min(begins))
            for at in range(sessions):
                expected = {f'{me}-{i}': i for me in range(8) if me % sessions == at for i in range(rounds)}
                assert store.get_state(F, f'{sessions} {at}') == expected
    figures |= {'processes': 8, 'merges': 16 * rounds, 'lost': 0, 'merges_a_second_into_1_session': round(rates[1]),
                'merges_a_second_into_8_sessions': round(rates[8]), 'ratio': round(rates[8] / rates[1], 2)}
    print(figures)

@pytest.mark.rounds(5, 200)
def test_one_host_undoes_what_the_other_did(options, own_server, rounds, figures):
    with Store(options) as store, Proxy(address(own_server)) as one, Proxy(address(own_server)) as other:
        children = [Child('act', {**options, 'conninfo': proxy.conninfo}) for proxy in (one, other)]
        for child in children: child.ready()
        def answer_of(child, order):
            child.go(order)
            return json.loads(child.line())
        for i in range(rounds):
            answer_of(children[i % 2], f'set k{i}')
            assert answer_of(children[1 - i % 2], 'undo -') == [f'set k{i}']
            assert store.get_state(F, S) == {} and store.get_undo_history(F, S).redo[0].label == f'set k{i}'
        for child in children: child.end()
    figures |= {'undone_by_the_other': rounds}

# -- the server is killed

@contextlib.contextmanager
def writers(options, number, timeout):
    "Processes that write until the end of the block; the lines that each of them says."
    children = [Child('write_on', {**options, 'timeout': timeout}, f'{me}') for me in range(number)]
    for child in children: child.ready()
    said = [[] for _ in children]
    readers = [threading.Thread(target=lambda child=child, lines=lines: lines.extend(iter(child.line, '')))
               for child, lines in zip(children, said)]
    for reader in readers: reader.start()
    for child in children: child.go()
    yield said
    for child in children: child.process.stdin.close()
    for reader in readers: reader.join()
    for child in children:
        child.process.wait()
        child.guard.cancel()
        assert child.process.returncode == 0 and not child.complaint(), child.failure()

@pytest.mark.rounds(2, 20)
def test_server_killed_under_eight_writers(options, own_server, rounds, figures):
    with Store(options): pass
    with writers(options, 8, timeout=2) as said:
        for _ in range(rounds):
            time.sleep(random.uniform(.1, .6))
            own_server.kill()
            time.sleep(random.choice([0, 0, 0, 2.5]))
            own_server.start()
        marks = [len(lines) for lines in said]
        def wrote(lines): return any(line.startswith('written') for line in lines)
        def all_go_on(): return all(wrote(lines[mark:]) for lines, mark in zip(said, marks))
        until(all_go_on, 'a client does not go on by itself')
    counts = dict.fromkeys(('written', 'refused', 'unknown'), 0)
    with Store(options) as store:
        for me, lines in enumerate(said):
            state = store.get_state(F, f'{me}')
            edits = {int(i) for i in state.pop('_step_edit', {})}
            writes = {int(i) for i in state if not i.startswith('twin')}
            assert {f'twin {i}': i for i in writes} == {i: n for i, n in state.items() if i.startswith('twin')}, 'half'
            for line in lines:
                word, i, *_ = line.split()
                counts[word] += 1
                there = int(i) in edits | writes
                assert word == 'unknown' or there == (word == 'written'), f'{line}, but that is wrong'
        assert store.check() == []
    assert counts['refused'] >= 1
    figures |= {'kills': rounds, 'processes': 8, 'acknowledged_writes': counts['written'], 'refused': counts['refused'],
                'unknown': counts['unknown'], 'lost': 0, 'half': 0, 'refused_and_yet_written': 0}

@pytest.mark.rounds(1, 5)
def test_server_killed_when_commit_was_sent(options, own_server, proxy, rounds, figures):
    "The commit is lost, or only its answer; other clients may write before the store asks for the result."
    figures |= {'kills': 0, 'lost_commits_refused': 0, 'lost_commits_unknown': 0, 'commits_acknowledged': 0,
                'commits_unknown': 0}
    for r in range(rounds):
        for committed in (False, True):
            for others in (0, 3):
                with Store(options, conninfo=proxy.conninfo, timeout=10) as store, ThreadPoolExecutor(1) as pool:
                    store.update_state(F, S, {'n': 0})
                    arrived = announce(proxy, 'COMMIT', hush if committed else swallow)
                    call = pool.submit(store.update_state, F, S, {'n': 1}, undo_label='x')
                    assert arrived.wait(20)
                    if committed: until(lambda: ask(options, 'SELECT label FROM workflow_undo'))
                    own_server.kill()
                    own_server.start()
                    with Store(options) as other:
                        for i in range(others): other.update_state(F, 'other', {'n': i})
                    proxy.cut()
                    try: call.result(60)
                    except state_store.CommitUnknownError as error:
                        assert options['schema'] in str(error)
                        figures['commits_unknown' if committed else 'lost_commits_unknown'] += 1
                    except store.OperationalError as error:
                        assert options['schema'] in str(error) and not committed
                        figures['lost_commits_refused'] += 1
                    else:
                        assert committed, 'acknowledged, but lost'
                        figures['commits_acknowledged'] += 1
                    assert store.get_state(F, S) == {'n': int(committed)}
                    store.clear_state(F, S)
                figures['kills'] += 1
    figures['lost'] = 0

@pytest.mark.parametrize('how', ['restart', 'crash'])
def test_a_commit_before_a_restart_of_the_server_is_unknown(options, own_server, proxy, how):
    "The server says that the transaction was committed, but after a restart its number may belong to another one."
    with Store(options, conninfo=proxy.conninfo, timeout=10) as store, ThreadPoolExecutor(1) as pool:
        store.update_state(F, S, {'n': 0})
        arrived = announce(proxy, 'COMMIT', hush)
        proxy.hangs_up = False
        write = pool.submit(store.update_state, F, S, {'n': 1}, undo_label='x')
        assert arrived.wait(20)
        until(lambda: ask(options, 'SELECT label FROM workflow_undo'))
        if how == 'restart': own_server.restart()
        else:
            os.kill(clients(options)[0], signal.SIGKILL)  # the server ends all sessions and recovers
            until(lambda: answers(options))
        proxy.hangs_up = True
        proxy.cut()
        with pytest.raises(state_store.CommitUnknownError): write.result(60)
        assert store.get_state(F, S) == {'n': 1}

# -- a server process ends, the network breaks, or the server does not answer

@pytest.mark.rounds(10, 50)
def test_idle_backend_ended(options, rounds, figures):
    "All idle connections of the pool have ended, and the next call works."
    with Store(options) as store:
        begin = threading.Barrier(4)
        def edit(i):
            with store.edit_state(F, f'{i}') as state:
                begin.wait()
                state['n'] = 0
        for r in range(rounds):
            with ThreadPoolExecutor(4) as pool: list(pool.map(edit, range(4)))
            ended = clients(options)
            assert len(ended) == 4
            for pid in ended: ask(options, 'SELECT pg_terminate_backend(%s, 5000)', pid)
            if r % 2: assert store.get_state(F, '0') == {'n': 0}
            store.update_state(F, '0', {'n': r + 1})
            assert store.get_state(F, '0') == {'n': r + 1}
    figures |= {'ended': 4 * rounds, 'errors': 0}

@pytest.mark.rounds(5, 200)
def test_backend_ended_inside_an_edit(options, rounds, figures):
    with Store(options) as store:
        store.update_state(F, S, {'n': 0})
        for _ in range(rounds):
            with refused(store, options), store.edit_state(F, S, undo_label='x') as state:
                state['n'] = 1
                for pid in clients(options): ask(options, 'SELECT pg_terminate_backend(%s, 5000)', pid)
            assert store.get_state(F, S) == {'n': 0} and store.get_session_summary(F, S).revision == 1
    figures |= {'ended': rounds, 'half': 0}

def edit(store):
    with store.edit_state(F, S, undo_label='x') as state: state['n'] = 1

WRITES = {
    'merge': lambda store: store.update_state(F, S, {'n': 1}),
    'labelled': lambda store: store.update_state(F, S, {'n': 1}, undo_label='x'),
    'edit': edit, 'undo': lambda store: store.undo(F, S), 'step': lambda store: store.set_current_step(F, S, 'next'),
    'new': lambda store: store.create_session(F, 'new'), 'delete': lambda store: store.delete_session(F, S),
    'copy': lambda store: store.copy_session(F, S, to_session_id='copy')}

def content(options):
    tables = 'workflow_session', 'workflow_value', 'workflow_undo'
    return [ask(options, f'SELECT * FROM {table} ORDER BY 1, 2, 3, 4') for table in tables]

LOCK = 'SELECT 1 FROM'  # how each statement begins that locks a session

def at_lock(proxy): proxy.at(LOCK, lambda relay: relay.cut())

def at_commit(event, down=False):
    def happen(relay):
        relay.proxy.down = down
        event(relay)
    return lambda proxy: proxy.at('COMMIT', happen)

cut, drop, swallow = (lambda relay: relay.cut()), (lambda relay: relay.drop_answer()), (lambda relay: relay.swallow())
def hush(relay): relay.other.silent = True

def keep_open(proxy):
    "The server does not learn that the client has gone."
    proxy.hangs_up = False
    return proxy

CUTS = {  # where it breaks: how, whether the change is there, and what the caller is told
    'before the lock': (at_lock, False, 'refused'),
    'commit is lost': (at_commit(cut), False, 'refused'),
    'answer is lost': (at_commit(drop), True, None),
    'commit is lost and nobody can be asked': (at_commit(cut, down=True), False, 'unknown'),
    'answer is lost and nobody can be asked': (at_commit(drop, down=True), True, 'unknown'),
    'commit is swallowed': (at_commit(swallow), False, 'refused'),
    'answer is swallowed': (at_commit(hush), True, None),
    'commit is swallowed and the server waits for it': (
        lambda proxy: at_commit(swallow)(keep_open(proxy)), False, 'refused')}

@pytest.mark.parametrize('where', CUTS)
@pytest.mark.rounds(1, 2)
def test_network_cut(options, proxy, where, rounds, figures):
    "The caller always gets the right answer: what is stored is what the store said."
    prepare, there, answer = CUTS[where]
    slow = 'asked' in where or 'swallowed' in where
    names = ['merge', 'edit'] if slow and rounds == 1 else [*WRITES]
    if prepare is at_lock: names = [name for name in names if name not in ('new', 'delete')]  # these calls lock no session
    writes = {name: WRITES[name] for name in names}
    timeout = .5 if slow else 5
    with Store(options) as other:
        for _ in range(rounds):
            for write in writes.values():
                other.update_state(F, S, {'n': 0, 'm': 0})
                other.update_state(F, S, {'m': 1}, undo_label='first')
                with Store(options, conninfo=proxy.conninfo, timeout=timeout) as store:
                    store.update_state(F, 'warm', {'n': uuid.uuid4().hex})
                    before = content(options)
                    prepare(proxy)
                    if answer is None: write(store)
                    else:
                        with refused(store, options, 'connection|server', answer == 'unknown'): write(store)
                    assert not proxy.events, 'the connection was not cut'
                    proxy.down = False
                    assert (content(options) != before) == there
                    store.update_state(F, 'goes on', {'n': uuid.uuid4().hex})
                for gone in ('new', 'copy', S): other.delete_session(F, gone)
    figures |= {'cuts': rounds * len(writes), 'wrong_answers': 0, 'undocumented_errors': 0}

@pytest.mark.rounds(2, 50)
def test_network_cut_inside_an_edit(options, proxy, rounds, figures):
    with Store(options, conninfo=proxy.conninfo) as store:
        store.update_state(F, S, {'n': 0})
        for _ in range(rounds):
            with refused(store, options), store.edit_session(F, S, undo_label='x') as session:
                session.state['n'] = 1
                proxy.cut()
            assert store.get_state(F, S) == {'n': 0} and store.get_session_summary(F, S).revision == 1
    figures |= {'cuts': rounds, 'half': 0}

@pytest.mark.rounds(1, 3)
def test_network_goes_silent(options, proxy, rounds, figures):
    longest = 0
    for _ in range(rounds):
        with Store(options, conninfo=proxy.conninfo, timeout=1) as store:
            store.update_state(F, S, {'n': 0})
            for call in (lambda: store.get_state(F, S), lambda: store.update_state(F, S, {'n': 1}),
                         lambda: Store(options, conninfo=proxy.conninfo, timeout=1)):
                proxy.silent, begin = True, time.monotonic()
                with refused(store, options, 'no answer from the server for 2|for timeout=1|timeout expired'): call()
                longest = max(longest, time.monotonic() - begin)
                proxy.silent = False
                proxy.cut()
                assert store.get_state(F, S) == {'n': 0}
    figures |= {'silences': 3 * rounds, 'timeout': 1, 'longest_wait': round(longest, 1)}
    print(figures)

def test_a_read_waits_for_a_silent_server_only_once(options, proxy):
    "A read is repeated if its connection was dead, but not if the server did not answer in time."
    with Store(options, conninfo=proxy.conninfo, timeout=1) as store:
        store.update_state(F, S, {'n': 0})
        before, proxy.silent = proxy.connections, True
        with refused(store, options, 'no answer from the server'): store.get_state(F, S)
        assert proxy.connections == before, 'the read was tried again'

@needs_signals
@pytest.mark.rounds(1, 3)
def test_server_stands_still(options, proxy, rounds, figures):
    """Its processes are stopped (SIGSTOP): before an answer, and with a COMMIT on its way. The store has asked the server
    to end that backend, so when it goes on, it either carries out the COMMIT or rolls back."""
    figures |= {'refused': 0, 'unknown': 0}
    for _ in range(rounds):
        with Store(options, conninfo=proxy.conninfo, timeout=1) as store:
            store.update_state(F, S, {'n': 0})
            for sql, unknown in ((None, False), ('COMMIT', True)):
                stopped = clients(options)
                assert stopped
                def stop(*_):
                    for pid in stopped: os.kill(pid, signal.SIGSTOP)
                proxy.hangs_up = False
                if sql: proxy.at(sql, stop)
                else: stop()
                try:
                    with refused(store, options, 'no answer from the server', unknown):
                        store.update_state(F, S, {'n': 1})
                    figures['unknown' if unknown else 'refused'] += 1
                finally:
                    for pid in stopped: os.kill(pid, signal.SIGCONT)
                    proxy.hangs_up = True
                    proxy.cut()
                if unknown:
                    until(lambda: not {*stopped} & {*clients(options)}, 'the backend was not ended')
                    assert store.get_state(F, S) in ({'n': 0}, {'n': 1})
                else: assert store.get_state(F, S) == {'n': 0}
            store.clear_state(F, S)

# -- schema

@pytest.mark.rounds(2, 4)
def test_eight_processes_make_the_schema_at_once(options, rounds, figures):
    for r in range(rounds):
        new_schema = {**options, 'schema': f'{options["schema"]}_{r}'}
        children = [Child('make_schema', new_schema, f'{me}') for me in range(8)]
        for child in children: child.ready()
        for child in children: child.go()
        for child in children: assert child.end() == ['done']
        with Store(new_schema) as store: assert store.get_state(F, S) == {f'{me}': 1 for me in range(8)}
        assert ask(new_schema, 'SELECT version FROM workflow_schema') == [(internals.SCHEMA_VERSION,)]
    figures |= {'schemas': rounds, 'processes': 8}

def test_two_clients_create_the_schema_at_the_same_time(options, proxy):
    "The other client creates it after this one has looked for it, and before it has the lock."
    raced = []
    def open_another(relay):
        with Store(options) as other: other.update_state(F, S, {'n': 1})
        raced.append(relay)
    proxy.at('SELECT pg_advisory_xact_lock', open_another)
    with Store(options, conninfo=proxy.conninfo) as store:
        assert raced and store.get_state(F, S) == {'n': 1}
    assert ask(options, 'SELECT version FROM workflow_schema') == [(internals.SCHEMA_VERSION,)]

def test_newer_schema_is_refused(options):
    with Store(options) as store: store.update_state(F, S, {'n': 1})
    ask(options, 'UPDATE workflow_schema SET version = 99')
    before = content(options)
    says = f'version 99 is newer than {internals.SCHEMA_VERSION}.*{options["schema"]}'
    with pytest.raises(store.DatabaseError, match=says): Store(options)
    assert content(options) == before

@pytest.fixture
def plain_user(options):
    "A user who may use the tables but not create any: the name, and the options of a store."
    user, schema = f'app_{uuid.uuid4().hex[:8]}', options['schema']
    with Store(options): pass
    for sql in (f'CREATE ROLE {user} LOGIN', f'GRANT USAGE ON SCHEMA {schema} TO {user}',
                f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}'): ask(options, sql)
    return user, {**options, 'conninfo': options['conninfo'].replace('user=postgres', f'user={user}')}

def test_a_user_without_the_right_to_create_tables(options, plain_user):
    "The store works if the tables exist; otherwise the error says which right is missing."
    user, theirs = plain_user
    empty, missing = f'{options["schema"]}_empty', f'{options["schema"]}_missing'
    for sql in (f'CREATE SCHEMA {empty}', f'GRANT USAGE ON SCHEMA {empty} TO {user}'): ask(options, sql)
    with Store(theirs) as store:
        store.update_state(F, S, {'n': 1}, undo_label='x')
        store.undo(F, S)
        store.redo(F, S)
        store.copy_session(F, S)
        assert store.get_session(F, S).state == {'n': 1} and store.check() == []
    for schema in (empty, missing):
        says = f'permission denied(?s:.*)schema {schema}'
        with pytest.raises(store.DatabaseError, match=says): Store(theirs, schema=schema)

# -- PgBouncer

@pytest.fixture
def bouncer(request, own_server, tmp_path):
    "In transaction mode: a connection to the server is lent for one transaction. A parameter is a line of its settings."
    program = shutil.which('pgbouncer', path=f'{os.environ["PATH"]}:/usr/sbin')
    if program is None:
        must = os.environ.get('REQUIRE_POSTGRES') == '1'
        (pytest.fail if must else pytest.skip)('there is no pgbouncer (Debian: pgbouncer)')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    config = own_server.folder/'pgbouncer.ini'
    config.write_text(f"""[databases]
postgres = host={own_server.folder} port={own_server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_login_retry = 1
{getattr(request, "param", "")}
""")
    with open(tmp_path/'log', 'w') as log:
        process = subprocess.Popen([program, config], cwd=own_server.folder, stdout=log, stderr=log, **unprivileged())
    try:
        deadline = time.monotonic() + 20
        while True:
            try: socket.create_connection(('127.0.0.1', port), 1).close()
            except OSError: assert process.poll() is None and time.monotonic() < deadline, (tmp_path/'log').read_text()
            else: break
            time.sleep(.02)
        yield f'host=127.0.0.1 port={port} user=postgres dbname=postgres'
    finally:
        process.terminate()
        process.wait()

@pytest.mark.rounds(50, 500)
def test_pgbouncer_in_transaction_mode(options, own_server, bouncer, rounds, figures):
    behind = {**options, 'conninfo': bouncer, 'prepare': False, 'timeout': 30}
    children = [Child('merge', behind, me, f'{me % 2}', rounds) for me in range(8)]
    for child in children: child.ready()
    for child in children: child.go()
    for child in children: child.end()
    with Store(behind) as store:
        for at in range(2):
            expected = {f'{me}-{i}': i for me in range(8) if me % 2 == at for i in range(rounds)}
            assert store.get_state(F, f'{at}') == expected
        with store.edit_session(F, S, undo_label='edit') as session: session.state['n'] = 1
        assert [entry.label for entry in store.undo(F, S)] == ['edit'] and store.get_session(F, S).history().redo
        own_server.restart()
        with contextlib.suppress(store.OperationalError): store.get_state(F, S)  # only an error tells PgBouncer about the restart
        store.update_state(F, S, {'m': 1})
        assert store.get_state(F, S) == {'m': 1} and store.check() == []
    figures |= {'processes': 8, 'merges': 8 * rounds, 'lost': 0}

# -- forks

@needs_fork
@pytest.mark.rounds(10, 100)
def test_fork_while_threads_write(options, rounds, figures):
    figures |= run('fork_while_writing', options, rounds)
    assert figures['fds_left'] <= 0 and clients(options) == []

@needs_fork
def test_fork_inside_an_edit_block(options):
    assert Child('fork_inside_edit', {**options, 'timeout': 1}).end() == ['done']

# -- clocks

@pytest.mark.rounds(15, 150)
def test_hosts_whose_clocks_differ_by_an_hour(options, rounds, figures):
    children = [Child('steps_with_a_clock', options, hours) for hours in (1, 0)]
    for child in children: child.ready()
    times, order = [], []
    with Store(options) as store:
        for i in range(rounds):
            session = random.choice('abc')
            order = [session, *(one for one in order if one != session)]
            children[i % 2].go(f'{session} {i}')
            assert children[i % 2].line() == 'done', children[i % 2].failure()
            [[updated]] = ask(options, 'SELECT updated FROM workflow_session WHERE session_id = %s', session)
            times.append(updated)
            assert [one.session_id for one in store.list_sessions(F)] == order
            assert store.get_undo_history(F, session).undo[0].label == f'{i}'
        assert times == sorted({*times}), 'in the order of the writes, from either host'
        ask(options, 'UPDATE workflow_session SET updated = updated + 3600000000')  # set back the clock of the server
        for session in 'abc':
            before = ask(options, 'SELECT updated FROM workflow_session WHERE session_id = %s', session)
            for i in range(3):
                store.update_state(F, session, {'back': i})
                after = ask(options, 'SELECT updated FROM workflow_session WHERE session_id = %s', session)
                assert after > before or not before
                before = after
    for child in children: child.end()
    figures |= {'writes': rounds, 'out_of_order': 0}

# -- threads, interrupts, ends

@pytest.mark.rounds(3, 60)
def test_store_closed_while_others_use_it(options, rounds, figures):
    calls = 0
    for _ in range(rounds):
        store, started = Store(options, max_size=3), threading.Barrier(7)
        def work(i):
            started.wait()
            for n in range(100_000):
                try: store.update_state(F, f'{i}', {'n': n}) if i % 2 else store.get_state(F, f'{i}')
                except store.ProgrammingError as error:
                    assert 'closed' in str(error) and options['schema'] in str(error)
                    return n
        with ThreadPoolExecutor(6) as pool:
            working = [pool.submit(work, i) for i in range(6)]
            started.wait()
            time.sleep(random.uniform(0, .1))
            store.close()
            calls += sum(one.result(60) for one in working)
        until(lambda: not clients(options), 'connections are left')
    figures |= {'closed': rounds, 'calls': calls, 'other_errors': 0}

def test_one_connection_and_many_threads(options, figures):
    with Store(options, max_size=1, timeout=30) as store:
        def work(i):
            for n in range(10):
                with store.edit_state(F, S) as state: state['n'] = state.get('n', 0) + 1
                assert store.get_state(F, S)['n'] >= n
        with ThreadPoolExecutor(6) as pool: list(pool.map(work, range(6)))
        assert store.get_state(F, S) == {'n': 60} and len(clients(options)) == 1
    figures |= {'threads': 6, 'edits': 60}

@needs_signals
@pytest.mark.parametrize('error', ['KeyboardInterrupt', 'TimeoutError'])
@pytest.mark.rounds(100, 1000)
def test_interrupts_anywhere(options, rounds, figures, error):
    figures |= run('click_under_interrupts', options, rounds, error)

@needs_signals
def test_an_apps_own_time_limit_is_not_taken_for_a_silent_server(options):
    assert run('wait_with_a_time_limit', options) == 'my own limit'

@needs_signals
@pytest.mark.rounds(1, 5)
def test_interrupts_while_waiting(options, rounds, figures):
    with Store(options, timeout=60) as holder:
        holder.update_state(F, S, {'n': 0})
        holder.update_state(F, 'other', {'n': 0})
        for _ in range(rounds):
            with holder.edit_state(F, S):
                child = Child('wait_and_be_interrupted', {**options, 'timeout': 60})
                for _ in range(4):
                    assert child.line() == 'waiting', child.failure()
                    time.sleep(random.uniform(.2, .4))
                    child.process.send_signal(signal.SIGINT)
                    assert child.line() == 'interrupted', child.failure()
            assert child.end() == ['done']
    figures |= {'interrupts': 4 * rounds, 'connections_lost': 0}

def test_a_store_that_is_garbage_collected_without_close(options):
    "Whether its threads still run or not, no connection and no message is left."
    store, go, used = Store(options), threading.Event(), threading.Barrier(4)
    def work(stores, i):
        store = stores.pop()  # because the thread keeps its arguments
        with store.edit_state(F, f'{i}') as state: state['n'] = used.wait()
        del store
        go.wait()
    threads = [threading.Thread(target=work, args=([store], i)) for i in range(4)]
    for thread in threads: thread.start()
    until(lambda: len(store.list_sessions(F)) == 4)
    assert clients(options)
    circle = [Store(options)]
    circle.append(circle)
    circle[0].get_state(F, S)
    del store, circle
    gc.collect()
    until(lambda: not clients(options), 'connections are left')
    go.set()
    for thread in threads: thread.join()

ENDS = {'no store': 0, 'falls off the end': 0, 'sys.exit': 3, 'os._exit': 3, 'in atexit': 0, 'in a circle': 0,
        'a generator in an edit block': 0, 'daemon threads': 0}

@pytest.mark.rounds(1, 4)
def test_interpreter_ends_with_an_open_store(options, rounds, figures):
    "It prints nothing and ends; the test records the seconds and does not check them."
    took = {}
    with Store(options) as store:
        for how, status in ENDS.items():
            for _ in range(rounds):
                child = Child('end', options, how)
                assert child.line() == 'done', child.failure()
                begin = time.monotonic()
                child.process.wait()
                took[how] = max(took.get(how, 0), time.monotonic() - begin)
                child.end(status)
                state = {'done': 1, **({'at exit': 1} if how == 'in atexit' else {})}
                if how != 'no store': assert store.get_state('end', how) == state
                store.clear_state('end', how)
    slowest = max(took, key=took.get)
    figures |= {'ends': rounds * len(ENDS), 'slowest': slowest,
                'seconds_over_the_baseline': round(took[slowest] - took['no store'], 2)}
    print(figures)

# -- what it costs

ONE, TWO = ('get_', 'list_', 'count_', 'session_exists'), ('update_', 'set_current_step', 'set_session_label')
MORE = 'new session', 'undo group', 'removes'  # for what a merge usually does not have to do

def most_trips(name):
    if name.startswith(ONE): return 1
    if name.startswith(TWO) and not any(words in name for words in MORE): return 2
    return 4 if name == 'copy_session' else 3

def test_round_trips(options, proxy, figures):
    "How often the client waits for an answer."
    proxy.delay = .01
    with Store(options, conninfo=proxy.conninfo) as store:
        methods.prepare(store, F, S)
        trips = {name: proxy.count(call) for name, call in methods.calls(store, F, S).items()}
        methods.prepare(store, F, S)
        for name, call in methods.calls(store, F, S).items():  # psycopg may send the end of a packet late: one more
            if trips[name] > most_trips(name): trips[name] = min(proxy.count(call) for _ in range(3))
        assert {name: number for name, number in trips.items() if number > most_trips(name)} == {}
    figures['round_trips'] = trips
    print(figures)

# -- copy_store

def fill(store, sessions):
    for i in range(sessions):
        store.update_state(F, f'{i}', {'n': i, 'doc': {'text': 'é' * 300, 'rows': [1, {'a': None}]}})
        store.update_step_state(F, f'{i}', 'review', {'n': i}, undo_label='Review')
        store.update_state(F, f'{i}', {'n': -i}, undo_label='Count', undo_group='g')
        if i % 2: store.undo(F, f'{i}')
        store.set_session_label(F, f'{i}', f'label {i}')
        store.set_current_step(F, f'{i}', 'review')

def all_of(store):
    return [store.get_session(F, one.session_id) for one in store.list_sessions(F, 'created_at', descending=False)]

@pytest.mark.parametrize('way', ['to the server', 'to the file'])
@pytest.mark.rounds(20, 300)
def test_copy_store_interrupted(options, tmp_path, way, rounds, figures):
    "The copy is stopped and started again until everything is there; undo works in the copy."
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as file, Store(options) as server:
        source, target = (file, server) if way == 'to the server' else (server, file)
        fill(source, rounds)
        stopped, seen = 0, []
        while True:
            stop = random.randrange(1, 10) + stopped
            def progress(done, total):
                seen.append((done, total))
                assert total == rounds and (done == 1 or done == seen[-2][0] + 1)
                if done == stop and stopped < rounds // 2: raise KeyboardInterrupt
            try: counts = copy_store(source, target, progress=progress)
            except KeyboardInterrupt: stopped += 1
            else: break
            part = all_of(target)
            ids = [one.session_id for one in part]
            assert 0 < len(part) < rounds and part == [one for one in all_of(source) if one.session_id in ids]
        assert counts.copied + counts.present == rounds and seen[-1] == (rounds, rounds) and stopped
        assert all_of(target) == all_of(source) and len(all_of(target)) == rounds
        assert copy_store(source, target) == (0, rounds) and target.check() == source.check() == []
        target.redo(F, '1')
        assert target.get_state(F, '1')['n'] == -1
        assert target.get_session_summary(F, '1').revision == source.get_session_summary(F, '1').revision + 1
        before = all_of(target)
        with pytest.raises(target.IntegrityError, match="'1'"): copy_store(source, target)
        assert all_of(target) == before, 'copy_store must overwrite nothing'
    figures |= {'sessions': rounds, 'stopped': stopped, 'overwritten': 0}

def test_copy_store_when_the_server_dies(options, own_server, tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as file, Store(options, timeout=1) as server:
        fill(file, 6)
        def progress(done, total):
            if done == 3: own_server.kill()
        with refused(server, options): copy_store(file, server, progress=progress)
        own_server.start()
        assert all_of(server) == all_of(file)[:3]
        assert copy_store(file, server) == (3, 3) and all_of(server) == all_of(file)
