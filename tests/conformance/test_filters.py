"Filters and cursors of `list_sessions`: every order, with others at work."
import random

import internals
import pytest

from .helpers import F, refuses

TEXTS = [None, None, '', 'a', 'A', 'b', 'Ä', 'ä', '😀', '\uffee', 'z' * 40, 'a b', '%', '_', '9', '10']
STEPS = [text for text in TEXTS if text != '']
OWNERS = ['ana', 'ben']
NUMBERS = [1, 1.0, True, '1', None]
ORDERS = ['updated_at', 'created_at', 'label', 'current_step']

class Model:
    "A store, and what it should contain: id -> [creation, update, label, step, metadata], with counters as times."
    def __init__(self, store, rng):
        self.store, self.rng, self.rows, self.tick = store, rng, {}, 0

    def now(self):
        self.tick += 1
        return self.tick

    def create(self):
        rng, name = self.rng, f's{self.tick}'
        metadata = {'owner': rng.choice(OWNERS), 'n': rng.choice(NUMBERS)}
        label, step, time = rng.choice(TEXTS), rng.choice(STEPS), self.now()
        with self.store.edit_session(F, name) as session:
            session.state['n'] = 0  # or nothing may be stored
            session.label, session.current_step = label, step
            session.metadata.update(metadata)
        self.rows[name] = [time, time, label, step, metadata]
        self.store.update_state('other flow', name, {'n': 0})

    def others(self):
        "Somebody creates, deletes, touches, relabels or moves a session; returns it."
        rng = self.rng
        name = rng.choice([*self.rows, None])
        what = rng.choice(['touch', 'label', 'step', 'delete', 'metadata']) if name else 'create'
        if what == 'create': return self.create()
        row = self.rows[name]
        if what == 'delete': self.store.delete_session(F, name), self.rows.pop(name)
        elif what == 'label' and (text := rng.choice(TEXTS)) != row[2]: self.store.set_session_label(F, name, text), row.__setitem__(2, text)
        elif what == 'step' and (text := rng.choice(STEPS[2:])) != row[3]: self.store.set_current_step(F, name, text), row.__setitem__(3, text)
        elif what == 'touch': self.store.update_state(F, name, {'n': self.tick})
        elif what == 'metadata' and (owner := rng.choice(OWNERS)) != row[4]['owner']:
            self.store.set_session_metadata(F, name, {'owner': owner})
            row[4] = {**row[4], 'owner': owner}
        else: return None
        row[1] = self.now()

    def key(self, name, order):
        "What a list in this order sorts by; sessions with equal values are in the order of their creation."
        row = self.rows[name]
        value = row[['created_at', 'updated_at', 'label', 'current_step'].index(order)]
        return value is not None, value.encode() if isinstance(value, str) else value or 0, row[0]

    def matches(self, name, current_step=None, label_contains=None, metadata={}):
        _, _, label, step, own = self.rows[name]
        steps = [current_step] if isinstance(current_step, str) else current_step
        return ((steps is None or step in steps)
                and (label_contains is None or label is not None and lower(label_contains) in lower(label))
                and all(key in own and repr(own[key]) == repr(value) for key, value in metadata.items()))

    def list(self, order, descending, filters):
        found = [name for name in self.rows if self.matches(name, **filters)]
        return sorted(found, key=lambda name: self.key(name, order), reverse=descending)

def lower(text): return ''.join(char.lower() if char.isascii() else char for char in text)

def random_filters(rng):
    filters = {
        'current_step': rng.choice([None, None, 'a', ['a', 'Ä', 'b'], ['nowhere'], [], ('9',)]),
        'label_contains': rng.choice([None, None, 'A', 'ä', '%', '', 'z', '_']),
        'metadata': rng.choice([{}, {}, {'owner': 'ana'}, {'owner': 'ben', 'n': 1}, {'n': 1.0}, {'n': True}, {'n': None}, {'x': 1}])}
    return {name: value for name, value in filters.items() if value is not None and rng.random() < 0.4}

@pytest.fixture(params=['as it is', 'few', 'walk'])
def steering(request, monkeypatch):
    "The ways to find a page, which otherwise begin at thousands of sessions."
    if request.param != 'as it is': internals.set_steering(monkeypatch, few=2, walk=3 if request.param == 'walk' else 1000)

