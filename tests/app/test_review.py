"What the review app does to a document, without a browser and without the web."
import json
import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from internals import steps_of

sys.path.insert(0, str(Path(__file__).parents[2]))
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, StaleSessionError
from examples.review_app import review as rv
from examples.review_app.review import ConflictError, Document, Form, NotFoundError, ReviewError

TEXT = 'One. A; b.\n\nTwo.\nStill two.\n \n\nThree.\n'
FLOW = 'review/ana'

@pytest.fixture
def store():
    with SQLiteWorkflowStateStore(':memory:') as store: yield store

class Reviewer:
    "Clicks in a session. Each click sends what a page that was just loaded shows, unless told otherwise."
    def __init__(self, store, session_id, step='review'): self.store, self.session_id, self.step, self.at = store, session_id, step, '0-0'

    def document(self, **options): return Document(self.store, FLOW, self.session_id, self.at, **options)

    def form(self, **fields): return Form(self.document().revision, self.step, self.at)._replace(**fields)

    def click(self, action, **fields):
        result = rv.click(self.store, FLOW, self.session_id, action, self.form(**fields))
        self.at, self.step = result.document.at, result.step
        return result

    def type(self, box, value, at=None, **fields):
        document = Document(self.store, FLOW, self.session_id, at or self.at)
        was = {'comment': document.note(document.at).comment, 'text': document.clause(document.at).text.strip(), 'rename': document.label.replace(rv.UNTITLED, '')}[box]
        fields = {'to': document.at, 'value': value, 'was': (was,), **fields}
        return rv.BOXES[box](self.store, FLOW, self.session_id, self.form(**fields))

    def texts(self): return [c.text.strip() for c in self.document(whole=True).matching()]

    def notes(self): return [tuple(c.note) for c in self.document(whole=True).matching()]

    def undo_label(self): return self.document().history.undo[0].label

    def content(self):
        "All that undo has to restore. A step that became empty is the same as none."
        session = self.store.get_session(FLOW, self.session_id)
        return session.state, {step: state for step, state in steps_of(session).items() if state}

def upload(store, text=TEXT, name='x.txt', step='review'): return Reviewer(store, rv.start_session(store, FLOW, name, text.encode()), step)

@pytest.fixture
def ana(store): return upload(store)

# -- files

@pytest.mark.parametrize('text, clauses', [
    (TEXT, ['One. A; b.', 'Two.\nStill two.', 'Three.']), ('a\nb\n', ['a', 'b']), ('\n\n a', ['a']), ('a\r\n\r\nb', ['a', 'b']), ('\ufeffä', ['ä'])])
def test_paragraphs_are_clauses_or_lines_where_no_empty_line_separates_any(store, text, clauses):
    assert upload(store, text).texts() == clauses

@given(st.text('a .\n\t', max_size=60).filter(str.strip))
def test_the_clauses_joined_are_the_text(text):
    assert ''.join(rv.paragraphs(text)) == text and all(map(str.strip, rv.paragraphs(text)))

@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_text_files_of_common_encodings_are_read(encoding): assert rv.decode('žluť\r\nb'.encode(encoding)) == 'žluť\nb'

@pytest.mark.parametrize('data, reason', [
    (b'PK\x03\x04', 'Word document'), (b'%PDF-', 'PDF'), (b'', 'empty'), (b' \n', 'empty'), (b'caf\xe9', 'byte 4 is not text'), (b'a\0', 'NUL'),
    (b'x' * 1_000_001, 'too big'), (b'x\n' * 20_001, 'At most 20,000')])
def test_other_files_are_refused_with_what_to_do(data, reason):
    with pytest.raises(ReviewError, match=reason): rv.read_file('x.txt', data)

@pytest.mark.parametrize('line', ['x', '[1]', '{}', '{"text": 1}', '{"text": " "}', '{"text": "a", "verdict": "maybe"}', '{"text": "a", "comment": 1}',
                                  '{"text": "\\ud800"}', '{"text": "a", "verdict": []}', '[' * 100_000])
