"What the example app does to a document, without a browser."
import json
import random
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
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

def judged(review): return [(c.verdict, c.comment) for c in review.clauses()]

def undo_label(review): return review.history().undo[0].label

def test_merging_keeps_a_verdict_of_both_clears_two_that_differ_and_loses_no_comment(store, sid):
    review, split = at_step(store, sid, 'review'), lambda: rv.Review(store, 'f', sid)
    review().comment('left', 0)
    review().accept()
    review().reject()
    review().comment('right', review().starts[1])
    review().reject()
    review().go(0)
    store.set_current_step('f', sid, 'split')
    before = judged(split())
    split().merge()
    assert judged(split()) == [('open', 'left\nright'), ('rejected', '')]
    assert undo_label(split()) == 'Merge clauses 1 and 2, clear their verdicts'
    assert [n['comment'] for n in store.get_step_state('f', sid, 'review/0')['notes'].values()] == ['left\nright', '', '']
    assert store.get_state('f', sid, keys=['progress']) == {'progress': [1, 2]}
    split().undo()
    assert judged(split()) == before and store.get_state('f', sid, keys=['progress']) == {'progress': [3, 3]}
    split().next()
    split().merge()
    assert judged(split()) == [('accepted', 'left'), ('rejected', 'right')] and undo_label(split()) == 'Merge clauses 2 and 3'
    split().split(split().starts[1] + len('Two.\nStill two.\n \n\n'))
    assert judged(split()) == [('accepted', 'left'), ('open', 'right'), ('open', '')] and undo_label(split()) == 'Split clause 2, clear its verdict'
    split().undo()
    split().undo()
    assert judged(split()) == before

def test_undo_of_a_verdict_is_seen_where_the_clause_was_merged_since(store, sid):
    review = at_step(store, sid, 'review')
    review().accept()
    review().reject()
    split = at_step(store, sid, 'split')
    split().go(0)
    split().merge()
    export = at_step(store, sid, 'export')
    assert [c.verdict for c in export().exported()] == ['open', 'open']
    export().undo()
    export().undo()
    assert [c.verdict for c in export().exported()] == ['accepted', 'open', 'open'] and undo_label(export()) == 'Accept clause 1'

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

# -- calls of the store

class Counted:
    "A store that writes down which of its methods are called."
    def __init__(self, store): self.store, self.calls = store, []

    def __getattr__(self, name):
        found = getattr(self.store, name)
        if not callable(found) or isinstance(found, type): return found
        return lambda *a, **kw: (self.calls.append(name), found(*a, **kw))[1]

WRITES = {'edit_session', 'undo', 'redo', 'set_session_label', 'set_current_step'}
SEEN = ['step', 'actions', 'label', 'revision', 'text', 'starts', 'here', 'done', 'only']

def seen(review):
    "All that a page shows; of undo and redo what is next."
    return [getattr(review, name) for name in SEEN] + review.clauses() + [[e.label for e in entries[:1]] for entries in vars(review.history()).values()]

def test_a_click_is_one_write_and_one_read_and_shows_what_a_page_read_anew_shows(store, sid):
    rnd, clicked = random.Random(1), {}
    for _ in range(1500):
        review = rv.Review(store, 'f', sid)
        action = rnd.choice([*(a for a, (steps, _) in rv.ACTIONS.items() if not steps or review.step in steps), 'undo'])
        value = rnd.choice(rv.CHOICES if action == 'choose' else ['', 'x', ' two\r\nlines ', 'long' * 40])
        to = rnd.choice([*review.starts, *rv.split_points(review.clause(review.here)), 5000])
        if rnd.random() < .2:
            review.open(rnd.choice(rv.STEPS), rnd.choice([None, to]))
            assert seen(review) == seen(rv.Review(store, 'f', sid))
            continue
        counted = Counted(store)
        try: page = rv.click(counted, 'f', sid, action, {'revision': str(review.revision), 'value': value, 'to': str(to)})
        except ValueError: pass
        else:
            assert seen(page) == seen(rv.Review(store, 'f', sid)), action
            assert sum(name in WRITES for name in counted.calls) == counted.calls.count('get_session') == 1 and len(counted.calls) == 2
            clicked[action] = clicked.get(action, 0) + 1
        after = rv.Review(store, 'f', sid)
        assert store.get_state('f', sid, keys=['progress'])['progress'] == [after.done, len(after.starts)]
    assert clicked.keys() == rv.ACTIONS.keys()

