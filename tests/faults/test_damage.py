"A damaged row: calls that need it raise `DatabaseError`, `check` lists it, and other sessions work as before."
import random
import re
import shutil
import sqlite3
import sys
import warnings
import zlib
from contextlib import closing

import pytest

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store, copy_store

F, S = 'review', 's1'
OTHERS = [(F, 's0'), (F, 's2'), ('label', 's1')]
SESSION, VALUE, UNDO, METADATA = 'workflow_session', 'workflow_value', 'workflow_undo', 'workflow_metadata'
OWNER = {'owner': 'ana', 'n': 1}
BOMB = zlib.compress(b'[' + b' ' * (1 << 29), 9)
HUGE = '9223372036854775807'
NO_TEXT = ["x'00ff'", "x'7b7d'", "CAST(x'22ff22' AS TEXT)", '7', '1.5', HUGE]
NO_NUMBER = ["x'31'", "CAST(x'ff' AS TEXT)", "'damaged'", '1.5', '9e999', 'NULL']
WRONG_TYPES = {
    **{(SESSION, column): [*NO_TEXT, 'NULL'] for column in ('flow_id', 'session_id')},
    **{(SESSION, column): NO_TEXT for column in ('label', 'current_step')},
    **{(SESSION, column): NO_NUMBER for column in ('created', 'updated', 'revision', 'state_size')},
    **{(VALUE, column): [*NO_TEXT, 'NULL'] for column in ('k1', 'k2', 'k3', 'value')},
    **{(VALUE, column): NO_NUMBER for column in ('session', 'position')},
    **{(UNDO, column): [*NO_TEXT, 'NULL'] for column in ('scope', 'label', 'keys')}, (UNDO, 'undo_group'): NO_TEXT,
    **{(UNDO, column): NO_NUMBER for column in ('session', 'seq', 'undone', 'created', 'size')},
    (UNDO, 'entry'): ['NULL', '7', '1.5', "'damaged'", "CAST(x'ff' AS TEXT)"]}
WRONG_VALUES = {
    (SESSION, 'created'): [HUGE, f'-{HUGE}'], (SESSION, 'updated'): [HUGE, f'-{HUGE}'],
    (SESSION, 'revision'): [HUGE, '-1', '0', f'{2 ** 31}'], (SESSION, 'state_size'): [HUGE, '-1', '1'],
    (VALUE, 'session'): [HUGE, '-1'], (VALUE, 'position'): [HUGE, '-1'],
    (VALUE, 'k1'): ["'damaged'", "''", "'5'"], (VALUE, 'k2'): ["'damaged'", "'5'"], (VALUE, 'k3'): ["'damaged'", "'5'"],
    (VALUE, 'value'): ["'damaged'", "'{'", "''", "'[1,'", f"'{'[' * 100_000}'"],
    (UNDO, 'session'): [HUGE, '-1'], (UNDO, 'scope'): ["'damaged'", "'\"_step_none\"'"],
    (UNDO, 'seq'): [HUGE, '-1', '100'], (UNDO, 'undone'): [HUGE, '7', '-1'], (UNDO, 'label'): ["''", "' '"],
    (UNDO, 'created'): [HUGE, f'-{HUGE}'], (UNDO, 'size'): [HUGE, '-1', '1'],
    (UNDO, 'keys'): ["'damaged'", "'{'", "'[1]'", "'[\"none\"]'", "'{\"a\":1}'"],
    (UNDO, 'entry'): ["x''", "x'5b'", "x'5b5b5d2c'", "x'ffff'", "x'5b5b5d2c5b5d5d'", f"x'{BOMB.hex()}'",
                      f"x'{zlib.compress(b'[' * 10_000).hex()}'"]}
SELECTS_BY = {'flow_id', 'session_id', 'session', 'k1', 'k2', 'k3', 'scope', 'undone'}  # no longer found by its key
ONLY_CHECK = {'flow_id', 'session_id', 'session', 'undo_group', 'size'}  # no read or write uses the value itself

