"Metadata of sessions, and `create=False`."
import json

import internals
import pytest

from .helpers import CREATING_METHODS, F, S, call, everything, refuses, revision

def metadata(store, session=S): return store.get_session_summary(F, session).metadata

VALUES = {'owner': 'ana', 'n': 1, 'share': 0.5, 'done': True, 'none': None, '': '', 'ü': '😀 "\\', 'half': '\ud83d', 'odd': 'a\0b', 'big': 2 ** 80, 'nan': float('-inf')}

def test_metadata_comes_back_with_every_summary(store):
    store.create_session(F, S, metadata=VALUES)
    [listed] = store.list_sessions(F)
    for found in (listed, store.get_session_summary(F, S), store.get_session(F, S)):
        assert json.dumps(found.metadata) == json.dumps(VALUES), 'values, types and order'
        found.metadata['owner'] = 'changed by the caller'
    assert metadata(store)['owner'] == 'ana' and revision(store) == 1
    store.create_session(F, 'plain')
    assert metadata(store, 'plain') == {} and store.get_session(F, 'plain').metadata == {}
    assert store.check() == [] and store.get_state(F, S) == {}

def test_set_session_metadata_merges_and_removes(store):
    store.create_session(F, S, metadata={'a': 1, 'b': 2, 'c': 3})
    store.set_session_metadata(F, S, {'b': 'two', 'd': None}, remove=['a', 'none'])
    assert list(metadata(store).items()) == [('b', 'two'), ('c', 3), ('d', None)] and revision(store) == 2
    for nothing in ({}, {'b': 'two'}): store.set_session_metadata(F, S, nothing, remove=['a'])
    assert revision(store) == 2, 'nothing changed'
    store.set_session_metadata(F, S, {'c': 3.0})
    assert revision(store) == 3 and isinstance(metadata(store)['c'], float)
    store.set_session_metadata(F, 'none', {'a': 1})
    assert not store.session_exists(F, 'none')

@pytest.mark.parametrize('bad, kind', [
    (['a'], TypeError), ({1: 1}, TypeError), ({'k': []}, TypeError), ({'k': {}}, TypeError), ({'k': b'x'}, TypeError),
    ({'k': 'x' * 4089}, ValueError), ({'k': 'é' * 2045}, ValueError), ({'k': 10 ** 5000}, ValueError)])
def test_what_metadata_can_not_hold(store, bad, kind):
    store.create_session(F, S, metadata={'a': 1})
    name = 'keys' if bad == {1: 1} else 'metadata'
    refuses(store, kind, name, lambda: store.create_session(F, 'new', metadata=bad))
    refuses(store, kind, 'metadata', lambda: store.list_sessions(F, metadata=bad))
    refuses(store, kind, 'updates', lambda: store.set_session_metadata(F, S, bad))
    def edit():
        with store.edit_session(F, S) as session:
            session.state['n'] = 1
            session.metadata.update(dict(bad))
    if isinstance(bad, dict): refuses(store, kind, 'metadata', edit)

def test_the_limit_is_that_of_all_keys_together(store):
    store.create_session(F, S, metadata={'k': 'x' * 4088})
    refuses(store, ValueError, '4,096', lambda: store.set_session_metadata(F, S, {'b': 1}))
    refuses(store, ValueError, 'both updates and remove', lambda: store.set_session_metadata(F, S, {'k': 1}, remove=['k']))
    store.set_session_metadata(F, S, {'b': 1}, remove=['k'])
    assert metadata(store) == {'b': 1}

