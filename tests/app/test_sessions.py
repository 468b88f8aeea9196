"The list of sessions, and sessions that people share, without the web."
import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, StaleSessionError
from examples.review_app import review as rv
from examples.review_app import sessions
from examples.review_app.review import Document, NotFoundError, ReviewError

TEXT = b'One.\n\nTwo.'

@pytest.fixture
def store():
    with SQLiteWorkflowStateStore(':memory:') as store: yield store

def revision(store, visitor, session_id): return store.get_session_summary(sessions.own_flow(visitor), session_id).revision

def names(listing): return [row.name for row in listing.rows]

def test_a_deleted_session_can_be_put_back_until_it_is_purged(store):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    sessions.delete(store, 'ana', session_id, 1)
    sessions.delete(store, 'ana', session_id, 1)  # a double click
    with pytest.raises(NotFoundError): Document(store, 'review/ana', session_id)
    with pytest.raises(NotFoundError): sessions.copy(store, 'ana', session_id)
    sessions.purge(store, 'review/ana')
    assert sessions.list_sessions(store, 'ana').rows[0].deleted
    sessions.put_back(store, 'ana', session_id, 2)
    sessions.purge(store, 'review/ana', timedelta(days=-1))
    assert Document(store, 'review/ana', session_id).label == 'x.txt'
    rv.write_view(store, 'ana', session_id, rv.View('review', '0-1'))
    sessions.share(store, 'ana', session_id)
    sessions.delete(store, 'ana', session_id, 3)
    sessions.purge(store, 'review/ana', timedelta(days=-1))
    assert not store.list_flows()  # nothing of it is left

def test_a_session_that_was_changed_or_put_back_meanwhile_is_not_deleted(store):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    with pytest.raises(StaleSessionError): sessions.delete(store, 'ana', session_id, 7)
    sessions.delete(store, 'ana', session_id, 1)
    class Late:
        def __getattr__(self, name): return getattr(store, name)
        def list_sessions(self, *arguments, **options):
            found = store.list_sessions(*arguments, **options)
            sessions.put_back(store, 'ana', session_id, 2)
            return found
    sessions.purge(Late(), 'review/ana', timedelta(days=-1))
    assert Document(store, 'review/ana', session_id).label == 'x.txt'

def test_a_late_click_brings_nothing_back(store):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    secret = sessions.share(store, 'ana', session_id)
    class Withdrawn:  # after the link was read
        def __getattr__(self, name): return getattr(store, name)
        def edit_state(self, *arguments, **options):
            sessions.stop_sharing(store, 'ana', session_id)
            return store.edit_state(*arguments, **options)
    with pytest.raises(NotFoundError, match='withdrawn'): sessions.join(Withdrawn(), 'ben', session_id, secret)
    secret = sessions.share(store, 'ana', session_id)
    class NewLink:
        def __getattr__(self, name): return getattr(store, name)
        def edit_state(self, *arguments, **options):
            store.update_state('shared', session_id, {'secret': 'another'})
            return store.edit_state(*arguments, **options)
    with pytest.raises(NotFoundError, match='withdrawn'): sessions.join(NewLink(), 'ben', session_id, secret)
    sessions.delete(store, 'ana', session_id, 1)
    sessions.purge(store, 'review/ana', timedelta(days=-1))
    with pytest.raises(NotFoundError): sessions.put_back(store, 'ana', session_id, 2)
    sessions.delete(store, 'ana', session_id, 2)
    assert not store.list_flows()

def test_the_list_shows_what_undo_restores(store):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    def done(): return sessions.list_sessions(store, 'ana').rows[0].done
    rv.click(store, 'review/ana', session_id, 'accept', rv.Form(1, 'review', '0-0'))
    assert done() == 1
    rv.click(store, 'review/ana', session_id, 'undo', rv.Form(2, 'review', '0-0'))
    assert done() == 0
    rv.click(store, 'review/ana', session_id, 'redo', rv.Form(3, 'review', '0-0'))
    assert done() == 1

def test_the_list_is_searched_and_paged(store):
    for i in range(25): sessions.start(store, 'ana', f'Lease {i}.txt', TEXT)
    assert names(sessions.list_sessions(store, 'ana', page=0)) == [f'Lease {i}.txt' for i in range(24, 14, -1)]
    last = sessions.list_sessions(store, 'ana', page=99)
    assert (names(last), last.page, last.pages, last.count) == ([f'Lease {i}.txt' for i in range(4, -1, -1)], 2, 3, 25)
    assert names(sessions.list_sessions(store, 'ana', 'LEASE 1.')) == ['Lease 1.txt']
    assert sessions.list_sessions(store, 'ana', 'nothing') == sessions.Listing([], 0, 0, 1)

def test_rename_and_copy(store):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    rv.click(store, 'review/ana', session_id, 'accept', rv.Form(1, 'review', '0-0'))
    with pytest.raises(StaleSessionError): sessions.rename(store, 'ana', session_id, 1, 'y')
    sessions.rename(store, 'ana', session_id, 2, 'y')
    copy = sessions.copy(store, 'ana', session_id)
    assert names(sessions.list_sessions(store, 'ana')) == ['Copy of y', 'y']
    document = Document(store, 'review/ana', copy)
    assert document.done == 1 and not document.history.undo
    rv.click(store, 'review/ana', copy, 'reject', rv.Form(1, 'review', '0-0'))
    assert Document(store, 'review/ana', session_id).note('0-0').verdict == 'accepted'