def test_a_bad_line_of_json_lines_is_named(line):
    with pytest.raises(ReviewError, match='Line 2 is not a clause|half of a character'): rv.read_file('x.jsonl', f'{{"text": "a"}}\n{line}'.encode())

def test_json_lines_read_back_give_the_same_session(store, ana):
    ana.click('accept')
    ana.type('comment', 'two\nlines', '0-1')
    ana.type('text', 'Drei.', '0-2')
    exported = rv.as_jsonl(ana.document(whole=True))
    again = upload(store, exported, 'x.jsonl')
    assert again.texts() == ['One. A; b.', 'Two.\nStill two.', 'Drei.'] and again.notes() == ana.notes()
    assert rv.as_jsonl(again.document(whole=True)) == exported
    assert again.document().counts == ana.document().counts
    assert store.get_state(FLOW, again.session_id, keys=['progress']) == {'progress': [1, 3]}

# -- clicks

def test_every_split_and_every_merge_can_be_undone(store):
    ana = upload(store, step='split')
    before = ana.texts()
    for i in range(3):
        for place in rv.split_points(ana.document().clause(f'0-{i}').text):
            ana.at = f'0-{i}'
            ana.click('cut', to=str(place))
            assert ''.join(c.text for c in ana.document(whole=True).matching()) == TEXT
            assert len(ana.texts()) == 4
            ana.click('undo')
            assert ana.texts() == before
    ana.at = '0-0'
    ana.click('merge')
    ana.click('merge')
    assert ana.texts() == [TEXT.strip()]
    with pytest.raises(ReviewError, match='last clause'): ana.click('merge')
    for bad in ('', '0', '1', '5000', '-1', 'x', '9' * 5000):
        with pytest.raises(ReviewError, match="can't be split there"): ana.click('cut', to=bad)
    for _ in range(2): ana.click('undo')
    assert ana.texts() == before and not ana.document().history.undo

def test_clauses_of_two_pages_can_be_merged_and_split(store):
    ana = upload(store, '\n\n'.join(f'Clause {i}. Really.' for i in range(1, 46)), step='split')
    before = ana.content()
    ana.at = '0-19'
    assert ana.click('merge').document.clause('0-19').text == 'Clause 20. Really.\n\nClause 21. Really.\n\n'
    assert ana.document().clauses == 44 and ana.document().address(21) == '1-1'
    for _ in range(19): ana.click('merge')
    assert ana.document().counts['clauses'] == [20, 0, 5]
    assert ana.document().address(21) == '2-0' and ana.document().number('2-0') == 21
    assert ana.click('next').document.at == '2-0' and ana.click('previous').document.at == '0-19'
    assert Document(store, FLOW, ana.session_id, '1-5').at == '0-19'
    assert ana.document().page_start('0-19', 1) == '2-' and ana.document().page_start('2-0', 1) == '2-0'
    for _ in range(20): ana.click('undo')
    assert ana.content() == before

def test_merging_keeps_one_verdict_clears_two_that_differ_and_keeps_every_comment(store, ana):
    ana.type('comment', 'left', '0-0')
    ana.click('accept')
    ana.type('comment', 'right', '0-1')
    ana.click('reject')
    ana.click('reject')
    ana.at, ana.step = '0-0', 'split'
    before = ana.notes()
    ana.click('merge')
    assert ana.notes() == [('open', 'left\nright'), ('rejected', '')]
    assert ana.undo_label() == 'Merge clauses 1 and 2, clear their verdicts'
    assert store.get_state(FLOW, ana.session_id, keys=['progress']) == {'progress': [1, 2]}
    ana.click('undo')
    assert ana.notes() == before and store.get_state(FLOW, ana.session_id, keys=['progress']) == {'progress': [3, 3]}
    ana.at = '0-1'
    ana.click('merge')
    assert ana.notes() == [('accepted', 'left'), ('rejected', 'right')] and ana.undo_label() == 'Merge clauses 2 and 3'
    ana.click('cut', to=str(len('Two.\nStill two.\n \n\n')))
    assert ana.notes() == [('accepted', 'left'), ('open', 'right'), ('open', '')] and ana.undo_label() == 'Split clause 2, clear its verdict'

