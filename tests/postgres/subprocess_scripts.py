"The functions that client processes run.  usage: subprocess_scripts.py [...] FUNCTION JSON-LIST-OF-ARGUMENTS"
import atexit
import gc
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from datetime import datetime, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
import internals  # noqa: E402
from faults.subprocess_scripts import fds, in_child, in_threads, keep_edit_open, say, wait_for_go  # noqa: E402

from cjm_workflow_state import state_store  # noqa: E402

F, S = 'f', 's'

def Store(options): return state_store.PostgresWorkflowStateStore(**options)

def names(error, options): assert f'schema {options["schema"]}' in str(error), f'{error!r} names no database'

# -- load, while the server is killed

def merge(options, me, session, merges):
    with Store(options) as store:
        wait_for_go()
        begin = time.monotonic()
        for i in range(merges): store.update_state(F, session, {f'{me}-{i}': i})
        say(json.dumps([begin, time.monotonic()]))

def act(options):
    "Set and undo what the parent tells it."
    with Store(options) as store:
        say('ready')
        for line in sys.stdin:
            kind, key = line.split()
            if kind == 'undo': say(json.dumps([entry.label for entry in store.undo(F, S)]))
            else: say(json.dumps(store.update_state(F, S, {key: 1}, undo_label=f'set {key}')))

def write_on(options, me):
    "Write until the parent closes stdin; report the result of each write."
    stop, store, i = threading.Event(), Store(options), 0
    wait_for_go()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    while not stop.is_set():
        i += 1
        try:
            if i % 4: store.update_state(F, me, {f'{i}': i, f'twin {i}': i}, undo_label=f'{i}')
            else:
                with store.edit_step_state(F, me, 'edit') as state: state[f'{i}'] = i
        except state_store.CommitUnknownError as error:
            names(error, options)
            say('unknown', i, repr(str(error)), repr(error.__cause__))
        except store.OperationalError as error:
            names(error, options)
            say('refused', i)
            time.sleep(.02)
        else: say('written', i)
    store.close()

def hold(options, session):
    "An edit block that lasts as long as this process."
    with Store(options) as store, store.edit_state(F, session):
        say('holds')
        sys.stdin.readline()

def make_schema(options, me):
    wait_for_go()
    with Store(options) as store: store.update_state(F, S, {me: 1})
    say('done')

def steps_with_a_clock(options, hours):
    "A host whose clock is wrong by so many hours."
    real_ns, real = time.time_ns, time.time
    time.time_ns = lambda: real_ns() + hours * 3600 * 10 ** 9
    time.time = lambda: real() + hours * 3600
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None): return datetime.now(tz) + timedelta(hours=hours)
    internals.set_datetime(Clock)
    with Store(options) as store:
        say('ready')
        for line in sys.stdin:
            session, i = line.split()
            store.update_state(F, session, {'i': i}, undo_label=i)
            say('done')

# -- forks

def fork_while_writing(options, rounds):
    "Fork children while threads read and write: parent and children keep working, and no write is lost."
    warnings.simplefilter('ignore', DeprecationWarning)  # Python warns of forks in a process with threads
    store, stop, counts = Store(options), threading.Event(), [0, 0, 0]
    before = fds()
    def work(t):
        while not stop.is_set():
            counts[t] += 1
            store.update_state('fork', f'parent {t}', {'n': counts[t]})
            assert store.get_state('fork', f'parent {t}') == {'n': counts[t]}
    threads = [threading.Thread(target=work, args=(t,)) for t in range(3)]
    for thread in threads: thread.start()
    for r in range(rounds):
        def write():
            for i in range(3): store.update_state('fork', 'children', {f'{r}-{i}': i})
            assert store.get_state('fork', 'children', keys=[f'{r}-2']) == {f'{r}-2': 2}
            if r % 2: store.close()
            gc.collect()
        in_child(write)
    stop.set()
    for thread in threads: thread.join()
    for t in range(3): assert store.get_state('fork', f'parent {t}') == {'n': counts[t]}
    assert store.get_state('fork', 'children') == {f'{r}-{i}': i for r in range(rounds) for i in range(3)}
    store.close()
    say(json.dumps({'forks': rounds, 'writes_of_parent': sum(counts), 'writes_of_children': 3 * rounds, 'lost': 0,
                    'fds_left': fds() - before}))

def fork_inside_edit(options):
    "The block belongs to the parent: the child can't end it, and uses its own connections."
    store, child = Store(options), None
    store.create_session('fork', 's')
    try:
        with store.edit_step_state('fork', 's', 'review') as state:
            state['n'] = 1
            child = os.fork()
            if not child:
                state['n'] = 'child'
                assert store.get_state('fork', 's') == {}
                store.update_state('fork', 'own', {'child': 1})
                try: store.update_state('fork', 's', {'child': 1})
                except store.OperationalError as error: assert 'another writer' in str(error), error
                else: raise AssertionError('the child wrote to what its parent is editing')
            else:
                assert os.waitpid(child, 0)[1] == 0
                state['n'] += 1
    except store.ProgrammingError as error:
        if child: raise
        names(error, options)
        os._exit(0)
    except BaseException:
        if child == 0:
            traceback.print_exc()
            os._exit(1)
        raise
    assert store.get_state('fork', 's') == {'_step_review': {'n': 2}}
    assert store.get_state('fork', 'own') == {'child': 1}
    say('done')