def test_metadata_in_an_edit_block(store):
    with store.edit_session(F, S) as session: session.metadata['owner'] = 'ana'
    assert (session.revision, revision(store), metadata(store)) == (1, 1, {'owner': 'ana'})
    with store.edit_session(F, S, undo_label='All') as session:
        session.state['n'] = 1
        session.metadata['status'] = session.metadata.pop('owner')
    assert metadata(store) == {'status': 'ana'} and revision(store) == 2
    store.undo(F, S)
    assert metadata(store) == {'status': 'ana'} and store.get_state(F, S) == {}, 'undo leaves metadata alone'
    with store.edit_session(F, S) as session: dict(session.metadata)
    assert revision(store) == 3, 'reading it changes nothing'
    with store.edit_session(F, S) as session:
        session.metadata.update(a=1, b=2)
        session.metadata['status'] = session.metadata.pop('status')
    assert list(metadata(store)) == ['a', 'b', 'status'] and revision(store) == 4
    with pytest.raises(KeyError), store.edit_session(F, S) as session:
        session.metadata['lost'] = 1
        raise KeyError
    with store.edit_session(F, 'none') as session: session.metadata.update(a=1), session.metadata.clear()
    assert not store.session_exists(F, 'none') and 'lost' not in metadata(store)

def test_metadata_is_copied_kept_and_deleted_with_the_session(full):
    full.set_session_metadata(F, S, VALUES)
    copy = full.copy_session(F, S, to_flow_id='g')
    assert json.dumps(full.get_session('g', copy).metadata) == json.dumps(VALUES)
    assert [s.session_id for s in full.list_sessions('g', metadata={'owner': 'ana', 'half': '\ud83d'})] == [copy]
    assert full.get_session('g', copy).revision == 1
    full.reset_session(F, S)
    assert json.dumps(metadata(full)) == json.dumps(VALUES)
    full.delete_session(F, S)
    full.create_session(F, S)
    assert metadata(full) == {} and full.list_sessions(F, metadata={'owner': 'ana'}) == [] and full.check() == []

def test_labels_have_at_most_1000_characters(store):
    longest = '😀' * 1000
    store.create_session(F, S, longest)
    assert store.list_sessions(F)[0].label == store.get_session_summary(F, S).label == longest
    def edit():
        with store.edit_session(F, S) as session: session.label = longest + 'x'
    for write in (lambda: store.create_session(F, 'b', longest + 'x'), lambda: store.set_session_label(F, S, longest + 'x'),
                  lambda: store.copy_session(F, S, label=longest + 'x'), edit):
        refuses(store, ValueError, 'label must have at most 1,000 characters', write)

@pytest.mark.parametrize('method', CREATING_METHODS)
def test_create_false_brings_no_deleted_session_back(store, method):
    store.create_session(F, S)
    call(store, method, create=False)
    assert revision(store) == 2
    store.delete_session(F, S)
    error = refuses(store, LookupError, "flow 'f' has no session 's'", lambda: call(store, method, create=False))
    assert type(error) is LookupError and everything(store) == []
    refuses(store, LookupError, "flow 'f' has no session 's'", lambda: call(store, method, create=False, expected_revision=3))
    for bad in (0, 'no', None): refuses(store, TypeError, 'create', lambda: call(store, method, create=bad))
    call(store, method)
    assert store.session_exists(F, S)

def test_longer_labels_of_earlier_releases_stay_readable(store):
    long = ['x' * 1000 + end for end in ('', 'a', 'b' * 5000, '😀')]
    for n, label in enumerate(long):
        store.create_session(F, f'{n}')
        with internals.transaction(store) as connection:
            connection.execute('UPDATE workflow_session SET label = ? WHERE session_id = ?', (label, f'{n}'))
    assert [s.label for s in store.list_sessions(F)] == ['x' * 1000] * 4 and store.count_sessions(F, label_contains='B') == 1
    found, after = [], None
    while page := store.list_sessions(F, 'label', False, limit=1, after=after):
        found, after = [*found, page[0].session_id], page[0].cursor
    assert found == ['0', '1', '2', '3'], 'equal as far as they are shown, so the order of creation decides'
    assert store.get_session_summary(F, '2').label == store.get_session(F, '2').label == long[2]
    with store.edit_session(F, '2') as session: session.state['n'] = session.label
    store.copy_session(F, '2', to_session_id='copy')
    assert store.get_session_summary(F, 'copy').label == store.get_state(F, '2')['n'] == long[2] and store.check() == []
