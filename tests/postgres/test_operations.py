"What an operator meets: limits, restarts, bursts, half-open networks, rights, and dumps that were restored badly."
import contextlib
import logging
import os
import pickle
import re
import shutil
import socket
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import internals
import pytest

from cjm_workflow_state import state_store
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, copy_store

from .proxy import Proxy
from .server import PostgresServer, unprivileged
from .test_faults import (  # noqa: F401
    LOCK, WRITES, Child, F, S, Store, address, announce, ask, at_commit, bouncer, clients, options, own_server,
    plain_user, proxy, refused, swallow, until, writers)

def named(options, name): return {**options, 'conninfo': f'{options["conninfo"]} application_name={name}'}

def backends(options, name):
    "What each backend of the store waits for."
    sql = 'SELECT pid, wait_event_type FROM pg_stat_activity WHERE application_name = %s ORDER BY pid'
    return ask(options, sql, name)

@contextlib.contextmanager
def in_background(*calls):
    "Each call in a thread of its own, outside of edit blocks of this one."
    with ThreadPoolExecutor(len(calls)) as pool: yield [pool.submit(call) for call in calls]

BLOCKS = {'edit_state': lambda store: store.edit_state(F, S), 'edit_session': lambda store: store.edit_session(F, S),
          'edit_step_state': lambda store: store.edit_step_state(F, S, 'step')}

@contextlib.contextmanager
def hung_block(store, method='edit_state'):
    "An edit block in another thread that does nothing until the end of this one; yields what its call returns."
    begun, end = threading.Event(), threading.Event()
    def hold():
        with BLOCKS[method](store) as block:
            getattr(block, 'state', block)['hung'] = 1
            begun.set()
            end.wait(60)
    with in_background(hold) as [call]:
        try:
            assert begun.wait(20)
            yield call
        finally: end.set()

# -- callers that wait

@pytest.mark.rounds(1, 5)
def test_every_waiter_gets_a_true_message_in_time(options, rounds, figures):
    "In one store and in many: the server begins a new wait for each place in its queue, and the store counts them all."
    messages, waited = [], 0
    with Store(options) as holder:
        holder.update_state(F, S, {'n': 0})
        for _ in range(rounds):
            stores = [Store(named(options, 'waiter'), timeout=1) for _ in range(6)]
            def wait(store):
                time.sleep(.1 * stores.index(store))
                begin = time.monotonic()
                with pytest.raises(store.OperationalError) as error: store.update_state(F, S, {'n': 1})
                return str(error.value), time.monotonic() - begin
            with holder.edit_state(F, S), ThreadPoolExecutor(12) as pool:
                results = list(pool.map(wait, [*stores, *[stores[0]] * 6]))
                assert len(backends(options, 'waiter')) == 6, 'a connection was lost'
            for text, seconds in results:
                assert 'timeout=1 seconds' in text and 'no answer' not in text and options['schema'] in text
                messages.append(text)
                waited = max(waited, seconds)
            for store in stores: store.close()
        assert holder.get_state(F, S) == {'n': 0}
    figures |= {'waiters': len(messages), 'untrue_messages': 0, 'connections_lost': 0, 'timeout': 1,
                'longest_wait': round(waited, 2)}
    print(figures)

@contextlib.contextmanager
def being_created(options, session):
    "Another connection inserts this session; it commits at the end of the block."
    import psycopg
    with psycopg.connect(options['conninfo']) as con:
        con.execute(f"""INSERT INTO {options['schema']}.workflow_session
            (flow_id, session_id, created, updated, revision, state_size) VALUES (%s, %s, 1, 1, 1, 0)""", (F, session))
        yield

@contextlib.contextmanager
def being_edited(options, session):
    "Another connection holds this session until the end of the block."
    import psycopg
    with psycopg.connect(options['conninfo']) as con:
        sql = f"SELECT 1 FROM {options['schema']}.workflow_session WHERE session_id = %s FOR UPDATE"
        assert con.execute(sql, (session,)).fetchall()
        yield

def enter(block):
    def call(store):
        with block(store): pass
    return call

WAITERS = {**WRITES, **{name: enter(block) for name, block in BLOCKS.items()}}
CREATORS = {name: call for name, call in WAITERS.items() if name not in ('new', 'copy', 'delete', 'undo')} | {
    'new': lambda store: store.create_session(F, S),
    'copy': lambda store: store.copy_session(F, 'other', to_session_id=S)}

@pytest.mark.parametrize('how, call', [
    *[(being_edited, name) for name in WAITERS if name != 'new'], *[(being_created, name) for name in CREATORS]])
