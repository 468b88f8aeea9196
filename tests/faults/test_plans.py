"Which rows and pages a call reads: SQLite's query plans show it, and damaged pages prove it."
import re
import sqlite3
from contextlib import closing

import pytest

import internals
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store

PAGE, SESSIONS = 4096, 40

@pytest.fixture
def statements(monkeypatch):
    "A list of every statement that the store runs from now on."
    seen = []
    internals.watch_connections(monkeypatch, lambda con: con.set_trace_callback(seen.append))
    return seen

def fill(path):
    "Create sessions whose big values fill separate pages; all texts differ, so that a page can be identified by its content."
    with Store(path, synchronous='NORMAL') as store:
        for s in range(SESSIONS):
            store.update_state('f', f'{s}', {'n': s, 'big': big(s, 'state')})
            store.set_current_step('f', f'{s}', 'review')
            store.set_session_label('f', f'{s}', f'label {s}')
            for step in ('review', 'other'):
                store.update_step_state('f', f'{s}', step, {'big': big(s, step), 'small': 0})
                store.update_step_state('f', f'{s}', step, {'small': s, 'big': 0 if step == 'review' else big(s, 'redo')}, undo_label=f'{step} {s}')

def big(s, name): return ''.join(hex(hash((s, name, i)) & 0xffffffffffff)[2:] for i in range(3000))

READS = {
    'list_sessions': lambda store: [store.list_sessions('f', by, descending, limit=limit) for by in ('updated_at', 'created_at', 'label', 'current_step')
                                    for descending in (True, False) for limit in (None, 9)],
    'get_session_summary': lambda store: store.get_session_summary('f', '7'),
    'count_sessions': lambda store: store.count_sessions('f'),
    'session_exists': lambda store: store.session_exists('f', '7'),
    'get_current_step': lambda store: store.get_current_step('f', '7'),
    'get_step_state': lambda store: store.get_step_state('f', '7', 'review'),
    'get_state of some keys': lambda store: store.get_state('f', '7', keys=['n']),
    'get_undo_history': lambda store: store.get_undo_history('f', '7', 'other'),
    '_repr_markdown_': lambda store: store._repr_markdown_(),
}
VALUES_OF_THE_STEP = {'get_step_state', 'get_state of some keys'}  # these read the values of one step or key, and no others
BY_FLOW = {'list_sessions', 'count_sessions'}

@pytest.mark.parametrize('name', [name for name in READS if name != '_repr_markdown_'])
def test_query_plans(tmp_path, statements, name, figures):
    "Every search uses an index with all known columns, and a call that returns no value reads none."
    path = str(tmp_path/'wf.db')
    fill(path)
    with Store(path) as store, closing(sqlite3.connect(path)) as con:
        READS['session_exists'](store)  # the connections are open now
        del statements[:]
        READS[name](store)
        selects = [s for s in statements if not s.startswith(('PRAGMA', '--'))]
        assert selects
        for sql in selects:
            plan = [detail for *_, detail in con.execute('EXPLAIN QUERY PLAN ' + sql)]
            touched = [detail for detail in plan if detail.startswith(('SCAN', 'SEARCH'))]
            touched = [detail for detail in touched if 'workflow_' in detail]  # not the results of subqueries
            is_there_metadata = 'SCAN workflow_metadata USING COVERING INDEX workflow_metadata_term'  # EXISTS reads one row
            assert touched and not [detail for detail in touched if detail.startswith('SCAN') and detail != is_there_metadata], plan
            for detail in touched:
                if detail == is_there_metadata: continue
                known = r'\(flow_id=\?\)' if name in BY_FLOW else r'\(flow_id=\? AND session_id=\?\)'
                if 'workflow_value' in detail: assert name in VALUES_OF_THE_STEP and re.search(r'\(session=\? AND k1=\?', detail), plan
                elif 'workflow_undo' in detail: assert name == 'get_undo_history' and re.search(r'\(session=\? AND scope=\?\)', detail), plan
                elif 'workflow_metadata' in detail: assert re.search(r'\(session=\?\)', detail), plan
                else: assert re.search(known, detail), plan
            if 'ORDER BY updated' in sql: assert 'USE TEMP B-TREE FOR ORDER BY' not in plan, plan
    figures |= {'statements': len(selects)}

def damage(path, damaged):
    "Overwrite the pages of these numbers (from 1)."
    with open(path, 'rb+') as file:
        for page in damaged:
            file.seek((page - 1) * PAGE)
            file.write(b'\xff' * PAGE)

def pages_with(path, texts):
    "Numbers of the pages that hold only a part of one of these texts."
    whole, text = path.read_bytes(), b'\0'.join(texts)
    return [i // PAGE + 1 for i in range(0, len(whole), PAGE) if whole[i + 4:i + PAGE] in text]

def test_lists_read_no_value_page(tmp_path, figures):
    "The root pages of values and undo are damaged: calls that read them raise an error, lists and summaries still work."
    path = tmp_path/'wf.db'
    fill(path)
    names = ['list_sessions', 'get_session_summary', 'count_sessions', 'session_exists', 'get_current_step', '_repr_markdown_']
    with Store(path) as store: before = [READS[name](store) for name in names]
    with closing(sqlite3.connect(path)) as con:
        roots = [root for root, in con.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name IN ('workflow_value', 'workflow_undo')")]
    assert len(roots) == 5
    damage(path, roots)
    with Store(path) as store:
        assert [READS[name](store) for name in names] == before
        for name in ('get_step_state', 'get_state of some keys', 'get_undo_history'):
            with pytest.raises(sqlite3.DatabaseError): READS[name](store)
    figures |= {'calls': len(names)}

def test_a_step_reads_no_value_of_another_key(tmp_path, figures):
    "The pages of all other big values are damaged, and the call still works."
    path = tmp_path/'wf.db'
    fill(path)
    with Store(path) as store: before = [READS[name](store) for name in VALUES_OF_THE_STEP]
    damaged = pages_with(path, [big(s, name).encode() for s in range(SESSIONS) for name in ('state', 'redo')])
    assert len(damaged) >= 2 * SESSIONS
    damage(path, damaged)
    with Store(path) as store:
        assert [READS[name](store) for name in VALUES_OF_THE_STEP] == before
        for read in (lambda: store.get_step_state('f', '7', 'other'), lambda: store.get_state('f', '7')):
            with pytest.raises(sqlite3.DatabaseError): read()
    figures |= {'damaged_pages': len(damaged)}

def test_undo_history_reads_no_value(tmp_path, figures):
    "The pages of the state and of all values that undo would restore are damaged, and the call still works."
    path = tmp_path/'wf.db'
    fill(path)
    with Store(path) as store: before = READS['get_undo_history'](store)
    with closing(sqlite3.connect(path)) as con:
        deltas = [bytes(entry) for entry, in con.execute("SELECT entry FROM workflow_undo")]
        roots = [root for root, in con.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'workflow_value'")]
    damaged = pages_with(path, deltas)
    assert len(damaged) >= SESSIONS
    damage(path, damaged + roots)
    with Store(path) as store:
        assert READS['get_undo_history'](store) == before and before.undo[0].label == 'other 7'
        with pytest.raises(sqlite3.DatabaseError): store.undo('f', '7', 'other')
    figures |= {'damaged_pages': len(damaged)}