OWN_SESSION = f"(SELECT id FROM {SESSION} WHERE flow_id = '{F}' AND session_id = '{S}')"

READS = {
    'get_state': lambda s, *ids: s.get_state(*ids), 'get_session': lambda s, *ids: s.get_session(*ids),
    'get_session_summary': lambda s, *ids: s.get_session_summary(*ids),
    'get_current_step': lambda s, *ids: s.get_current_step(*ids),
    'get_step_state': lambda s, *ids: s.get_step_state(*ids, 'a'),
    'get_state of a key': lambda s, *ids: s.get_state(*ids, keys=['doc']),
    'get_session of a step': lambda s, *ids: s.get_session(*ids, keys=['title'], steps=['a']),
    'get_undo_history': lambda s, *ids: s.get_undo_history(*ids),
    'get_undo_history of a step': lambda s, *ids: s.get_undo_history(*ids, 'a'),
    'session_exists': lambda s, *ids: s.session_exists(*ids)}
LISTS = {
    'list_flows': lambda s: s.list_flows(), 'count_sessions': lambda s: s.count_sessions(F),
    'jupyter': lambda s: s._repr_markdown_() and None,
    **{f'list by {column}': lambda s, column=column: [one for one in s.list_sessions(F, column) if one.session_id != S]
       for column in ('created_at', 'updated_at', 'label', 'current_step')}}
# reads and writes the whole state of a step and of the session, and each kind of undo
def edit(block, change):
    with block as part: change(part)

WRITES = {
    'merge': lambda s, *ids: s.update_state(*ids, {'doc': {'n': 1}}),
    'merge with a label': lambda s, *ids: s.update_state(*ids, {'title': 'New'}, undo_label='Rename'),
    'merge in the group': lambda s, *ids: s.update_state(*ids, {'title': 'Newer'}, undo_label='Type', undo_group='g'),
    'merge into a step': lambda s, *ids: s.update_step_state(*ids, 'a', {'n': 9}, undo_label='Step', undo_group='g'),
    'remove with a label': lambda s, *ids: s.update_state(*ids, {}, remove=['tags'], undo_label='Remove'),
    'undo': lambda s, *ids: s.undo(*ids, force=True), 'redo': lambda s, *ids: s.redo(*ids, force=True),
    'undo of a step': lambda s, *ids: s.undo(*ids, 'a', force=True),
    'redo of a step': lambda s, *ids: s.redo(*ids, 'a', force=True),
    'undo of all': lambda s, *ids: [s.undo(*ids, force=True) for _ in range(9)],
    'edit_state': lambda s, *ids: edit(s.edit_state(*ids), lambda state: state.update(more=1)),
    'edit_session': lambda s, *ids: edit(s.edit_session(*ids), lambda part: part.step('a').update(state=[*part.state])),
    'edit_step_state': lambda s, *ids: edit(s.edit_step_state(*ids, 'a', undo_label='x'), lambda state: state.clear()),
    'whole state': lambda s, *ids: s.update_state(*ids, s.get_state(*ids)),
    'stale': lambda s, *ids: s.update_state(*ids, {'n': 2}, expected_revision=s.get_session_summary(*ids).revision),
    'set_current_step': lambda s, *ids: s.set_current_step(*ids, 'b'),
    'set_session_label': lambda s, *ids: s.set_session_label(*ids, 'renamed'),
    'copy_session': lambda s, *ids: s.delete_session(ids[0], s.copy_session(*ids)),
    'clear_step_state': lambda s, *ids: s.clear_step_state(*ids, 'a', undo_label='Clear'),
    'reset_session': lambda s, *ids: s.reset_session(*ids), 'delete_session': lambda s, *ids: s.delete_session(*ids)}