def test_every_method_says_that_another_writer_holds_the_session(options, how, call, figures):
    with Store(options) as store, Store(options, timeout=.3) as hasty:
        store.create_session(F, 'other')
        if how is being_edited: store.update_state(F, S, {'n': 0}, undo_label='first')
        with how(options, S), refused(hasty, options, r'another writer has held the session .* timeout=0\.3 seconds'):
            (WAITERS if how is being_edited else CREATORS)[call](hasty)
    figures |= {'waiters': 1, 'untrue_messages': 0}

def test_wait_for_a_session_that_is_being_created_is_bounded_in_total(options, proxy):
    "It waits a second for the row to appear, and then a second for its lock: the lock's wait does not start anew."
    held = contextlib.ExitStack()
    with Store(options) as store, Store(named({**options, 'conninfo': proxy.conninfo}, 'waiter'), timeout=1.5) as hasty:
        # The second statement of this kind comes after the wait for the row; the first is the look for the session
        proxy.at(LOCK, lambda relay: held.enter_context(being_edited(options, 'new')), nth=2)
        creating = contextlib.ExitStack()
        creating.enter_context(being_created(options, 'new'))
        with in_background(lambda: hasty.update_state(F, 'new', {'n': 2})) as [call]:
            until(lambda: any(wait == 'Lock' for _, wait in backends(options, 'waiter')))
            time.sleep(1)
            creating.close()
            until(lambda: not proxy.events)
            time.sleep(1)
            held.close()
            with refused(hasty, options, r'another writer has held .* timeout=1\.5 seconds'): call.result(60)
        assert store.get_state(F, 'new') == {}

def test_a_process_that_waits_for_another_one_to_create_the_tables_says_so(options, proxy):
    "It is not the server that is silent, but the process that creates them."
    import psycopg
    proxy.hangs_up = False
    arrived = announce(proxy, 'CREATE SCHEMA', swallow)
    with in_background(lambda: Store(options, conninfo=proxy.conninfo)) as [stuck]:
        assert arrived.wait(20)
        with pytest.raises(psycopg.OperationalError, match=r'another process .* timeout=0\.3 seconds') as error:
            Store(options, timeout=.3)
        assert f'schema {options["schema"]}' in str(error.value)
        proxy.cut()
        with pytest.raises(psycopg.OperationalError): stuck.result(60)
    with Store(options) as store: store.update_state(F, S, {'n': 1})

def test_an_upgrade_may_take_longer_than_the_timeout(options, monkeypatch):
    with Store(options) as store: store.update_state(F, S, {'n': 1})
    internals.add_schema_version(monkeypatch, [], ['SELECT pg_sleep(2)'])
    with Store(options, timeout=.5) as store: assert store.get_state(F, S) == {'n': 1}

def test_a_write_that_failed_leaves_no_connection_on_which_others_fail(options):
    "psycopg prepares a statement at its sixth run, and counts on it also if the server skipped that after an error."
    with Store(options) as holder, Store(options, timeout=.5, max_size=2) as store:
        for session in (S, 'held'): holder.update_state(F, session, {'n': 0})
        with pytest.raises(state_store.StaleSessionError): store.update_state(F, S, {'n': 1}, expected_revision=77)
        for n in range(5): store.update_state(F, S, {'n': n}, undo_label='x')
        with holder.edit_state(F, 'held'), pytest.raises(store.OperationalError, match='another writer'):
            store.update_state(F, 'held', {'n': 1}, undo_label='x')
        for n in range(8): store.update_state(F, S, {'n': -n}, undo_label='x')
        assert store.get_state(F, S) == {'n': -7}

def test_a_prune_that_takes_too_long_blames_nobody(options):
    with Store(options, timeout=1) as store:
        for n in range(3): store.update_state(F, f's{n}', {'n': n})
        slow = f'"{options["schema"]}".slow()'
        ask(options, f'CREATE FUNCTION {slow} RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(.7); RETURN OLD; END$$')
        ask(options, f'CREATE TRIGGER slow BEFORE DELETE ON workflow_session FOR EACH ROW EXECUTE FUNCTION {slow}')
        with pytest.raises(store.OperationalError, match="longer than the store's timeout"): store.prune_sessions(F, timedelta(0))

@pytest.mark.parametrize('exists', [True, False])
def test_a_write_that_waited_goes_on_from_what_the_other_writer_left(options, exists):
    with Store(options) as holder, Store(named(options, 'waiter'), timeout=60) as store, ThreadPoolExecutor(1) as pool:
        if exists: holder.update_state(F, S, {'n': 0})
        def add():
            with store.edit_state(F, S) as state: state['hung'] = state.get('hung', 0) + 1
        def change(): store.update_state(F, S, {'hung': 5}, undo_label='x')
        for call, before, after in ((add, 1, 2), (change, 1, 5)):
            with hung_block(holder):
                waiting = pool.submit(call)
                until(lambda: any(wait == 'Lock' for _, wait in backends(options, 'waiter')))
            waiting.result(60)
            assert store.get_state(F, S)['hung'] == after
        store.undo(F, S)
        assert store.get_state(F, S)['hung'] == 1

