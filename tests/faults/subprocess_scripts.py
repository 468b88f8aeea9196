"The functions that child processes run.  usage: subprocess_scripts.py FUNCTION JSON-LIST-OF-ARGUMENTS"
import hashlib  # imported early: an interrupt during a first import makes Python print an error
import json
import os
import random
import signal
import sqlite3
import struct
import sys
import threading
import time
import urllib.parse  # imported early: Python 3.13 needs it to open a file, when `read_only` can no longer load it
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # the folder of internals.py
import internals  # noqa: E402

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store  # noqa: E402

def say(*words): os.write(1, (' '.join(map(str, words)) + '\n').encode())  # one write, so that a line is complete or missing

def orders():
    "Say ready; then yield each line that the parent sends."
    say('ready')
    for line in sys.stdin: yield line.rstrip('\n')

def wait_for_go(): next(orders())

def in_child(work):
    "Run `work()` in a forked child, which ends there; an error in it fails the parent too."
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally: os._exit(status)
    assert os.waitpid(child, 0)[1] == 0

def in_threads(count, work):
    "Run `work(i)` in `count` threads that start at once; raises the first error."
    barrier = threading.Barrier(count)
    def start(i):
        barrier.wait()
        return work(i)
    with ThreadPoolExecutor(count) as pool: return list(pool.map(start, range(count)))

def fds(): return len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0

def resident(which='VmRSS'):
    "Memory in use, in KB; with `VmHWM`, its maximum."
    if not os.path.exists('/proc/self/status'): return 0
    with open('/proc/self/status') as file: return next(int(line.split()[1]) for line in file if line.startswith(which))

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
    say(json.dumps({'calls': threads * (11 * rounds + rounds // 2), 'fds_open': opened, 'fds_left': fds() - before,
                    'memory_grown_kb': grown, 'wal_bytes': biggest}))

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

# -- processes that tests kill

def write_on(path, me, threads):
    "Merge, change steps and make undoable changes of a value and its twin; report each call once it has returned."
    store = Store(path)
    say('ready')
    def work(t):
        name = f'{me}-{t}'
        i = store.get_step_state('kill', 'shared', name).get('n', 0)
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
    "Run the calls of `clicks.do`, beginning where the file ends."
    from clicks import do
    store = Store(path, max_undo_depth=100_000)
    say('ready')
    i = 0
    while True:
        do(store, i)
        say(i)
        i += 1

def click_under_interrupts(path, rounds):
    "Run the same calls with Ctrl-C at random times inside them: each call is done or not done, and the store still works."
    from clicks import Model, do
    store, inside, done, undone = Store(path, max_undo_depth=100_000), False, 0, 0
    def interrupt(*_):
        if inside: raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, interrupt)
    model, i = Model(0), 0
    while done + undone < rounds:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, .002))
        try:
            inside = True
            do(store, i)
            inside = False
        except KeyboardInterrupt:
            inside = False
            before, after = model.same(store), model.after(i).same(store)
            assert before or after, 'half a click'
            if before: undone += 1
            else: done, model = done + 1, model.after(i)
        else: model = model.after(i)
        i += 1
        with Store(path, timeout=0) as other: other.update_state('clicks', 'other', {'n': i})  # no lock is left
    in_threads(4, lambda t: store.set_current_step('clicks', 'other', f'{t}'))
    say(json.dumps({'interrupts': rounds, 'calls': i, 'interrupted_before': undone, 'interrupted_after': done, 'half': 0}))

def two_tabs(path, step, clicks):
    "Edit one step with undo: each edit adds a field and counts, and every third edit is undone and redone."
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

# -- disks that are full or read-only

REFUSALS = OSError, sqlite3.OperationalError

def refused(path, call):
    "Whether `call()` raised an error that names the path."
    try: call()
    except REFUSALS as error:
        assert path in str(error), f'{error!r} does not name {path}'
        return True
    return False

def fill(folder, leave):
    "Fill the file system except for `leave` bytes; returns the file that fills it."
    ballast = os.path.join(folder, 'ballast')
    with open(ballast, 'wb', buffering=0) as file:
        try:
            while file.write(bytes(4096)): pass
        except OSError: pass
        file.truncate(max(0, file.tell() - leave))
    return ballast

def sound(path):
    con = sqlite3.connect(path)
    assert con.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
    con.close()