def fill(store):
    for ids in [(F, S), *OTHERS]:
        doc = {'text': 'x' * 3000, 'page': {'width': 'y' * 9000, 'n': {'m': 1}}, 'n': 0}
        store.update_state(*ids, {'title': 'Lease', 'doc': doc, 'tags': ['a'], '_step_a': {'n': 1}, '_step_b': {}})
        store.set_session_label(*ids, 'Lease')
        store.set_session_metadata(*ids, OWNER)
        store.set_current_step(*ids, 'a')
        for n in range(3):
            store.update_step_state(*ids, 'a', {'n': n, 'list': ['z' * 600]}, undo_label=f'Step {n}')
            store.update_state(*ids, {'title': f'{n}', 'tags': [n]}, undo_label=f'Rename {n}')
        store.update_state(*ids, {'title': 'T'}, undo_label='Type', undo_group='g')
        store.update_step_state(*ids, 'a', {'n': 4}, undo_label='Type', undo_group='g')
        store.undo(*ids, 'a')
        store.undo(*ids)
        store.undo(*ids)

@pytest.fixture(scope='module')
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp('damage')/'template.db'
    with Store(path) as store:
        fill(store)
        assert store.check() == []
    return path

@pytest.fixture
def path(template, tmp_path): return shutil.copyfile(template, tmp_path/'wf.db')

def damage(path, table, column, value, chance):
    "Store a value that the columns' types and NOT NULL would refuse, in a random row of the session."
    def set_schema(sql, *values):
        with closing(sqlite3.connect(path, isolation_level=None)) as con:
            con.execute('PRAGMA writable_schema = ON')
            con.execute(f'UPDATE sqlite_master SET sql = {sql} WHERE name = ?', (*values, table))
    with closing(sqlite3.connect(path)) as con:
        [[schema]] = con.execute('SELECT sql FROM sqlite_master WHERE name = ?', [table]).fetchall()
        [[session]] = con.execute(f'SELECT {OWN_SESSION}').fetchall()
        own = 'id' if table == SESSION else 'session'
        used = f" AND {column} <> ''" if column in ('k2', 'k3') else ''
        rows = con.execute(f'SELECT rowid FROM {table} WHERE {own} = ?{used}', [session]).fetchall()
    set_schema("replace(replace(replace(sql, 'TEXT', 'BLOB'), 'INTEGER NOT NULL', 'BLOB'), 'BLOB NOT NULL', 'BLOB')")
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        if column == 'value' and value.startswith("'[["): rows = [[rows[-1][0]]]
        con.execute(f'UPDATE {table} SET {column} = {value} WHERE rowid = ?', chance.choice(rows))
    set_schema('?', schema)

class Outcome:
    "What the calls on a damaged file did."
    def __init__(self, store, path): self.store, self.path, self.refused, self.errors = store, path, [], []

    def call(self, name, function, *args):
        "The result, or `...` if the call was refused as it must be."
        try: return function(self.store, *args)
        except sqlite3.DatabaseError as error:
            self.refused.append(name)
            if str(self.path) not in str(error): self.errors.append((name, error))
        except AttributeError as error:
            if "'NoneType' object has no attribute 'revision'" not in str(error): self.errors.append((name, error))
        except LookupError as error:
            if 'to copy' not in str(error): self.errors.append((name, error))
        except Exception as error: self.errors.append((name, error))
        return ...

