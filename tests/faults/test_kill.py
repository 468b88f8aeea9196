"SIGKILL at random times: every write that returned is there, and no write is there by half."
import os
import random
import shutil
import sqlite3
import struct
import time
from contextlib import closing

import pytest

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

from .clicks import HERE, Model
from .processes import Child, check_file, files, is_old, old_file

def last(lines): return int(lines[-1]) if lines else -1

@pytest.mark.rounds(8, 100)
def test_killed_writers(tmp_path, rounds, figures):
    "Two processes with three threads each are killed, while a third process has the file open."
    path, writes, said = str(tmp_path/'wf.db'), 0, {}
    with Store(path) as store:
        for _ in range(rounds):
            children = [Child('write_on', path, me, 3) for me in 'ab']
            for line in children[0].kill_at_random(.15) + children[1].kill_at_random(.05):
                name, n = line.split()
                said[name] = int(n), int(n)
                writes += 2
            for name in [f'{me}-{t}' for me in 'ab' for t in range(3)]:
                acknowledged, step = said.get(name, (0, 0))
                state = store.get_step_state('kill', 'shared', name)
                n = state.get('n', 0)
                assert n in (acknowledged, acknowledged + 1)
                assert state == ({'n': n, 'text': 'x' * (n % 7 * 1000), 'twin': n} if n else {})
                labels = [entry.label for entry in store.get_undo_history('kill', 'shared', name).undo]
                assert labels == [f'{i}' for i in range(n, 0, -1)][:50]
                said[name] = n, int(store.get_current_step('kill', name) or 0)
                assert said[name][1] in (step, n)
            check_file(path)
    assert files(tmp_path) == ['wf.db']
    figures |= {'kills': 2 * rounds, 'acknowledged_writes': writes, 'lost': 0, 'half': 0}

@pytest.mark.rounds(12, 200)
def test_killed_migration(tmp_path, rounds, figures):
    states = old_file(tmp_path/'old.db', 200)
    undone = 0
    for r in range(rounds):
        folder = tmp_path/f'{r}'
        folder.mkdir()
        paths = [str(shutil.copy(tmp_path/'old.db', folder/f'{i}.db')) for i in range(20)]
        migrated = last(Child('migrate_on', paths).kill_at_random(.1))
        assert migrated < len(paths) - 1  # it was still running
        assert not any(map(is_old, paths[:migrated + 1])) and all(map(is_old, paths[migrated + 2:]))
        hit = paths[migrated + 1]
        undone += is_old(hit)
        for path in {paths[0], hit}:
            with Store(path) as store:
                there = [(flow, s.session_id) for flow in store.list_flows() for s in store.list_sessions(flow)]
                assert {ids: store.get_state(*ids) for ids in there} == states
            check_file(path)
        shutil.rmtree(folder)
    figures |= {'kills': rounds, 'sessions': len(states), 'files_still_old': undone, 'files_migrated': rounds - undone, 'lost': 0}

@pytest.mark.rounds(12, 200)
def test_killed_backup(tmp_path, rounds, figures):
    path, dest = str(tmp_path/'wf.db'), str(tmp_path/'copies'/'copy.db')
    done, parts, left = 0, 0, set()
    for _ in range(rounds):
        done, before = max(done, last(Child('back_up_on', path, dest).kill_at_random(.1))), left
        left = set(files(tmp_path/'copies')) - {'copy.db'} if done else set()
        parts += bool(left - before)
        with Store(path) as store: now = [store.get_state('backup', session) for session in '012']
        assert all(state.get('n') == state.get('twin') for state in now)
        if not os.path.exists(dest):
            assert not done
            continue
        check_file(dest)
        with Store(dest) as store: copied = [store.get_state('backup', session) for session in '012']
        n = copied[0]['n']
        assert copied == [{'n': n, 'text': f'{n}' * 5000, 'twin': n}] * 3 and done <= n <= now[2]['n']
        check_file(path)
        done = n
    with Store(path) as store: store.backup(dest)
    assert files(tmp_path/'copies') == ['copy.db']  # the next backup deletes the rest of a killed one
    figures |= {'kills': rounds, 'backups_returned': done, 'unfinished_copies_left_beside': parts, 'half_copies_under_the_name': 0}

