"A random walk through every method, beside a model in plain dicts: the two agree after each step."
import copy
import json
import os
import sqlite3

import pytest
from hypothesis import HealthCheck, event, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, StaleSessionError, UndoConflictError

EXAMPLES = int(os.environ.get('MODEL_EXAMPLES', 60))
STEPS = 50
counted = {'examples': 0, 'steps': 0}

keys = st.sampled_from(['a', 'b', 'c', 'ключ', '', '_step_', 'a.b', '"'])
scopes = st.sampled_from([None, 'review', 'split'])
big = st.sampled_from(['x' * 700, 'y' * 1500])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2**70, 2**70), st.floats(allow_nan=False), st.text(max_size=4), big)
nested = st.recursive(scalars, lambda child: st.one_of(st.lists(child, max_size=3), st.dictionaries(st.text(max_size=2), child, max_size=4)), max_leaves=8)
records = st.dictionaries(st.sampled_from(['p', 'q', 'r', 's']), st.one_of(scalars, st.dictionaries(st.sampled_from(['u', 'v', 'w']), nested, max_size=3)), max_size=4)
values = st.one_of(scalars, nested, records)
updates = st.dictionaries(keys, values, max_size=3)

def text(value): return json.dumps(value, sort_keys=True)

def ordered(value): return json.dumps(value)

class Scope:
    "What the model knows of the session's own keys, or of one step."
    def __init__(self, exists): self.state, self.exists, self.undo, self.redo = {}, exists, [], []

class Entry:
    def __init__(self, label, group, before, after): self.label, self.group, self.before, self.after = label, group, before, after

MISSING = object()

def difference(old, new):
    return [k for k in {**old, **new} if k not in old or k not in new or ordered(old[k]) != ordered(new[k])]

def overlay(state, values):
    for key, value in values.items():
        if value is MISSING: state.pop(key, None)
        else: state[key] = copy.deepcopy(value)