@pytest.mark.rounds(60, 600)
def test_random_damage(template, tmp_path, rounds, figures):
    """Each file has one damaged value, in a random column and row of one session.

    Whatever the call, that session's data is either as before or refused; the other sessions work.
    """
    chance, path, refusals = random.Random(21), tmp_path/'wf.db', 0
    with Store(template) as store:
        before = {name: read(store, F, S) for name, read in READS.items()}
        others = {(name, *ids): read(store, *ids) for name, read in READS.items() for ids in OTHERS}
        lists = {name: read(store) for name, read in LISTS.items()}
    kinds = [(*column, damaged) for damaged in (WRONG_TYPES, WRONG_VALUES) for column in damaged]
    for n in range(rounds):
        table, column, damaged = kinds[n % len(kinds)]
        value = chance.choice(damaged[table, column])
        where = f'{n}: {table}.{column} = {value[:60]}'
        shutil.copyfile(template, path)
        damage(path, table, column, value, chance)
        with Store(path) as store, warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)
            outcome = Outcome(store, path)
            problems = outcome.call('check', lambda s: s.check())
            assert problems and problems is not ..., where
            for name, read in READS.items():
                result = outcome.call(name, read, F, S)
                as_before = result is ... or result == before[name]
                assert as_before or damaged is WRONG_VALUES or column in SELECTS_BY, (where, name, result)
            for name, read in LISTS.items():
                result = outcome.call(name, read)
                assert column in ('flow_id', 'session_id') or result == lists[name], (where, name, result)
            with Store(':memory:') as target: outcome.call('copy_store', lambda s: copy_store(s, target))
            for name in chance.sample(list(WRITES), len(WRITES)): outcome.call(name, WRITES[name], F, S)
            assert not outcome.errors, (where, outcome.errors)
            assert outcome.refused or damaged is WRONG_VALUES or column in ONLY_CHECK, where
            refusals += len(outcome.refused)
            for name, read in READS.items():
                for ids in OTHERS: assert read(store, *ids) == others[(name, *ids)], (where, name)
            for ids in OTHERS:
                for write in WRITES.values(): write(store, *ids)
        for left in path.parent.iterdir(): left.unlink()
    figures |= {'damaged_files': rounds, 'calls_refused': refusals, 'other_errors': 0}

# -- what check finds

def update(path, *statements):
    with closing(sqlite3.connect(path)) as con:
        for statement in statements: con.execute(statement)
        con.commit()

OF_ONE = f"WHERE session = (SELECT min(id) FROM {SESSION})"

FINDINGS = [
    (f"UPDATE {SESSION} SET updated = 'now'", 'updated is text'), (f'UPDATE {SESSION} SET revision = 0', 'revision is 0'),
    (f"UPDATE {SESSION} SET created = {HUGE}", 'created is .* out of range'),
    (f'UPDATE {SESSION} SET state_size = state_size + 1', 'its stored size is'),
    (f'UPDATE {VALUE} SET session = 99 {OF_ONE}', 'rows belong to no session'),
    (f'UPDATE {UNDO} SET session = 99 {OF_ONE}', 'rows belong to no session'),
    (f"UPDATE {VALUE} SET value = 'x'", "value .*: Expecting value"),
    (f"UPDATE {VALUE} SET value = '{{ \"n\": 1 }}' WHERE k1 = '\"title\"'", 'the value is not compact JSON'),
    (f'UPDATE {VALUE} SET position = position + {1 << 45}', 'position is'),
    (f"UPDATE {VALUE} SET position = 1 WHERE k2 = ''", 'the same position'),
    (f"DELETE FROM {VALUE} WHERE k1 = '\"doc\"' AND k2 = ''", 'it belongs to no split dict'),
    (f"UPDATE {VALUE} SET value = '5' WHERE k1 = '\"_step_b\"'", 'the state of a step must be a split dict'),
    (f"UPDATE {VALUE} SET k1 = '\"\\u0061\"' WHERE k1 = '\"title\"'", 'is not a key'),
    (f'UPDATE {UNDO} SET seq = 9 WHERE seq = 4', 'the entry numbers have gaps'),
    (f'DELETE FROM {UNDO} WHERE seq = 2', 'the entry numbers have gaps'), (f'UPDATE {UNDO} SET seq = -seq', 'the entry numbers have gaps'),
    (f'UPDATE {UNDO} SET undone = 1 - undone', 'comes before one that was not'), (f'UPDATE {UNDO} SET undone = 5', 'undone is 5'),
    (f'UPDATE {UNDO} SET size = size + 1', 'its stored size is'), (f"UPDATE {UNDO} SET scope = 'x' WHERE scope = ''", 'scope is x'),
    (f"UPDATE {UNDO} SET scope = '\"_step_b\"' WHERE scope = '\"_step_a\"'", 'outside of its scope'),
    (f"UPDATE {UNDO} SET keys = '[\"none\"]'", 'its keys are'), (f"UPDATE {UNDO} SET keys = '{{\"title\": 1}}'", 'its keys are'),
    (f"UPDATE {UNDO} SET label = ''", 'undo_label must not be empty'), (f'UPDATE {UNDO} SET created = {HUGE}', 'created is .* out of range'),
    (f"UPDATE {UNDO} SET size = 7, entry = x'5b5b5d2c5b5d5d'", 'list of steps'),
    (f"UPDATE {UNDO} SET size = 3, entry = x'5b5b5d'", 'undo entry .* Expecting'),
    (f'UPDATE {METADATA} SET session = 99 {OF_ONE}', 'workflow_metadata: 2 rows belong to no session'),
    (f"UPDATE {METADATA} SET value = '{{'", 'metadata key "owner": Expecting'),
    (f"UPDATE {METADATA} SET value = '[1]'", 'metadata key "owner": .* must be a str'),
    (f"UPDATE {METADATA} SET value = '\"ben\"'", 'metadata key "owner": lists miss it: its index entry is wrong'),
    (f"UPDATE {METADATA} SET value = ' 1' WHERE key = '\"n\"'", 'metadata key "n": the value is not compact JSON'),
    (f"UPDATE {METADATA} SET key = 'owner'", 'metadata key owner: Expecting'),
    (f'UPDATE {METADATA} SET position = -position', 'metadata key "owner": position is -'),
    (f"UPDATE {METADATA} SET key = '\"n\"'", 'a key of the metadata is stored twice')]