# -- forms, and what is stored

@pytest.mark.parametrize('revision', [None, '', 'x', '-1', '1.0', '²', '9' * 5000, ['1', '1'], 1, True, '0'])
def test_a_click_without_a_revision_is_refused(store, sid, revision):
    at_step(store, sid, 'review')
    before = store.get_session('f', sid)
    for action in rv.ACTIONS:
        with pytest.raises((ValueError, StaleSessionError)):
            rv.click(store, 'f', sid, action, {'revision': revision, 'value': 'split', 'to': '0'} if revision is not None else {'value': 'split', 'to': '0'})
    for action in ('go', 'undo', 'rename'):
        with pytest.raises((ValueError, LookupError)): rv.click(store, 'f', 'none', action, {'revision': '0', 'value': 'split', 'to': '0'})
    with pytest.raises(StaleSessionError): rv.Review(store, 'f', sid, None)  # what Flask's form.get(type=int) makes of it
    assert store.get_session('f', sid) == before and store.count_sessions('f') == 1

def test_actions_belong_to_their_step(store, sid):
    for step in rv.STEPS:
        review = at_step(store, sid, step)()
        for action, (steps, _) in rv.ACTIONS.items():
            if not steps or step in steps: continue
            with pytest.raises(ValueError, match=f'is at {step}'):
                rv.click(store, 'f', sid, action, {'revision': str(review.revision), 'value': 'all', 'to': '0'})
    assert store.get_step_state('f', sid, 'review') == {} == store.get_step_state('f', sid, 'split')

def test_whatever_is_stored_makes_a_page(store, sid):
    junk = [None, False, True, 7, -1, 2**70, 'x', '\ud800', [], ['x'], {}, {'verdict': []}, {'verdict': 'maybe', 'comment': 3}, {'comment': '\ud800'}]
    keys = ['0', '5', '-1', '9' * 40, '²', '٣', 'cursor', 'only', 'x', '']
    for value in junk:
        for step in rv.STEPS: store.update_step_state('f', sid, step, dict.fromkeys(keys, value))
        store.update_state('f', sid, {'cursor': value, 'progress': value})
        for step in [*rv.STEPS, 'elsewhere']:
            review = at_step(store, sid, step)()
            json.loads(rv.as_json(review).encode())
            assert review.window() and rv.as_markdown(review).encode()
            assert review.step in rv.STEPS and review.only in rv.CHOICES
            [summary] = store.list_sessions('f')
            assert len(rv.progress(store, summary)) == 2
    store.update_step_state('f', sid, 'upload', {'starts': [None, 'x', True, 3.0, -4, 10**9, 2**70]})
    assert rv.Review(store, 'f', sid).starts == [0]
    for damaged in ({'starts': 'x'}, {'starts': [], 'text': 3}):
        store.update_step_state('f', sid, 'upload', damaged)
        with pytest.raises(LookupError, match='no text'): rv.Review(store, 'f', sid)

def test_a_session_of_an_earlier_version_opens(store):
    store.update_state('f', 'old', {'text': 'a\n\nb', 'starts': [0, 3], '_step_review': {'3': {'verdict': 'accepted'}, 'cursor': 3}})
    assert judged(rv.Review(store, 'f', 'old')) == [('open', ''), ('accepted', '')]

def test_comments_are_whole_characters_and_bounded(store, sid):
    review = at_step(store, sid, 'review')
    with pytest.raises(ValueError, match='half of a character'): review().comment('a\ud83d', 0)
    with pytest.raises(ValueError, match='at most 2,000'): review().comment('x' * 2001, 0)
    for i in (0, 1): review().comment('x' * 2000, review().starts[i])
    with pytest.raises(ValueError, match='at most 2,000'): at_step(store, sid, 'split')().merge()
    assert len(texts(store, sid)) == 3

