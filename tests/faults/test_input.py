"Any text as id, any value as state: the store returns it as JSON does, or raises the documented error and writes nothing."
import inspect
import json
import re
from datetime import timedelta
from decimal import Decimal
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from cjm_workflow_state.state_store import StaleSessionError, WorkflowStateStore

whole = st.text(st.characters(exclude_categories=['Cs']), max_size=12)
halves = st.lists(st.one_of(st.characters(), st.characters(categories=['Cs'])), max_size=5).map(''.join)  # halves of surrogate pairs, which UTF-8 can't encode
anything = st.one_of(whole, whole, whole, halves)
ids = st.one_of(anything, st.sampled_from(['', ':', 'a:b', '%', '_', "'", '"', '\0', 'a\0b', 'A', 'a', '😀', '\ud83d', '\ud83d\ude00',
                                          '_step_', 'e\u0301', 'é']),
                st.sampled_from([None, 0, True, b'a', ['a'], 1.5]))
numbers = st.one_of(st.integers(), st.integers(-10**300, 10**300), st.floats(), st.sampled_from([-0.0, 2**53 + 1, 0.1 + 0.2, 1e308, 5e-324]))
scalars = st.one_of(st.none(), st.booleans(), numbers, anything, st.just('x').map(lambda x: x * 3000),
                    st.sampled_from(['"' * 50, '\\u0000', '\x7f\u2028', '{}', 'null']))
impossible = st.one_of(st.binary(max_size=3), st.complex_numbers(), st.just({1}), st.builds(object), st.just(Decimal(1)), st.just(timedelta(1)))
odd_keys = st.one_of(anything, st.sampled_from(['1', 'true', 'null', '1.5', 'None', 1, True, None, 1.5, 0, False, float('nan'), '', '_step_a']))
worst_keys = st.one_of(odd_keys, st.sampled_from([(1, 2), b'k']))

def trees(leaves, keys):
    return st.recursive(leaves, max_leaves=10, extend=lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(keys, inner, max_size=4)))

values = st.one_of(trees(scalars, anything), trees(scalars, odd_keys), trees(st.one_of(scalars, scalars, impossible), worst_keys))
top_keys = st.one_of(anything, st.sampled_from(['a', 'b', '', '_step_', '_step_a', '_step_\0', '1', 'a.b', "a'--"]))
states = st.one_of(st.dictionaries(top_keys, trees(scalars, anything), max_size=4), st.dictionaries(top_keys, values, max_size=4),
                   st.dictionaries(worst_keys, values, max_size=3), values)
labels = st.one_of(st.none(), anything, ids)
revisions = st.one_of(st.none(), st.none(), st.integers(), st.sampled_from([0, 1, 2, True, '1', 2**63, 2**200, -1, 1.0]))
counts = st.one_of(st.integers(), st.sampled_from([0, 1, 2**63, 2**200, -1, True, 1.0, None, '1']))
key_lists = st.one_of(st.lists(st.one_of(top_keys, top_keys, worst_keys), max_size=4), st.sampled_from(['ab', b'ab', ('a',), 7, [['a']], []]))

def json_text(key): return json.dumps(key, ensure_ascii=False) if isinstance(key, str) else ''

def ascii_text(key): return json.dumps(key) if isinstance(key, str) else ''  # if there are lone surrogates

def text(value): return json.dumps(value)  # equal only if values, types and order are equal

def same_keys(value, levels):
    "Whether JSON turns two keys into one, in a dict that the store may split into rows."
    if not levels or not isinstance(value, dict): return False
    return len({json.dumps(json.loads(json.dumps({key: 0}))) for key in value}) < len(value) or any(same_keys(part, levels - 1) for part in value.values())

def as_json(state, levels):
    "What the store must return for `state`, or `None` if it must refuse it."
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state): return None
    try: back = json.loads(json.dumps(state))
    except (TypeError, ValueError): return None
    return None if same_keys(state, levels) else back