def test_a_link_lets_a_second_person_in_until_it_is_withdrawn(store):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    sessions.set_name(store, 'ana', ' Ana \n')
    secret = sessions.share(store, 'ana', session_id)
    assert secret == sessions.share(store, 'ana', session_id) and len(secret) >= 32
    for wrong in ('', 'x', secret[:-1]):
        with pytest.raises(NotFoundError): sessions.join(store, 'ben', session_id, wrong)
    with pytest.raises(NotFoundError): sessions.find_flow(store, 'ben', session_id)
    sessions.join(store, 'ben', session_id, secret)
    sessions.join(store, 'ben', session_id, secret)
    assert sessions.find_flow(store, 'ben', session_id) == 'review/ana'
    [row] = sessions.list_sessions(store, 'ben').rows
    assert (row.name, row.owner, row.session_id) == ('x.txt', 'Ana', session_id)
    rv.write_view(store, 'ana', session_id, rv.View('review', '0-1'))
    assert rv.read_view(store, 'ben', session_id) == rv.View()  # each has a place of their own
    copy = sessions.copy(store, 'ben', session_id)
    assert sessions.find_flow(store, 'ben', copy) == 'review/ben'
    with pytest.raises(ReviewError, match='Only the owner'): sessions.share(store, 'ben', session_id)
    sessions.stop_sharing(store, 'ben', session_id)  # does nothing
    sessions.delete(store, 'ben', session_id, 1)  # leaves it
    assert names(sessions.list_sessions(store, 'ben')) == ['Copy of x.txt'] and names(sessions.list_sessions(store, 'ana')) == ['x.txt']
    sessions.join(store, 'ben', session_id, secret)
    sessions.stop_sharing(store, 'ana', session_id)
    with pytest.raises(NotFoundError): sessions.find_flow(store, 'ben', session_id)
    with pytest.raises(NotFoundError): sessions.join(store, 'cem', session_id, secret)
    assert names(sessions.list_sessions(store, 'ben')) == ['Copy of x.txt']
    assert sessions.share(store, 'ana', session_id) != secret

def test_the_owner_is_no_guest_and_a_deleted_session_is_not_shared(store):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    secret = sessions.share(store, 'ana', session_id)
    sessions.join(store, 'ana', session_id, secret)
    assert names(sessions.list_sessions(store, 'ana')) == ['x.txt']
    sessions.join(store, 'ben', session_id, secret)
    sessions.delete(store, 'ana', session_id, 1)
    assert names(sessions.list_sessions(store, 'ben')) == []
    with pytest.raises(NotFoundError): sessions.join(store, 'cem', session_id, secret)

def test_what_a_visitor_may_store_is_limited(store, monkeypatch, tmp_path):
    monkeypatch.setattr(sessions, 'MAX_SESSIONS', 3)
    first, *_ = [sessions.start(store, 'ana', 'x.txt', TEXT) for _ in range(3)]
    for more in (lambda: sessions.start(store, 'ana', 'x.txt', TEXT), lambda: sessions.copy(store, 'ana', first)):
        with pytest.raises(ReviewError, match='You have 3 sessions'): more()
    sessions.start(store, 'ben', 'x.txt', TEXT)
    monkeypatch.setattr(sessions, 'MAX_BYTES', 1000)
    with pytest.raises(ReviewError, match='are full'): sessions.start(store, 'ben', 'x.txt', b'x' * 1000)
    monkeypatch.setattr(sessions, 'MAX_STORE_BYTES', 1000)
    with SQLiteWorkflowStateStore(tmp_path/'x.db') as file, pytest.raises(ReviewError, match='no room'): sessions.start(file, 'ana', 'x.txt', TEXT)

def test_how_many_people_share_is_limited(store, monkeypatch):
    monkeypatch.setattr(sessions, 'MAX_SHARED', 2)
    ids = [sessions.start(store, 'ana', 'x.txt', TEXT) for _ in range(3)]
    for session_id in ids[:2]: sessions.join(store, 'ben', session_id, sessions.share(store, 'ana', session_id))
    with pytest.raises(ReviewError, match='already take part'): sessions.join(store, 'ben', ids[2], sessions.share(store, 'ana', ids[2]))
    sessions.join(store, 'cem', ids[0], sessions.share(store, 'ana', ids[0]))
    with pytest.raises(ReviewError, match='people have followed'): sessions.join(store, 'dan', ids[0], sessions.share(store, 'ana', ids[0]))

@pytest.mark.parametrize('progress', [None, 1, [], [1], [1, 'x'], {}])
def test_a_damaged_progress_is_none(store, progress):
    session_id = sessions.start(store, 'ana', 'x.txt', TEXT)
    store.update_state('review/ana', session_id, {'progress': progress})
    [row] = sessions.list_sessions(store, 'ana').rows
    assert (row.done, row.clauses) == (0, 0)