def test_a_name_is_one_line_and_may_be_taken_away(store, sid):
    click = lambda value: rv.click(store, 'f', sid, 'rename', {'revision': str(rv.Review(store, 'f', sid).revision), 'value': value}).label
    assert [click(' a \r\n# b '), click('x' * 300), click('  ')] == ['a # b', 'x' * 200, 'Untitled']
    with pytest.raises(ValueError): click('\ud800')

@pytest.mark.parametrize('label, name', [
    ('x.txt', 'x (reviewed).md'), ('a/b\\c: "d"?.md', 'a_b_c_ _d__ (reviewed).md'), ('', 'Untitled (reviewed).md'), ('v1.2 ž', 'v1.2 ž (reviewed).md')])
def test_a_download_is_named_after_the_document_in_what_any_system_takes(store, sid, label, name):
    store.set_session_label('f', sid, label)
    assert rv.file_name(rv.Review(store, 'f', sid), 'md') == name

# -- the web side, without a browser

@pytest.fixture(scope='module')
def web(tmp_path_factory):
    for name in ('fasthtml', 'httpx'): pytest.importorskip(name, reason=f'{name} is not installed')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('REVIEW_DB', str(tmp_path_factory.mktemp('web')/'review.db'))
        from examples.review_app import app
    yield app
    app.store.close()

@pytest.fixture
def client(web):
    from starlette.testclient import TestClient
    return TestClient(web.app, raise_server_exceptions=False)

@pytest.fixture
def url(web, client):
    "A session of a new visitor, at step review."
    url = client.post('/new', files={'file': ('x.txt', TEXT.encode())}, follow_redirects=False).headers['location']
    return client.get(url + 'review') and url

def find(web, url):
    "What the store has of it: flow, id, everything."
    sid = url.split('/')[2]
    [flow] = [f for f in web.store.list_flows() if web.store.session_exists(f, sid)]
    return web.store.get_session(flow, sid)

def test_every_click_of_the_page_is_two_calls(web, client, url, monkeypatch):
    counted = Counted(web.store)
    monkeypatch.setattr(web, 'store', counted)
    for action, form in [('accept', {}), ('next', {}), ('comment', {'value': 'x', 'to': 0}), ('undo', {}), ('redo', {}), ('rename', {'value': 'y'}),
                         ('go', {'to': 20}), ('split', None), ('merge', {}), ('split', {'to': 5})]:
        revision = find(web, url).revision
        del counted.calls[:]
        answer = client.get(url + action) if form is None else client.post(url + action, data={'revision': revision, **form}, headers={'HX-Request': 'true'})
        assert answer.status_code == 200, (action, answer.text)
        assert len(counted.calls) <= 2 and set(counted.calls) <= WRITES | {'get_session'}, (action, counted.calls)

def test_the_list_reads_no_document(web, client, url, monkeypatch):
    rows, db = [], web.store._db
    for name in ('read', 'read_all'):
        monkeypatch.setattr(db, name, lambda *a, read=getattr(db, name): (rows.append(found := read(*a)), found)[1])
    revision = find(web, url).revision
    assert '_step_upload' in str(rows) and 'Still two.' in str(rows)  # this is how it looks where a document is read
    client.post(url + 'accept', data={'revision': revision})
    del rows[:]
    for page in (client.get('/'), client.post(url + 'delete', data={'revision': revision, 'n': 0})):  # the second one is refused
        assert '1 of 3 reviewed' in page.text
    assert len(rows) >= 6 and not [word for word in ('Still two.', '_step_', '"text"', '"starts"') if word in str(rows)], rows