@pytest.mark.parametrize('write', [*WRITES, 'creates'])
def test_waiters_leave_the_other_connections_free(options, write, figures):
    "Of twenty threads that wait for one session, one uses a connection."
    with Store(options) as holder, Store(named(options, 'crowd'), timeout=60) as store:
        if write != 'creates': holder.update_state(F, S, {'n': 0}, undo_label='first')
        call = {'creates': lambda store: store.update_state(F, S, {'n': 1}),
                'new': lambda store: store.create_session(F, S)}.get(write) or WRITES[write]
        def wait():
            with contextlib.suppress(store.IntegrityError): call(store)  # the session exists, or the copy does
        with ThreadPoolExecutor(20) as pool, ThreadPoolExecutor(1) as other, hung_block(holder):
            waiting = [pool.submit(wait) for _ in range(20)]
            until(lambda: internals.pending_writes(store) == 20 or write == 'new')
            if write != 'new': until(lambda: any(wait == 'Lock' for _, wait in backends(options, 'crowd')))
            other.submit(store.update_state, F, 'other', {'n': 1}).result(20)
            assert other.submit(store.get_state, F, 'other').result(20) == {'n': 1}
            assert len(backends(options, 'crowd')) <= 3
        for one in waiting: one.result(60)
    figures |= {'waiters': 20, 'connections_they_use': 1}

# -- an administrator's limits

@pytest.mark.parametrize('method', BLOCKS)
def test_idle_in_transaction_limit_ends_a_hung_block(options, method, figures):
    with Store(options) as other, Store(options, conninfo=f'{options["conninfo"]} '
                                        "options='-c idle_in_transaction_session_timeout=300'") as store:
        store.update_state(F, S, {'n': 0})
        with hung_block(store, method) as block:
            other.update_state(F, S, {'other': 1})  # as soon as the server has ended the block
        with refused(store, options, 'nothing was written'): block.result(60)
        assert store.get_state(F, S) == {'n': 0, 'other': 1}
    figures |= {'hung_blocks': 1, 'sessions_held_after_the_limit': 0}

def test_idle_in_transaction_limit_ends_a_client_that_is_cut_off_between_two_packets(options, proxy, figures):
    "Not only an edit block: also a merge whose client was stopped before its second packet."
    limited = f"{proxy.conninfo} options='-c idle_in_transaction_session_timeout=300'"
    with Store(options) as other, Store(options, conninfo=limited) as store:
        store.update_state(F, S, {'n': 0})
        proxy.hangs_up = False
        first = next(sql for sql in proxy.statements if 'INSERT INTO' in sql and 'workflow_value' in sql)
        arrived = announce(proxy, first, swallow)
        with in_background(lambda: store.update_state(F, S, {'new': 1})) as [call]:
            assert arrived.wait(20)
            other.update_state(F, S, {'other': 1})
            with refused(store, options, 'nothing was written'): call.result(60)
        assert store.get_state(F, S) == {'n': 0, 'other': 1}
    figures |= {'hung_merges': 1, 'sessions_held_after_the_limit': 0}

@pytest.mark.parametrize('limit', ['statement_timeout', 'lock_timeout'])
def test_an_administrators_lower_limit_stays_and_is_named(options, limit, figures):
    with Store(options) as holder, Store(options, conninfo=f"{options['conninfo']} options='-c {limit}=300'") as store:
        holder.update_state(F, S, {'n': 0})
        with hung_block(holder):
            with pytest.raises(store.OperationalError) as error: store.update_state(F, S, {'n': 1})
        assert 'another writer' not in str(error.value) and options['schema'] in str(error.value)
        assert ('lock timeout' if limit == 'lock_timeout' else 'statement_timeout') in str(error.value)
    figures |= {'limits_kept': 1}

@pytest.mark.parametrize('bouncer', ['idle_transaction_timeout = 1'], indirect=True)
def test_pgbouncers_limit_ends_a_hung_block(options, bouncer, figures):
    behind = {**options, 'conninfo': bouncer, 'prepare': False, 'timeout': 20}
    with Store(behind) as store, Store(behind) as other:
        store.update_state(F, S, {'n': 0})
        with hung_block(store) as block: other.update_state(F, S, {'other': 1})
        with refused(store, options, 'nothing was written'): block.result(60)
        assert store.get_state(F, S) == {'n': 0, 'other': 1}
    figures |= {'hung_blocks': 1, 'sessions_held_after_the_limit': 0}

# -- half-open networks

def can_cut_cables():
    made = subprocess.run(['ip', 'netns', 'add', 'cjm-probe'], capture_output=True) if shutil.which('ip') else None
    if made is None or made.returncode: return False
    return not subprocess.run(['ip', 'netns', 'del', 'cjm-probe'], capture_output=True).returncode