@pytest.mark.parametrize('statement, finding', FINDINGS, ids=[statement[7:60] for statement, _ in FINDINGS])
def test_finding(engine, statement, finding):
    "On each engine; PostgreSQL refuses a wrong type, and an orphan, when it is written."
    store = engine.open()
    fill(store)
    assert store.check() == []
    with closing(engine.connect()) as con:
        if hasattr(engine, 'server'):
            if '99' in statement or "'now'" in statement: pytest.skip('PostgreSQL does not store this')
            con.execute(f'SET search_path = "{engine.schema_name("wf")}"')
            statement = statement.replace("entry = x'", "entry = '\\x")
        con.execute(statement)
        if hasattr(con, 'in_transaction'): con.commit()
    problems = store.check()
    assert any(re.search(finding, problem) for problem in problems), problems
    if hasattr(engine, 'server'):
        with closing(engine.connect()) as con:
            con.execute(f'DELETE FROM "{engine.schema_name("wf")}".{SESSION}')
    else: update(engine.path('wf'), *[f'DELETE FROM {table}' for table in (METADATA, UNDO, VALUE, SESSION)])

def test_one_fault_hides_no_other(path):
    chance = random.Random(1)
    bad = [(SESSION, 'label', "CAST(x'ff' AS TEXT)", 'label is'), (SESSION, 'updated', "'now'", 'updated is text'),
           (VALUE, 'position', "x'00'", 'position is a BLOB'), (UNDO, 'seq', "'7'", 'seq is'),
           (UNDO, 'keys', "CAST(x'ff' AS TEXT)", 'keys is'), (UNDO, 'entry', 'NULL', 'entry is missing')]
    for table, column, value, _ in bad: damage(path, table, column, value, chance)
    damage(path, VALUE, 'k1', "CAST(x'22ff22' AS TEXT)", random.Random(4))
    update(path, f"UPDATE {SESSION} SET state_size = 5 WHERE flow_id = 'label'")
    with Store(path) as store: problems = store.check()
    for finding in [finding for *_, finding in bad] + ['k1 is', "flow 'label', session 's1': its stored size is 5"]:
        assert any(finding in problem for problem in problems), (finding, problems)
    assert not [problem for problem in problems if "'s0'" in problem or "'s2'" in problem]