def test_the_same_verdict_again_only_moves_on(ana):
    ana.click('accept')
    ana.click('previous')
    assert ana.click('accept').said == '' and ana.at == '0-1'
    assert [e.label for e in ana.document().history.undo] == ['Accept clause 1']

def test_next_open_goes_round_and_skips_pages_that_are_done(store):
    ana = upload(store, '\n'.join(map(str, range(100))))
    for number in range(2, 101):
        if number != 90: ana.click('accept', at=ana.document().address(number))
    ana.at = '0-0'
    assert ana.click('next-open').document.number(ana.at) == 90
    assert ana.click('next-open').document.number(ana.at) == 1
    for at in ('0-0', ana.document().address(90)): ana.click('accept', at=at)
    with pytest.raises(ReviewError, match='All clauses have a verdict'): ana.click('next-open')

def test_an_old_page_changes_nothing(store, ana):
    old = ana.form()
    ana.click('accept')
    before = ana.content()
    for step in rv.STEPS:
        for action in [*(a for a in rv.ACTIONS if step in rv.ACTIONS[a].steps), 'undo', 'redo']:
            with pytest.raises(StaleSessionError): rv.click(store, FLOW, ana.session_id, action, old._replace(step=step, to='0-1'))
    assert ana.content() == before

def test_looking_makes_no_page_old(store, ana):
    old, ben = ana.form(), Reviewer(store, ana.session_id)
    for action in ('next', 'previous', 'next-open'): ben.click(action)
    ben.click('go', to='0-2')
    for view in (rv.View('export', '0-2'), rv.View('review', '0-0')): rv.write_view(store, 'ben', ana.session_id, view)
    assert rv.click(store, FLOW, ana.session_id, 'accept', old).said == 'Accept clause 1'

def test_actions_belong_to_their_step(ana):
    before = ana.content()
    for step in rv.STEPS:
        for action in rv.ACTIONS:
            if step not in rv.ACTIONS[action].steps:
                with pytest.raises(ReviewError, match='belongs to the step'): ana.click(action, step=step)
    with pytest.raises(NotFoundError): ana.click('delete')
    assert ana.content() == before

# -- boxes

def test_a_comment_is_saved_from_a_page_that_is_old(store, ana):
    old = ana.form()
    ana.click('reject')
    result = rv.save_comment(store, FLOW, ana.session_id, old._replace(to='0-1', value=' mine ', was=('',)))
    assert not result.is_current and ana.notes() == [('rejected', ''), ('open', 'mine'), ('open', '')]

def test_a_comment_that_another_tab_changed_is_not_overwritten(ana):
    ana.type('comment', 'theirs')
    with pytest.raises(ConflictError, match='theirs') as error: ana.type('comment', 'mine', was=('',))
    assert ana.notes()[0] == ('open', 'theirs')
    ana.type('comment', 'mine', was=(error.value.current,))
    assert ana.notes()[0] == ('open', 'mine')
    ana.type('comment', 'mine', was=('',))  # sent twice
    ana.type('comment', 'mine too', was=('', 'mine'))  # the answer to the first part has not arrived

def test_a_comment_on_a_merged_clause_is_refused(store, ana):
    Reviewer(store, ana.session_id, 'split').click('merge')
    with pytest.raises(ReviewError, match='no longer exists'): ana.type('comment', 'x', to='0-1')

