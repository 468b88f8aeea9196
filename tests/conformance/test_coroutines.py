"`AsyncWorkflowStateStore`: every method as a coroutine, edit blocks that await, and cancellation at any instant."
import asyncio
import contextlib
import contextvars
import inspect
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import internals
import pytest

from cjm_workflow_state.state_store import AsyncWorkflowStateStore, StaleSessionError

from .helpers import ARGUMENTS, F, METHODS, S, revision

EDITS = [name for name in METHODS if name.startswith('edit')]

async def call(store, method, **args):
    "Call a method with valid arguments; enter and leave the block that an edit method returns."
    result = getattr(store, method)(**{**ARGUMENTS[method], **args})
    if method not in EDITS: return await result
    async with result as edit: (edit.state if method == 'edit_session' else edit).update(n=2)

def elsewhere(coroutine):
    "A task that does not belong to the block that starts it."
    return asyncio.create_task(coroutine, context=contextvars.Context())

async def turns(count=20):
    for _ in range(count): await asyncio.sleep(0)

# -- the methods

def test_every_method_has_the_same_parameters(store):
    coroutines = AsyncWorkflowStateStore(store)
    methods = {name for name, _ in inspect.getmembers(store, inspect.ismethod) if name[0] != '_'}
    assert {name for name in dir(coroutines) if name[0] != '_' and name[0].islower()} >= methods
    for name in METHODS:
        method, original = getattr(coroutines, name), getattr(store, name)
        assert inspect.signature(method) == inspect.signature(original), name
        assert method.__doc__ == original.__doc__ and inspect.iscoroutinefunction(method) == (name not in EDITS)

@pytest.mark.parametrize('method', METHODS)
def test_no_call_runs_in_the_thread_of_the_event_loop(full, monkeypatch, method):
    threads = internals.record_threads(monkeypatch, full)
    options = {} if method == 'create_session' else ARGUMENTS[method]
    async def main(): await call(AsyncWorkflowStateStore(full), method, **options)
    asyncio.run(main())
    assert threads and threading.get_ident() not in threads

def test_results_and_errors_are_those_of_the_store(full):
    async def main():
        coroutines = AsyncWorkflowStateStore(full)
        assert await coroutines.get_state(F, S, keys=['n']) == full.get_state(F, S, keys=['n'])
        assert await coroutines.get_session(F, S) == full.get_session(F, S)
        assert coroutines.OperationalError is full.OperationalError
        with pytest.raises(ValueError, match='session_id'): await coroutines.get_state(F, '')
        with pytest.raises(StaleSessionError): await coroutines.update_state(F, S, {'n': 9}, expected_revision=1)
        with pytest.raises(StaleSessionError):
            async with coroutines.edit_state(F, S, expected_revision=1): pass
        with pytest.raises(coroutines.IntegrityError): await coroutines.create_session(F, S)
        async with coroutines.edit_session(F, S) as edit: edit.label = 'new'
        assert edit.revision == revision(full)
        return await coroutines.get_session_summary(F, S)
    assert asyncio.run(main()).label == 'new'

@pytest.mark.parametrize('method', EDITS)
def test_an_exception_in_a_block_writes_nothing(full, method):
    before = full.get_session(F, S)
    async def main():
        coroutines = AsyncWorkflowStateStore(full)
        with pytest.raises(KeyError, match='mine'):
            async with getattr(coroutines, method)(**ARGUMENTS[method]) as edit:
                (edit.state if method == 'edit_session' else edit)['n'] = 'lost'
                await turns()
                raise KeyError('mine')
        await coroutines.list_flows()
    asyncio.run(main())
    assert full.get_session(F, S) == before

def test_after_close_every_method_raises(store):
    async def main():
        async with AsyncWorkflowStateStore(store) as coroutines:
            await coroutines.create_session(F, S)
            with pytest.raises(RuntimeError, match='inside an edit block'):
                async with coroutines.edit_state(F, S): await coroutines.close()
        for method in METHODS:
            with pytest.raises(store.ProgrammingError, match='the store is closed'): await call(coroutines, method)
        await coroutines.close()
    asyncio.run(main())

# -- writers and readers

def test_500_blocks_that_await_lose_nothing(store):
    before = threading.active_count()
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        async def add(i):
            method = coroutines.edit_state if i % 2 else coroutines.edit_session
            async with method(F, S) as edit:
                state = edit if i % 2 else edit.state
                n = state.get('n', 0)
                await asyncio.sleep(0)
                state['n'] = n + 1
                if i % 50 == 0: assert threading.active_count() <= before + 6  # one writes, four read; one more watches
        await asyncio.gather(*map(add, range(500)))
        return await coroutines.get_state(F, S)
    assert asyncio.run(main()) == {'n': 500}
    assert revision(store) == 500