class Watched:
    "A store, and its content between calls."
    def __init__(self, engine):
        self.engine, self.store, self.con = engine, engine.open(synchronous='NORMAL'), engine.connect()
        self.store.update_state('sentinel', 's', {'n': 1, '_step_a': {'x': 1}})
        self.store.update_state('sentinel', 's', {'n': 2}, undo_label='two')

    def content(self): return self.engine.content(self.con)

    def good_text(self, value):
        "Whether a database accepts a str: no lone surrogate, and no NUL in PostgreSQL."
        if not isinstance(value, str) or re.search('[\ud800-\udfff]', value): return False
        return self.engine.supports_nul or '\0' not in value

    def good_id(self, value): return self.good_text(value) and value != ''

    def good_label(self, value): return self.good_text(value) and 0 < len(value) <= 1000 and not value.isspace()

    def refused(self, call, *names):
        "`call()` raises a documented error that names one of `names`, and writes nothing."
        before = self.content()
        with pytest.raises((TypeError, ValueError)) as error: call()
        assert any(name in str(error.value) for name in names), f'{error.value!r} names none of {names}'
        assert self.content() == before

    def close(self):
        assert self.store.get_state('sentinel', 's') == {'n': 2, '_step_a': {'x': 1}}
        assert [entry.label for entry in self.store.get_undo_history('sentinel', 's').undo] == ['two']
        assert self.store.check() == []
        self.con.close()  # otherwise the log of the file stays
        self.engine.drop()