def test_typing_at_one_go_is_one_action_and_a_click_ends_it(ana):
    for i in range(1, 8): ana.type('comment', 'a remark'[:i])
    assert [e.label for e in ana.document().history.undo] == ['Comment on clause 1']
    ana.click('accept')
    ana.type('comment', 'a remark, and more', '0-0')
    ana.click('undo')
    assert ana.notes()[0] == ('accepted', 'a remar')
    ana.click('undo')
    ana.click('undo')
    assert ana.notes()[0] == ('open', '') and not ana.document().history.undo

def test_a_comment_that_is_typed_and_deleted_leaves_no_action(ana):
    for text in ('a', 'ab', 'a', ''): ana.type('comment', text)
    assert not ana.document().history.undo

def test_the_text_of_a_clause_can_be_edited_split_and_undone(ana):
    before = ana.content()
    ana.type('text', ' One only.  And a new one. ')
    assert ana.texts()[0] == 'One only.  And a new one.' and ana.undo_label() == 'Edit clause 1'
    assert ana.document().clause('0-0').text.endswith('\n\n')  # the white space around it stays
    ana.step = 'split'
    ana.click('cut', to='11')
    assert ana.texts()[:2] == ['One only.', 'And a new one.']
    ana.click('merge')
    assert ana.texts()[0] == 'One only.  And a new one.'
    for _ in range(3): ana.click('undo')
    assert ana.content() == before
    for _ in range(3): ana.click('redo')
    assert ana.texts()[0] == 'One only.  And a new one.'

@pytest.mark.parametrize('value, reason', [('', 'empty'), (' \n', 'empty'), ('a\0', 'NUL'), ('\ud83d', 'half of a character'), ('x' * 20_001, 'at most 20,000')])
def test_bad_clause_texts_are_refused(ana, value, reason):
    before = ana.content()
    with pytest.raises(ReviewError, match=reason): ana.type('text', value)
    assert ana.content() == before

def test_comments_are_whole_characters_and_of_limited_length(store, ana):
    with pytest.raises(ReviewError, match='half of a character'): ana.type('comment', 'a\ud83d')
    with pytest.raises(ReviewError, match='at most 2,000'): ana.type('comment', 'x' * 2001)
    for at in ('0-0', '0-1'): ana.type('comment', 'x' * 2000, at)
    with pytest.raises(ReviewError, match='at most 2,000'): Reviewer(store, ana.session_id, 'split').click('merge')
    assert len(ana.texts()) == 3

def test_a_session_can_become_full(ana, monkeypatch):
    monkeypatch.setattr(rv, 'MAX_SESSION_BYTES', 1000)
    ana.type('comment', 'x' * 400)
    for box in ('comment', 'text'):
        with pytest.raises(ReviewError, match='full'): ana.type(box, 'y' * 900, '0-1')
    ana.click('accept')

def test_a_name_is_one_line_and_may_be_removed(ana):
    names = [ana.type('rename', value).document.label for value in (' a \r\n# b ', 'x' * 300, '  ')]
    assert names == ['a # b', 'x' * 200, 'Untitled']
    with pytest.raises(ReviewError): ana.type('rename', '\ud800')
    ana.type('rename', 'one')
    with pytest.raises(ConflictError): ana.type('rename', 'two', was=('another',))

# -- undo