def full_disk(folder, rounds):
    path, closed, refusals, half = os.path.join(folder, 'wf.db'), os.path.join(folder, 'closed.db'), 0, 0
    with Store(closed) as other: other.update_state('disk', 's', {'n': 1})
    store = Store(path)
    store.update_state('disk', 's', {'n': 0, 'text': '', 'twin': 0})
    for r in range(rounds):
        before, revision = store.get_state('disk', 's'), store.get_session_summary('disk', 's').revision
        ballast = fill(folder, r % 30 * 4096)
        after = {'n': r + 1, 'text': f'{r}' * 40_000, 'twin': r + 1}
        no = refused(path, lambda: store.update_state('disk', 's', after, undo_label=f'{r}'))
        refusals += no
        for reader in (store, Store(path)) if r % 2 else (store,):  # a new store can open and read on a full disk, while another is open
            half += reader.get_state('disk', 's') != (before if no else after)
            assert reader.get_session_summary('disk', 's').revision == revision + (not no)
            if reader is not store: reader.close()
        if r % 30 == 0:  # no byte is left: no file can be created, and opening a closed one raises an error with the reason
            for name in ('new.db', 'closed.db'): assert refused(os.path.join(folder, name), lambda: Store(os.path.join(folder, name)))
        os.remove(ballast)
        store.update_state('disk', 's', {'n': r + 1, 'text': '', 'twin': r + 1})  # there is space again
        assert store.get_state('disk', 's') == {'n': r + 1, 'text': '', 'twin': r + 1}
        with Store(closed) as other: assert other.get_state('disk', 's') == {'n': 1}
    store.close()
    sound(path)
    say(json.dumps({'rounds': rounds, 'refused': refusals, 'half': half}))