# -- interrupts

def wait_with_a_time_limit(options):
    def limit(*_): raise TimeoutError('my own limit')
    signal.signal(signal.SIGALRM, limit)
    with Store(options) as holder, Store(options) as store:
        holder.update_state(F, S, {'n': 0})
        with holder.edit_state(F, S):
            signal.setitimer(signal.ITIMER_REAL, .3)
            try: store.update_state(F, S, {'n': 1})
            except TimeoutError as error: say(json.dumps(str(error)))

def click_under_interrupts(options, rounds, name):
    "Click and edit with Ctrl-C or an app's time limit at random times inside the calls: each call is done or not done, and the store still works."
    store, inside, done, undone, grown = Store({**options, 'max_size': 1}), False, 0, 0, 0
    error = {'KeyboardInterrupt': KeyboardInterrupt, 'TimeoutError': TimeoutError}[name]
    def interrupt(*_):
        if inside: raise error
    store.set_current_step(F, 'other', 'other')
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.unraisablehook = lambda told: None  # Python ignores an interrupt inside the callback of a weak reference
    n, begin = 1, time.monotonic()
    store.update_step_state(F, S, 'step', {'n': n, 'twin': n}, undo_label='click')
    longest = max(.006, 2 * (time.monotonic() - begin))  # also on a busy machine, some calls end before the interrupt
    while done + undone < rounds:
        grown += 1
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, longest))
        try:
            inside = True
            if grown % 3: store.update_step_state(F, S, 'step', {'n': n + 1, 'twin': n + 1}, undo_label='click')
            else:
                with store.edit_step_state(F, S, 'step', undo_label='click') as state:
                    state['n'] = state['twin'] = n + 1
            inside = False
            n += 1
        except error: inside, interrupted = False, True
        else: interrupted = False
        if interrupted:  # here, where no traceback keeps a frame of the call alive
            assert store.get_current_step(F, 'other') == 'other', 'the answer to another question'
            state = store.get_step_state(F, S, 'step')
            assert state in ({'n': n, 'twin': n}, {'n': n + 1, 'twin': n + 1}), 'half a click'
            if state.get('n') == n + 1: done, n = done + 1, n + 1
            else: undone += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    in_threads(4, lambda t: store.set_current_step(F, 'other', f'{t}'))
    assert store.get_step_state(F, S, 'step') == {'n': n, 'twin': n}
    assert store.get_session_summary(F, S).revision == n
    say(json.dumps({'interrupts': rounds, 'calls': grown, 'interrupted_before': undone, 'interrupted_after': done,
                    'half': 0, 'connections_lost': 0}))

def wait_and_be_interrupted(options):
    "Wait for a lock that another store holds, and for the only connection."
    store = Store({**options, 'max_size': 1})
    for kind in ('lock', 'connection') * 2:
        say('waiting')
        try:
            if kind == 'lock': store.update_state(F, S, {'interrupted': 1})
            else:
                begun, end = threading.Event(), threading.Event()
                def hold():
                    with store.edit_state(F, 'other'):
                        begun.set()
                        end.wait()
                thread = threading.Thread(target=hold)
                thread.start()
                try:
                    begun.wait()
                    store.get_state(F, S)
                finally:
                    end.set()
                    thread.join()
        except KeyboardInterrupt: say('interrupted')
        else: say('not interrupted')
        assert 'interrupted' not in store.get_state(F, S)
    store.update_state(F, 'other', {'n': 1})
    say('done')

# -- ends

def end(options, how):
    "End in one of several ways without closing the store."
    if how == 'no store': return say('done')
    if how == 'in atexit': atexit.register(lambda: store.update_state('end', how, {'at exit': 1}))
    store = Store(options)
    in_threads(4, lambda t: store.update_state('end', f'{how} {t}', {'n': 1}))
    store.update_state('end', how, {'done': 1})
    if how == 'a generator in an edit block': keep_edit_open(store, 'end', how)
    if how == 'in a circle':
        circle = {'store': Store(options)}
        circle['store'].get_state('end', how)
        circle['self'] = circle
    if how == 'daemon threads':
        def go_on():
            while True: store.update_state('end', f'{how} {threading.get_ident()}', {'daemon': time.monotonic()})
        for _ in range(4): threading.Thread(target=go_on, daemon=True).start()
    say('done')
    if how == 'sys.exit': sys.exit(3)
    if how == 'os._exit': os._exit(3)

if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup, for example, ignores it
    globals()[sys.argv[-2]](*json.loads(sys.argv[-1]))