class Walk(Reviewer):
    "Does something at random, from any step and any page, in one of two tabs."
    def __init__(self, store, session_id, draw):
        super().__init__(store, session_id)
        self.draw, self.tabs = draw, {1: ('review', '0-0'), 2: ('split', '0-0')}

    def act(self):
        tab = self.draw(st.sampled_from([1, 2]))
        self.step, self.at = self.tabs[tab]
        self.at = self.document().at
        kind = self.draw(st.sampled_from(['click', 'click', 'click', 'look', 'comment', 'text', 'undo', 'redo']))
        try: getattr(self, f'act_{kind}')()
        except ReviewError: pass  # the last clause can't be merged, and so on
        self.tabs[tab] = self.step, self.at

    def act_click(self):
        actions = [name for name, action in rv.ACTIONS.items() if self.step in action.steps]
        places = [str(i) for i in rv.split_points(self.document().clause(self.at).text)]
        if actions: self.click(self.draw(st.sampled_from(actions)), to=self.draw(st.sampled_from([*places, self.document().page_start(self.at, 1)])))

    def act_look(self):
        self.step = self.draw(st.sampled_from(rv.STEPS))
        self.at = self.document().address(self.draw(st.integers(1, 50)))
        rv.write_view(self.store, 'ana', self.session_id, rv.View(self.step, self.at))

    def act_comment(self): self.type('comment', self.draw(st.sampled_from(['', 'x', 'xy', 'long ' * 20])))
    def act_text(self): self.type('text', self.draw(st.sampled_from(['New.', 'New. Again; again', 'a\nb'])))
    def act_undo(self): self.click('undo')
    def act_redo(self): self.click('redo')

@given(st.data())
@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_everything_undone_can_be_redone(data):
    "At any point of a random walk, undoing everything and redoing it, with looks in between, gives back what was there."
    with SQLiteWorkflowStateStore(':memory:', max_undo_depth=1000) as store:
        text = '\n\n'.join(f'Clause {i}. It says; one.' for i in range(1, 43))
        walk = Walk(store, rv.start_session(store, FLOW, 'x', text.encode()), data.draw)
        start = walk.content()
        for _ in range(data.draw(st.integers(1, 25))):
            walk.act()
            check_counts(walk)
        for _ in range(2):
            last = walk.content()
            depth = len(walk.document().history.undo)
            while walk.document().history.undo:
                walk.click('undo')
                walk.act_look()
            assert walk.content() == start
            for _ in range(depth):
                walk.click('redo')
                walk.act_look()
                check_counts(walk)
            assert walk.content() == last
            assert len(walk.document().history.undo) == depth

def check_counts(reviewer):
    "The counts of the pages, and what a page shows, agree with all that is stored."
    whole = reviewer.document(whole=True)
    clauses = list(whole.matching())
    assert [c.number for c in clauses] == list(range(1, whole.clauses + 1))
    for page in range(len(whole.counts['clauses'])):
        assert {kind: whole.counts[kind][page] for kind in rv.COUNTED} == rv.count([c.note for c in clauses if c.at.startswith(f'{page}-')])
    assert reviewer.store.get_state(FLOW, reviewer.session_id, keys=['progress'])['progress'] == [whole.done, whole.clauses]
    for clause in random.Random(1).sample(clauses, min(5, len(clauses))):
        document = Document(reviewer.store, FLOW, reviewer.session_id, clause.at)
        assert document.clause(document.at) == clause and document.address(clause.number) == clause.at

def test_undo_and_redo_go_to_the_step_that_shows_the_change(ana):
    ana.click('accept')
    ana.type('text', 'Two, edited.', '0-1')
    ana.step = 'split'
    ana.click('merge', at='0-0')
    for step, at, shown in [('export', '0-0', 'split'), ('review', '0-1', 'review'), ('split', '0-0', 'review')]:
        ana.step = step
        assert (ana.click('undo').step, ana.at) == (shown, at)
    for step, at, shown in [('export', '0-0', 'review'), ('export', '0-1', 'split'), ('review', '0-0', 'review')]:
        ana.step = step
        assert (ana.click('redo').step, ana.at) == (shown, at)

# -- exports

def test_exports_hold_what_was_chosen(ana):
    ana.click('reject')
    ana.type('comment', 'Why?', '0-0')
    document = ana.document(whole=True)
    for only, numbers in dict(rejected=[1], accepted=[], commented=[1], open=[2, 3], all=[1, 2, 3]).items():
        assert [c['number'] for c in json.loads(rv.as_json(document, only))['clauses']] == numbers
        assert [json.loads(line)['number'] for line in rv.as_jsonl(document, only).splitlines()] == numbers
        assert [int(n) for n in re.findall(r'(?m)^## (\d+)', rv.as_markdown(document, only))] == numbers
        assert document.total(only) == len(numbers)
    assert rv.as_markdown(document).startswith('# x.txt\n\n## 1: rejected\n\n> One. A; b.\n\nWhy?\n\n## 2: open\n\n> Two.\n> Still two.\n')

