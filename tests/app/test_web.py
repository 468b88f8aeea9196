"The pages of the review app without a browser: what they read, what they refuse, and what hostile requests get."
import asyncio
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from internals import steps_of

for name in ('fasthtml', 'httpx'): pytest.importorskip(name, reason=f'{name} is not installed')
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from cjm_workflow_state.state_store import CommitUnknownError, SessionSnapshot, SQLiteWorkflowStateStore
from examples.review_app import middleware
from examples.review_app import review as rv

TEXT = 'One. A; b.\n\nTwo.\nStill two.\n \n\nThree.\n'
FORM = {'revision': '1', 'step': 'review', 'at': '0-0'}

@pytest.fixture(scope='module')
def web(tmp_path_factory):
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
def url(client): return upload(client)

def upload(client, text=TEXT, name='x.txt'):
    "The address of a new session."
    return client.post('/new', files={'file': (name, text.encode())}, follow_redirects=False).headers['location']

def in_list(url): return url.replace('/s/', '/list/')

def find(web, url):
    "What the store has of a session."
    session_id = url.split('/')[2]
    [flow] = [f for f in web.store.list_flows() if f.startswith('review/') and web.store.session_exists(f, session_id)]
    return web.store.get_session(flow, session_id)

def click(client, url, action, **fields):
    return client.post(url + action, data={**FORM, **fields}, headers={'HX-Request': 'true'})

# -- what a request costs

class CountingStore:
    "A store that records the names of the methods that are called, and what they return."
    def __init__(self, store): self.store, self.calls, self.results = store, [], []

    def __getattr__(self, name):
        method = getattr(self.store, name)
        if not callable(method) or isinstance(method, type): return method
        def call(*args, **options):
            self.calls.append(name)
            self.results.append(method(*args, **options))
            return self.results[-1]
        return call

def test_a_click_is_one_write_and_few_reads(web, client, url, monkeypatch):
    monkeypatch.setattr(web, 'store', counting := CountingStore(web.store))
    for action, fields in [('accept', {}), ('next', {}), ('comment', {'value': 'x', 'to': '0-0'}), ('undo', {}), ('redo', {}), ('rename', {'value': 'y', 'was': 'x.txt'}),
                           ('go', {'to': '0-2'}), ('merge', {'step': 'split'}), ('cut', {'step': 'split', 'to': '5'})]:
        revision = str(find(web, url).revision)
        counting.calls.clear()
        answer = click(client, url, action, revision=revision, **fields)
        assert answer.status_code == 200, (action, answer.text)
        writes = [name for name in counting.calls if name in ('edit_session', 'undo', 'redo', 'set_session_label')]
        moves = 0 if action in ('comment', 'rename') else 1  # the view is written on its own
        assert len(writes) == moves + (action not in ('next', 'go')), (action, counting.calls)
        assert set(counting.calls) - set(writes) <= {'session_exists', 'get_session'} and counting.calls.count('get_session') <= 3, counting.calls

def test_a_page_reads_the_clauses_that_it_shows_and_no_others(web, client, monkeypatch):
    url = upload(client, '\n\n'.join(f'Clause {i}.' for i in range(1, 1001)))
    def read(path):
        monkeypatch.setattr(web, 'store', counting := CountingStore(web.store))
        client.get(path)
        return str([steps_of(result) if isinstance(result, SessionSnapshot) else result for result in counting.results])
    page = read(url + 'review?number=500')
    assert 'Clause 500.' in page and 'Clause 520.' not in page and 'Clause 480.' not in page
    home = read('/')
    assert '1000' in home and 'Clause' not in home

# -- pages that wait for news

