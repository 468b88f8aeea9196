"What the child processes do.  usage: actors.py FUNCTION JSON-LIST-OF-ARGUMENTS"
import json
import os
import random
import signal
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

def say(*words): os.write(1, (' '.join(map(str, words)) + '\n').encode())  # one write, so that a line is whole or not there

def orders():
    "A line for each order of the parent, after saying that one is ready for it."
    say('ready')
    for line in sys.stdin: yield line.rstrip('\n')

def wait_for_go(): next(orders())

def in_threads(count, work):
    "`work(i)` in so many threads that start at once; the first error is raised."
    barrier = threading.Barrier(count)
    def start(i):
        barrier.wait()
        return work(i)
    with ThreadPoolExecutor(count) as pool: return list(pool.map(start, range(count)))

def fds(): return len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0

def resident():
    "KB of memory in use."
    if not os.path.exists('/proc/self/status'): return 0
    with open('/proc/self/status') as file: return next(int(line.split()[1]) for line in file if line.startswith('VmRSS'))

# -- load

def load(path, me, threads, rounds):
    before = fds()
    store = Store(path)
    biggest = 0

    def one_round(name, i):
        nonlocal biggest
        own = f'own {name}'
        store.update_state('load', 'shared', {f'{name}-{i}': i})
        with store.edit_step_state('load', 'shared', 'count') as state: state['n'] = state.get('n', 0) + 1
        store.update_step_state('load', 'shared', name, {'n': i, 'twin': i}, undo_label=f'{i}')
        assert store.get_step_state('load', 'shared', name) == {'n': i, 'twin': i}
        other = store.get_step_state('load', 'shared', f'{random.randrange(8)}-{random.randrange(threads)}')
        assert other.get('n') == other.get('twin'), other
        assert store.get_state('load', 'shared', keys=[f'{name}-{i}']) == {f'{name}-{i}': i}
        store.set_current_step('load', own, f'step {i}')
        assert store.get_current_step('load', own) == f'step {i}'
        assert {'shared', own} <= {s.session_id for s in store.list_sessions('load')}
        assert store.get_session_summary('load', own).revision >= 1
        if i % 2: store.delete_session('load', own)
        assert store.session_exists('load', own) == (i % 2 == 0)
        biggest = max(biggest, os.path.getsize(path + '-wal'))

    in_threads(threads, lambda t: one_round(f'{me}-{t}', 0))
    warm = resident()
    in_threads(threads, lambda t: [one_round(f'{me}-{t}', i) for i in range(1, rounds)])
    opened, grown = fds() - before, resident() - warm
    store.close()
    say(json.dumps({'calls': threads * (11 * rounds + rounds // 2), 'fds_open': opened, 'fds_left': fds() - before, 'memory_grown_kb': grown, 'wal_bytes': biggest}))

def merge(path, me, threads, keys):
    store = Store(path)
    for session in orders():
        in_threads(threads, lambda t: [store.update_state('merge', session, {f'{me}-{t}-{k}': [me, t, k]}) for k in range(keys)])
        say('done')
    store.close()

def open_and_write(me):
    for path in orders():
        with Store(path) as store:
            store.update_state('new', 'shared', {me: 'x' * 100})
            assert store.get_state('new', 'shared', keys=[me]) == {me: 'x' * 100}
        say('done')

def thread_pools(path, rounds):
    store = Store(path, synchronous='NORMAL')
    def call(i):
        store.update_state('pool', 'shared', {f'{i % 50}': i})
        return store.get_state('pool', 'shared', keys=[f'{i % 50}'])
    for i in range(rounds):
        with ThreadPoolExecutor(4) as pool: list(pool.map(call, range(4 * i, 4 * i + 4)))
        if i == rounds // 5: warm = fds(), resident()
    say(json.dumps({'pools': rounds, 'fds_grown': fds() - warm[0], 'memory_grown_kb': resident() - warm[1],
                    'threads_left': threading.active_count() - 1, 'changes': store.get_session_summary('pool', 'shared').revision}))

# -- to be killed

def write_on(path, me, threads):
    "Merges, steps and undoable changes of a value and its twin, each said once it has returned."
    store = Store(path)
    def work(t):
        name = f'{me}-{t}'
        i = store.get_step_state('kill', 'shared', name).get('n', 0)
        if not t: say('ready')
        while True:
            i += 1
            store.update_step_state('kill', 'shared', name, {'n': i, 'text': 'x' * (i % 7 * 1000), 'twin': i}, undo_label=f'{i}')
            store.set_current_step('kill', name, f'{i}')
            say(name, i)
    in_threads(threads, work)

def migrate_on(paths):
    say('ready')
    for i, path in enumerate(paths):
        with Store(path): pass
        say(i)

def back_up_on(path, dest):
    store = Store(path)
    n = store.get_state('backup', '0').get('n', 0)
    say('ready')
    while True:
        n += 1
        for session in '012': store.update_state('backup', session, {'n': n, 'text': f'{n}' * 5000, 'twin': n})
        store.backup(dest)
        say(n)

def prune_on(path, flows):
    store = Store(path)
    say('ready')
    for i in range(flows):
        assert store.prune_sessions(f'flow {i}', timedelta(days=30)) == 12
        say(i)

def click_on(path):
    "The clicks of `clicks.do`, one after the other, from where the file is."
    from clicks import do
    store = Store(path, max_undo_depth=100_000)
    say('ready')
    i = 0
    while True:
        do(store, i)
        say(i)
        i += 1

def two_tabs(path, step, clicks):
    "Undoable edits of one step: one adds a field and counts, and each third is undone and redone."
    store = Store(path, max_undo_depth=100_000)
    wait_for_go()
    for i in range(clicks):
        with store.edit_step_state('tabs', 'shared', step, undo_label=f'{step} {i}') as state:
            state['n'] = state.get('n', 0) + 1
            state[f'field {i}'] = i
        if i % 3 == 0:
            assert [e.label for e in store.undo('tabs', 'shared', step)] == [f'{step} {i}']
            assert [e.label for e in store.redo('tabs', 'shared', step)] == [f'{step} {i}']
    say('done')

def increment(path, step, clicks):
    store = Store(path, max_undo_depth=100_000)
    wait_for_go()
    for i in range(clicks):
        with store.edit_step_state('tabs', 'shared', step, undo_label='add 1') as state: state['n'] = state.get('n', 0) + 1
    say('done')

if __name__ == '__main__':
    if hasattr(signal, 'alarm'): signal.alarm(300)  # a child that hangs must not hang the tests
    globals()[sys.argv[1]](*json.loads(sys.argv[2]))