def full_disk_migration(folder, old, rounds):
    import shutil
    from processes import is_old
    path, refusals = os.path.join(folder, 'wf.db'), 0
    with open(old, 'rb') as file: content = file.read()
    for r in range(rounds):
        shutil.copy(old, path)
        ballast = fill(folder, r * 300_000 // rounds // 4096 * 4096)
        no = refused(path, lambda: Store(path).close())
        refusals += no
        if no:
            assert is_old(path)
            with open(path, 'rb') as file: assert file.read() == content
        os.remove(ballast)
        with Store(path) as store: assert sum(map(store.count_sessions, store.list_flows())) == 40
        sound(path)
        for name in os.listdir(folder): os.remove(os.path.join(folder, name))
    say(json.dumps({'rounds': rounds, 'refused': refusals}))

def full_disk_backup(folder):
    path, dest = os.path.join(folder, 'wf.db'), os.path.join(folder, 'copy.db')
    with Store(path) as store:
        store.update_state('disk', 's', {'text': 'a' * 100_000})
        store.backup(dest)
        store.update_state('disk', 's', {'text': 'b' * 100_000})
        cases = range(0, 120_000, 16_384)
        for leave in cases:
            ballast = fill(folder, leave)
            assert refused(dest, lambda: store.backup(dest)), leave  # there is space for the store, but not for the copy
            assert sorted(os.listdir(folder)) == ['ballast', 'copy.db', 'wf.db', 'wf.db-lock', 'wf.db-shm', 'wf.db-wal']
            assert leave or refused(dest, lambda: Store(dest, timeout=1e6))  # it raises at once, because waiting frees no space
            con = sqlite3.connect(dest)
            assert con.execute('SELECT json_extract(state_json, "$.text") FROM workflow_state').fetchall() == [('a' * 100_000,)]
            con.close()
            assert store.get_state('disk', 's') == {'text': 'b' * 100_000}
            os.remove(ballast)
        store.backup(dest)
        with Store(dest) as copy: assert copy.get_state('disk', 's') == {'text': 'b' * 100_000}
    say(json.dumps({'refused': len(cases), 'half_copies_under_the_name': 0}))

def read_only(folder):
    "Files and folders without write permission, for a user who is not root; each case in a new folder."
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        os.setegid(65534)
        os.seteuid(65534)
    cases = 0
    def case(folder_mode, file_mode, opened, readable):
        nonlocal cases
        cases += 1
        here = os.path.join(folder, f'{cases}')
        path, copy = os.path.join(here, 'wf.db'), os.path.join(here, 'copy.db')
        with Store(path) as store: store.update_state('f', 's', {'n': 1})
        store = Store(path) if opened else None
        os.chmod(path, file_mode)
        os.chmod(here, folder_mode)
        if store is None:
            assert refused(path, lambda: Store(path).close()) != readable
            store = Store(path) if readable else None
        if store:
            assert store.get_state('f', 's') == {'n': 1}
            if not opened: assert refused(path, lambda: store.update_state('f', 's', {'n': 2}))
            if folder_mode == 0o500: assert refused(copy, lambda: store.backup(copy))
            store.close()
        os.chmod(here, 0o700)
        for name in os.listdir(here): os.chmod(os.path.join(here, name), 0o600)  # the reader has left a log with the same mode
        with Store(path) as store:  # everything works again
            assert store.get_state('f', 's') == {'n': 1}
            store.update_state('f', 's', {'n': 3})
        sound(path)
        assert os.stat(path).st_mode & 0o777 == 0o600
    case(0o700, 0o400, False, True)   # a read-only file
    case(0o700, 0o000, False, False)  # a file of another user
    case(0o500, 0o600, False, False)  # a folder in which SQLite can't create its log
    case(0o500, 0o400, False, False)
    case(0o500, 0o600, True, True)    # the same while the store is open: it keeps working
    here = os.path.join(folder, 'empty')
    os.mkdir(here, 0o500)
    for path in (os.path.join(here, 'new.db'), os.path.join(here, 'sub', 'new.db'), here):
        assert refused(here, lambda: Store(path))
        cases += 1
    assert os.listdir(here) == []
    say(json.dumps({'cases': cases}))

def read_only_disk(folder):
    path = os.path.join(folder, 'wf.db')
    with open(path, 'rb') as file: content = file.read()
    assert refused(path, lambda: Store(path))
    for name in ('new.db', 'sub/new.db'): assert refused(folder, lambda: Store(os.path.join(folder, name)))
    with open(path, 'rb') as file: assert file.read() == content
    assert os.listdir(folder) == ['wf.db']
    say(json.dumps({'cases': 3}))

# -- fork, spawn, pickle, shutdown, Ctrl-C

def fork_while_writing(path, rounds):
    "Fork children while threads read and write: parent and children keep working, and no write is lost."
    warnings.simplefilter('ignore', DeprecationWarning)  # Python warns of forks in a process with threads
    before = fds()
    store, stop, counts = Store(path), threading.Event(), [0, 0, 0, 0]
    def work(t):
        while not stop.is_set():
            counts[t] += 1
            store.update_state('fork', 'parent', {f'{t}': counts[t]})
            assert store.get_state('fork', 'parent')[f'{t}'] == counts[t]
    def copy():
        while not stop.is_set():
            store.backup(path + '.copy')
            counts[3] += 1
    threads = [threading.Thread(target=work, args=(t,)) for t in range(3)] + [threading.Thread(target=copy)]
    for thread in threads: thread.start()
    for r in range(rounds):
        def write():
            for i in range(5): store.update_state('fork', 'children', {f'{r}-{i}': i})
            assert store.get_state('fork', 'children', keys=[f'{r}-4']) == {f'{r}-4': 4}
            store.close()
        in_child(write)
    stop.set()
    for thread in threads: thread.join()
    store.update_state('fork', 'parent', {'last': True})
    assert store.get_state('fork', 'parent') == {'0': counts[0], '1': counts[1], '2': counts[2], 'last': True}
    assert store.get_state('fork', 'children') == {f'{r}-{i}': i for r in range(rounds) for i in range(5)}
    store.close()
    say(json.dumps({'forks': rounds, 'writes_of_parent': sum(counts[:3]), 'backups_of_parent': counts[3], 'writes_of_children': 5 * rounds,
                    'lost': 0, 'fds_left': fds() - before}))

def fork_inside_edit(path):
    "The store refuses every call of the child for this file, because it would release the parent's lock."
    store = Store(path)
    with store.edit_step_state('fork', 's', 'review') as state:
        state['n'] = 1
        def go_on():
            for use in (lambda: store.get_state('fork', 's'), lambda: store.update_state('fork', 's', {'child': 1}), lambda: Store(path)):
                try: use()
                except sqlite3.ProgrammingError as error: assert path in str(error)
                else: raise AssertionError('the child went on with what its parent is using')
        in_child(go_on)
        state['n'] += 1
    assert store.get_state('fork', 's') == {'_step_review': {'n': 2}}
    say('done')

def write_with(store, key):
    store.update_state('pickle', 's', {key: 1})
    return store.get_state('pickle', 's', keys=[key]) == {key: 1}

def pickled(path, method):
    import multiprocessing
    store = Store(path, timeout=7, synchronous='NORMAL', max_undo_depth=3)
    store.update_state('pickle', 's', {'parent': 1})
    with multiprocessing.get_context(method).Pool(4) as pool:
        assert pool.starmap(write_with, [(store, f'{i}') for i in range(40)]) == [True] * 40
        pool.close()
        pool.join()
    assert write_with(store, 'after') and store.get_state('pickle', 's') == {'parent': 1, 'after': 1, **{f'{i}': 1 for i in range(40)}}
    say('done')

def keep_edit_open(store, flow, session):
    "Write half of an edit in a generator that is still waiting when the interpreter ends."
    def edit():
        with store.edit_state(flow, session) as state:
            state['half'] = 1
            yield
    sys.kept = edit()
    next(sys.kept)

def end_with_open_store(path, how):
    "End in one of several ways without closing the store."
    import atexit
    store = Store(path)
    def write(key): store.update_state('end', how, {key: 1})
    if how == 'in atexit': atexit.register(write, 'at exit')
    if how == 'in a circle':
        circle = {'store': Store(path)}
        circle['self'] = circle
    if how == 'with readers': in_threads(4, lambda t: store.get_state('end', how))
    if how == 'a generator in an edit block': keep_edit_open(store, 'end', how)
    else: write('done')
    if how == 'daemon threads':
        def go_on():
            while True: write('daemon')
        for _ in range(4): threading.Thread(target=go_on, daemon=True).start()
    say('done')
    if how == 'sys.exit': sys.exit(3)
    if how == 'an error': raise SystemError('on purpose')
    if how == 'os._exit': os._exit(3)

def interrupted_edits(path, rounds):
    "Interrupt the edit block with Ctrl-C."
    store = Store(path)
    store.update_step_state('c', 's', 'review', {'n': 0})
    for r in range(rounds):
        revision = store.get_session_summary('c', 's').revision
        try:
            with store.edit_step_state('c', 's', 'review', undo_label='add') as state:
                state['n'] += 1
                signal.raise_signal(signal.SIGINT)
                state['n'] += 1
        except KeyboardInterrupt: pass
        else: raise AssertionError('the block hid it')
        assert store.get_step_state('c', 's', 'review') == {'n': r} and store.get_session_summary('c', 's').revision == revision
        assert not store.get_undo_history('c', 's', 'review').undo
        with Store(path, timeout=0) as other: other.update_step_state('c', 's', 'review', {'n': r + 1})  # no lock is left
        in_threads(1, lambda t: store.set_current_step('c', 's', f'{r}'))
    say(json.dumps({'interrupts': rounds, 'written': 0}))

def wait_for_lock(path):
    store = Store(path)
    for i, _ in enumerate(orders()):
        try:
            say('waiting')
            store.update_state('c', 's', {'interrupted': i})
        except KeyboardInterrupt: say('interrupted')
        sys.stdin.readline()
        store.update_state('c', 's', {'n': i})
        say('done')

# -- durability

def write_and_say(path, synchronous, writes):
    "Run each kind of write, and report when it has returned."
    store = Store(path, synchronous=synchronous)
    def edit(i):
        with store.edit_state('d', 's') as state: state['edited'] = i
    here = 'd', 's'
    kinds = [lambda i: store.update_state(*here, {'n': i}), lambda i: store.update_step_state(*here, 'review', {'n': i}, undo_label=f'{i}'),
             lambda i: store.set_current_step(*here, f'{i}'), lambda i: store.undo(*here, 'review'), lambda i: store.redo(*here, 'review'),
             lambda i: store.set_session_label(*here, f'{i}'), lambda i: store.create_session('d', f'{i}'), edit,
             lambda i: store.reset_session(*here), lambda i: store.delete_session(*here)]
    say('written', 'open')
    for i in range(writes):
        kinds[i % len(kinds)](i)
        say('written', i)
    os._exit(0)  # skip the syncs of closing

# -- programs whose calls test_power.py records

def click_in_sessions_of(path, synchronous, clicks):
    "Run the calls of `clicks.do`, and reopen the store after every few of them."
    from clicks import do
    i = 0
    for number in clicks:
        with Store(path, synchronous=synchronous, max_undo_depth=100_000) as store:
            for _ in range(number):
                do(store, i)
                say(i)
                i += 1

def migrate_and_write(path):
    with Store(path, synchronous='NORMAL') as store:
        say('migrated')
        for i in range(3): store.update_state('after', 's', {f'{i}': i})

def copied(i): return {'n': i, 'text': f'{i}' * (i % 9 * 1000), 'twin': i}

def back_up_and_restore(path, dest, rounds):
    "Write, back up, write again and restore the backup; report the number of each round."
    with Store(path) as store:
        for i in range(0, 4 * rounds, 4):
            store.update_state('copy', 's', copied(i))
            say(i)
            store.backup(dest)
            say(i + 1)
            store.update_state('copy', 's', copied(i + 2))
            say(i + 2)
            store.restore(dest)
            say(i + 3)

# -- writers that take turns, and others in the process

def write_in_turn(path, me, seconds):
    "Writes without a pause; says how many, the longest wait in milliseconds, and how many writes of others came between two."
    store = Store(path, synchronous='NORMAL')
    wait_for_go()
    n, longest, between, before, start = 0, 0, 0, 0, time.monotonic()
    end = start + seconds
    while start < end:
        with store.edit_session('turns', 'shared') as one: one.state[me] = n + 1
        n, now = n + 1, time.monotonic()
        longest, start = max(longest, now - start), now
        between, before = max(between, one.revision - before - 1 if before else 0), one.revision
    store.close()
    say(json.dumps([n, round(longest * 1000), between]))

def hold_turn(path):
    "An edit block that ends when the parent says so."
    store = Store(path)
    with store.edit_state('turns', 'held') as state:
        state['n'] = 1
        wait_for_go()
    store.close()
    say('done')

def open_and_close(library, path):
    "What a second SQLite library does to the locks of this process; without one, by closing a file of the database."
    if library == 'none': pass
    elif library == 'shm': os.close(os.open(f'{path}-shm', os.O_RDWR))
    else:
        if library == 'apsw': con = __import__('apsw').Connection(path)
        else: con = __import__(library).connect(path)
        list(con.cursor().execute('SELECT count(*) FROM workflow_session'))
        con.close()

def write_beside_library(path, said, me, library, seconds):
    "Two threads write; a third opens and closes the file by another library. The file `said` has what was acknowledged."
    store, numbers = Store(path, synchronous='NORMAL', timeout=5), os.open(said, os.O_RDWR)
    wait_for_go()
    end, refused = time.monotonic() + seconds, []
    def work(t):
        n = 0
        while time.monotonic() < end and not refused:
            if t == 2:
                time.sleep(random.uniform(0, .005))
                try: open_and_close(library, path)
                except Exception: pass  # its own errors: the log is gone
                continue
            try: store.update_state('library', f'{me}{t}', {'n': n + 1})
            except sqlite3.DatabaseError as error:
                refused.append(f'{error}')
                break
            n += 1
            os.pwrite(numbers, struct.pack('=q', n), 8 * t)
    in_threads(3, work)
    say(json.dumps(refused[:1]))
    os._exit(0)

# -- restores

def restore_on(path, copies):
    store = Store(path, synchronous='NORMAL')
    say('ready')
    while True:
        for copy in copies:
            store.restore(copy)
            say(copy)

def save_from_tab(path, stop):
    """A tab that shows a session, and saves later with the revision that it has shown; a list beside it.

    A save that is accepted must find the state that was shown.
    """
    store = Store(path, synchronous='NORMAL')
    from cjm_workflow_state.state_store import StaleSessionError
    figures = dict.fromkeys(('saves', 'stale_refused', 'stale_accepted', 'lists', 'mixed'), 0)
    say('ready')
    while not os.path.exists(stop):
        labels = {one.label for one in store.list_sessions('restore')}
        figures['lists'] += 1
        figures['mixed'] += len(labels) != 1
        where = 'restore', f'{random.randrange(20)}'
        shown = store.get_session(*where)
        time.sleep(random.uniform(0, .003))
        try:
            with store.edit_session(*where, expected_revision=shown.revision) as one:
                figures['stale_accepted'] += one.state != shown.state
                one.state['n'] = one.state.get('n', 0) + 1
                one.state['saved over'] = shown.state['text'][:9]
                figures['saves'] += 1
        except StaleSessionError: figures['stale_refused'] += 1
    store.close()
    say(json.dumps(figures))

def full_disk_restore(folder, src):
    "The live file's disk is full: the error names the live file, not the backup; the content stays."
    path = os.path.join(folder, 'wf.db')
    with Store(path) as store:
        store.update_state('disk', 's', {'text': 'live'})
        cases = range(0, 200_000, 32_768)
        for leave in cases:
            ballast = fill(folder, leave)
            try: store.restore(src)
            except REFUSALS as error: assert path in str(error) and src not in str(error), error
            else: raise AssertionError(f'there was room for the backup in {leave} bytes')
            os.remove(ballast)
            assert store.get_state('disk', 's') == {'text': 'live'}
        store.restore(src)
        assert store.get_state('disk', 's')['text'] == 'src' * 400_000
    sound(path)
    say(json.dumps({'refused': len(cases), 'half': 0}))

# -- calls that fail

class Shim:
    "Controls shim.c, which this process has loaded: makes the n-th system call of a kind fail."
    KINDS = dict(write='w', sync='s', truncate='t', rename='n', read='r', unlink='u', open='o', mkdir='d')
    WAYS = ['once', 'from then on', 'half done']

    def __init__(self):
        import ctypes
        self.library = ctypes.CDLL(None)

    def fail(self, kind, n, error, way): self.library.shim_fail(ord(self.KINDS[kind]), n, error, self.WAYS.index(way))
    def failed(self): return self.library.shim_hits()

    def ways(self):
        from errno import EACCES, EIO, ENOSPC
        for kind in self.KINDS:
            for error in {'write': (EIO, ENOSPC), 'open': (EIO, EACCES)}.get(kind, (EIO,)):
                for way in self.WAYS[:3 if kind == 'write' else 2]: yield kind, error, way

def everything(path):
    "All sessions of a file with their undo, read by a new store."
    if not os.path.exists(path): return {}
    with Store(path, max_undo_depth=100_000) as store:
        assert store.check() == []
        ids = [(flow, one.session_id) for flow in store.list_flows() for one in store.list_sessions(flow)]
        def parts(one):
            labels = {scope: [e.label for e in (*found.undo, *found.redo)] for scope, found in internals.histories_of(one).items()}
            return one.state, internals.steps_of(one), labels
        return {where: parts(store.get_session(*where)) for where in ids}

class Scene:
    "A folder with a store and its backup, created again for each call."
    def __init__(self, folder, old):
        import shutil
        self.folder, self.path, self.copy = folder, os.path.join(folder, 'wf.db'), os.path.join(folder, 'copy.db')
        self.kept = {'none': {}, 'old': {self.path: old}}
        from clicks import do
        os.mkdir(folder)
        store = Store(self.path, max_undo_depth=100_000)
        for i in range(6): do(store, i)
        store.update_state('other', 's', {'n': 1, 'text': 'x' * 9000}, undo_label='other')
        store.backup(self.copy)
        do(store, 6)
        def keep(kind, *names):
            os.mkdir(f'{folder}.{kind}')
            self.kept[kind] = {name: shutil.copy(name, f'{folder}.{kind}') for name in names}
        keep('killed', self.path, self.copy, f'{self.path}-wal')  # with a log, and no process has it open
        store.close()
        keep('closed', self.path, self.copy)

    def make(self, kind):
        "Create the files as they are before the call; returns the store, if it is open then."
        import shutil
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)
        for name, content in self.kept.get(kind, self.kept['closed']).items(): shutil.copy(content, name)
        if kind in self.kept: return None
        store = Store(self.path, max_undo_depth=100_000)
        store.update_state('other', 's', {'n': 2})  # so that the log is not empty
        if kind == 'folding': internals.checkpoint_after_each_commit(store)
        return store

    def content(self): return everything(self.path), everything(self.copy)

    def edit(self, store):
        with store.edit_session('clicks', 'ana', undo_label='edit') as one:
            one.state['n'] = 1
            one.step('edit')['last'] = 'edit'

    def open(self, store):
        with Store(self.path, max_undo_depth=100_000) as store: store.update_state('new', 's', {'n': 1})

    def read(self, store):
        with Store(self.path, max_undo_depth=100_000) as store:
            store.get_session('other', 's')
            store.list_sessions('other')
            store.get_undo_history('clicks', 'ana', 'edit')
            store.check()

    def calls(self):
        from clicks import do
        within = os.path.join(self.folder, 'a', 'b', 'new.db')
        ana = 'clicks', 'ana'
        yield from ((kind, call) for call in (lambda store: do(store, 7), self.edit) for kind in ('open', 'folding'))
        yield 'open', lambda store: store.undo(*ana, 'edit')
        yield 'open', lambda store: store.delete_session('other', 's')
        yield 'open', lambda store: store.copy_session(*ana, to_session_id='copy')
        yield 'open', lambda store: store.create_session('new', 's')
        yield 'open', lambda store: store.backup(self.copy)
        yield 'open', lambda store: store.backup(within)
        yield 'open', lambda store: store.restore(self.copy)
        yield 'open', lambda store: store.close()
        yield 'closed', lambda store: Store(within).close()
        yield from ((kind, self.open) for kind in ('none', 'old', 'closed', 'killed'))
        yield from ((kind, self.read) for kind in ('old', 'closed', 'killed'))

    def after(self, store, names):
        "The content after a call; the store must still work."
        if store and not internals.is_closed(store):
            store.update_state('goes on', 's', {'n': 1})
            store.delete_session('goes on', 's')
            store.close()
        left = [name for name in os.listdir(self.folder) if '.part' in name]
        assert names or not left, left
        return self.content()