def test_many_pages_wait_and_clicks_are_answered_meanwhile(web, client, url):
    from httpx import ASGITransport, AsyncClient
    async def run():
        async with AsyncClient(transport=ASGITransport(web.app), base_url='http://testserver', cookies=dict(client.cookies), timeout=60) as tab:
            pages = [asyncio.create_task(tab.get(url + 'news?revision=1')) for _ in range(100)]  # there are 40 threads for routes
            await asyncio.sleep(0)  # they begin first
            clicked = await tab.post(url + 'accept', data=FORM, headers={'HX-Request': 'true'})
            return clicked.status_code, [(page.status_code, 'changed in another tab' in page.text) for page in await asyncio.gather(*pages)]
    with ThreadPoolExecutor(1) as pool:  # Playwright has a loop in this one
        assert pool.submit(asyncio.run, run()).result() == (200, [(409, True)] * 100)

def test_a_page_asks_again_if_there_is_no_news(web, client, url, monkeypatch):
    monkeypatch.setattr(web, 'NEWS_AFTER', 0)
    assert client.get(url + 'news?revision=1').status_code == 204
    for revision in ('', '0', '2', 'x'): assert client.get(url + 'news?revision=' + revision).status_code == 409
    assert client.get('/s/none/news?revision=0').status_code == 409

# -- what is refused

def test_a_form_without_its_fields_is_refused(web, client, url):
    before = find(web, url)
    for missing in ({'revision': ''}, {'revision': 'x'}, {'revision': '-1'}, {'revision': '9' * 5000}, {'revision': '²'}, {'step': ''}, {'step': 'x'}, {'step': 'upload'}):
        for action in [*rv.ACTIONS, *rv.BOXES, 'undo', 'redo']: assert click(client, url, action, **missing).status_code == 422
    for action in ('delete', 'put-back', 'rename'):
        assert client.post(in_list(url) + action, data={'revision': 'x'}, follow_redirects=False).status_code == 400
    assert click(client, url, 'none').status_code == client.post(in_list(url) + 'none', data=FORM).status_code == 404
    assert find(web, url) == before

@pytest.mark.parametrize('headers, body', [
    ({'content-type': 'application/json'}, b'{'), ({'content-type': 'application/json'}, b'{"revision": 1}'), ({}, b''), ({'content-type': 'text/plain'}, b'revision=1'),
    ({'content-type': 'multipart/form-data'}, b'x'), ({'content-type': 'multipart/form-data; boundary=b'}, b'this is not a form, and it is longer than its boundary'),
    ({'content-type': 'multipart/form-data; boundary=b'}, b'--b\r\n\r\n\r\n--b--\r\n'), ({'content-type': 'multipart/form-data; boundary=b'}, b'--b\r\nno head\r\n--b--\r\n'),
    ({'content-type': 'application/x-www-form-urlencoded'}, b'%ff&&=;\xff\0'), ({'content-type': 'application/x-www-form-urlencoded'}, b'revision=1&revision=1&step=review')])
def test_bodies_that_are_no_form_are_refused(web, client, url, headers, body):
    before = find(web, url)
    for path in (url + 'accept', url + 'undo', url + 'comment', '/new', in_list(url) + 'delete', url + 'none'):
        answer = client.post(path, content=body, headers=headers, follow_redirects=False)
        assert 400 <= answer.status_code <= 422, (path, answer.text)
    assert find(web, url) == before

def test_a_form_is_parsed_as_browsers_send_it():
    boundary, part = 'WebKit', 'content-disposition: form-data; name="{}"'
    body = '\r\n'.join([f'--{boundary}', part.format('sample'), '', 'LICENSE', f'--{boundary}',
                        part.format('file') + '; filename="a%22 ž;.txt"', 'Content-Type: text/plain', '', 'One.\r\n\r\n--Two--\r\n', f'--{boundary}--', ''])
    form = middleware.parse_form(f'multipart/form-data; boundary={boundary}', body.encode())
    assert form == {'sample': 'LICENSE', 'file': middleware.Upload('a%22 ž;.txt', b'One.\r\n\r\n--Two--\r\n')}
    assert middleware.parse_form('application/x-www-form-urlencoded', b'a=&b=x+%C5%BE') == {'a': '', 'b': 'x ž'}

