"Listing, counting and pruning sessions."
from datetime import timedelta

from .helpers import F, refuses

def test_list_sessions_shows_one_flow_in_any_of_four_orders(store):
    labelled = {'1': 'a', '2': 'B', '3': None, '4': 'é', '5': '😀', '6': ''}
    for session_id, label in labelled.items(): store.create_session(F, session_id, label)
    for flow in ('F', 'f:', 'ff', 'f%', '_'): store.create_session(flow, 'x')
    store.set_current_step(F, '2', 'z')
    store.set_current_step(F, '1', 'A')
    def ids(*args, **kw): return ''.join(s.session_id for s in store.list_sessions(F, *args, **kw))
    assert ids() == ids('updated_at', True) == '126543' and ids(descending=False) == '345621'
    assert ids('created_at') == '654321' and ids('created_at', False) == '123456'
    assert ids('label', False) == '362145', 'compared byte by byte, sessions without a label first'
    assert ids('label') == '541263'
    assert ids('current_step', False) == '345612' and ids('current_step') == '216543'
    refuses(store, ValueError, 'updated_at, created_at, label, current_step', lambda: ids('size'))
    for bad in (None, '', ['label'], 'label; DROP TABLE x'): refuses(store, ValueError, 'order_by', lambda: ids(bad))

def test_list_sessions_in_pages(store):
    for i in range(7): store.create_session(F, f'{i}', 'same')
    for order in ('updated_at', 'created_at', 'label', 'current_step'):
        for descending in (True, False):
            whole = store.list_sessions(F, order, descending)
            pages = [store.list_sessions(F, order, descending, limit=3, offset=n) for n in (0, 3, 6, 9)]
            assert sum(pages, []) == whole and list(map(len, pages)) == [3, 3, 1, 0]
            assert {s.session_id for s in whole} == set('0123456'), 'equal keys keep a stable order'
    assert store.list_sessions(F, limit=0) == [] and len(store.list_sessions(F, limit=10 ** 30)) == 7
    assert store.list_sessions(F, offset=10 ** 30) == []
    for bad in (-1, True, '1', 1.5):
        refuses(store, ValueError, 'limit', lambda: store.list_sessions(F, limit=bad))
        refuses(store, ValueError, 'offset', lambda: store.list_sessions(F, offset=bad))

def test_count_sessions_and_list_flows(store):
    for flow in ('b', 'B', 'a', 'é', 'a:b'): store.create_session(flow, 'x'), store.create_session(flow, 'y')
    store.delete_session('a', 'x')
    assert store.list_flows() == ['B', 'a', 'a:b', 'b', 'é'] and store.count_sessions('a') == 1
    store.delete_session('a', 'y')
    assert store.list_flows() == ['B', 'a:b', 'b', 'é'] and store.count_sessions('a') == 0

def test_prune_sessions_deletes_old_sessions(full):
    full.create_session(F, 'other')
    full.create_session('g', 'x')
    assert full.prune_sessions(F, timedelta(days=1)) == full.prune_sessions(F, timedelta.max) == 0
    assert full.prune_sessions(F, timedelta(0)) == 2
    assert full.list_flows() == ['g'] and full.check() == []
    refuses(full, TypeError, 'older_than', lambda: full.prune_sessions('g', 30))
    refuses(full, ValueError, 'older_than', lambda: full.prune_sessions('g', timedelta(-1)))

def test_prune_sessions_of_every_flow(full):
    full.create_session('g', 'x')
    everything = sum(map(full.count_sessions, full.list_flows()))
    assert everything == 2 and full.prune_sessions(None, timedelta(days=1)) == 0
    assert full.prune_sessions(None, timedelta(0)) == everything
    assert full.list_flows() == [] and full.check() == []