def sessions_to_prune(path, flows):
    "Flows with 12 old sessions and 3 new ones each."
    with Store(path, synchronous='NORMAL') as store:
        for f in range(flows):
            for s in range(15):
                where = f'flow {f}', f'{s}'
                store.update_state(*where, {'n': s, 'text': 'x' * 3000})
                store.update_step_state(*where, 'review', {'at': s}, undo_label='move')
    with closing(sqlite3.connect(path)) as con:
        con.execute('UPDATE workflow_session SET updated = updated - 40 * 86400 * 1000000 WHERE CAST(session_id AS INTEGER) < 12')
        con.commit()

@pytest.mark.rounds(12, 200)
def test_killed_pruning(tmp_path, rounds, figures):
    flows, whole = 120, 0
    sessions_to_prune(tmp_path/'full.db', flows)
    for _ in range(rounds):
        path = str(shutil.copy(tmp_path/'full.db', tmp_path/'wf.db'))
        pruned = last(Child('prune_on', path, flows).kill_at_random(.04))
        assert pruned < flows - 1  # it was still running
        with Store(path) as store:
            counts = [store.count_sessions(f'flow {f}') for f in range(flows)]
            hit = counts[pruned + 1]
            assert counts == [3] * (pruned + 1) + [hit] + [15] * (flows - pruned - 2) and hit in (3, 15)
            whole += hit == 15
            for f in (0, pruned + 1):
                for s in range(15 - counts[f], 15):
                    assert store.get_state(f'flow {f}', f'{s}') == {'n': s, 'text': 'x' * 3000, '_step_review': {'at': s}}
                    assert [e.label for e in store.get_undo_history(f'flow {f}', f'{s}', 'review').undo] == ['move']
        check_file(path)  # and no value or undo entry is left without its session
    figures |= {'kills': rounds, 'flows_left_whole': whole, 'flows_pruned_whole': rounds - whole, 'half': 0}

@pytest.mark.rounds(12, 200)
def test_killed_clicking(tmp_path, rounds, figures):
    "The process is killed while it clicks, undoes and redoes: the file equals the model after the last call that returned, or one call later."
    clicks = steps = 0
    for r in range(rounds):
        folder = tmp_path/f'{r}'
        folder.mkdir()
        path = str(folder/'wf.db')
        done = last(Child('click_on', path).kill_at_random(.06)) + 1
        with Store(path, max_undo_depth=100_000) as store:
            now = next((m for m in (Model(done), Model(done + 1)) if m.same(store)), None)
            assert now, 'a change without its undo entry, or an entry without its change'
            for there in range(now.here - 1, -1, -1):
                assert [e.label for e in store.undo(*HERE)] == [now.labels[there]] and store.get_step_state(*HERE) == now.states[there]
            assert store.undo(*HERE) is None
            for there in range(len(now.labels)):
                assert [e.label for e in store.redo(*HERE)] == [now.labels[there]] and store.get_step_state(*HERE) == now.states[there + 1]
            assert store.redo(*HERE) is None
        check_file(path)
        clicks, steps = clicks + done, steps + now.here + len(now.labels)
        shutil.rmtree(folder)
    figures |= {'kills': rounds, 'acknowledged_clicks': clicks, 'undone_and_redone_after': steps, 'half': 0}

@pytest.mark.rounds(60, 500)
def test_two_processes_edit_different_steps(tmp_path, rounds, figures):
    path = str(tmp_path/'wf.db')
    children = [Child('two_tabs', path, step, rounds) for step in ('left', 'right')]
    for child in children: child.ready()
    for child in children: child.go()
    for child in children: assert child.end() == ['done']
    with Store(path) as store:
        for step in ('left', 'right'):
            assert store.get_step_state('tabs', 'shared', step) == {'n': rounds, **{f'field {i}': i for i in range(rounds)}}
            assert [e.label for e in store.get_undo_history('tabs', 'shared', step).undo] == [f'{step} {i}' for i in range(rounds)][::-1]
            for n in range(rounds - 1, -1, -1):
                store.undo('tabs', 'shared', step)
                assert store.get_step_state('tabs', 'shared', step, keys=['n']) == ({'n': n} if n else {})
            assert store.get_step_state('tabs', 'shared', step) == {}
    figures |= {'processes': 2, 'edits': 2 * rounds, 'lost': 0}

