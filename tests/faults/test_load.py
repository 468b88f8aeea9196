"Load: 8 processes with 8 threads each write to one session, and create one file, at the same time."
import json

import pytest

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

from .processes import Child, check_file, files, old_file, run

PROCESSES = THREADS = 8

@pytest.mark.rounds(10, 100)
def test_load(tmp_path, rounds, figures):
    path = str(tmp_path/'wf.db')
    children = [Child('load', path, p, THREADS, rounds) for p in range(PROCESSES)]
    done = [json.loads(child.end()[-1]) for child in children]
    names = [f'{p}-{t}' for p in range(PROCESSES) for t in range(THREADS)]
    with Store(path) as store:
        state = store.get_state('load', 'shared')
        expected = {f'{name}-{i}': i for name in names for i in range(rounds)}
        expected |= {f'_step_{name}': {'n': rounds - 1, 'twin': rounds - 1} for name in names}
        assert state == expected | {'_step_count': {'n': len(names) * rounds}}
        assert store.get_session_summary('load', 'shared').revision == 3 * len(names) * rounds
        own = [f'own {name}' for name in names if rounds % 2]
        assert sorted(s.session_id for s in store.list_sessions('load')) == sorted(['shared', *own])
        for name in names:
            labels = [entry.label for entry in store.get_undo_history('load', 'shared', name).undo]
            assert labels == [f'{i}' for i in range(rounds)][::-1][:50]
    check_file(path)
    assert files(tmp_path) == ['wf.db']
    worst = {key: max(d[key] for d in done) for key in done[0]}
    assert worst['fds_left'] == 0 and worst['fds_open'] <= 13  # 5 connections of 2 files each, the shared index, the log, the lock
    assert worst['memory_grown_kb'] < 20_000 and worst['wal_bytes'] < 16e6
    figures |= {'processes': PROCESSES, 'threads': THREADS, **worst, 'calls': sum(d['calls'] for d in done)}

@pytest.mark.rounds(4, 40)
def test_merges_into_a_session_that_was_not_there(tmp_path, rounds, figures):
    path, keys = str(tmp_path/'wf.db'), 10
    with Store(path) as store:
        children = [Child('merge', path, p, THREADS, keys) for p in range(4)]
        for child in children: child.ready()
        for r in range(rounds):
            for child in children: child.go(f'session {r}')
            for child in children: assert child.line() == 'done', child.failure()
            expected = {f'{p}-{t}-{k}': [p, t, k] for p in range(4) for t in range(THREADS) for k in range(keys)}
            assert store.get_state('merge', f'session {r}') == expected
            assert store.get_session_summary('merge', f'session {r}').revision == len(expected)
        for child in children: child.end()
    figures |= {'sessions': rounds, 'processes': 4, 'threads': THREADS, 'merges': rounds * len(expected)}

def open_at_once(folder, rounds, prepare):
    children = [Child('open_and_write', f'{p}') for p in range(PROCESSES)]
    for child in children: child.ready()
    for r in range(rounds):
        path = str(folder/f'{r}.db')
        states = prepare(path)
        for child in children: child.go(path)
        for child in children: assert child.line() == 'done', child.failure()
        check_file(path)
        with Store(path) as store:
            assert store.get_state('new', 'shared') == {f'{p}': 'x' * 100 for p in range(PROCESSES)}
            assert sum(map(store.count_sessions, store.list_flows())) == len(states) + 1
            for ids, state in states.items(): assert store.get_state(*ids) == state
    for child in children: child.end()
    assert files(folder) == sorted(f'{r}.db' for r in range(rounds))
    return {'files': rounds, 'processes': PROCESSES, 'opens': rounds * PROCESSES}

@pytest.mark.rounds(25, 100)
def test_opening_a_new_file_at_once(tmp_path, rounds, figures): figures |= open_at_once(tmp_path, rounds, lambda path: {})

@pytest.mark.rounds(10, 100)
def test_opening_an_old_file_at_once(tmp_path, rounds, figures): figures |= open_at_once(tmp_path, rounds, old_file)

@pytest.mark.rounds(1000, 1000)
def test_thread_pools_that_come_and_go(tmp_path, rounds, figures):
    figures |= run('thread_pools', str(tmp_path/'wf.db'), rounds)
    assert figures['fds_grown'] <= 0 and figures['threads_left'] == 0 and figures['memory_grown_kb'] < 4000
    assert figures['changes'] == 4 * rounds