@pytest.mark.parametrize('typed, exported', [
    ('## x', '\\## x'), ('a\n# b', 'a\n\\# b'), ('- a', '\\- a'), ('1. a', '1\\. a'), ('12) a', '12\\) a'), ('    code', 'code'), ('> q', '\\> q'),
    ('*a* [b](c) `d` <e>', '\\*a\\* \\[b\\](c) \\`d\\` \\<e\\>'), ('=====', '\\====='), ('Why 2.5 - 1?', 'Why 2.5 - 1?')])
def test_a_comment_is_no_markdown(typed, exported): assert rv.escape_markdown(typed) == exported

@pytest.mark.parametrize('label, name', [
    ('x.txt', 'x (reviewed).md'), ('a/b\\c: "d"?.md', 'a_b_c_ _d__ (reviewed).md'), ('Untitled', 'Untitled (reviewed).md'), ('v1.2 ž', 'v1.2 ž (reviewed).md')])
def test_a_download_has_a_name_that_every_system_accepts(label, name): assert rv.file_name(label, 'md') == name

@pytest.mark.parametrize('query, only, numbers', [
    ('', 'all', [1, 2, 3]), ('TWO', 'all', [2]), ('o', 'accepted', [1]), ('', 'commented', [2]), ('e', 'open', [3]), ('nowhere', 'all', [])])
def test_search_and_filter(ana, query, only, numbers):
    ana.click('accept')
    ana.type('comment', 'x', '0-1')
    assert [c.number for c in ana.document(whole=True).matching(query, only)] == numbers

# -- what is stored

DAMAGE = [('counts', 'clauses', value) for value in (None, True, 7, -1, 2**70, 'x', [], ['x'], [[]], {}, [1, 'x'], [-1], [True], [2**70], [3, 0], [4], [0])]
DAMAGE += [('text/0', 'clauses', value) for value in (
    None, 'x', [], ['x'], [['0', 'a']], [['x', 'a'], ['1', 'b'], ['2', 'c']], [[0, 'a'], [1, 'b'], [2, 'c']], [['0', 1], ['1', 'b'], ['2', 'c']])]
DAMAGE += [('notes/0', '0', value) for value in (None, {}, {'verdict': [], 'comment': ''}, {'verdict': 'open', 'comment': 1})]
DAMAGE += [('notes/0', 'x', {'verdict': 'open', 'comment': ''})]

@pytest.mark.parametrize('step, key, value', DAMAGE)
def test_damage_makes_a_message(store, ana, step, key, value):
    store.update_step_state(FLOW, ana.session_id, step, {key: value})
    with pytest.raises(NotFoundError, match="can't be shown"): ana.document()

@pytest.mark.parametrize('at', ['', 'x', '5', '-1', '9-9', '0-99', '999999-999999999', '9' * 5000, '²-²', '0-0\n'])
def test_any_address_leads_to_a_clause(ana, at):
    assert ana.document().find(at) in ('0-0', '0-1', '0-2')
    assert Document(ana.store, FLOW, ana.session_id, at).at in ('0-0', '0-1', '0-2')

@pytest.mark.parametrize('view', [dict(at=3), dict(at=None), {}])
def test_a_damaged_view_is_the_beginning(store, view):
    with store.edit_session('view/ana', 'x') as s: s.current_step, _ = 'nowhere', s.state.update(view)
    assert rv.read_view(store, 'ana', 'x') == rv.View('split', '')
    store.set_current_step('view/ana', 'x', 'review')
    assert rv.read_view(store, 'ana', 'x') == rv.View('review', '')