def test_a_click_at_10000_clauses_is_timed(web, client, monkeypatch, capsys):
    "Prints what the server and the library in it need; asserts no times."
    text = '\n\n'.join(f'Clause {i}. It says a thing that somebody has to read. And another; so.' for i in range(10_000))
    url = client.post('/new', files={'file': ('big.txt', text.encode())}, follow_redirects=False).headers['location']
    one = find(web, url)
    with web.store.edit_session(one.flow_id, one.session_id) as s:
        s.current_step = 'review'
        for start in one.step('upload')['starts']:
            s.step(f'review/{start // rv.BLOCK}').setdefault('notes', {})[str(start)] = {'verdict': 'accepted', 'comment': 'x'}

    class Timed(Counted):
        seconds = 0
        def __getattr__(self, name):
            found = getattr(self.store, name)
            if not callable(found) or isinstance(found, type): return found
            if name == 'edit_session': return lambda *a, **kw: self.edit(found(*a, **kw))
            return lambda *a, **kw: self.timed(found, *a, **kw)
        def timed(self, f, *a, **kw):
            start = time.perf_counter()
            try: return f(*a, **kw)
            finally: self.seconds += time.perf_counter() - start
        @contextmanager
        def edit(self, block):
            with ExitStack() as stack:
                s = self.timed(block.__enter__)
                stack.push(lambda *error: self.timed(block.__exit__, *error))
                yield s

    monkeypatch.setattr(web, 'store', timed := Timed(web.store))
    for action, form in {'accept': {}, 'reject': {}, 'next': {}, 'undo': {}, 'comment': {'to': '0'}, 'undecided': {}, 'clear': {}}.items():
        took, inside = [], []
        for i in range(15):
            revision = str(find(web, url).revision)
            timed.seconds, start = 0, time.perf_counter()
            answer = client.post(url + action, data={'revision': revision, **form, 'value': f'hm {i}'}, headers={'HX-Request': 'true'})
            took.append(time.perf_counter() - start)
            inside.append(timed.seconds)
            assert answer.status_code == (422 if action == 'undecided' else 200), answer.text
        with capsys.disabled(): print(f'\nnote: 10,000 clauses, all decided: {action} {median(took) * 1000:.1f} ms ({min(took) * 1000:.1f} at best), of which the library {median(inside) * 1000:.1f} ({min(inside) * 1000:.1f})', end='')
    assert '9,999 of 10,000 reviewed' in answer.text

@pytest.mark.parametrize('headers, body', [
    ({'content-type': 'application/json'}, b'{'), ({'content-type': 'application/json'}, b'[1]'), ({'content-type': 'application/json'}, b'{"revision": 2}'),
    ({}, b''), ({'content-type': 'text/plain'}, b'revision=2'), ({'content-type': 'multipart/form-data'}, b'x'),
    ({'content-type': 'multipart/form-data; boundary=b'}, b'no form of any kind, and longer than that'), ({'content-type': 'application/x-www-form-urlencoded'}, b'%ff&&=;\xff\0')])
def test_odd_bodies_are_refused(web, client, url, headers, body):
    before = find(web, url)
    for path in (*(url + action for action in rv.ACTIONS), '/new', url + 'delete', url + 'put-back', url + 'none'):
        answer = client.post(path, content=body, headers=headers, follow_redirects=False)
        assert 400 <= answer.status_code <= 422, (path, answer.text)
    assert find(web, url) == before

def test_odd_forms_are_refused(web, client, url):
    before = find(web, url)
    file = ('x', b'1')
    forms = [dict(data={'revision': r, 'to': '0', 'value': 'all', 'n': n}) for r, n in [('', '0'), ('x', '0'), ([before.revision] * 2, '0'), ('-1', '0'), ('0', 'x'), ('9' * 5000, '0')]]
    forms += [dict(data={'to': '0'}), dict(files={'revision': file}), dict(data={'revision': before.revision}, files={'value': file, 'to': file, 'n': file})]
    for form in forms:
        for action in (*rv.ACTIONS, 'delete', 'put-back'):
            if 'files' in form and 'data' in form and not rv.ACTIONS.get(action, (0, 0))[1]: continue
            answer = client.post(url + action, **form, follow_redirects=False)
            assert 400 <= answer.status_code <= 422, (action, form, answer.text)
        assert find(web, url) == before
    for form in (dict(data={'file': 'x', 'sample': ['LICENSE', 'LICENSE']}), dict(files={'sample': file}), dict(data={'sample': '../x'})):
        assert client.post('/new', **form, follow_redirects=False).status_code == 400
    for path in ('/?n=x', '/?n=-1', '/?n=' + '9' * 30, '/?n=1&n=2', '/s/%00/', '/s/%ff/', '/s/x/news?revision=x', url + 'export.x', '/s/x/export.md', '/none'):
        assert client.get(path).status_code in (200, 400, 404, 422), path