def test_coroutines_and_threads_share_a_store(store):
    def add_in_thread(_):
        with store.edit_state(F, S) as state: state['n'] = state.get('n', 0) + 1
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        async def add():
            async with coroutines.edit_state(F, S) as state:
                n = state.get('n', 0)
                await asyncio.sleep(0)
                state['n'] = n + 1
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(4) as pool:
            await asyncio.gather(*[loop.run_in_executor(pool, add_in_thread, i) for i in range(50)], *[add() for _ in range(50)])
    asyncio.run(main())
    assert store.get_state(F, S) == {'n': 100}

@pytest.mark.shared
def test_readers_do_not_queue_behind_writers(open_store):
    "Neither behind an open block, nor behind a writer that waits in its thread for another store."
    store, other = open_store(), open_store()
    async def main():
        coroutines = AsyncWorkflowStateStore(store, max_readers=1)
        await coroutines.create_session(F, S)
        async with coroutines.edit_state(F, S) as state:
            state['n'] = 1
            writers = [elsewhere(coroutines.update_state(F, S, {f'k{i}': i})) for i in range(100)]
            await turns()
            assert await coroutines.get_state(F, S) == {}
        await asyncio.gather(*writers)
        with other.edit_state(F, S):
            writer = elsewhere(coroutines.update_state(F, S, {'n': 2}))
            await turns()
            assert (await coroutines.get_state(F, S))['n'] == 1 and not writer.done()
        await writer
    asyncio.run(main())
    assert len(store.get_state(F, S)) == 101 and store.get_state(F, S)['n'] == 2

def test_a_write_from_inside_its_own_block_is_refused_at_once(store):
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        again = AsyncWorkflowStateStore(store)
        await coroutines.update_state(F, S, {'n': 0})
        async def nested():
            async with coroutines.edit_step_state(F, S, 'a'): pass
        async with coroutines.edit_state(F, S) as state:
            state['n'] = 1
            for write in (lambda: coroutines.update_state(F, S, {'x': 1}), nested,
                          lambda: asyncio.create_task(coroutines.undo(F, S)),  # a task that the block started
                          lambda: again.update_state(F, S, {'x': 1})):
                with pytest.raises(RuntimeError, match='inside an edit block of the same store'): await write()
            with pytest.raises(RuntimeError, match='inside an edit block'): store.update_state(F, S, {'x': 1})
            assert (await coroutines.get_state(F, S))['n'] in (0, 1)  # in memory, the block's own
        await nested()
        await coroutines.update_state(F, S, {'y': 1})
    asyncio.run(main())
    assert store.get_state(F, S) == {'n': 1, 'y': 1}

def test_a_task_that_a_block_started_may_write_after_the_block(store):
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        ended = asyncio.Event()
        async def later():
            await ended.wait()
            await coroutines.update_state(F, S, {'later': 1})
        async with coroutines.edit_state(F, S) as state:
            state['n'] = 1
            task = asyncio.create_task(later())
        ended.set()
        await task
    asyncio.run(main())
    assert store.get_state(F, S) == {'n': 1, 'later': 1}

# -- cancellation

def test_a_write_that_has_not_begun_is_not_made(store):
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        async with coroutines.edit_state(F, S) as state:
            state['n'] = 1
            waiting = elsewhere(coroutines.update_state(F, S, {'late': 1}))
            await turns()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError): await waiting
    asyncio.run(main())
    assert store.get_state(F, S) == {'n': 1}

def test_a_read_that_waits_for_a_thread_is_not_made(store):
    called, go = [], threading.Event()
    def get_state(flow_id, session_id):
        called.append(session_id)
        go.wait(20)
    store.get_state = get_state
    async def main():
        coroutines = AsyncWorkflowStateStore(store, max_readers=1)
        first, second = [asyncio.create_task(coroutines.get_state(F, name)) for name in ('first', 'second')]
        while not called: await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError): await second
        go.set()
        await first
    asyncio.run(main())
    assert called == ['first']

def test_a_call_that_has_begun_ends_before_its_cancellation(store):
    begun, go, update = threading.Event(), threading.Event(), store.update_state
    def update_state(*args):
        begun.set()
        go.wait(20)
        update(*args)
    store.update_state = update_state
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        task = asyncio.create_task(coroutines.update_state(F, S, {'n': 1}))
        while not begun.is_set(): await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
            await turns()
            assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError): await task
        assert store.get_state(F, S) == {'n': 1}
        await coroutines.set_current_step(F, S, 'a')
    asyncio.run(main())

@pytest.mark.parametrize('at', ['enter', 'inside', 'exit'])
def test_a_block_that_is_cancelled_leaves_no_lock(store, at):
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        entering, inside, leaving, wait = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()
        async def edit():
            entering.set()
            async with coroutines.edit_state(F, S) as state:
                state['n'] = 1
                inside.set()
                if at == 'inside': await wait.wait()
                leaving.set()
        task = asyncio.create_task(edit())
        await {'enter': entering, 'inside': inside, 'exit': leaving}[at].wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError): await task
        assert await coroutines.get_state(F, S) == ({'n': 1} if at == 'exit' else {})
        await coroutines.update_state(F, S, {'after': 1})
    asyncio.run(main())
    store.update_state(F, S, {'after': 2})

