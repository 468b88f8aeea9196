"What the example app does to a document, without a browser."
import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, StaleSessionError
from examples.review_app import review as rv

TEXT = 'One. A; b.\n\nTwo.\nStill two.\n \n\nThree.\n'

@pytest.fixture
def store():
    with SQLiteWorkflowStateStore(':memory:') as store: yield store

@pytest.fixture
def sid(store): return rv.start_session(store, 'f', 'x.txt', TEXT.encode())

def texts(store, sid):
    review = rv.Review(store, 'f', sid)
    return [review.clause(i).text for i in range(len(review.starts))]

def at_step(store, sid, step):
    store.set_current_step('f', sid, step)
    return lambda: rv.Review(store, 'f', sid)

@pytest.mark.parametrize('text, clauses', [
    (TEXT, ['One. A; b.', 'Two.\nStill two.', 'Three.']), ('a\nb\n', ['a', 'b']), ('\n\n a', [' a']), ('a\r\n\r\nb', ['a', 'b']), ('\ufeffä', ['ä'])])
def test_paragraphs_are_clauses_and_lines_where_there_are_none(store, text, clauses):
    assert texts(store, rv.start_session(store, 'f', 'x', text.encode())) == clauses

def test_every_place_to_split_and_to_merge_can_be_undone(store, sid):
    get = at_step(store, sid, 'split')
    before = texts(store, sid)
    for i in range(3):
        for place in rv.split_points(get().clause(i)):
            get().split(place)
            assert ''.join(texts(store, sid)).replace(' ', '').replace('\n', '') == ''.join(TEXT.split())
            assert len(texts(store, sid)) == 4 and texts(store, sid)[i + 1][0] == TEXT[place] != ' '
            get().undo()
            assert texts(store, sid) == before
    get().merge()
    get().merge()
    assert len(texts(store, sid)) == 1
    with pytest.raises(ValueError, match='last clause'): get().merge()
    place = rv.split_points(get().clause(0))[0]
    get().split(place)
    get().merge()
    for _ in range(4): get().undo()
    assert texts(store, sid) == before and not get().history().undo
    for bad in (0, 1, 5000, -1):
        with pytest.raises(ValueError, match="can't be split there"): get().split(bad)

def test_a_merged_clause_gives_its_verdict_back_when_it_is_split_off_again(store, sid):
    review, split = at_step(store, sid, 'review'), None
    review().accept()
    review().reject()
    split = at_step(store, sid, 'split')
    split().merge()
    assert (split().done, split().clause(0).verdict) == (1, 'accepted')
    split().undo()
    assert (split().done, split().clause(1).verdict) == (2, 'rejected')

def test_the_same_verdict_again_only_moves_on(store, sid):
    review = at_step(store, sid, 'review')
    review().accept()
    review().previous()
    review().accept()
    assert [e.label for e in review().history().undo] == ['Accept clause 1'] and review().here == 1
    review().undo()
    assert (review().done, review().here) == (0, 0)

def test_undo_keeps_the_comment_that_was_there_before_the_verdict(store, sid):
    review = at_step(store, sid, 'review')
    review().comment(' why? ', 0)
    review().accept()
    assert (review().clause(0).verdict, review().clause(0).comment) == ('accepted', 'why?')
    review().undo()
    assert (review().clause(0).verdict, review().clause(0).comment) == ('open', 'why?')

def test_an_old_page_changes_nothing(store, sid):
    at_step(store, sid, 'review')
    old = rv.Review(store, 'f', sid)
    rv.Review(store, 'f', sid).accept()
    before = store.get_state('f', sid)
    for write in (old.accept, old.next, old.merge, old.undo, old.redo, lambda: old.comment('x', 0), lambda: old.open('export'), lambda: old.choose('all')):
        with pytest.raises(StaleSessionError): write()
    with pytest.raises(StaleSessionError): rv.Review(store, 'f', sid, old.revision)
    with pytest.raises(StaleSessionError): rv.delete(store, 'f', sid, old.revision)
    assert store.get_state('f', sid) == before and store.get_current_step('f', sid) == 'review'

def test_a_deleted_session_can_be_put_back_until_it_is_purged(store, sid):
    at_step(store, sid, 'review')().accept()
    revision = store.get_session_summary('f', sid).revision
    rv.delete(store, 'f', sid, revision)
    rv.delete(store, 'f', sid, revision)  # a double click
    with pytest.raises(LookupError): rv.Review(store, 'f', sid)
    rv.purge(store, 'f')
    rv.put_back(store, 'f', sid, revision + 1)
    assert (rv.Review(store, 'f', sid).step, rv.Review(store, 'f', sid).done) == ('review', 1)
    rv.purge(store, 'f', timedelta(days=-1))
    assert store.session_exists('f', sid)
    rv.delete(store, 'f', sid, revision + 2)
    rv.purge(store, 'f', timedelta(days=-1))
    assert not store.session_exists('f', sid)

def test_exports_hold_what_was_chosen(store, sid):
    review = at_step(store, sid, 'review')
    review().reject()
    review().comment('Why?', 0)
    export = at_step(store, sid, 'export')
    assert [len(rv.as_json(export()).split('"number"')) - 1] == [3]
    for choice, numbers in dict(rejected=[1], accepted=[], commented=[1], open=[2, 3], all=[1, 2, 3]).items():
        export().choose(choice)
        assert [c.number for c in export().exported()] == numbers
    assert rv.as_markdown(export()).startswith('# x.txt\n\n## 1: rejected\n\n> One. A; b.\n\nWhy?\n\n## 2: open\n\n> Two.\n> Still two.\n')