@pytest.mark.rounds(100, 1000)
def test_two_processes_edit_one_step(tmp_path, rounds, figures):
    path = str(tmp_path/'wf.db')
    children = [Child('increment', path, 'same', rounds) for _ in range(2)]
    for child in children: child.ready()
    for child in children: child.go()
    for child in children: assert child.end() == ['done']
    with Store(path) as store:
        assert store.get_step_state('tabs', 'shared', 'same') == {'n': 2 * rounds}
        assert len(store.undo('tabs', 'shared', 'same', count=2 * rounds)) == 2 * rounds
        assert store.get_step_state('tabs', 'shared', 'same') == {}
    figures |= {'processes': 2, 'increments': 2 * rounds, 'lost': 0}

@pytest.mark.skipif(not hasattr(os, 'pwrite'), reason='this system has no pwrite, which reports the progress')
@pytest.mark.rounds((4, 6_000), (100, 1_000_000))
def test_killed_among_many_calls(tmp_path, rounds, figures):
    "Two processes with four threads each write, read and check what they read; both are killed and started again."
    (kills, calls), path, threads = rounds, str(tmp_path/'wf.db'), 4
    numbers = [tmp_path/me for me in 'ab']
    there = {f'{me}-{t}': (0, 0, 0) for me in 'ab' for t in range(threads)}
    def said(): return [struct.unpack('=' + 'qq' * threads, file.read_bytes()) for file in numbers]
    figures |= dict.fromkeys(('kills', 'calls', 'acknowledged_writes', 'lost', 'half'), 0)
    for _ in range(kills // 2):
        for file in numbers: file.write_bytes(bytes(16 * threads))
        children = [Child('call_on', path, str(file), file.name, threads) for file in numbers]
        for child in children: child.ready()
        def enough(): return sum(sum(one[1::2]) for one in said()) >= calls / kills * 2
        while not enough() and all(child.process.poll() is None for child in children): time.sleep(.01)
        time.sleep(random.uniform(0, .02))
        for child in children:
            assert child.process.poll() is None, child.failure()
            child.kill()
        with Store(path) as store:
            counts = store.get_state('calls', 'counts')
            figures['half'] += counts.pop('all', 0) != sum(counts.values())
            for me, one in zip('ab', said()):
                for t in range(threads):
                    name, acknowledged, before = f'{me}-{t}', one[2 * t], there[f'{me}-{t}']
                    first = before[0] + 1  # the first round of these processes
                    i, stage = divmod(acknowledged, 4) if acknowledged else (first, 0)
                    state = store.get_step_state('calls', 'shared', name)
                    summary = store.get_session_summary('calls', f'own {name}')
                    now = state.get('n', 0), counts.get(name, 0), int(summary.current_step or 0) if summary else 0
                    for kind, n in enumerate(now):  # the last reported write, or one more
                        least, after = (i, i + 1) if stage > kind else (i - 1 if i > first else before[kind], i)
                        figures['lost'] += n < least
                        figures['half'] += n > least and n != after
                    labels = [entry.label for entry in store.get_undo_history('calls', 'shared', name).undo]
                    whole = {'n': now[0], 'text': 'x' * (now[0] % 7 * 100), 'twin': now[0]}
                    figures['half'] += state != (whole if now[0] else {})
                    figures['half'] += labels != [f'{n}' for n in range(now[0], 0, -1)][:50]
                    figures['calls'] += one[2 * t + 1]
                    figures['acknowledged_writes'] += 3 * (i - first) + stage
                    there[name] = now
            assert store.check() == []
        figures['kills'] += 2
        check_file(path)
    assert not figures['lost'] and not figures['half'], figures
    assert figures['calls'] >= calls * .9 and files(tmp_path) == ['a', 'b', 'wf.db']