def play(engine, rounds, figures, *strategies):
    "Run the decorated function on one store for all examples, each time with new input."
    def decorate(function):
        figures['examples'] = 0
        watched = Watched(engine)
        @settings(max_examples=rounds, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        @given(st.tuples(*strategies))
        def examples(args):
            figures['examples'] += 1
            watched.store.delete_session('f', 's')  # what a failed example left
            function(watched, *args)
        try: examples()
        finally: watched.con.close()
        watched.close()
        return function
    return decorate

def entered(result): return result.__enter__() if hasattr(result, '__enter__') else result

@pytest.mark.rounds(300, 5000)
def test_ids(engine, rounds, figures):
    "Every id in every method: a separate session, or an error that names the argument."
    @play(engine, rounds, figures, ids, ids, ids, labels)
    def _(watched, flow, session, step, label):
        store, good_id, good_text, flow_of = watched.store, watched.good_id, watched.good_text, {'flow_id': flow}
        session_of = {**flow_of, 'session_id': session}
        step_of = {**session_of, 'step_id': step}
        calls = {name: session_of for name in ('create_session', 'get_session', 'get_state', 'edit_state', 'edit_session', 'copy_session', 'delete_session', 'clear_state', 'reset_session', 'session_exists',
                                               'get_session_summary', 'get_current_step')}
        calls |= {name: step_of for name in ('set_current_step', 'get_step_state', 'edit_step_state', 'clear_step_state', 'undo', 'redo', 'get_undo_history')}
        calls |= {'update_state': {**session_of, 'updates': {}}, 'update_step_state': {**step_of, 'updates': {}},
                  'set_session_label': {**session_of, 'label': 'x'}, 'list_sessions': flow_of, 'count_sessions': flow_of, 'prune_sessions': {**flow_of, 'older_than': timedelta(1)}}
        nullable = {('create_session', 'session_id'), ('undo', 'step_id'), ('redo', 'step_id'), ('get_undo_history', 'step_id'), ('prune_sessions', 'flow_id')}
        for name, args in calls.items():
            bad = [arg for arg, value in args.items() if arg.endswith('_id') and not good_id(value) and not (value is None and (name, arg) in nullable)]
            if bad: watched.refused(lambda: entered(getattr(store, name)(**args)), *bad)
        if not all(map(good_id, (flow, session, step))) or flow.lower() == 'sentinel': return
        before = {(f, s.session_id) for f in store.list_flows() for s in store.list_sessions(f)}
        with_label = label is None or good_text(label)
        if not with_label: watched.refused(lambda: store.create_session(flow, session, label), 'label')
        assert store.create_session(flow, session, label if with_label else None) == session
        with pytest.raises(store.IntegrityError) as error: store.create_session(flow, session)
        assert repr(flow) in str(error.value) and repr(session) in str(error.value)
        store.set_current_step(flow, session, step)
        store.update_step_state(flow, session, step, {'at': step}, undo_label=f'To {step}')
        assert {(f, s.session_id) for f in store.list_flows() for s in store.list_sessions(f)} == before | {(flow, session)}
        [summary] = [s for s in store.list_sessions(flow) if s.session_id == session]
        assert summary == store.get_session_summary(flow, session) and summary.label == (label if with_label else None)
        assert (summary.flow_id, summary.current_step) == (flow, step) == (flow, store.get_current_step(flow, session))
        assert store.get_state(flow, session) == {f'_step_{step}': {'at': step}} and store.get_step_state(flow, session, step) == {'at': step}
        assert store.get_undo_history(flow, session, step).undo[0].label == f'To {step}'
        assert isinstance(store._repr_markdown_(), str)
        near = {flow.swapcase(), flow + ':', flow + '_', flow + '%', flow + ' ', normalize('NFC', flow), normalize('NFD', flow), *([flow + '\0'] if engine.supports_nul else [])} - {flow}
        for other in near:
            assert not store.session_exists(other, session)
            store.create_session(other, session)
        assert all([s.session_id for s in store.list_sessions(other)].count(session) == 1 and store.get_state(other, session) == {} for other in near)
        for other in near: store.delete_session(other, session)
        assert store.get_session_summary(flow, session) == summary
        store.delete_session(flow, session)
        assert {(f, s.session_id) for f in store.list_flows() for s in store.list_sessions(f)} == before

@pytest.mark.rounds(600, 10_000)
def test_states(engine, rounds, figures):
    "The same state by `update_state`, `update_step_state` and the two edit blocks."
    figures |= {'came_back': 0, 'refused': 0}
    @play(engine, rounds, figures, states, labels, labels)
    def _(watched, state, label, group):
        store = watched.store
        if not engine.supports_nul and isinstance(state, dict) and '_step_\0' in state: return  # the key contains an id
        ways = {'update_state': lambda **kw: store.update_state('f', 's', state, **kw), 'edit_state': lambda **kw: edit(store.edit_state('f', 's', **kw)),
                'update_step_state': lambda **kw: store.update_step_state('f', 's', 'a', state, **kw),
                'edit_step_state': lambda **kw: edit(store.edit_step_state('f', 's', 'a', **kw))}
        def edit(block):
            with block as inside:
                if not isinstance(state, dict): raise TypeError('state')
                inside.update(state)
        for name, way in ways.items():
            own = 'step' not in name
            expected = as_json(state, 3 if own else 2)
            steps = [] if expected is None else [key for key in expected if key.startswith('_step_') and key != '_step_']
            options = {'undo_label': label, 'undo_group': group}
            bad = ['undo_label'] if label is not None and not watched.good_label(label) else []
            if group is not None and (label is None or not watched.good_text(group)): bad.append('undo_group')
            fine = expected is not None and not (own and any(not isinstance(expected[key], dict) for key in steps))
            if bad or not fine:
                keys = [name_of(key) for key in state for name_of in (str, repr, json_text, ascii_text)] if isinstance(state, dict) else []
                watched.refused(lambda: way(**options), *(bad or ['updates', 'state', *filter(None, keys)]))
                figures['refused'] += 1
                continue
            way(**options)
            read = (lambda **kw: store.get_state('f', 's', **kw)) if own else (lambda **kw: store.get_step_state('f', 's', 'a', **kw))
            assert text(read()) == text(expected), name
            for key in list(expected)[:1]: assert text(read(keys=[key])) == text({key: expected[key]})
            assert store.session_exists('f', 's') == (name.startswith('update') or bool(expected))
            if not store.session_exists('f', 's'): continue
            size = len(json.dumps(store.get_state('f', 's'), separators=(',', ':'), ensure_ascii=False).encode(errors='surrogatepass'))
            assert abs(store.get_session_summary('f', 's').state_size_bytes - size) <= max(size / 10, 200)
            scope = [] if own else ['a']
            changed = [key for key in expected if not (own and key in steps and not expected[key])]  # an empty step leaves nothing to undo
            if label is not None and changed:
                assert store.get_undo_history('f', 's', *scope).undo[0].label == label
                assert [entry.label for entry in store.undo('f', 's', *scope)] == [label] and read() == {}
                assert [sorted(entry.keys) for entry in store.redo('f', 's', *scope)] == [sorted(changed)] and text(read()) == text(expected)
            else: assert not store.get_undo_history('f', 's', *scope).undo
            store.clear_state('f', 's')
            figures['came_back'] += 1

@pytest.mark.rounds(300, 5000)
def test_options(engine, rounds, figures):
    "Revisions, counts, limits, keys and orders of any type and size."
    @play(engine, rounds, figures, revisions, counts, counts, key_lists, key_lists, anything)
    def _(watched, revision, count, offset, keys, remove, order):
        store = watched.store
        store.update_state('f', 's', {'a': 1, 'b': 2, '': 3}, undo_label='x')
        actual, state = store.get_session_summary('f', 's').revision, store.get_state('f', 's')
        def number(value, least): return type(value) is int and value >= least
        def bad_keys(value): return not isinstance(value, (list, tuple)) or not all(isinstance(key, str) for key in value)
        writes = [lambda: store.update_state('f', 's', {}, expected_revision=revision), lambda: store.delete_session('f', 's', expected_revision=revision),
                  lambda: store.reset_session('f', 's', expected_revision=revision), lambda: store.set_session_label('f', 's', None, expected_revision=revision),
                  lambda: store.set_current_step('f', 's', 'x', expected_revision=revision),
                  lambda: store.update_step_state('f', 's', 'x', {}, expected_revision=revision),
                  lambda: store.edit_state('f', 's', expected_revision=revision).__enter__()]
        if revision is not None and not number(revision, 0):
            for write in writes: watched.refused(write, 'expected_revision')
        elif revision is not None and revision != actual:
            for write in writes:
                before = watched.content()
                with pytest.raises(StaleSessionError) as error: write()
                assert (error.value.expected, error.value.actual) == (revision, actual) and watched.content() == before
        for move in (store.undo, store.redo):
            if not number(count, 1): watched.refused(lambda: move('f', 's', count=count), 'count')
            elif count > 50: assert move('f', 's', count=count) is None
        for name, value in (('limit', count), ('offset', offset)):
            if value is None and name == 'limit' or number(value, 0):
                found = store.list_sessions('f', **{name: value})
                assert len(found) == (1 if value is None else min(1, value) if name == 'limit' else value == 0)
            else: watched.refused(lambda: store.list_sessions('f', **{name: value}), name)
        if order not in ('updated_at', 'created_at', 'label', 'current_step'): watched.refused(lambda: store.list_sessions('f', order), 'updated_at')
        if bad_keys(keys): watched.refused(lambda: store.get_state('f', 's', keys=keys), 'keys', 'iterable')
        else: assert store.get_state('f', 's', keys=keys) == {key: state[key] for key in state if key in keys}
        if bad_keys(remove): watched.refused(lambda: store.update_state('f', 's', {}, remove=remove), 'remove', 'iterable')
        elif 'b' in remove: watched.refused(lambda: store.update_state('f', 's', {'b': 1}, remove=remove), 'remove')
        else:
            store.update_state('f', 's', {'b': 1}, remove=remove)
            assert store.get_state('f', 's') == {key: value for key, value in {**state, 'b': 1}.items() if key not in remove}
        store.delete_session('f', 's')

def nested(depth, kind):
    value = 0
    for _ in range(depth): value = [value] if kind is list else {'k': value}
    return value

def test_long_numbers(engine):
    "Integers up to the limit of digits that Python converts to text."
    watched = Watched(engine)
    watched.store.update_state('f', 's', {'n': [10 ** 4299, -10 ** 4298]})
    assert watched.store.get_state('f', 's') == {'n': [10 ** 4299, -10 ** 4298]}
    watched.refused(lambda: watched.store.update_state('f', 's', {'n': [0, 10 ** 4300]}), 'n[1]')
    watched.close()

@pytest.mark.parametrize('kind', [list, dict])
def test_deep_nesting(engine, kind, figures):
    "The store returns what it has accepted, at any depth; it refuses deeper values with their path and writes nothing."
    watched = Watched(engine)
    def accepts(depth):
        before = watched.content()
        try: watched.store.update_state('f', 's', {'v': nested(depth, kind)}, undo_label='deeper')
        except TypeError as error:
            assert str(error).startswith('v') and watched.content() == before
            return False
        assert repr(watched.store.get_step_state('f', 's', 'none')) == '{}'
        value, found = watched.store.get_state('f', 's')['v'], 0
        while value: value, found = value[0] if kind is list else value['k'], found + 1
        assert found == depth
        return True
    low, high = 1, 200_000
    assert accepts(low) and not accepts(high)
    while high - low > 1: low, high = ((low + high) // 2, high) if accepts((low + high) // 2) else (low, (low + high) // 2)
    circle = kind([('k', 0)]) if kind is dict else [0]
    circle['k' if kind is dict else 0] = circle
    watched.refused(lambda: watched.store.update_state('f', 's', {'v': circle}), 'v')
    watched.close()
    assert low == 500

# -- SQL

EVIL = ["'; DROP TABLE workflow_session; --", '"; DELETE FROM workflow_value; --', "' OR '1'='1", "x' UNION SELECT sql FROM sqlite_master --",
        "');DELETE FROM workflow_undo;--", 'a\0; DROP TABLE workflow_value', 'updated; DROP TABLE workflow_session',
        'updated_at DESC; DELETE FROM workflow_session', '(SELECT 1)', 'CASE WHEN 1=1 THEN label ELSE created END', 'updated_at--', 'updated_at/**/',
        '1', 'rowid', 'state_json', 'UPDATED_AT', ' updated_at', '%', '_', '*', '?', '?1', ':a', '$a', '@a', '{}', '%s', '\\', "\\'", '`', '[updated_at]',
        'char(39)', "'||(SELECT label FROM workflow_session)||'", '‘ OR 1=1', 'ʼ; DROP', '\uff07 OR 1=1']

HARMLESS = {'flow_id': 'f', 'session_id': 's', 'step_id': 'a', 'label': 'x', 'updates': {'n': 2}, 'keys': ['n'], 'remove': ['m'], 'order_by': 'label',
            'current_step': 'a', 'label_contains': 'x', 'metadata': {'n': 2}, 'undo_label': 'x', 'undo_group': 'x', 'older_than': timedelta(0), 'revision': 10 ** 9, 'steps': ['a'], 'to_flow_id': 'f2', 'to_session_id': 't'}
NO_TEXT = {'self', 'descending', 'limit', 'offset', 'after', 'count', 'force', 'keep', 'expected_revision', 'create', 'timeout'}
SHAPES = {**dict.fromkeys(['updates', 'metadata'], lambda evil: {evil: evil}), **dict.fromkeys(['keys', 'remove', 'steps'], lambda evil: [evil])}

def evil_calls(evil):
    "Every public method with `evil` in one text argument after the other; a new argument without a value here is a KeyError."
    for name, method in inspect.getmembers(WorkflowStateStore, inspect.isfunction):
        if name.startswith('_') or name == 'close': continue
        args = {parameter: HARMLESS[parameter] for parameter in inspect.signature(method).parameters if parameter not in NO_TEXT}
        for parameter in args.keys() - {'older_than', 'revision'}: yield name, parameter, {**args, parameter: SHAPES.get(parameter, str)(evil)}

def test_sql_injection(engine, figures):
    watched = Watched(engine)
    store, calls = watched.store, 0
    schema = engine.schema(watched.con)
    texts = [evil for evil in EVIL if engine.supports_nul or '\0' not in evil]
    for evil in texts:
        for name, parameter, args in evil_calls(evil):
            store.update_state('f', 's', {'n': 1, '_step_a': {'n': 1}})
            if name == 'create_session': store.delete_session(args['flow_id'], args['session_id'])
            if name == 'copy_session':
                store.delete_session(args['to_flow_id'], args['to_session_id'])
                store.update_state(args['flow_id'], args['session_id'], {})
            def call():
                result = getattr(store, name)(**args)
                if name.startswith('edit'):
                    with result as inside: (inside.state if name == 'edit_session' else inside)['n'] = 9
            if parameter == 'order_by': watched.refused(call, 'updated_at')
            else: call()
            calls += 1
            assert store.get_state('sentinel', 's') == {'n': 2, '_step_a': {'x': 1}} and len(store.get_undo_history('sentinel', 's').undo) == 1
        where = evil, evil
        store.update_state(*where, {evil: evil})
        store.set_current_step(*where, evil)
        store.set_session_label(*where, evil)
        store.update_step_state(*where, evil, {evil: evil}, undo_label=evil)
        summary = store.get_session_summary(*where)
        assert (summary.label, summary.current_step, store.get_step_state(*where, evil)) == (evil, evil, {evil: evil})
        assert store.get_state(*where) == {evil: evil, f'_step_{evil}': {evil: evil}}
        assert store.get_undo_history(*where, evil).undo[0].label == evil and [s.session_id for s in store.list_sessions(evil)].count(evil) == 1
        for session in store.list_sessions('f'): store.delete_session('f', session.session_id)
    assert engine.schema(watched.con) == schema
    watched.close()
    figures |= {'texts': len(texts), 'arguments': len(list(evil_calls(''))), 'calls': calls}
