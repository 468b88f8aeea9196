"A random walk through every method, beside a model in plain dicts: the two agree after each step."
import copy
import json
import os
from collections import Counter
from enum import Enum

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test)

from cjm_workflow_state.state_store import StaleSessionError, UndoConflictError

EXAMPLES = int(os.environ.get('MODEL_EXAMPLES', 250))
STEPS = 50
counted = Counter()

class Mark(Enum):
    "In place of a value."
    GONE = 'there is none'
    TWIN = 'what Python takes for equal to what is there'

GONE, TWIN = Mark

class Long(str):
    "Of any length, and yet short in the report of a failure."
    def __repr__(self): return f'Long({self[0]!r} * {len(self)})'

# few keys and few values, so that writes meet each other's fields; dicts of 50 bytes, of more than 2 KB, of many keys

STEP_KEYS = ['_step_review', '_step_split']
odd_keys = st.sampled_from(['ключ', '', '_step_', 'a.b', '"', '\ud800'])
keys = st.one_of(st.sampled_from('abcd'), st.sampled_from('abpq'), odd_keys)
whole_keys = st.one_of(keys, st.sampled_from(STEP_KEYS))
leaves = [None, 'x', '1', '\ud800', -0.0, float('nan'), float('inf'), [], [1], [1.0], {}, 2**70,
          [{'u': 1, 'v': 2}], [{'v': 2, 'u': 1}], Long('x' * 700), Long('y' * 1500), [Long('z' * 300)] * 8]
dicts = [{'x': 1}, {'x': 1, 'y': 2}, {'y': 2, 'x': 1}, {'x': 1, 'y': {'z': Long('x' * 2500), 'a': 1}}]
small = st.one_of(st.sampled_from([1, 1.0, True]), st.sampled_from([*leaves, *dicts]))
inner = st.dictionaries(st.sampled_from('uv'), small)
records = st.dictionaries(st.sampled_from('pq'), st.one_of(small, inner, inner))
many = {f'k{i}': i for i in range(70)}
maps = st.builds(lambda key, value: {**many, key: value}, st.sampled_from(['k3', 'p']), small)
nested = st.recursive(st.one_of(small, st.integers(), st.floats(), st.text(max_size=4)), lambda child: st.one_of(
    st.lists(child, max_size=3), st.dictionaries(st.text(max_size=2), child, max_size=4)), max_leaves=6)
values = st.one_of(small, small, inner, records, records, st.one_of(nested, maps))
contents = st.one_of(st.just(GONE), st.just(TWIN), values, values)
updates = st.one_of(st.dictionaries(keys, values, min_size=1, max_size=3), st.dictionaries(keys, values, max_size=1))
whole_updates = st.builds(lambda own, steps: {**own, **steps}, updates,
                          st.dictionaries(st.sampled_from(STEP_KEYS), updates, max_size=2))

scopes = st.sampled_from([None, None, 'review', 'split'])
labels = st.sampled_from(['one', 'two', Long('x' * 1000), None])
groups = st.sampled_from([None, 'typing', 'typing', 'drag'])
depths = st.sampled_from([50, 50, 50, 3, 2, 1, 0])
counts = st.sampled_from([1, 1, 1, 2, 3, 9])
choices = st.one_of(st.sampled_from([False, False, True, ()]), st.lists(whole_keys, max_size=4))  # of force and keep
refusals = st.sampled_from([
    {'undo_label': ''}, {'undo_label': ' \n'}, {'undo_label': Long('x' * 1001)}, {'undo_group': 'typing'}, {}])

def spots(value, path=()):
    "The paths of what stands in dicts, a little deeper than fields go."
    if not isinstance(value, dict) or len(path) == 5: return [path]
    return [path, *(p for k in list(value)[:8] for p in spots(value[k], (*path, k)))]

def places(here):
    paths = spots(here)[1:] or [('a',)]
    near = [path for path in paths if len(path) == 1]
    new = st.builds(lambda path, key: (*path, key), st.sampled_from(paths), keys)
    return st.one_of(st.sampled_from(near), st.sampled_from(paths), new)

def known(here): return st.one_of(st.sampled_from([*here] or ['a']), keys)

