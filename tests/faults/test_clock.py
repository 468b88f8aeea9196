"The clock is set back, stands still or jumps: sessions stay in the order of the writes."
import random
import re
from datetime import timedelta
from types import SimpleNamespace

import pytest

import internals
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

NOON = 1_750_000_000 * 10**9
HOUR = 3600 * 10**9

@pytest.fixture
def clock(monkeypatch):
    "The clock of the store, in nanoseconds; it stands still until a test sets it."
    hands = SimpleNamespace(ns=NOON)
    internals.set_clock(monkeypatch, lambda: hands.ns)
    return hands

def newest_first(store): return [s.session_id for s in store.list_sessions('f')]

WRITES = [lambda store, s: store.update_state('f', s, {'n': random.random()}), lambda store, s: store.set_current_step('f', s, f'{random.random()}'),
          lambda store, s: store.set_session_label('f', s, f'{random.random()}'),
          lambda store, s: store.update_step_state('f', s, 'a', {'n': random.random()}, undo_label='x'),
          lambda store, s: store.undo('f', s, 'a') or WRITES[0](store, s), lambda store, s: store.reset_session('f', s) or WRITES[0](store, s)]

@pytest.mark.parametrize('move', ['stands still', 'set back', 'jumps'])
@pytest.mark.rounds(300, 5000)
def test_order_of_writes(tmp_path, clock, move, rounds, figures):
    chance, order = random.Random(3), []
    with Store(tmp_path/'wf.db', synchronous='NORMAL') as store:
        for _ in range(rounds):
            s = f'{chance.randrange(20)}'
            if move == 'set back': clock.ns -= HOUR
            if move == 'jumps': clock.ns += chance.choice([-400, -1, 0, 0, 400]) * HOUR
            before = store.get_session_summary('f', s)
            chance.choice(WRITES if before else WRITES[:2])(store, s)  # the other writes create no session
            after = store.get_session_summary('f', s)
            order = [s, *(o for o in order if o != s)]
            assert newest_first(store) == order and [s.session_id for s in store.list_sessions('f', descending=False)] == order[::-1]
            assert after.created_at <= after.updated_at and after.revision > (before.revision if before else 0)
            if before: assert before.updated_at <= after.updated_at and before.created_at == after.created_at
            assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', after.updated_at)
    figures |= {'writes': rounds}

def test_order_of_sessions_made_in_one_microsecond(tmp_path, clock, figures):
    with Store(tmp_path/'wf.db') as store:
        for i in range(100): store.create_session('f', f'{i}')
        made = [f'{i}' for i in range(100)]
        for by in ('created_at', 'updated_at'):
            assert [s.session_id for s in store.list_sessions('f', by, descending=False)] == made
            assert [s.session_id for s in store.list_sessions('f', by)] == made[::-1]
        paged = [s.session_id for offset in range(0, 100, 7) for s in store.list_sessions('f', limit=7, offset=offset)]
        assert paged == made[::-1]
        for s in made: store.set_session_label('f', s, 'same')
        assert [s.session_id for s in store.list_sessions('f', 'label', descending=False)] == made  # equal keys keep the order of creation
    figures |= {'sessions': 100}

def test_undo_under_a_clock_that_is_set_back(tmp_path, clock, figures):
    with Store(tmp_path/'wf.db') as store:
        for i in range(30):
            store.update_state('f', 's', {'n': i}, undo_label=f'{i}')
            clock.ns -= HOUR
        assert [e.label for e in store.get_undo_history('f', 's').undo] == [f'{i}' for i in range(30)][::-1]
        for i in range(29, 0, -1): assert store.undo('f', 's')[0].label == f'{i}' and store.get_state('f', 's') == {'n': i - 1}
    figures |= {'undone': 29}

def test_pruning_under_a_clock_that_is_set_back(tmp_path, clock, figures):
    "With a clock that is behind, pruning deletes fewer sessions, never more."
    with Store(tmp_path/'wf.db') as store:
        for age in (40, 20, 0):
            clock.ns = NOON - age * 24 * HOUR
            store.create_session('f', f'{age} days')
        clock.ns = NOON - 100 * 24 * HOUR
        assert store.prune_sessions('f', timedelta(days=50)) == 0 and store.count_sessions('f') == 3
        clock.ns = NOON
        assert store.prune_sessions('f', timedelta(days=30)) == 1
        assert newest_first(store) == ['0 days', '20 days']
    figures |= {'deleted_too_early': 0}

def test_pruning_after_the_clock_was_ahead_once(tmp_path, clock, figures):
    with Store(tmp_path/'wf.db') as store:
        store.create_session('f', 'an hour ago')
        clock.ns = NOON + 10_000 * HOUR
        store.create_session('f', 'ahead')
        clock.ns = NOON + HOUR
        assert store.prune_sessions('f', timedelta(days=30)) == 0
        assert newest_first(store) == ['ahead', 'an hour ago']
    figures |= {'deleted_too_early': 0}