@pytest.fixture
def cable():
    "A client's host in a network namespace of its own; yields a command's prefix, an address, and how to cut."
    if os.name != 'posix' or os.getuid() or not can_cut_cables():
        pytest.skip('cutting a cable needs root, and `ip netns` (Debian: iproute2)')
    name = f'cjm{os.getpid()}'
    here, there = f'{name}a', f'{name}b'
    def ip(*args): subprocess.run(['ip', *args], check=True, capture_output=True)
    ip('netns', 'add', name)
    try:
        ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name)
        ip('addr', 'add', '10.231.7.1/30', 'dev', here)
        ip('link', 'set', here, 'up')
        ip('-n', name, 'addr', 'add', '10.231.7.2/30', 'dev', there)
        ip('-n', name, 'link', 'set', there, 'up')
        yield ['ip', 'netns', 'exec', name], '10.231.7.1', lambda: ip('-n', name, 'link', 'set', there, 'down')
    finally: ip('netns', 'del', name)  # the cable goes with it

@pytest.mark.rounds(0, 1)
def test_half_open_network_holds_no_session_longer_than_26_seconds(cable, rounds, figures):
    "Cut inside a block, while the client waits for a lock (so the answer meets a dead host), and in a big answer."
    if not rounds: pytest.skip('takes half a minute: only in the long run')
    import psycopg
    prefix, host, cut = cable
    with PostgresServer(listen=host) as server:
        options = {'conninfo': server.conninfo, 'schema': 'wf', 'timeout': 60}
        there = {**options, 'conninfo': f'host={host} port={server.port} user=postgres dbname=postgres'}
        with Store(options) as store:
            for session in ('block', 'lock', 'answer'): store.update_state(F, session, {'n': 0})
            store.update_state(F, 'answer', {'big': 'x' * 50_000_000})
            with store.edit_state(F, 'lock'):
                children = [Child('hold', there, session, prefix=prefix) for session in ('block', 'lock')]
                assert children[0].line() == 'holds', children[0].failure()
                until(lambda: ask(options, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
                with psycopg.connect(server.conninfo, autocommit=True) as con:  # it must look often: this is soon over
                    children.append(Child('hold', there, 'answer', prefix=prefix))
                    sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"
                    while not con.execute(sql).fetchall(): assert children[2].process.poll() is None
                cut()
                begin = time.monotonic()
            def free(session):
                store.update_state(F, session, {'n': 1})
                return round(time.monotonic() - begin, 1)
            with ThreadPoolExecutor(3) as pool: took = dict(zip(('block', 'lock', 'answer'), pool.map(
                free, ('block', 'lock', 'answer'))))
        for child in children: child.process.kill(), child.rest()
    figures |= {'phases': len(took), 'seconds_until_free': max(took.values())}
    print(took)
    assert max(took.values()) < 27, 'as the settings of the server say: 25, and a moment'

def test_client_and_server_notice_a_half_open_connection(own_server, options):
    "Both sides have the same limits, and a user's own stay."
    tcp = {**options, 'conninfo': own_server.url}
    with Store(tcp) as store:
        with internals.transaction(store) as tx:
            assert tx.execute('SHOW tcp_user_timeout').fetchall() == [('25000',)]
            params = internals.connection_parameters(tx)
    assert (params['tcp_user_timeout'], params['keepalives_idle'], params['keepalives_count']) == ('25000', '10', '3')
    with Store(tcp, conninfo=f'{own_server.url}?tcp_user_timeout=9000&connect_timeout=3') as store:
        with internals.transaction(store) as tx: params = internals.connection_parameters(tx)
    assert (params['tcp_user_timeout'], params['connect_timeout']) == ('9000', '3')

def test_connect_timeout_of_the_user_is_kept(options):
    with socket.create_server(('127.0.0.1', 0)) as mute:  # it accepts, and never says a word
        conninfo = f'host=127.0.0.1 port={mute.getsockname()[1]} user=postgres dbname=postgres connect_timeout=1'
        import psycopg
        with pytest.raises(psycopg.OperationalError, match='timeout'): Store(options, conninfo=conninfo, timeout=10_000)

@pytest.mark.rounds(1, 5)
def test_one_silence_costs_one_call(options, proxy, rounds, figures):
    "Six idle connections whose packets are dropped: the call that notices closes the others, too."
    failed = 0
    for _ in range(rounds):
        with Store(options, conninfo=proxy.conninfo, timeout=1) as store:
            use_at_once(store, 6)
            for relay in list(proxy.relays): proxy.loop.call_soon_threadsafe(swallow, relay)
            until(lambda: all(relay.silent for relay in list(proxy.relays)))
            for _ in range(6):
                try: store.get_state(F, S)
                except store.OperationalError: failed += 1
    assert failed <= rounds
    figures |= {'idle_connections': 6, 'silences': rounds, 'failed_calls': failed}

# -- restarts and connections

def use_at_once(store, number):
    "So that the pool has this many connections."
    begin = threading.Barrier(number)
    def use(i):
        with store.edit_state(F, f'used {i}') as state:
            begin.wait(20)
            state['n'] = i
    with ThreadPoolExecutor(number) as pool: list(pool.map(use, range(number)))

@pytest.mark.rounds(2, 20)
def test_orderly_restarts_leave_hardly_anything_unknown(options, own_server, rounds, figures):
    with Store(options): pass
    with writers(options, 6, timeout=30) as said:  # a busy machine can take long to restart a server
        for _ in range(rounds):
            marks = [len(lines) for lines in said]
            until(lambda: all(len(lines) > mark + 20 for lines, mark in zip(said, marks)), 'a client does not go on')
            own_server.restart()
    words = [line.split()[0] for lines in said for line in lines]
    unknown = [line for lines in said for line in lines if line.startswith('unknown')]
    # The server can end between a commit and its answer; without a look at the answer it was one commit in each restart
    assert len(unknown) <= max(1, rounds // 10) and words.count('written') > 0, unknown
    figures |= {'restarts': rounds, 'processes': 6, 'written': words.count('written'),
                'refused': words.count('refused'), 'unknown': len(unknown)}

@pytest.mark.parametrize('write', WRITES)
def test_a_commit_that_was_answered_counts_though_the_server_then_ends(options, proxy, write):
    "The server says COMMIT, and then that it shuts down, instead of that it is ready."
    with Store(options, conninfo=proxy.conninfo) as store:
        store.update_state(F, S, {'n': 0}, undo_label='first')
        proxy.down = False
        def end(relay): relay.other.end_after = b'COMMIT\0'
        proxy.at('COMMIT', lambda relay: (end(relay), setattr(proxy, 'down', True)))  # nobody can be asked
        WRITES[write](store)
        proxy.down = False
        assert not proxy.events

@pytest.mark.rounds(4, 30)
def test_connection_limit_below_max_size(options, own_server, rounds, figures):
    "A role may have two connections, and eight threads share them: none is refused, and the server is not stormed."
    user = f'few_{uuid.uuid4().hex[:8]}'
    ask(options, f'CREATE ROLE {user} LOGIN SUPERUSER')
    with Proxy(address(own_server)) as proxy:
        few = {**options, 'conninfo': f'host=127.0.0.1 port={proxy.port} user={user} dbname=postgres', 'timeout': 30}
        with Store(few, max_size=8) as store:
            ask(options, f'ALTER ROLE {user} NOSUPERUSER CONNECTION LIMIT 2')
            ask(options, f'GRANT ALL ON SCHEMA "{options["schema"]}" TO {user}')
            ask(options, f'GRANT ALL ON ALL TABLES IN SCHEMA "{options["schema"]}" TO {user}')
            def work(i):
                for n in range(rounds):
                    with store.edit_state(F, f'{i}') as state:
                        state['n'] = n
                        time.sleep(.05)
                    assert store.get_state(F, f'{i}') == {'n': n}
            before = proxy.connections
            with ThreadPoolExecutor(8) as pool: list(pool.map(work, range(8)))
            attempts = proxy.connections - before
    assert attempts < 8 * rounds, 'most calls used a connection that another one had returned'
    figures |= {'threads': 8, 'connections_allowed': 2, 'calls': 16 * rounds, 'refused': 0, 'attempts': attempts}
    print(figures)

def test_attempts_become_rarer(options, own_server, figures):
    "Eight threads find no server for a while."
    with Proxy(address(own_server)) as proxy, Store(options, conninfo=proxy.conninfo, timeout=3) as store:
        proxy.down = True
        proxy.cut()
        before = proxy.connections
        def call(i):
            with refused(store, options, 'timeout=3'): store.get_state(F, f'{i}')
        with ThreadPoolExecutor(8) as pool: list(pool.map(call, range(8)))
        attempts = proxy.connections - before
        proxy.down = False
        assert store.get_state(F, S) == {}
    assert attempts < 40
    figures |= {'threads': 8, 'seconds': 3, 'attempts': attempts}

@pytest.mark.parametrize('fault', ['password', 'database', 'login'])
def test_an_error_that_waiting_does_not_heal_comes_at_once(options, own_server, fault, figures):
    user = f'app_{uuid.uuid4().hex[:8]}'
    ask(options, f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD 'old'")
    ask(options, f'CREATE DATABASE {user}')
    access = own_server.data/'pg_hba.conf'
    text = access.read_text()
    access.write_text(f'host all {user} 127.0.0.1/32 scram-sha-256\n{text}')
    ask(options, 'SELECT pg_reload_conf()')
    try:
        conninfo = f'host=127.0.0.1 port={own_server.port} user={user} password=old dbname={user}'
        with Store(options, conninfo=conninfo, timeout=10_000) as store:
            store.update_state(F, S, {'n': 0})
            for sql in {'password': [f"ALTER ROLE {user} PASSWORD 'new'"], 'login': [f'ALTER ROLE {user} NOLOGIN'],
                        'database': [f'ALTER DATABASE {user} RENAME TO {user}_moved']}[fault]:
                for pid in clients(options): ask(options, 'SELECT pg_terminate_backend(%s, 5000)', pid)
                ask(options, sql)
            for call in (lambda: store.get_state(F, S), lambda: store.update_state(F, S, {'n': 1})):
                with refused(store, options, {'password': 'password', 'login': 'log in', 'database': 'exist'}[fault]):
                    call()  # or it waits for hours
    finally:
        access.write_text(text)
        ask(options, 'SELECT pg_reload_conf()')
    lines = [line for line in own_server.log().splitlines() if user in line and 'FATAL' in line]
    logged = [line for line in lines if 'terminat' not in line]
    assert len(logged) <= 2
    figures |= {'attempts_for_each_call': 1}

@pytest.mark.parametrize('used', [True, False])
def test_connections_of_a_burst_are_closed(options, monkeypatch, used, figures):
    "Also if the store is not used at all any more."
    internals.set_idle_seconds(monkeypatch, .5)
    with Store(named(options, 'burst')) as store:
        use_at_once(store, 7)
        assert len(backends(options, 'burst')) == 7
        if used:
            def use():
                store.get_state(F, S)
                return len(backends(options, 'burst')) <= 1
            until(use)
        else: until(lambda: not backends(options, 'burst'))
        until(lambda: used or internals.closing_threads() == 0)
        store.update_state(F, S, {'n': 1})
        assert store.get_state(F, S) == {'n': 1}
    figures |= {'burst': 7, 'connections_after_it': 1 if used else 0}

def test_a_read_inside_a_block_that_has_the_only_connection_is_refused_at_once(options):
    with Store(options, max_size=1, timeout=10_000) as store:
        store.update_state(F, S, {'n': 0})
        with store.edit_state(F, S) as state:
            for read in (lambda: store.get_state(F, S), lambda: store.get_session(F, S), lambda: store.list_flows()):
                with pytest.raises(RuntimeError, match='max_size=2'): read()
            state['n'] = 1
        assert store.get_state(F, S) == {'n': 1}
    with Store(options, max_size=2, timeout=5) as store, store.edit_state(F, S):
        assert store.get_state(F, S) == {'n': 1}

def test_a_lost_commit_is_resolved_with_one_connection(options, proxy):
    "The block has ended then, so asking the server what became of it is not refused as a read inside a block."
    with Store(options, conninfo=proxy.conninfo, max_size=1) as store:
        store.update_state(F, S, {'n': 0})
        at_commit(lambda relay: relay.drop_answer())(proxy)
        with store.edit_state(F, S) as state: state['n'] = 1
        assert store.get_state(F, S) == {'n': 1}

def test_commit_unknown_error_can_be_pickled(options, proxy):
    with Store(options, conninfo=proxy.conninfo, timeout=.5) as store:
        store.update_state(F, S, {'n': 0})
        at_commit(lambda relay: relay.cut(), down=True)(proxy)
        with pytest.raises(state_store.CommitUnknownError) as error: store.update_state(F, S, {'n': 1})
        copied = pickle.loads(pickle.dumps(error.value))
        assert type(copied) is type(error.value) and str(copied) == str(error.value)
        assert isinstance(copied, store.OperationalError) and isinstance(copied, state_store.CommitUnknownError)

def test_a_broken_connection_logs_nothing(options, proxy, caplog):
    "The error says it; psycopg's logger would say it again, on stderr."
    def edit():
        with store.edit_state(F, S) as state:
            state['n'] = 1
            proxy.cut()
            store.get_state(F, S)
    with caplog.at_level(logging.WARNING), Store(options, conninfo=proxy.conninfo) as store:
        store.update_state(F, S, {'n': 0})
        with refused(store, options): edit()
        proxy.at('COMMIT', lambda relay: relay.cut())
        with refused(store, options): store.update_state(F, S, {'n': 1})
        with pytest.raises(ZeroDivisionError), store.edit_session(F, S) as session:
            proxy.cut()
            1 / 0
        with pytest.raises(store.OperationalError), store.edit_session(F, S) as session:
            proxy.cut()
            session.state
        proxy.cut()
        store.get_session(F, S)
    assert not caplog.records

# -- the version table, dumps

FAULTS = {  # what happened to the tables: SQL, what the error says, and what the remedy is
    'empty': ('TRUNCATE workflow_schema', r'0: restore .*pg_restore --clean --if-exists.*INSERT INTO',
              'INSERT INTO workflow_schema VALUES ({version})'),
    'all truncated': ('TRUNCATE workflow_session, workflow_value, workflow_undo, workflow_metadata, workflow_schema',
                      'pg_restore --clean --if-exists.*INSERT INTO', 'INSERT INTO workflow_schema VALUES ({version})'),
    'doubled': ('DROP INDEX workflow_schema_one_row; INSERT INTO workflow_schema SELECT version FROM workflow_schema',
                '2: restore .*pg_restore --clean --if-exists.*delete all rows but one',
                'DELETE FROM workflow_schema a USING workflow_schema b WHERE a.ctid > b.ctid'),
    'foreign': ('DROP TABLE workflow_schema; CREATE TABLE workflow_schema (name text, version bigint)',
                "another application's table: choose another schema=", None),
    'missing': ('DROP TABLE workflow_schema', 'but not workflow_schema.*choose another schema=.*pg_restore', None),
    'a table is missing': ('DROP TABLE workflow_undo', 'no table workflow_undo.*pg_restore', None)}

@pytest.mark.parametrize('fault', FAULTS)
def test_damaged_version_table_is_named_with_its_remedy(options, fault, figures):
    sql, says, remedy = FAULTS[fault]
    with Store(options) as store: store.update_state(F, S, {'n': 1})
    for statement in sql.split('; '): ask(options, statement)
    with pytest.raises(store.DatabaseError, match=f'(?s){says}') as error: Store(options)
    assert f'/postgres, schema {options["schema"]}' in str(error.value)
    if remedy:
        ask(options, remedy.format(version=internals.SCHEMA_VERSION))
        with Store(options) as store: assert store.get_state(F, S) == ({} if fault == 'all truncated' else {'n': 1})
    figures |= {'starts_that_say_what_to_do': 1}

def test_the_version_table_holds_one_row(options):
    import psycopg
    with Store(options): pass
    for version in (internals.SCHEMA_VERSION, 99):
        sql = f'INSERT INTO workflow_schema VALUES ({version})'
        with pytest.raises(psycopg.errors.UniqueViolation): ask(options, sql)

def programs(server, name, *args):
    command = [server.bin/name, *args]
    return subprocess.run(command, cwd=server.folder, capture_output=True, text=True, **unprivileged())

def test_dump_and_restore_as_the_page_says(options, own_server, figures):
    "The commands of the page, which are those that `store.backup` and `store.restore` name."
    page = (Path(__file__).parents[2]/'nbs/tutorials/postgres.ipynb').read_text()
    file = own_server.folder/f'{options["schema"]}.dump'
    commands = []
    for line in re.findall(r'"(pg_(?:dump|restore) --.*)\\n"', page):
        for old, new in {'reviews.dump': str(file), 'reviews': options['schema']}.items(): line = line.replace(old, new)
        name, *args = line.split()
        commands.append([name, *[re.sub('postgresql://.*', own_server.url, arg) for arg in args]])
    dump, restore = commands
    with Store(options) as store:
        store.update_state(F, S, {'n': 1}, undo_label='one')
        for call, command in ((store.backup, dump), (store.restore, restore)):
            with pytest.raises(NotImplementedError) as error: call('dump')
            words = [word for word in command if word in ('--clean', '--if-exists', '--single-transaction', command[0])]
            assert all(word in str(error.value) for word in [*words, f'--schema={options["schema"]}'])
        made = programs(own_server, *dump)
        assert made.returncode == 0, made.stderr
        store.update_state(F, S, {'n': 2})
        store.create_session(F, 'later')
    done = programs(own_server, *restore)
    assert done.returncode == 0, done.stderr
    with Store(options) as store:
        assert store.get_state(F, S) == {'n': 1} and store.count_sessions(F) == 1 and store.check() == []
        ask(options, 'UPDATE workflow_session SET revision = revision + 1000000')
        store.undo(F, S)
        assert store.get_session_summary(F, S).revision == 1000002 and store.check() == []
    careless = programs(own_server, 'pg_restore', '--data-only', '--dbname', own_server.url, file)
    assert careless.returncode, 'the rows are there twice'
    with Store(options) as store: assert store.count_sessions(F) == 1
    figures |= {'restores': 1, 'careless_restores_refused': 1, 'starts_after_them': 2}

# -- rights and names

RIGHTS = {  # what is missing, and what the hint says
    'SELECT': 'grant SELECT on workflow_value', 'INSERT': 'grant INSERT on workflow_value',
    'UPDATE': 'grant UPDATE on workflow_value', 'DELETE': 'grant DELETE on workflow_value'}

@pytest.mark.parametrize('right', RIGHTS)
def test_a_hint_names_the_missing_right(options, plain_user, right):
    user, theirs = plain_user
    with Store(theirs) as store:
        ask(options, f'REVOKE {right} ON TABLE workflow_value FROM {user}')
        with pytest.raises(store.DatabaseError, match=f'{RIGHTS[right]} to {user}') as error:
            for n in range(2):
                store.update_state(F, S, {'n': n})
                store.update_state(F, S, {}, remove=['n'])
        assert options['schema'] in str(error.value)

def test_a_hint_names_the_missing_right_at_the_start(options, plain_user):
    user, theirs = plain_user
    ask(options, f'REVOKE USAGE ON SCHEMA {options["schema"]} FROM {user}')
    with Store(options) as store: pass
    with pytest.raises(store.DatabaseError, match=f'grant USAGE on the schema to {user}'): Store(theirs)
    with pytest.raises(store.DatabaseError, match=f'grant CREATE on the database to {user}, or create the schema'):
        Store(theirs, schema='missing')
    ask(options, f'CREATE SCHEMA {user}')
    with pytest.raises(store.DatabaseError, match=f'grant USAGE and CREATE on the schema to {user}'):
        Store(theirs, schema=user)

def test_service_and_hostaddr_are_named_right(options, own_server, tmp_path, monkeypatch):
    services = tmp_path/'services'
    services.write_text(f'[reviews]\nhost={own_server.folder}\nport={own_server.port}\nuser=postgres\ndbname=postgres\n'
                        '[gone]\nhost=127.0.0.1\nport=1\nuser=postgres\ndbname=wf\n')
    monkeypatch.setenv('PGSERVICEFILE', str(services))
    with Store(options, conninfo='service=reviews') as store:
        store.update_state(F, S, {'n': 1})
        assert f'{own_server.folder}:{own_server.port}/postgres, schema {options["schema"]}' in repr(store)
    with pytest.raises(store.OperationalError, match=f'service gone, schema {options["schema"]}'):
        Store(options, conninfo='service=gone', timeout=1)
    port = own_server.port
    with Store(options, conninfo=f'hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres') as store:
        assert f'127.0.0.1:{port}/postgres' in repr(store)
    both = f'host=db.example.com hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres'
    with Store(options, conninfo=both) as store:
        assert f'db.example.com (127.0.0.1):{port}/postgres' in repr(store)

# -- prune, copy

def test_prune_leaves_what_another_writer_holds(options):
    with Store(options) as store, Store(options, timeout=10_000) as pruner:
        for session in (S, 'a', 'b'): store.update_state(F, session, {'n': 0})
        store.update_state('g', 'c', {'n': 0})
        with hung_block(store):
            assert pruner.prune_sessions(F, timedelta(0)) == 2
            assert pruner.prune_sessions(None, timedelta(0)) == 1
        assert store.get_state(F, S) == {'n': 0, 'hung': 1} and store.list_flows() == [F]
        assert pruner.prune_sessions(None, timedelta(0)) == 1

def test_copy_store_names_the_session_of_a_nul(options, tmp_path):
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as file, Store(options) as server:
        bad = {'label': lambda: file.set_session_label(F, S, 'a\0'),
               'current_step': lambda: file.set_current_step(F, S, 'a\0'),
               'undo_label': lambda: file.update_state(F, S, {'n': 1}, undo_label='a\0'),
               'undo_group': lambda: file.update_state(F, S, {'n': 1}, undo_label='a', undo_group='a\0'),
               'step': lambda: file.update_step_state(F, S, 'a\0', {'n': 1})}
        for name, write in bad.items():
            file.create_session(F, S)
            write()
            with pytest.raises(ValueError, match=f"flow 'f', session 's'.*{name}.*NUL"): copy_store(file, server)
            file.delete_session(F, S)
        file.create_session(F, 'a\0')
        with pytest.raises(ValueError, match=r"session 'a\\x00'.*session_id.*NUL"): copy_store(file, server)
        assert server.list_flows() == []

def test_copy_store_onto_itself_is_refused(options, own_server, tmp_path):
    url = {**options, 'conninfo': own_server.url}
    with Store(options) as one, Store(url) as same, Store(options, schema=f'{options["schema"]}_2') as other:
        one.create_session(F, S)
        for target in (one, same):
            with pytest.raises(ValueError, match='the same store'): copy_store(one, target)
        assert copy_store(one, other) == (1, 0)
    with SQLiteWorkflowStateStore(tmp_path/'wf.db') as one, SQLiteWorkflowStateStore(':memory:') as memory:
        (tmp_path/'link.db').symlink_to(tmp_path/'wf.db')
        with SQLiteWorkflowStateStore(tmp_path/'link.db') as same:
            for source, target in ((one, one), (one, same), (memory, memory)):
                with pytest.raises(ValueError, match='the same store'): copy_store(source, target)
        assert copy_store(one, memory) == (0, 0)