def test_too_many_fields_and_too_big_bodies_are_refused_before_they_are_parsed(client, url, monkeypatch):
    monkeypatch.setattr(middleware, 'parse_qsl', None)  # would fail if it was called
    monkeypatch.setattr(middleware, 'parse_part', None)
    many = '&'.join(f'f{i}=' for i in range(40_000))
    form_type = {'content-type': 'application/x-www-form-urlencoded'}
    parts = ''.join(f'--b\r\ncontent-disposition: form-data; name="{i}"\r\n\r\n\r\n' for i in range(30)) + '--b--\r\n'
    assert click_raw(client, url, many, form_type) == 413
    assert click_raw(client, url, parts, {'content-type': 'multipart/form-data; boundary=b'}) == 413
    assert click_raw(client, url, 'x' * 2_000_001, form_type) == 413
    assert client.post('/new', content=iter([b'x'])).status_code == 413  # does not say how long it is

def click_raw(client, url, body, headers): return client.post(url + 'accept', content=body, headers=headers).status_code

@pytest.mark.parametrize('body', [b'\r\n' * 990_000, b'--b\r' * 400_000, b'\r\n--' * 490_000, b'\r\n-' * 660_000, b'%' * 990_000, b'&' * 1_990_000, b'a=' * 990_000])
@pytest.mark.parametrize('kind', ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=b', 'multipart/form-data; boundary=' + '-' * 60])
def test_the_work_for_a_hostile_body_is_linear(body, kind):
    "Counted in executed lines, not in seconds."
    lines = 0
    def trace(frame, event, argument):
        nonlocal lines
        lines += event == 'line'
        return trace
    sys.settrace(trace)
    try: middleware.parse_form(kind, body)
    except middleware.RefusedError: pass
    finally: sys.settrace(None)
    assert lines < 20 * len(body)

def test_a_client_that_goes_away_in_mid_upload_leaves_no_traceback(web):
    async def run():
        messages = [{'type': 'http.request', 'body': b'half', 'more_body': True}, {'type': 'http.disconnect'}]
        async def receive(): return messages.pop(0)
        sent = []
        async def send(message): sent.append(message)
        headers = [(b'content-type', b'multipart/form-data; boundary=b'), (b'content-length', b'1000'), (b'host', b'testserver')]
        scope = {'type': 'http', 'method': 'POST', 'path': '/new', 'raw_path': b'/new', 'query_string': b'', 'headers': headers, 'scheme': 'http', 'server': ('testserver', 80), 'client': ('a', 1)}
        await web.app(scope, receive, send)
        return sent
    with ThreadPoolExecutor(1) as thread: assert thread.submit(lambda: asyncio.run(run())).result() == []  # the browser tests have a loop in this one

@pytest.mark.parametrize('path', ['/static/%00', '/static/../app.py', '/static/%2e%2e/app.py', '/static/', '/static/x', '/static/' + 'x' * 3000, '/static/%ff', '/%00', '/s/%00/', '/s/%ff/', '/none',
                                  '/s/x/export.md', '/s/x/export.x', '/s/x/find', '/s/x/share', '/join/x/y', '/s/none/', '/s/x/review?at=x', '/' + 'x' * 5000])
def test_addresses_of_nothing_are_not_found(client, path): assert client.get(path).status_code == 404

@pytest.mark.parametrize('path', ['/?n=x', '/?n=-1', '/?n=' + '9' * 30, '/?n=1&n=2', '/?q=%ff', '/?q=' + 'x' * 500, 'find?q=[', 'find?only=x', 'find?first=9999', 'review?number=x', 'review?at=%00', 'export?only=x', 'news?revision=x'])
def test_odd_parameters_make_a_page(client, url, path): assert client.get(path if path.startswith('/') else url + path).status_code in (200, 404, 409)

# -- other sites, proxies, cookies

def test_a_page_of_another_site_can_send_nothing(web, client, url):
    before, form = find(web, url), {**FORM, 'revision': find(web, url).revision}
    hostile = [{'Origin': origin} for origin in ('https://evil.example', 'null', '', 'http://testserver.evil.example', 'http://testserver:81')]
    hostile += [{'Sec-Fetch-Site': site} for site in ('cross-site', 'same-site', 'x')] + [{'Sec-Fetch-Site': 'cross-site', 'Origin': 'http://testserver'}]
    for headers in hostile:
        for path in ('/new', '/key', '/name', *(url + action for action in [*rv.ACTIONS, *rv.BOXES, 'share']), *(in_list(url) + action for action in ('delete', 'put-back', 'copy'))):
            assert client.post(path, data=form, headers=headers).status_code == 403
    assert find(web, url) == before
    assert client.post(url + 'accept', data=form, headers={'Origin': 'http://testserver'}).status_code == 200

def test_a_proxy_that_does_not_pass_host(client, url, web):
    def click(**headers): return client.post(url + 'next', data=FORM, headers={'Host': '127.0.0.1:8000', **headers}).status_code
    assert click(Origin='https://review.example.com') == 403
    assert click(**{'Origin': 'https://review.example.com', 'Sec-Fetch-Site': 'same-origin'}) == 200
    assert click(**{'Origin': 'https://review.example.com', 'X-Forwarded-Host': 'review.example.com'}) == 200
    app = middleware.Middleware(web.web, web.files, frozenset({'https://review.example.com'}))  # as with --url
    from starlette.testclient import TestClient
    behind = TestClient(app, cookies=client.cookies)
    assert behind.post(url + 'next', data=FORM, headers={'Host': 'x', 'Origin': 'https://review.example.com'}).status_code == 200

def test_cookies_are_secure_behind_https_and_never_come_with_a_file_that_is_kept(web, client):
    cookie = lambda **headers: client.get('/', headers=headers).headers['set-cookie'].lower()
    assert 'secure' in cookie(**{'X-Forwarded-Proto': 'https'}) and 'secure' not in cookie()
    assert 'httponly' in cookie() and 'samesite=lax' in cookie()
    for name in ('app.js', 'style.css', 'htmx.min.js'):
        answer = client.get(web.files.url(name))
        assert answer.status_code == 200 and 'set-cookie' not in answer.headers and 'max-age' in answer.headers['cache-control']
        assert client.get(web.files.url(name), headers={'If-None-Match': answer.headers['etag']}).status_code == 304

def test_pages_and_scripts_are_compressed(web, client, url):
    for path in (url + 'review', '/', web.files.url('htmx.min.js'), web.files.url('app.js')):
        answer = client.get(path, headers={'Accept-Encoding': 'gzip'})
        assert answer.headers['content-encoding'] == 'gzip' and int(answer.headers['content-length']) < len(answer.content) / 2

def test_every_answer_says_what_a_browser_may_do_with_it(web, client, url, monkeypatch):
    answers = [client.get(path) for path in ('/', url, url + 'export.md', url + 'export.json', url + 'news?revision=9', '/none', '/s/none/', '/static/none')]
    answers += [client.post(path, data={'revision': 'x'}) for path in ('/new', url + 'accept')]
    answers += [client.post('/new', content=b'x' * 2_000_001), client.post('/new', data={'x': 1}, headers={'Origin': 'null'})]
    monkeypatch.setattr(web, 'home_page', None)
    answers += [client.get('/')]
    assert {a.status_code for a in answers} == {200, 400, 403, 404, 409, 413, 422, 500}
    for answer in answers:
        assert answer.headers['cache-control'] == 'no-store' and answer.headers['x-content-type-options'] == 'nosniff'
        assert all(part in answer.headers['content-security-policy'] for part in ("default-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"))

# -- a store that fails

class FailingStore:
    def __init__(self, store, error): self.store, self.error = store, error

    def __getattr__(self, name):
        found = getattr(self.store, name)
        if not callable(found) or isinstance(found, type): return found
        def fail(*args, **options): raise self.error
        return fail

class CommitUnknown(CommitUnknownError, SQLiteWorkflowStateStore.OperationalError): pass

@pytest.mark.parametrize('error, message', [
    (SQLiteWorkflowStateStore.OperationalError('secret-host: database or disk is full'), "can't save or show"), (CommitUnknown('secret-host'), 'does not know whether')])
def test_a_store_that_fails_makes_a_page_without_details(web, client, url, monkeypatch, error, message):
    monkeypatch.setattr(web, 'store', FailingStore(web.store, error))
    for path in ('/', url, url + 'review', url + 'export.md', url + 'find', url + 'share', url + 'news', '/join/x/y'):
        answer = client.get(path)
        assert answer.status_code == 503 and message in answer.text and 'secret-host' not in answer.text, path
    for path in ('/new', '/name', *(url + action for action in [*rv.ACTIONS, *rv.BOXES, 'undo', 'redo', 'share']),
                 *(in_list(url) + action for action in ('delete', 'put-back', 'rename', 'copy'))):
        answer = client.post(path, data={**FORM, 'sample': 'LICENSE', 'name': 'x', 'n': '0'})
        assert answer.status_code == 503 and message in answer.text and 'secret-host' not in answer.text, path

# -- starting

def start(*arguments, **environment):
    run = subprocess.run([sys.executable, '-m', 'examples.review_app', *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60,
                         env={**{k: v for k, v in os.environ.items() if k != 'REVIEW_KEY'}, **environment})
    return run.returncode, run.stderr

@pytest.mark.parametrize('missing', ['fasthtml', 'uvicorn'])
def test_without_the_extra_a_sentence_says_so(missing):
    code = f"import runpy, sys; sys.modules['{missing}'] = None; runpy.run_module('examples.review_app', run_name='__main__')"
    run = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.count('\n') == 1 and 'pip install -e ".[app]"' in run.stderr

def test_bad_arguments_are_explained_in_one_line(tmp_path):
    (tmp_path/'x.db').write_bytes(b'this is not a database, but a text that is long enough' * 100)
    with socket.socket() as busy:
        busy.bind(('127.0.0.1', 0))
        busy.listen()
        cases = [(('--db', 'postgresql://hidden@db/x'), {}, 'REVIEW_KEY'), (('--db', 'mysql://hidden@db/x'), {}, 'postgresql://'),
                 (('--port', str(busy.getsockname()[1]), '--db', str(tmp_path/'y.db')), {}, '--port'),
                 (('--port', '0', '--db', str(tmp_path/'x.db')), {}, 'x.db'), (('--port', '0', '--db', str(tmp_path)), {}, str(tmp_path))]
        for arguments, environment, word in cases:
            code, error = start(*arguments, **environment)
            assert code in (1, 2) and word in error.splitlines()[-1] and 'Traceback' not in error and 'hidden' not in error, error

def test_the_database_may_be_a_server(web, monkeypatch, tmp_path):
    import cjm_workflow_state.state_store as module
    monkeypatch.setattr(module, 'PostgresWorkflowStateStore', lambda conninfo, **options: ('postgres', conninfo), raising=False)
    for address in ('postgresql://ana@db/reviews', 'postgres://ana@db/reviews'): assert web.open_store(address) == ('postgres', address)
    with web.open_store(str(tmp_path/'x.db')) as store: assert isinstance(store, SQLiteWorkflowStateStore)
    monkeypatch.setenv('REVIEW_KEY', 'shared')
    assert web.secret_key('postgresql://db') == web.secret_key(str(tmp_path/'x.db')) == 'shared' and not (tmp_path/'x.key').exists()
    monkeypatch.delenv('REVIEW_KEY')
    assert len(web.secret_key(str(tmp_path/'x.db'))) == 64 and web.secret_key(str(tmp_path/'x.db')) == (tmp_path/'x.key').read_text()