def test_a_page_of_another_site_can_send_nothing(web, client, url):
    before, form = find(web, url), {'revision': find(web, url).revision}
    for origin in ('https://evil.example', 'null', '', 'http://testserver.evil.example', 'http://testserver:81'):
        for path in ('/new', *(url + action for action in [*rv.ACTIONS, 'delete', 'put-back'])):
            assert client.post(path, data=form, headers={'Origin': origin}).status_code == 403
    assert find(web, url) == before
    assert client.post(url + 'accept', data=form, headers={'Origin': 'http://testserver'}).status_code == 200

def test_every_answer_says_what_a_browser_may_do_with_it(web, client, url, monkeypatch):
    answers = [client.get(path) for path in ('/', url, url + 'export.md', url + 'export.json', url + 'news?revision=9', '/none', '/s/none/')]
    answers += [client.post(path, data={'revision': 'x'}) for path in ('/new', url + 'accept')]
    answers += [client.post('/new', content=b'x' * 2_000_001), client.post('/new', data={'x': 1}, headers={'Origin': 'null'})]
    monkeypatch.setattr(web, 'home', None)
    answers += [client.get('/')]
    assert {a.status_code for a in answers} == {200, 400, 403, 404, 409, 413, 422, 500}
    for answer in answers:
        assert answer.headers['cache-control'] == 'no-store' and answer.headers['x-content-type-options'] == 'nosniff'
        assert all(part in answer.headers['content-security-policy'] for part in ("default-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"))
    assert 'no-store' not in client.get('/static/app.js').headers['cache-control']

@pytest.mark.parametrize('missing', ['fasthtml', 'uvicorn'])
def test_without_the_extra_a_sentence_is_said(missing):
    code = f"import runpy, sys; sys.modules['{missing}'] = None; runpy.run_module('examples.review_app', run_name='__main__')"
    run = subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.count('\n') == 1 and 'pip install -e ".[app]"' in run.stderr

# -- several hosts

def test_the_database_may_be_a_server(web, monkeypatch, tmp_path):
    import cjm_workflow_state.state_store as module
    monkeypatch.setattr(module, 'PostgresWorkflowStateStore', lambda conninfo: ('postgres', conninfo), raising=False)
    assert web.open_store('postgresql://ana@db/reviews') == ('postgres', 'postgresql://ana@db/reviews')
    with web.open_store(str(tmp_path/'x.db')) as store: assert isinstance(store, SQLiteWorkflowStateStore)
    monkeypatch.setenv('REVIEW_KEY', 'shared')
    assert web.secret_key('postgresql://db') == web.secret_key(str(tmp_path/'x.db')) == 'shared' and not (tmp_path/'x.key').exists()
    monkeypatch.delenv('REVIEW_KEY')
    assert len(web.secret_key(str(tmp_path/'x.db'))) == 64 and web.secret_key(str(tmp_path/'x.db')) == (tmp_path/'x.key').read_text()

def test_a_server_needs_a_key_that_all_hosts_share(monkeypatch):
    pytest.importorskip('fasthtml', reason='fasthtml is not installed')
    monkeypatch.delenv('REVIEW_KEY', raising=False)
    run = subprocess.run([sys.executable, '-m', 'examples.review_app', '--db', 'postgresql://secret@db/x'], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert run.returncode == 2 and 'REVIEW_KEY' in run.stderr and 'secret@' not in run.stderr

def test_what_another_host_put_back_is_not_purged(store, sid):
    rv.delete(store, 'f', sid, 1)
    class Late(Counted):
        def list_sessions(self, *a, **kw):
            found = self.store.list_sessions(*a, **kw)
            rv.put_back(self.store, 'f', sid, 2)
            return found
    rv.purge(Late(store), 'f', timedelta(days=-1))
    assert rv.Review(store, 'f', sid).label == 'x.txt'