def injected(folder, old, every):
    """Make system calls of each call fail in each way: the call succeeds, or raises an error that names the path; earlier
    acknowledged writes are never lost."""
    shim, scene = Shim(), Scene(folder, old)
    figures = dict.fromkeys(('faults', 'refused', 'done_all_the_same', 'lost', 'half', 'undocumented'), 0)
    bad = []

    def play(kind, call, fault, allowed):
        store, problem = scene.make(kind), None
        shim.fail(*fault)
        try: call(store)
        except Exception as error: problem = error
        if not shim.failed(): return False
        def wrong(how, what):
            figures[how] += 1
            bad.append(f'call {number} ({kind}), {fault}: {problem!r}: {what}'[:900])
        figures['faults'] += 1
        figures['refused' if problem else 'done_all_the_same'] += 1
        if problem and not (isinstance(problem, (sqlite3.DatabaseError, OSError)) and folder in str(problem)): wrong('undocumented', '')
        try: now = scene.after(store, fault[0] == 'unlink')  # if a deletion fails, the file stays
        except Exception as error: wrong('half', f'{error!r} afterwards')
        else:
            if now not in allowed[not problem]: wrong('half' if problem else 'lost', now)
        return True

    for number, (kind, call) in enumerate(scene.calls()):
        states = []
        for calls in range(2):
            store = scene.make(kind)
            if calls: call(store)
            if store: store.close()
            states.append(scene.content())
        before, after = states
        either = [(one, two) for one in (before[0], after[0]) for two in (before[1], after[1])]
        for failing, error, way in shim.ways():
            n = 1 + number % every
            while play(kind, call, (failing, n, error, way), [either, [after]]): n += every
    say(json.dumps({**figures, 'bad': bad}))