def twin(value):
    if isinstance(value, dict) and len(value) > 1: return dict(reversed(value.items()))
    if isinstance(value, dict): return {k: twin(part) for k, part in value.items()}
    if isinstance(value, list): return [twin(part) for part in value]
    return {'1': 1.0, '1.0': True, 'true': 1}.get(ordered(value), value)

def poke(here, path, content):
    "Put it there, if there are dicts on the way."
    *outer, key = path
    for k in outer:
        if not isinstance(here.get(k), dict): return
        here = here[k]
    if content is GONE: here.pop(key, None)
    elif content is TWIN:
        if key in here: here[key] = twin(here[key])
    elif outer or key not in STEP_KEYS or isinstance(content, dict): here[key] = copy.deepcopy(content)

def ordered(value): return value.name if isinstance(value, Mark) else json.dumps(value)

def loose(value, levels):
    "`value` with the keys of its upper levels sorted."
    return {k: loose(value[k], levels - 1) for k in sorted(value)} if levels and isinstance(value, dict) else value

# what undo is, on whole states

def key_of(step): return f'_step_{step}'

def with_steps(state, steps):
    "`state`, in which a step that isn't there is an empty one."
    return {**state, **{k: {} for k in STEP_KEYS if k in steps and k not in state}}

def fields(old, new, path=(), behind=None):
    "What differs: by path what was there, what is there now, and the key that it stood behind."
    if len(path) == 3 or not isinstance(old, dict) or not isinstance(new, dict):
        return {} if ordered(old) == ordered(new) else {path: (old, new, behind)}
    found = {}
    for behind, k in zip([None, *old, *(k for k in new if k not in old)], {**old, **new}):
        found.update(fields(old.get(k, GONE), new.get(k, GONE), (*path, k), behind))
    return found

def orders(old, new, path=()):
    "Which keys of which dicts changed places: the common ones from the first to the last that differ, before and after."
    if len(path) == 3 or not isinstance(old, dict) or not isinstance(new, dict): return {}
    found = {}
    before, after = [k for k in old if k in new], [k for k in new if k in old]
    while before and before[0] == after[0]: before, after = before[1:], after[1:]
    while before and before[-1] == after[-1]: before, after = before[:-1], after[:-1]
    if before: found[path] = before, after
    for k in old:
        if k in new: found.update(orders(old[k], new[k], (*path, k)))
    return found

def at(state, path):
    "What is there; `...` where a value that is no dict is in the way."
    for k in path:
        if not isinstance(state, dict): return ...
        if k not in state: return GONE
        state = state[k]
    return state

def reorder(here, order):
    "Put the keys that are there into that order, in the places that they have together."
    back = iter([k for k in order if k in here])
    items = [(k, here[k]) for k in [next(back) if k in order else k for k in here]]
    here.clear()
    here.update(items)

class Entry:
    "The action that made `new` of `old`."
    def __init__(self, label, group, old, new, scope):
        self.label, self.group = label, group
        self.fields = copy.deepcopy(fields(with_steps(old, new), with_steps(new, old)))
        self.orders = orders(old, new)
        self.steps = {k: k in old for k in STEP_KEYS if (k in old) != (k in new)}  # that came or went: there before?
        self.behind = dict(zip(old, [None, *old]))
        self.scope = [] if scope is None else [key_of(scope)]
        self.keys = sorted({k for path in [*self.fields, *self.orders] for k in self.keys_of(path)})

    def __bool__(self): return bool(self.fields or self.orders)

    def keys_of(self, path):
        "Keys of the scope that a field belongs to: if it is the order of the scope, those that changed places."
        inner = path[len(self.scope):]
        return {inner[0]} if inner else {*self.orders[path][0]}

    def changed(self, state, after_undo=False):
        "Fields that hold something else than what the action left; with `after_undo`, which an undo would change too."
        found = []
        for path, (before, after, _) in self.fields.items():
            now = at(state, path)
            if now is not ... and ordered(now) == ordered(after): continue
            if after_undo and ordered(GONE if now is ... else now) == ordered(before): continue
            found.append(path)
        for path, (before, after) in self.orders.items():
            here = at(state, path)
            now = [k for k in here if k in before] if isinstance(here, dict) else []
            left, back = [k for k in after if k in now], [k for k in before if k in now]
            if now != left and not (after_undo and now == back): found.append(path)
        return found

    def put_back(self, state, keep=()):
        "`state` without the action, but for the fields to keep; what it did not change stays."
        new = with_steps(copy.deepcopy(state), self.steps.keys() | {path[0] for path in self.fields if path not in keep})
        coming = [(new, k, {}, self.behind[k]) for k, there in self.steps.items() if there and k not in state]
        for path, (before, _, behind) in self.fields.items():
            if path in keep: continue
            here, (*outer, key) = new, path
            for k in outer:
                if before is not GONE and not isinstance(here.get(k), dict): here[k] = {}
                here = here.get(k) if isinstance(here, dict) else None
            if before is not GONE and key not in here: coming.append((here, key, before, behind))
            elif before is not GONE: here[key] = copy.deepcopy(before)
            elif isinstance(here, dict): here.pop(key, None)
        for path, (before, _) in self.orders.items():
            if path not in keep and isinstance(at(new, path), dict): reorder(at(new, path), before)
        while coming:  # first those behind a key that is there, or is gone for good
            here, key, before, behind = next(one for one in coming if not any(
                other[0] is one[0] and other[1] == one[3] for other in coming))
            coming = [one for one in coming if one[0] is not here or one[1] != key]
            value = here.pop(key, copy.deepcopy(before))  # a step has what came back into it
            order = list(here)
            place = 0 if behind is None else order.index(behind) + 1 if behind in here else len(order)
            here[key] = value
            for k in order[place:]: here[k] = here.pop(k)
        gone = [k for k in STEP_KEYS if new.get(k) == {} and not self.steps.get(k, k in state)]
        return {k: value for k, value in new.items() if k not in gone}