def test_lists_and_cursors_against_a_model(store, steering):
    rng = random.Random(7)
    model = Model(store, rng)
    checked = 0
    for order in ORDERS:
        for descending in (True, False):
            for _ in range(4):
                while len(model.rows) < 40: model.create()
                filters, size = random_filters(rng), rng.choice([1, 2, 3, 7])
                before, moved = model.list(order, descending, filters), set()
                def ids(**more): return [s.session_id for s in store.list_sessions(F, order, descending, **filters, **more)]
                assert ids() == before and store.count_sessions(F, **filters) == len(before), (order, descending, filters)
                assert ids(limit=size, offset=2) == before[2:2 + size]
                quiet, after = [], None
                while len(quiet) <= len(before) and (page := store.list_sessions(F, order, descending, limit=size, after=after, **filters)):
                    quiet += [s.session_id for s in page]
                    after = page[-1].cursor
                assert quiet == before, (order, descending, filters)
                keys = {name: model.key(name, order) for name in before}
                shown, after = [], None
                while True:
                    now = model.list(order, descending, filters)
                    page = store.list_sessions(F, order, descending, limit=size, after=after, **filters)
                    if after is None: assert [s.session_id for s in page] == now[:size]
                    if not page: break
                    shown += [s.session_id for s in page]
                    after = page[-1].cursor
                    if len(shown) < 2 * len(before):  # or somebody may touch sessions again and again
                        for _ in range(rng.randrange(3)): model.others()
                    moved |= {name for name in before if name not in model.rows or model.key(name, order) != keys[name]
                              or not model.matches(name, **filters)}
                    assert len(shown) < 500
                stayed = [name for name in before if name not in moved]
                checked += len(stayed)
                assert [name for name in shown if name in set(stayed)] == stayed, (order, descending, filters)
    assert checked > 100 and store.check() == []

def test_a_cursor_belongs_to_its_flow_and_order(store):
    for name in 'abc': store.create_session(F, name, label=name)
    store.create_session('g', 'a')
    page = store.list_sessions(F, 'label', limit=2)
    cursor = page[-1].cursor
    assert [s.session_id for s in store.list_sessions(F, 'label', after=cursor)] == ['a'] and cursor.replace('-', '').replace('_', '').isalnum()
    assert store.list_sessions(F, 'label', after=cursor, limit=0) == []
    assert store.get_session_summary(F, 'a').cursor == ''
    for more in (dict(), dict(order_by='label', descending=False), dict(order_by='created_at')):
        refuses(store, ValueError, "order_by='label', descending=True", lambda: store.list_sessions(F, after=cursor, **more))
    refuses(store, ValueError, "of a session of flow 'g'", lambda: store.list_sessions('g', 'label', after=cursor))
    refuses(store, ValueError, 'after or offset', lambda: store.list_sessions(F, 'label', after=cursor, offset=1))
    assert store.list_sessions(F, 'label', after=cursor, offset=0) == store.list_sessions(F, 'label')[2:]
    for bad in ('', 'x', 'é', cursor[:-1], cursor + 'A', cursor[1:], cursor.swapcase(), ' ' + cursor, 5, b'x', 'A' * 30_000, ['x']):
        refuses(store, ValueError, 'after', lambda: store.list_sessions(F, 'label', after=bad))
    for session in page: store.delete_session(F, session.session_id)
    assert [s.session_id for s in store.list_sessions(F, 'label', after=cursor)] == ['a'], 'its session is gone'

def test_what_filters_refuse(store):
    store.create_session(F, 'a')
    for call in (store.list_sessions, store.count_sessions):
        for bad in (5, [5], [None], True): refuses(store, TypeError, 'current_step', lambda: call(F, current_step=bad))
        refuses(store, ValueError, 'current_step', lambda: call(F, current_step=['']))
        refuses(store, ValueError, '500', lambda: call(F, current_step=[f'{n}' for n in range(501)]))
        for bad in (5, b'x', ['x']): refuses(store, TypeError, 'label_contains', lambda: call(F, label_contains=bad))
        refuses(store, TypeError, 'metadata', lambda: call(F, metadata='owner'))
        assert not call(F, current_step=[]) and not call(F, current_step=[f'{n}' for n in range(500)])

def test_values_of_metadata_are_compared_as_json(store):
    for n, value in enumerate(NUMBERS): store.create_session(F, f'{n}', metadata={'n': value, 'm': 0})
    for n, value in enumerate(NUMBERS):
        assert [s.session_id for s in store.list_sessions(F, metadata={'n': value, 'm': 0})] == [f'{n}']
        assert store.count_sessions(F, metadata={'n': value}) == 1
    assert store.count_sessions(F, metadata={}) == store.count_sessions(F, metadata={'m': 0}) == 5