def test_a_block_that_is_cancelled_while_it_is_entered_is_left(store):
    "The thread is in the middle of `__enter__`, and ends it after the cancellation."
    begun, go, edit_state = threading.Event(), threading.Event(), store.edit_state
    @contextlib.contextmanager
    def slow(*args):
        begun.set()
        go.wait(20)
        with edit_state(*args) as state: yield state
    kept = []  # so that garbage collection does not end the block
    def slow_block(*args):
        kept.append(slow(*args))
        return kept[-1]
    store.edit_state = slow_block
    async def main():
        coroutines = AsyncWorkflowStateStore(store)
        async def edit():
            async with coroutines.edit_state(F, S) as state: state['n'] = 1
        task = asyncio.create_task(edit())
        while not begun.is_set(): await asyncio.sleep(0)
        task.cancel()
        await turns()
        go.set()
        with pytest.raises(asyncio.CancelledError): await task
        await asyncio.wait_for(coroutines.update_state(F, S, {'after': 1}), 20)
    asyncio.run(main())
    assert store.get_state(F, S) == {'after': 1}

def test_1000_random_cancellations_leave_no_lock_and_no_half_write(store):
    "Blocks, writes, reads and waits; each block writes one key in two places."
    chance = random.Random(23)
    store.create_session(F, S)
    async def main():
        coroutines, done = AsyncWorkflowStateStore(store), set()
        async def block(i):
            async with coroutines.edit_session(F, S) as edit:
                edit.state[f'k{i}'] = i
                await asyncio.sleep(chance.random() / 1000)
                edit.step('a')[f'k{i}'] = i
            done.add(i)
        async def write(i):
            await coroutines.update_state(F, S, {f'k{i}': i, '_step_b': {'last': i}}) if i % 2 else await coroutines.set_current_step(F, S, f'{i}')
        async def read(i): await coroutines.get_state(F, S)
        async def wait(i): await coroutines.wait_for_change(F, S, revision_now)
        async def cancelled(i):
            task = asyncio.create_task(chance.choice([block, block, write, read, wait])(i))
            await asyncio.sleep(chance.choice([0, 0.001, 0.01, 0.05]) * chance.random())
            task.cancel()
            try: await task
            except asyncio.CancelledError: return 1
            return 0
        count = 0
        for start in range(0, 2000, 200):
            revision_now = (await coroutines.get_session_summary(F, S)).revision
            count += sum(await asyncio.gather(*[cancelled(i) for i in range(start, start + 200)]))
        while count < 1000: count += await cancelled(start := start + 200)
        await coroutines.update_state(F, S, {'after': 1})
        return done
    done = asyncio.run(main())
    state = store.get_state(F, S)
    in_step = set(state.get('_step_a', {}))
    assert {f'k{i}' for i in done} <= in_step <= set(state)  # a block that was cancelled in its commit may be written
    with store.edit_state(F, S) as state: state['after'] = 2
    assert store.check() == []
    thread = internals.watcher_thread(store)
    if thread: thread.join(20)
    assert internals.waits(store) == []

# -- waiting

def test_waits_hold_no_thread_and_end_when_cancelled(store):
    store.create_session(F, S)
    async def main():
        coroutines = AsyncWorkflowStateStore(store, max_readers=1)
        waits = [asyncio.create_task(coroutines.wait_for_change(F, S, 1)) for _ in range(200)]
        while len(internals.waits(store)) < 200: await asyncio.sleep(0.001)
        assert await coroutines.get_state(F, S) == {}
        for wait in waits[:100]: wait.cancel()
        async with asyncio.timeout(20):
            while len(internals.waits(store)) > 100: await asyncio.sleep(0.001)
        await coroutines.update_state(F, S, {'n': 1})
        results = await asyncio.gather(*waits, return_exceptions=True)
        assert results[100:] == [2] * 100 and {type(result) for result in results[:100]} == {asyncio.CancelledError}
        assert await coroutines.wait_for_change(F, S, 2, timeout=0.01) == 2
        assert await coroutines.wait_for_change(F, S, 1) == 2
        with pytest.raises(ValueError, match='timeout'): await coroutines.wait_for_change(F, S, 2, timeout=-1)
        waiting = asyncio.create_task(coroutines.wait_for_change(F, S, 2))
        while not internals.waits(store): await asyncio.sleep(0.001)
        await coroutines.close()
        with pytest.raises(store.ProgrammingError, match='the store is closed'): await waiting
    asyncio.run(main())