class Undo:
    "The entries of one scope, newest last; those to redo, the next one last."
    def __init__(self): self.undo, self.redo = [], []
    def __bool__(self): return bool(self.undo or self.redo)

class Model(RuleBasedStateMachine):
    engine = None  # opens the stores

    @initialize(depth=depths)
    def open(self, depth):
        self.open_store(depth)
        self.forget()
        self.revision = 0
        counted['walks'] += 1

    def open_store(self, depth):
        self.depth = depth
        self.store = self.engine.open(max_undo_depth=depth, synchronous='NORMAL')

    def forget(self):
        self.state, self.lists = {}, {scope: Undo() for scope in (None, 'review', 'split')}
        self.current, self.name = None, None  # step and label
        self.forced_back = False  # whether a forced undo brought back what others had deleted: its place is not told

    def teardown(self):
        if not hasattr(self, 'store'): return
        try: assert self.store.check() == []
        finally: self.engine.drop()

    # writes, in one scope

    def update(self, scope, *args, **kw):
        if scope is None: self.store.update_state('f', 's', *args, **kw)
        else: self.store.update_step_state('f', 's', scope, *args, **kw)

    def edit(self, scope, **kw):
        if scope is None: return self.store.edit_state('f', 's', **kw)
        return self.store.edit_step_state('f', 's', scope, **kw)

    def inside(self, scope):
        "A copy of what a write of the scope sees."
        return copy.deepcopy(self.state if scope is None else self.state.get(key_of(scope), {}))

    def around(self, scope, here):
        "The state with that in it."
        return here if scope is None else {**self.state, key_of(scope): here}

    def wrote(self, new, scope, label, group=None, cleared=()):
        "Count the write and keep its undo entry."
        old, self.state = self.state, new
        here = self.lists[scope]
        changed = ordered(old) != ordered(new)
        entry = Entry(label, group, old, new, scope)
        if label is None:
            for step in 'review', 'split':
                if key_of(step) in cleared or key_of(step) in old and key_of(step) not in new:
                    changed = changed or bool(self.lists[step])
                    self.lists[step] = Undo()
        elif entry:
            last = here.undo[-1] if here.undo and not here.redo else None
            if last and last.group == group is not None and not last.changed(old):
                entry = Entry(label, group, last.put_back(old), new, scope)
                here.undo.pop()
                counted['merged' if entry else 'cancelled out'] += 1
            here.redo = []
            counted['only orders'] += bool(entry and not entry.fields)
            if entry: here.undo.append(entry)
            here.undo = here.undo[max(0, len(here.undo) - self.depth):]
        self.revision += changed or not self.revision

    @rule(data=st.data(), scope=scopes, label=labels, group=groups)
    def update_rule(self, data, scope, label, group):
        here = self.inside(scope)
        new = data.draw(updates if scope else whole_updates)
        remove = [k for k in data.draw(st.lists(known(here), max_size=2)) if k not in new]
        if label is None: group = None
        self.update(scope, new, remove=remove, undo_label=label, undo_group=group)
        here.update(copy.deepcopy(new))
        for k in remove: here.pop(k, None)
        self.wrote(self.around(scope, here), scope, label, group, () if scope else remove)

    @rule(scope=scopes, names=st.sampled_from(['fghi', 'jklm', 'ntuv']))
    def fill_rule(self, scope, names):
        "Keys between those that the other rules change, so that these have few neighbours among each other."
        here, new = self.inside(scope), dict.fromkeys(names, 0)
        self.update(scope, new)
        self.wrote(self.around(scope, {**here, **new}), scope, None)

    @rule(data=st.data(), scope=scopes, label=labels, group=groups, fail=st.sampled_from([False] * 7 + [True]))
    def edit_rule(self, data, scope, label, group, fail):
        pokes = data.draw(st.lists(st.tuples(places(self.inside(scope)), contents), min_size=1, max_size=3))
        self.poked(pokes, scope, label, group if label else None, fail)

    def poked(self, pokes, scope, label, group=None, fail=False):
        here = self.inside(scope)
        class Stop(Exception): pass
        try:
            with self.edit(scope, undo_label=label, undo_group=group) as shown:
                for path, content in pokes: poke(shown, path, content)
                if fail: raise Stop
        except Stop: return
        for path, content in pokes: poke(here, path, content)
        self.edited(here, scope, label, group)

    @rule(data=st.data(), label=labels, group=groups, current=st.sampled_from([None, None, 'one']),
          name=st.sampled_from([None, None, 'Lease']), fail=st.sampled_from([False] * 7 + [True]))
    def edit_session_rule(self, data, label, group, current, name, fail):
        "Any parts of the session in one action, each shown as it is alone."
        scopes = data.draw(st.lists(st.sampled_from([None, 'review', 'split']), unique=True))
        parts = {scope: self.inside(scope) for scope in scopes}
        if None in parts: parts[None] = {k: value for k, value in parts[None].items() if k not in STEP_KEYS}
        pokes = {scope: data.draw(st.lists(st.tuples(places(part), contents), max_size=2)) for scope, part in parts.items()}
        class Stop(Exception): pass
        try:
            with self.store.edit_session('f', 's', undo_label=label, undo_group=group if label else None) as session:
                assert (session.revision, session.current_step, session.label) == (self.revision, self.current, self.name)
                for scope, changes in pokes.items():
                    for path, content in changes: poke(session.step(scope) if scope else session.state, path, content)
                if current: session.current_step = current
                if name: session.label = name
                if fail: raise Stop
        except Stop: return
        for scope, part in parts.items():
            for path, content in pokes[scope]: poke(part, path, content)
        self.session_edited(parts, label, group if label else None, current or self.current, name or self.name)
        assert session.revision == self.revision
        counted['whole sessions edited'] += 1

    def session_edited(self, parts, label, group, current, name):
        new, own = dict(self.state), {k: value for k, value in self.state.items() if k not in STEP_KEYS}
        if ordered(parts.get(None, own)) != ordered(own):
            new = {**parts[None], **{k: value for k, value in new.items() if k in STEP_KEYS}}
        for scope in filter(None, parts):
            if parts[scope] or key_of(scope) in new: new[key_of(scope)] = parts[scope]
        whole = self.store.get_state('f', 's')  # the places of steps among other keys, which the block did not see
        mine = [[k for k in state if (k in STEP_KEYS) == steps] for state in (whole, new) for steps in (False, True)]
        assert mine[:2] == mine[2:] and whole.keys() == new.keys()
        new = {k: new[k] for k in whole}
        moved, revision = (current, name) != (self.current, self.name), self.revision
        self.current, self.name = current, name
        if not revision and not new and not moved: return
        self.wrote(new, None, label, group)
        if self.revision == revision: self.revision += moved

    def edited(self, here, scope, label, group):
        "A step that stays empty is not made, nor is a session."
        if here or scope is None or key_of(scope) in self.state: new = self.around(scope, here)
        else: new = self.state
        if self.revision or new: self.wrote(new, scope, label, group)

    @precondition(lambda self: any(here.undo for here in self.lists.values()))
    @rule(data=st.data(), part=st.booleans())
    def retype_rule(self, data, part):
        "By hand what undo would do, or a part of it: in a group it may cancel out."
        scope = data.draw(st.sampled_from([scope for scope, here in self.lists.items() if here.undo]))
        last = self.lists[scope].undo[-1]
        here = last.put_back(self.state)
        if scope: here = here.get(key_of(scope), {})
        if part: poke(here, data.draw(places(here)), data.draw(contents))
        with self.edit(scope, undo_label='retype', undo_group=last.group) as shown:
            shown.clear()
            shown.update(copy.deepcopy(here))
        self.edited(here, scope, 'retype', last.group)

    @precondition(lambda self: any(self.lists.values()))
    @rule(data=st.data(), label=st.sampled_from([None, None, 'nudge']))
    def nudge_rule(self, data, label):
        "From another scope, or without a label, change a field of an entry once more, or a part of it."
        here = self.lists[data.draw(st.sampled_from([scope for scope, here in self.lists.items() if here]))]
        paths = [path or ('a',) for entry in (*here.undo[-1:], *here.redo[-1:]) for path in [*entry.fields, *entry.orders]]
        if not paths: return
        path = data.draw(st.sampled_from(paths))
        value = self.state
        for k in path: value = value.get(k) if isinstance(value, dict) else None
        path += data.draw(st.sampled_from(spots(value)))
        self.poked([(path, data.draw(st.one_of(st.just(TWIN), contents)))], None, label)

    # undo and redo

    @precondition(lambda self: any(here.undo for here in self.lists.values()))
    @rule(data=st.data(), count=counts, force=choices, keep=choices)
    def undo_rule(self, data, count, force, keep):
        scopes = [scope for scope, here in self.lists.items() if here.undo]
        self.move(data.draw(st.sampled_from(scopes)), count, force, keep, True)

    undo_again_rule = undo_rule  # twice as often

    @precondition(lambda self: any(here.redo for here in self.lists.values()))
    @rule(data=st.data(), count=counts, force=choices, keep=choices)
    def redo_rule(self, data, count, force, keep):
        scopes = [scope for scope, here in self.lists.items() if here.redo]
        self.move(data.draw(st.sampled_from(scopes)), count, force, keep, False)

    def choice(self, keys, force, keep):
        "What happens to a conflicting field of these keys; a list goes before `True`."
        for name, choice in ('force', force), ('keep', keep):
            if not isinstance(choice, bool) and keys <= {*choice}: return name
        return 'force' if force is True else 'keep' if keep is True else 'refuse'

    def move(self, scope, count, force, keep, back):
        here = self.lists[scope]
        source, target = (here.undo, here.redo) if back else (here.redo, here.undo)
        call = self.store.undo if back else self.store.redo
        if count < 9: count = min(count, len(source))
        if force is keep is True or not isinstance(force, bool) and not isinstance(keep, bool) and {*force} & {*keep}:
            with pytest.raises(ValueError): call('f', 's', scope, count=count, force=force, keep=keep)
            return
        if len(source) < count:
            assert call('f', 's', scope, count=count, force=force, keep=keep) is None
            return
        state, moved = self.state, []
        for entry in reversed(source[-count:]):
            found = {path: self.choice(entry.keys_of(path), force, keep) for path in entry.changed(state, after_undo=True)}
            if 'refuse' in found.values():
                with pytest.raises(UndoConflictError) as error: call('f', 's', scope, count=count, force=force, keep=keep)
                refused = {k for path, choice in found.items() if choice == 'refuse' for k in entry.keys_of(path)}
                assert len(error.value.keys) == len(refused) and {*error.value.keys} == refused
                assert error.value.label == entry.label
                counted['conflicts'] += 1
                return
            kept = [path for path, choice in found.items() if choice == 'keep']
            if kept and len(kept) == len(entry.fields) + len(entry.orders):
                counted['dropped'] += 1
                continue
            new = entry.put_back(state, kept)
            forced = [path for path, choice in found.items() if choice == 'force']
            self.forced_back |= any(at(state, path) in (GONE, ...) for path in forced)
            way_back = Entry(entry.label, None, state, new, scope)
            way_back.keys = entry.keys
            moved.append(way_back)
            counted['forced'] += 'force' in found.values()
            counted['kept'] += bool(kept)
            counted['steps moved'] += bool(way_back.steps)
            state = new
        got = call('f', 's', scope, count=count, force=force, keep=keep)
        assert [(e.label, sorted(e.keys)) for e in got] == [(e.label, e.keys) for e in moved]
        del source[-count:]
        target += moved
        if len(moved) < count:
            for entry in (*here.undo, *here.redo): entry.group = None
        self.state = state
        self.revision += 1
        counted['moves'] += 1

    # the rest

    @rule(data=st.data(), what=st.sampled_from(['clear', 'clear', 'step', 'label', 'refused', 'reopen', 'delete']))
    def other_rule(self, data, what): getattr(self, what)(data.draw)

    def clear(self, draw):
        scope, label = draw(st.sampled_from(['review', 'split'])), draw(st.sampled_from(['clear', 'clear', None]))
        self.store.clear_step_state('f', 's', scope, undo_label=label)
        new = {k: value for k, value in self.state.items() if k != key_of(scope)}
        if self.revision: self.wrote(new, scope, label, cleared=[key_of(scope)])

    def step(self, draw):
        step = draw(st.sampled_from(['one', 'two']))
        self.store.set_current_step('f', 's', step)
        if self.current != step or not self.revision: self.revision += 1
        self.current = step

    def label(self, draw):
        name = draw(st.sampled_from([None, '', 'Lease']))
        self.store.set_session_label('f', 's', name)
        if self.revision and name != self.name: self.name, self.revision = name, self.revision + 1

    def refused(self, draw):
        "That nothing was written is seen in `agree`."
        scope, edit, asked = draw(scopes), draw(st.booleans()), draw(refusals)
        with pytest.raises(ValueError if asked else StaleSessionError) as error:
            asked = asked or {'expected_revision': self.revision + 1}
            if not edit: self.update(scope, {'a': 'refused'}, **asked)
            else:
                with self.edit(scope, **asked) as state: state['a'] = 'refused'
        if error.type is StaleSessionError:
            assert (error.value.expected, error.value.actual) == (self.revision + 1, self.revision)

    def reopen(self, draw):
        self.store.close()
        self.open_store(draw(depths))

    def delete(self, draw):
        if self.revision < 20: return
        empty = not self.current and not self.state and not any(self.lists.values())
        name, reset = self.name, draw(st.booleans())
        (self.store.reset_session if reset else self.store.delete_session)('f', 's')
        self.forget()
        if reset: self.name, self.revision = name, self.revision + (not empty)
        else: self.revision = 0

    @invariant()
    def agree(self):
        if not hasattr(self, 'store'): return
        counted['steps'] += 1
        whole = self.store.get_state('f', 's')
        levels = 3 if self.forced_back else 0
        assert ordered(loose(whole, levels)) == ordered(loose(self.state, levels))
        self.state, self.forced_back = whole, False
        for scope, here in self.lists.items():
            if scope: assert ordered(self.store.get_step_state('f', 's', scope)) == ordered(self.inside(scope))
            history = self.store.get_undo_history('f', 's', scope)
            for got, entries in (history.undo, here.undo), (history.redo, here.redo):
                assert [(e.label, sorted(e.keys)) for e in got] == [(e.label, e.keys) for e in reversed(entries)], scope
        summary = self.store.get_session_summary('f', 's')
        assert (summary.revision if summary else 0) == self.revision
        if summary:
            assert (summary.current_step, summary.label) == (self.current, self.name)
            size = len(json.dumps(whole, separators=(',', ':'), ensure_ascii=False).encode(errors='surrogatepass'))
            assert abs(summary.state_size_bytes - size) <= max(size / 10, 200)
            if not whole: assert summary.state_size_bytes == 2
            for view in self.engine.view(): assert ordered(json.loads(view)) == ordered(whole)

def test_store_agrees_with_the_model(engine, capsys):
    class Walk(Model): pass
    Walk.engine = engine
    counted.clear()
    run_state_machine_as_test(Walk, settings=settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize='MODEL_EXAMPLES' not in os.environ,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False))
    assert counted['steps'] > EXAMPLES
    with capsys.disabled(): print(' ' + ', '.join(f'{n} {what}' for what, n in counted.items()), end=' ')
