"The clock is set back, stands still or jumps: sessions stay in the order of the writes."
import random
import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

import internals
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

NOON = 1_750_000_000 * 10**9
HOUR = 3600 * 10**9
MINUTE = HOUR // 60
DAY = 24 * HOUR

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
            if move == 'set back': clock.ns -= HOUR // rounds  # an hour in all
            if move == 'jumps': clock.ns = NOON + chance.choice([0, 0, 1, 10, 59]) * MINUTE
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

# -- a clock that was far ahead

def at(ns): return f'{datetime.fromtimestamp(ns // 10**9, timezone.utc):%Y-%m-%d %H:%M:%S}'

@pytest.mark.parametrize('write', range(len(WRITES)))
def test_a_write_after_the_clock_was_a_year_ahead(tmp_path, clock, write, figures):
    "Only what was written at that time has that time; the next write of each session has the right one."
    with Store(tmp_path/'wf.db') as store:
        for s in ('ahead', 'other'): store.update_state('f', s, {'n': 0})
        clock.ns = NOON + 365 * DAY
        store.update_state('f', 'ahead', {'n': 1})
        assert store.get_session_summary('f', 'ahead').updated_at == at(NOON + 365 * DAY)
        for s in ('other', 'ahead'):
            clock.ns = NOON + DAY
            WRITES[write](store, s)
            assert store.get_session_summary('f', s).updated_at == at(NOON + DAY)
        store.create_session('f', 'new')
        assert newest_first(store) == ['new', 'ahead', 'other']
        clock.ns = NOON + 40 * DAY
        assert store.prune_sessions('f', timedelta(days=30)) == 3
    figures |= {'sessions_left': 0}

@pytest.mark.parametrize('ahead, kept', [(59 * MINUTE, True), (HOUR + MINUTE, False), (400 * DAY, False)])
def test_only_a_time_up_to_an_hour_ahead_is_kept_in_order(tmp_path, clock, ahead, kept):
    with Store(tmp_path/'wf.db') as store:
        clock.ns = NOON + ahead
        store.create_session('f', 'first')
        clock.ns = NOON
        store.create_session('f', 'second')
        store.set_current_step('f', 'first', 'a')
        assert newest_first(store) == ['first', 'second']
        times = [store.get_session_summary('f', s).updated_at for s in ('first', 'second')]
        assert times == [at(NOON + ahead if kept else NOON)] * 2

@pytest.mark.parametrize('updated', ["'now'", "x'00'", '9223372036854775807', '-9223372036854775808', '9e999', '-9e999', '1e300'])
def test_a_damaged_time_does_not_change_the_times_of_others(tmp_path, clock, updated):
    path = tmp_path/'wf.db'
    with Store(path) as store:
        for s in ('damaged', 'other', 'third'): store.create_session('f', s)
        with closing(sqlite3.connect(path)) as con, con:
            con.execute(f"UPDATE workflow_session SET updated = {updated} WHERE session_id = 'damaged'")
        clock.ns += MINUTE
        for s in ('other', 'third', 'new', 'damaged'): store.update_state('f', s, {'n': 1})
        assert newest_first(store) == ['damaged', 'new', 'third', 'other'] and store.check() == []
        with closing(sqlite3.connect(path)) as con, con:
            con.execute(f"UPDATE workflow_session SET updated = {updated} WHERE session_id <> 'new'")
            con.execute("DELETE FROM workflow_session WHERE session_id = 'new'")
        store.create_session('f', 'new')
        assert store.get_session_summary('f', 'new').updated_at == at(clock.ns)

def test_far_ahead_on_each_engine(engine):
    "PostgreSQL uses the server's clock, so here the stored time is moved."
    store = engine.open()
    for s in ('ahead', 'other'): store.update_state('f', s, {'n': 0})
    before = store.get_session_summary('f', 'other').updated_at
    table = f'"{engine.schema_name("wf")}".workflow_session' if hasattr(engine, 'server') else 'workflow_session'
    for moved in (365 * DAY // 1000, 2 ** 62):
        with closing(engine.connect()) as con:
            con.execute(f"UPDATE {table} SET updated = updated + {moved} WHERE session_id = 'ahead'")
            if hasattr(con, 'in_transaction'): con.commit()
        for s in ('other', 'ahead'): store.update_state('f', s, {'n': moved})
        for s in ('other', 'ahead'): assert before <= store.get_session_summary('f', s).updated_at < f'{int(before[:4]) + 1}'
    assert newest_first(store) == ['ahead', 'other']
