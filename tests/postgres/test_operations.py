"What an operator meets: limits, restarts, bursts, half-open networks, rights, and dumps that were restored badly."
import contextlib
import logging
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
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
    WRITES, Child, F, S, Store, address, ask, at_commit, bouncer, clients, content, hush, needs_signals, options,
    own_server, proxy, refused, swallow, until)

def named(options, name): return {**options, 'conninfo': f'{options["conninfo"]} application_name={name}'}

def backends(options, name):
    "What each backend of the store waits for."
    sql = 'SELECT pid, wait_event_type FROM pg_stat_activity WHERE application_name = %s ORDER BY pid'
    return ask(options, sql, name)

@contextlib.contextmanager
def in_background(*calls):
    "Each call in a thread of its own, outside of edit blocks of this one."
    with ThreadPoolExecutor(len(calls)) as pool: yield [pool.submit(call) for call in calls]

@contextlib.contextmanager
def hung_block(store, method='edit_state', *args):
    "An edit block in another thread that does nothing until the end of this one; yields what its call returns."
    begun, end = threading.Event(), threading.Event()
    def hold():
        with getattr(store, method)(F, S, *args) as state:
            (state.state if method == 'edit_session' else state)['hung'] = 1
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

def test_wait_for_a_session_that_is_being_created_is_bounded_in_total(options):
    "One that waits for the row to appear and then for its lock has one timeout for both."
    with Store(options) as one, Store(options) as two, Store(options, timeout=1.5) as hasty:
        created, locked = threading.Event(), threading.Event()
        def create():
            with one.edit_state(F, 'new') as state:
                state['n'] = 1
                created.set()
                time.sleep(1)
        def lock():
            with two.edit_state(F, 'new'):
                locked.set()
                time.sleep(2)
        with in_background(create) as _:
            assert created.wait(20)
            with in_background(lock, lambda: hasty.update_state(F, 'new', {'n': 2})) as [second, call]:
                begin = time.monotonic()
                try: call.result(60)
                except hasty.OperationalError as error:
                    assert 'timeout=1.5' in str(error) and 'no answer' not in str(error)
                print(time.monotonic() - begin)
                second.result(60)

@pytest.mark.parametrize('write', [*(set(WRITES) - {'new'}), 'creates'])
def test_waiters_leave_the_other_connections_free(options, write):
    "Of twenty threads that wait for one session, one uses a connection."
    with Store(options) as holder, Store(named(options, 'crowd'), timeout=60) as store:
        session = 'being created' if write == 'creates' else S
        if write != 'creates':
            holder.update_state(F, S, {'n': 0}, undo_label='first')
        def call():
            with contextlib.suppress(store.IntegrityError):  # a copy that another one made
                if write == 'creates': store.update_state(F, session, {'n': 1})
                else: WRITES[write](store)
        with holder.edit_state(F, session) as state:
            state['held'] = 1
            with ThreadPoolExecutor(20) as pool:
                waiting = [pool.submit(call) for _ in range(20)]
                until(lambda: internals.pending_writes(store) == 20)
                until(lambda: [wait for _, wait in backends(options, 'crowd') if wait == 'Lock'])
                with ThreadPoolExecutor(1) as other:
                    other.submit(store.update_state, F, 'other', {'n': 1}).result(20)
                    assert other.submit(store.get_state, F, 'other').result(20) == {'n': 1}
                assert not any(one.done() for one in waiting)
                assert len(backends(options, 'crowd')) <= 2
                raised = state.pop('held')
                assert raised
                holder_done = threading.Event()
                def finish():
                    for one in waiting: one.result(60)
                    holder_done.set()
                threading.Thread(target=finish).start()
                release = getattr(holder, 'close', None)
                assert release
                break_out(holder)
        assert holder_done.wait(60)

def break_out(holder): pass