# -- flipped bits

def flipped(folder, rounds, seed):
    """Flip bits of a closed file, or of the file and the log that a killed process left: every call returns a value or says
    that the file is damaged."""
    from clicks import HERE, Model, do
    from cjm_workflow_state.state_store import UndoConflictError
    path, chance, clicks = os.path.join(folder, 'wf.db'), random.Random(seed), 40
    store = Store(path, max_undo_depth=100_000)
    contents = []
    for i in range(clicks):
        do(store, i)
        store.update_state('big', f'{i % 5}', {'n': i, 'map': {f'{k}': 'x' * 100 for k in range(i)}})
        if i == clicks // 2:
            with Store(path) as second: second.check()
            with closing(sqlite3.connect(path)) as con: con.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    for name in (path, f'{path}-wal'):
        with open(name, 'rb') as file: contents.append(file.read())
    store.close()
    with open(path, 'rb') as file: whole = file.read()
    states = [Model(i) for i in range(clicks + 1)]
    figures = {'files': rounds, 'bits': 0, 'in_the_log': 0, 'refused': 0, 'calls': 0, 'undocumented': 0, 'half': 0}
    bad, before = [], resident('VmHWM')
    for r in range(rounds):
        for name in os.listdir(folder): os.remove(os.path.join(folder, name))
        where = r % 3  # the closed file, the file beside its log, the log
        pieces = [bytearray(whole)] if where == 0 else list(map(bytearray, contents))
        target = pieces[-1 if where == 2 else 0]
        for _ in range(chance.choice([1, 1, 3, 30])):
            bit = chance.randrange(8 * (len(target) if chance.random() < .7 else 200))  # damage the header often enough
            target[bit // 8] ^= 1 << bit % 8
            figures['bits'] += 1
        figures['in_the_log'] += where == 2
        for name, piece in zip((path, f'{path}-wal'), pieces):
            with open(name, 'wb') as file: file.write(piece)
        refused, store = False, None
        def call(what):
            nonlocal refused
            figures['calls'] += 1
            try: return what()
            except sqlite3.DatabaseError as error:
                refused = True
                if path in str(error): return None
                problem = error
            except UndoConflictError: return None
            except Exception as error: problem = error
            figures['undocumented'] += 1
            bad.append(f'round {r}: {problem!r}')
        store = call(lambda: Store(path, timeout=1, max_undo_depth=100_000))
        if store:
            def ids(found): return [id for id in found or [] if isinstance(id, str) and id]  # a damaged value may be of any type
            for flow in ids(call(store.list_flows)):
                found = call(lambda: store.list_sessions(flow)) or []
                for session in ids(one.session_id for one in found): call(lambda: store.get_session(flow, session))
            if where == 2: figures['half'] += not any(call(lambda: model.same(store)) for model in states) and not refused
            calls = [store.check, lambda: store.get_undo_history(*HERE), lambda: store.undo(*HERE), lambda: store.redo(*HERE),
                     lambda: do(store, clicks), lambda: store.update_state('big', '1', {'n': 0}),
                     lambda: store.delete_session('big', '2'), lambda: store.count_sessions('big'),
                     lambda: store.backup(os.path.join(folder, 'copy.db')), store.close]
            for one in calls: call(one)
        figures['refused'] += refused
    say(json.dumps({**figures, 'memory_grown_kb': resident('VmHWM') - before, 'bad': bad[:20]}))

# -- many calls until the process is killed

def call_on(path, said, me, threads):
    "Write and read until killed. The file `said` has 16 bytes for each thread: its last write, and its number of calls."
    store, numbers = Store(path, synchronous='NORMAL'), os.open(said, os.O_RDWR)
    say('ready')
    def work(t):
        name, calls = f'{me}-{t}', 0
        own = f'own {name}'
        i = store.get_step_state('calls', 'shared', name).get('n', 0)
        def done(stage):
            nonlocal calls
            calls += 1
            os.pwrite(numbers, struct.pack('=qq', 4 * i + stage, calls), 16 * t)
        while True:
            i += 1
            state = {'n': i, 'text': 'x' * (i % 7 * 100), 'twin': i}
            store.update_step_state('calls', 'shared', name, state, undo_label=f'{i}')
            done(1)
            with store.edit_state('calls', 'counts') as counts:
                counts['all'] = counts.get('all', 0) + i - counts.get(name, 0)
                counts[name] = i
            done(2)
            store.set_current_step('calls', own, f'{i}')
            done(3)
            for _ in range(3):
                assert store.get_step_state('calls', 'shared', name) == state
                done(3)
                other = store.get_step_state('calls', 'shared', f'{random.choice("ab")}-{random.randrange(threads)}')
                assert not other or other == {'n': other['n'], 'text': 'x' * (other['n'] % 7 * 100), 'twin': other['n']}
                done(3)
                assert store.get_current_step('calls', own) == f'{i}'
                done(3)
                assert store.get_session_summary('calls', own).current_step == f'{i}'
                done(3)
            counts = store.get_state('calls', 'counts')
            assert counts.pop('all') == sum(counts.values()) and counts[name] == i
            done(3)
            one = store.get_session('calls', 'shared', keys=[], steps=[name])
            labels = [e.label for e in one.history(name).undo]
            assert one.step(name) == state and labels == [f'{n}' for n in range(i, 0, -1)][:50]
            done(3)
            assert {one.session_id for one in store.list_sessions('calls', limit=50)} >= {'shared', 'counts', own}
            done(3)
    in_threads(threads, work)

if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup, for example, ignores it
    globals()[sys.argv[1]](*json.loads(sys.argv[2]))
