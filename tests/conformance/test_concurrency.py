"Threads, processes, readers beside writers, and how much one write costs."
import multiprocessing
import pickle
import threading
import uuid
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from .helpers import F, S, as_json, revision, undo_labels

@pytest.mark.parametrize('sessions', [1, 4])
def test_no_merge_from_a_thread_is_lost(store, sessions):
    def merge(i): store.update_state(F, f's{i % sessions}', {f'k{i}': i})
    with ThreadPoolExecutor(8) as pool: list(pool.map(merge, range(100)))
    got = [store.get_state(F, f's{i}') for i in range(sessions)]
    assert {key: n for state in got for key, n in state.items()} == {f'k{i}': i for i in range(100)}
    assert sum(revision(store, F, f's{i}') for i in range(sessions)) == 100

def merge_some(pickled, start):
    with pickle.loads(pickled) as store:
        for i in range(start, start + 25):
            store.update_state(F, S, {f'k{i}': i}, undo_label=f'k{i}')
            with store.edit_step_state(F, S, 'a') as state: state['n'] = state.get('n', 0) + 1

@pytest.mark.processes
def test_no_merge_from_a_process_is_lost(open_store):
    "Each process uses a pickled copy of the store."
    store = open_store(max_undo_depth=200)
    with ProcessPoolExecutor(4, multiprocessing.get_context('spawn')) as pool:
        list(pool.map(merge_some, [pickle.dumps(store)] * 4, range(0, 100, 25)))
    assert store.get_state(F, S) == {**{f'k{i}': i for i in range(100)}, '_step_a': {'n': 100}}
    assert revision(store) == 200 and sorted(undo_labels(store)) == sorted(f'k{i}' for i in range(100))
    assert store.check() == []

def test_no_reader_sees_half_an_update(store):
    store.update_state(F, S, {'a': 0, 'b': {'n': 0}, '_step_a': {'n': 0}})
    ended = threading.Event()
    def write():
        try:
            for i in range(1, 60):
                store.update_state(F, S, {'a': i, 'b': {'n': i}, '_step_a': {'n': i}}, undo_label=f'{i}')
        finally: ended.set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while True:
            last = ended.is_set()
            state = store.get_state(F, S)
            assert state['a'] == state['b']['n'] == state['_step_a']['n']
            one = store.get_session(F, S)
            assert one.state['a'] == one.step('a')['n'] == one.revision - 1
            assert (one.history().undo[0].label if one.history().undo else '0') == str(one.state['a'])
            if last: break
        writing.result()

@pytest.mark.shared
def test_a_reader_never_waits_for_a_writer(open_store):
    one, other = open_store(), open_store()
    one.update_state(F, S, {'n': 1})
    with ThreadPoolExecutor(1) as pool, one.edit_state(F, S) as state:  # if a reader waits, the block ends first
        state['n'] = 2
        for store in (one, other):  # another thread stands for another process
            assert pool.submit(store.get_state, F, S).result(20) == {'n': 1}
            assert pool.submit(store.list_sessions, F).result(20)[0].revision == 1
            assert pool.submit(store.get_session, F, S).result(20).state == {'n': 1}
    assert other.get_state(F, S) == {'n': 2}

@pytest.mark.shared
def test_only_what_changed_is_written(engine, store):
    "An app keeps everything under one key, changes a small part of it and undoes that."
    if engine.written() is None: pytest.skip('this engine does not report how much it writes')
    def segments(step): return [{'id': str(uuid.uuid5(uuid.NAMESPACE_URL, f'{step}{i}'))} for i in range(4000)]
    state = {'steps': {step: {'cursor': 0, 'segments': segments(step)} for step in ('split', 'review')}}
    def cost(action):
        before = engine.written()
        action()
        return engine.written() - before
    whole = cost(lambda: store.update_state(F, S, state))
    assert whole > len(as_json(state)) / 2, 'random text cannot be compressed away'
    state['steps']['review']['cursor'] = 41
    assert cost(lambda: store.update_state(F, S, state, undo_label='Move')) < whole / 5
    assert cost(lambda: store.undo(F, S)) < whole / 5
    assert store.get_state(F, S)['steps']['review']['cursor'] == 0