def test_check_of_a_file_with_damaged_pages(template, tmp_path):
    "Whatever page is overwritten, `check` reports it and does not raise."
    path, content = tmp_path/'wf.db', template.read_bytes()
    checks = 0
    for page in range(1, len(content) // 4096):  # not the first page: without it, SQLite opens no file
        for garbage in (b'\xff' * 4096, bytes(4096), b'\x0d' + bytes(4095)):
            path.write_bytes(content[:page * 4096] + garbage + content[(page + 1) * 4096:])
            with closing(sqlite3.connect(path)) as con:
                try: schema = con.execute('SELECT count(*) FROM sqlite_master').fetchall()
                except sqlite3.DatabaseError: continue  # a page of the schema: the store refuses to open the file
            try: store = Store(path)
            except sqlite3.DatabaseError as error:
                assert str(path) in str(error), schema
                continue
            with store: assert store.check(), page
            checks += 1
    assert checks > 30

def test_lists_show_a_damaged_session(path):
    "With what can be read of it, and with a warning; a session whose id is damaged has no name to show."
    for column, value in ('label', "x'00'"), ('updated', "CAST(x'ff' AS TEXT)"): damage(path, SESSION, column, value, random)
    with Store(path) as store:
        with pytest.warns(RuntimeWarning, match='damaged sessions in this list: 1') as caught: found = store.list_sessions(F)
        assert str(path) in str(caught[0].message) and caught[0].filename == __file__
        [shown] = [summary for summary in found if summary.session_id == S]
        assert (shown.label, shown.current_step, shown.updated_at) == (None, 'a', '1970-01-01 00:00:00') and len(found) == 3
        with pytest.raises(sqlite3.DatabaseError): store.get_session_summary(F, S)
        store.set_current_step(F, 's0', 'b')
    damage(path, SESSION, 'session_id', "x'00'", random)
    with Store(path) as store, pytest.warns(RuntimeWarning): assert len(store.list_sessions(F)) == 2

DAMAGED_METADATA = ["value = '{'", "value = CAST(x'ff' AS TEXT)", "value = '[1'", "key = CAST(x'22ff22' AS TEXT)", "key = 'owner'"]

@pytest.mark.parametrize('damaged', DAMAGED_METADATA)
def test_damaged_metadata_affects_only_what_shows_it(path, damaged):
    update(path, f"UPDATE {METADATA} SET {damaged} WHERE session = {OWN_SESSION} AND key = '\"owner\"'")
    with Store(path) as store:
        with pytest.warns(RuntimeWarning, match='damaged sessions in this list: 1'): found = store.list_sessions(F)
        assert {one.session_id: one.metadata for one in found} == {S: {}, 's0': OWNER, 's2': OWNER}
        assert [one.cursor for one in found if one.session_id == S] != ['']
        with pytest.warns(RuntimeWarning): assert len(store.list_sessions(F, metadata={'n': 1})) == 3
        assert store.count_sessions(F, metadata=OWNER) == 3
        for call in (store.get_session_summary, store.get_session, lambda *ids: edit(store.edit_session(*ids), lambda part: part.metadata)):
            with pytest.raises(sqlite3.DatabaseError, match='damaged'): call(F, S)
        [problem] = store.check()
        assert f"session '{S}': metadata key" in problem
        store.update_state(F, S, {'title': 'as before'}, undo_label='Rename')
        assert [entry.label for entry in store.undo(F, S)] == ['Rename']
        store.delete_session(F, S)
        assert store.check() == []

def test_metadata_that_is_a_blob_is_not_copied(path):
    update(path, f"UPDATE {METADATA} SET value = CAST(value AS BLOB)")
    with Store(path) as store, Store(':memory:') as target:
        for call in (lambda: store.copy_session(F, S), lambda: edit(store.edit_session(F, S), lambda part: part.metadata), lambda: copy_store(store, target)):
            with pytest.raises(sqlite3.DatabaseError, match='value is a BLOB'): call()
        assert store.count_sessions(F) == 3 and len(store.check()) == 8

@pytest.mark.parametrize('seq, readable', [("'7'", True), ('1.5', True), (HUGE, True), ("x'00'", False)])
def test_a_damaged_number_of_an_undone_entry(path, seq, readable):
    "A new action takes its place if the number can be read at all; otherwise the write is refused."
    update(path, f"UPDATE {UNDO} SET seq = {seq} WHERE session = {OWN_SESSION} AND scope = '' "
                 f'AND seq = (SELECT max(seq) FROM {UNDO})')
    with Store(path) as store:
        assert len(store.check()) > 0
        def rename(): store.update_state(F, S, {'title': 'New'}, undo_label='Rename')
        if readable:
            rename()
            assert [entry.label for entry in store.undo(F, S)] == ['Rename']
        else:
            with pytest.raises(sqlite3.DatabaseError, match=re.escape(str(path))): rename()
            assert store.get_state(F, S, keys=['title']) != {'title': 'New'}

# -- the caller's own recursion

def nested(levels):
    value = 0
    for _ in range(levels): value = [value]
    return value

def deep(frames, call): return call() if frames == 0 else deep(frames - 1, call)

DEEP = {'get_state': lambda s: s.get_state(F, S), 'get_step_state': lambda s: s.get_step_state(F, S, 'a'),
        'get_session': lambda s: s.get_session(F, S), 'check': lambda s: s.check(), 'edit_state': lambda s: edit(s.edit_state(F, S), len),
        'edit_session': lambda s: edit(s.edit_session(F, S), lambda part: part.step('a')),
        'undo and redo': lambda s: s.undo(F, S) and s.redo(F, S), 'get_undo_history': lambda s: s.get_undo_history(F, S),
        'merge': lambda s: s.update_state(F, S, {'deep': nested(499)}),
        'merge with a label': lambda s: s.update_state(F, S, {'deep': nested(498)}, undo_label='Deep', undo_group='g'),
        'merge into a step': lambda s: s.update_step_state(F, S, 'a', {'deep': nested(499)}, undo_label='Deep', undo_group='g'),
        'small merge': lambda s: s.update_state(F, S, {'n': 1}), 'copy_store': lambda s: copy_store(s, Store(':memory:'))}

@pytest.mark.parametrize('name', DEEP)
def test_from_deep_inside_the_callers_recursion(engine, name):
    "A call works, or raises `RecursionError`, as all of Python does; afterwards the store works."
    store, limit = engine.open(), sys.getrecursionlimit()
    value = {'record': {'inner': {'deep': nested(495), 'x': 'x' * 5000}}}
    store.update_state(F, S, {'deep': nested(495), **value, '_step_a': {'deep': nested(500)}})
    for levels in (496, 497): store.update_state(F, S, {'deep': nested(levels)}, undo_label='Deep')
    outcomes = set()
    for frames in range(0, limit, 25):
        try:
            deep(frames, lambda: DEEP[name](store))
            outcomes.add('works')
        except RecursionError: outcomes.add('RecursionError')
        store.update_state(F, S, {'n': frames})
    assert outcomes == {'works', 'RecursionError'} or sys.version_info >= (3, 12) and 'works' in outcomes
    assert store.check() == [] and store.get_state(F, S, keys=['record']) == value

def test_a_stored_value_that_is_too_deep_is_damage(path):
    update(path, f"UPDATE {VALUE} SET value = '{'[' * 200_000}{']' * 200_000}' WHERE k1 = '\"tags\"'")
    with Store(path) as store:
        for call in (store.get_state, store.get_session, lambda *ids: store.edit_state(*ids).__enter__()):
            with pytest.raises(sqlite3.DatabaseError, match='damaged'): call(F, S)
        assert len(store.check()) == 2 * 4  # the value and the size of each session

def test_a_value_that_is_too_deep_is_refused_with_its_path(tmp_path):
    with Store(tmp_path/'wf.db') as store:
        for levels in (501, 1500, 50_000):
            with pytest.raises(TypeError, match='deep'): store.update_state(F, S, {'deep': nested(levels)})
        assert store.get_state(F, S) == {}