class Model(RuleBasedStateMachine):
    @initialize(depth=st.integers(0, 4))
    def open(self, depth):
        import tempfile
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, 'wf.db')
        self.depth = depth
        self.store = SQLiteWorkflowStateStore(self.path, max_undo_depth=depth, synchronous='NORMAL')
        self.forget()
        self.revision = 0
        counted['examples'] += 1

    def forget(self): self.scopes, self.step, self.label = {s: Scope(s is None) for s in (None, 'review', 'split')}, None, None

    def teardown(self):
        if hasattr(self, 'store'):
            self.store.close()
            assert sorted(os.listdir(self.folder.name)) == ['wf.db']
            self.folder.cleanup()

    # the calls, for one scope

    def update(self, scope, *args, **kw):
        if scope is None: self.store.update_state('f', 's', *args, **kw)
        else: self.store.update_step_state('f', 's', scope, *args, **kw)

    def edit(self, scope, **kw):
        return self.store.edit_state('f', 's', **kw) if scope is None else self.store.edit_step_state('f', 's', scope, **kw)

    def own(self, scope):
        "Keys that a labelled write of the scope may touch."
        return self.scopes[scope].state

    def group_for(self, scope, group, updates, touched):
        "None where a write without a label came between and the value may be kept as several rows: whether that ends the group is shown in the notebook."
        here = self.scopes[scope]
        if group is None or not here.undo or here.undo[-1].group != group: return group
        last = here.undo[-1]
        for k in set(touched) & set(last.after):
            now = here.state.get(k, MISSING)
            if now is last.after[k] or MISSING not in (now, last.after[k]) and ordered(now) == ordered(last.after[k]): continue
            if any(isinstance(v, dict) and len(text(v)) > 1000 for v in (now, last.before[k], last.after[k], updates.get(k))): return None
        return group

    def changed(self, scope, old, label, group, exists=True):
        "The write is done: count it and keep its undo entry."
        here = self.scopes[scope]
        keys = difference(old, here.state)
        created = self.revision == 0
        if not keys and list(old) == list(here.state) and here.exists == exists and not created: return
        self.revision += 1
        here.exists = exists
        if label is None or not keys: return
        if not self.depth:
            here.undo, here.redo = [], []
            return
        before = {k: copy.deepcopy(old[k]) if k in old else MISSING for k in keys}
        after = {k: copy.deepcopy(here.state[k]) if k in here.state else MISSING for k in keys}
        follows = group is not None and here.undo and here.undo[-1].group == group and not here.redo
        here.redo = []
        if follows:
            last = here.undo.pop()
            both = Entry(label, group, {**last.before, **{k: v for k, v in before.items() if k not in last.before}}, {**last.after, **after})
            for k in list(before):
                now = here.state.get(k, MISSING)
                first = both.before[k]
                if (now is MISSING) == (first is MISSING) and (now is MISSING or ordered(now) == ordered(first)):
                    del both.before[k], both.after[k]
            if both.before: here.undo.append(both)
        else: here.undo.append(Entry(label, group, before, after))
        here.undo = here.undo[max(0, len(here.undo) - self.depth):]

    @rule(scope=scopes, updates=updates, remove=st.lists(keys, max_size=2), label=st.sampled_from([None, 'one', 'two']), group=st.sampled_from([None, None, 'typing']))
    def update_rule(self, scope, updates, remove, label, group):
        here = self.scopes[scope]
        remove = [k for k in remove if k not in updates]
        group = self.group_for(scope, group, updates, [*updates, *remove])
        self.update(scope, updates, remove=remove, undo_label=label, undo_group=group)
        old = copy.deepcopy(here.state)
        here.state.update(copy.deepcopy(updates))
        for k in remove: here.state.pop(k, None)
        self.changed(scope, old, label, group)

    @rule(scope=scopes, updates=updates, drop=st.lists(keys, max_size=2), label=st.sampled_from([None, 'edit']), group=st.sampled_from([None, 'typing']), fail=st.booleans())
    def edit_rule(self, scope, updates, drop, label, group, fail):
        here = self.scopes[scope]
        old = copy.deepcopy(here.state)
        drop = [k for k in drop if k not in updates]  # a key taken out and put back is a change of order, shown in the notebook
        group = self.group_for(scope, group, updates, [*updates, *drop])
        class Stop(Exception): pass
        try:
            with self.edit(scope, undo_label=label, undo_group=group) as state:
                for k in drop: state.pop(k, None)
                state.update(copy.deepcopy(updates))
                if fail: raise Stop
        except Stop: return
        for k in drop: here.state.pop(k, None)
        here.state.update(copy.deepcopy(updates))
        if self.revision or here.state: self.changed(scope, old, label, group, here.exists or bool(here.state) or scope is None)

    @rule(scope=st.sampled_from(['review', 'split']), label=st.sampled_from([None, 'clear']))
    def clear_rule(self, scope, label):
        here = self.scopes[scope]
        self.store.clear_step_state('f', 's', scope, undo_label=label)
        if not here.exists: return
        old, here.state = here.state, {}
        self.changed(scope, old, label, None, exists=False)
        if label is None or not self.depth: here.undo, here.redo = [], []

    @rule(scope=scopes, count=st.integers(1, 3), force=st.booleans(), back=st.booleans())
    def move_rule(self, scope, count, force, back):
        here = self.scopes[scope]
        source, target = (here.undo, here.redo) if back else (here.redo, here.undo)
        call = self.store.undo if back else self.store.redo
        state = copy.deepcopy(here.state)
        moved, conflict = [], []
        if len(source) >= count:
            for entry in reversed(source[len(source) - count:]):
                expected = entry.after
                conflict = [k for k, v in expected.items() if (k in state) != (v is not MISSING) or k in state and text(state[k]) != text(v)]
                if conflict: break
                now = {k: copy.deepcopy(state[k]) if k in state else MISSING for k in entry.before}
                overlay(state, entry.before)
                moved.append(Entry(entry.label, entry.group, now, entry.before))
        if conflict:
            if not force:
                with pytest.raises(UndoConflictError) as error: call('f', 's', scope, count=count)
                assert sorted(error.value.keys) == sorted(conflict)
            return  # forced overwrites are tested one by one, in the notebook and below
        got = call('f', 's', scope, count=count, force=force)
        if len(source) < count:
            assert got is None
            return
        assert [e.label for e in got] == [e.label for e in moved]
        del source[len(source) - count:]
        target += moved
        here.state = state
        if scope: here.exists = None  # the step's own row may go or come; looked up below
        self.revision += 1

    @rule(step=st.sampled_from(['one', 'two']))
    def step_rule(self, step):
        self.store.set_current_step('f', 's', step)
        if self.step != step or not self.revision: self.revision += 1
        self.step = step

    @precondition(lambda self: self.revision)
    @rule(label=st.sampled_from([None, '', 'Lease']))
    def label_rule(self, label):
        self.store.set_session_label('f', 's', label)
        if label != self.label: self.revision += 1
        self.label = label

    @rule()
    def stale_rule(self):
        before = self.store.get_state('f', 's')
        with pytest.raises(StaleSessionError) as error: self.store.update_state('f', 's', {'a': 'stale'}, expected_revision=self.revision + 1)
        assert (error.value.expected, error.value.actual) == (self.revision + 1, self.revision)
        assert ordered(self.store.get_state('f', 's')) == ordered(before)

    @rule(depth=st.integers(0, 4))
    def reopen_rule(self, depth):
        self.store.close()
        self.depth = depth
        self.store = SQLiteWorkflowStateStore(self.path, max_undo_depth=depth, synchronous='NORMAL')

    @precondition(lambda self: self.revision > 8)
    @rule(reset=st.booleans())
    def delete_rule(self, reset):
        empty = not self.step and not any(s.undo or s.redo or s.state for s in self.scopes.values()) and not self.store.get_state('f', 's')
        label = self.label
        (self.store.reset_session if reset else self.store.delete_session)('f', 's')
        self.forget()
        if reset: self.label, self.revision = label, self.revision + (not empty)
        else: self.revision = 0

    @invariant()
    def agree(self):
        if not hasattr(self, 'store'): return
        counted['steps'] += 1
        whole = self.store.get_state('f', 's')
        for scope, here in self.scopes.items():
            if scope is None: state = {k: v for k, v in whole.items() if not (k.startswith('_step_') and k != '_step_')}
            else:
                state = self.store.get_step_state('f', 's', scope)
                assert ordered(whole.get(f'_step_{scope}', {})) == ordered(state)
                if here.exists is None: here.exists = f'_step_{scope}' in whole
                assert here.exists == (f'_step_{scope}' in whole)
            assert text(state) == text(here.state)
            history = self.store.get_undo_history('f', 's', scope)
            assert [e.label for e in history.undo] == [e.label for e in reversed(here.undo)]
            assert [sorted(e.keys) for e in history.undo] == [sorted(e.before) for e in reversed(here.undo)]
            assert [e.label for e in history.redo] == [e.label for e in reversed(here.redo)]
        summary = self.store.get_session_summary('f', 's')
        assert (summary.revision if summary else 0) == self.revision
        if summary:
            assert (summary.current_step, summary.label) == (self.step, self.label)
            size = len(json.dumps(whole, separators=(',', ':'), ensure_ascii=False).encode(errors='surrogatepass'))
            assert abs(summary.state_size_bytes - size) <= max(size / 10, 200)
            if not whole: assert summary.state_size_bytes == 2
            con = sqlite3.connect(self.path)
            [[view]] = con.execute('SELECT state_json FROM workflow_state').fetchall()
            con.close()
            assert ordered(json.loads(view)) == ordered(whole)

def test_store_agrees_with_the_model(capsys):
    run_state_machine_as_test(Model, settings=settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize='MODEL_EXAMPLES' not in os.environ,
        suppress_health_check=list(HealthCheck)))
    assert counted['steps'] > EXAMPLES
    with capsys.disabled(): print(f" {counted['examples']} walks, {counted['steps']} steps compared ", end='')
