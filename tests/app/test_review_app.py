"The example app in a real browser: what a reviewer does, and what must not happen to it."
import json
import os
import re
import signal
import stat
from pathlib import Path

import pytest
from pages import ROOT, TEXT, Server, at, base, focused, notice, redo_says, session, shot, start, to_step, undo_says

import httpx
from playwright.sync_api import expect

def test_the_whole_path(server, visit, tmp_path):
    page = start(server, visit(server))
    expect(page.locator('.clauses li')).to_have_count(20)
    expect(page.get_by_text('Clauses 1 to 20 of 30')).to_be_visible()
    undo_says(page, 'Nothing to undo')
    page.click('text=Merge with next')
    undo_says(page, 'Undo: Merge clauses 1 and 2')
    expect(page.get_by_text('of 29')).to_have_count(3)
    page.locator('.cut').first.click()
    undo_says(page, 'Undo: Split clause 1')
    page.keyboard.press('u')
    undo_says(page, 'Undo: Merge clauses 1 and 2')
    redo_says(page, 'Redo: Split clause 1')
    page.keyboard.press('Shift+U')
    redo_says(page, 'Nothing to redo')
    expect(page.locator('.clauses .text').first).to_have_text('Clause 1 says one thing.')
    shot(page, 'split')

    to_step(page, 'Review')
    at(page, 1)
    page.keyboard.press('a')
    at(page, 2)
    page.keyboard.press('r')
    at(page, 3)
    page.keyboard.press('k')
    at(page, 2)
    page.keyboard.press('c')
    focused(page, 'comment')
    page.keyboard.type('Ask about <the> garden & "fence"')
    page.keyboard.press('Escape')
    undo_says(page, 'Undo: Comment on clause 2')
    expect(page.locator('.progress')).to_contain_text('2 of 30 reviewed')
    page.locator('#c0 .number').click()
    at(page, 1)
    expect(page.locator('.note')).to_have_text('Ask about <the> garden & "fence"')
    page.fill('header input', 'Lease, 3 Elm Street')
    page.keyboard.press('Enter')
    expect(page.locator('#name')).to_be_focused()
    page.keyboard.press('Escape')
    shot(page, 'review')
    page.keyboard.press(']')
    at(page, 21)

    to_step(page, 'Export')
    expect(page).to_have_title('Lease, 3 Elm Street: export')
    page.click('text=rejected')
    undo_says(page, 'Undo: Export rejected clauses')
    shot(page, 'export')
    with page.expect_download() as download: page.click('text=JSON')
    exported = json.loads(Path(download.value.path()).read_text())
    assert exported['label'] == 'Lease, 3 Elm Street'
    assert [(c['number'], c['verdict'], c['comment']) for c in exported['clauses']] == [(2, 'rejected', 'Ask about <the> garden & "fence"')]
    with page.expect_download() as download: page.click('text=Markdown')
    assert Path(download.value.path()).read_text().startswith('# Lease, 3 Elm Street\n\n## 2: rejected\n\n> ')

    start(server, page, name='second.txt')
    page.click('text=Sessions')
    rows = page.locator('.sessions li')
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text('second.txt')
    expect(rows.nth(1)).to_contain_text('2 of 30 reviewed')
    shot(page, 'sessions')
    rows.nth(1).get_by_text('Delete').click()
    expect(rows.nth(0)).to_contain_text('Lease, 3 Elm Street is deleted')
    shot(page, 'deleted')
    page.click('text=Put back')
    page.click('text=Lease, 3 Elm Street')
    expect(page.locator('.steps [aria-current]')).to_have_text('3. Export')

def test_a_killed_server_goes_on_at_the_same_clause_with_the_same_undo_list(own_server, visit):
    page = start(own_server, visit(own_server), step='Review')
    for number, key in enumerate('arar', 1):
        page.keyboard.press(key)
        at(page, number + 1)
    page.keyboard.press('u')
    at(page, 4)
    page.keyboard.press('k')
    at(page, 3)
    own_server.kill()
    page.keyboard.press('a')
    expect(notice(page)).to_contain_text('Your last click may not be saved')
    own_server.start()
    page.reload()
    at(page, 3)
    undo_says(page, 'Undo: Accept clause 3')
    redo_says(page, 'Redo: Reject clause 4')
    page.keyboard.press('u')
    page.keyboard.press('u')
    undo_says(page, 'Undo: Accept clause 1')
    page.keyboard.press('Shift+U')
    undo_says(page, 'Undo: Reject clause 2')
    assert list(session(own_server, page)[1].values()) == ['accepted', 'rejected']
    page.goto(own_server.url)
    page.click('.sessions a')
    expect(page.locator('.steps [aria-current]')).to_have_text('2. Review')
    at(page, 3)

def test_what_was_typed_while_the_server_was_down_goes_ahead_of_the_next_click(own_server, visit):
    page = start(own_server, visit(own_server), step='Review')
    own_server.kill()
    page.keyboard.press('c')
    page.keyboard.type('typed too early')
    page.keyboard.press('Escape')
    expect(notice(page)).to_contain_text('The server does not answer')
    own_server.start()
    page.keyboard.press('a')
    at(page, 2)
    expect(page.locator('.note')).to_have_text('typed too early')
    undo_says(page, 'Undo: Accept clause 1')

def test_the_stale_one_of_two_tabs_is_told_and_overwrites_nothing(server, visit):
    first = start(server, visit(server), step='Review')
    second = first.context.new_page()
    second.goto(first.url)
    first.keyboard.press('a')
    at(first, 2)
    before = session(server, first)
    for action, click in {'reject': 'text=Reject', 'next': '[hx-post=next]', 'undo': '.undo >> text=Nothing to undo'}.items():
        with second.expect_response(f'**/{action}'): second.click(click)
        expect(notice(second)).to_contain_text('changed in another tab')
        expect(second.locator('#comment')).to_be_enabled()  # the answer is in the page
        assert session(server, first) == before
    second.keyboard.press('c')
    focused(second, 'comment')
    second.keyboard.type('not to be lost')
    second.keyboard.press('Escape')
    second.fill('header input', 'Other name')
    second.keyboard.press('Enter')
    second.click('.steps >> text=Export')
    second.locator('#c0 .number').click()
    shot(second, 'stale')
    expect(second.locator('#comment')).to_be_enabled()
    assert second.input_value('#comment') == 'not to be lost' and session(server, first) == before
    second.fill('#comment', '')
    second.keyboard.press('Escape')
    second.click('#notice >> text=Reload')
    at(second, 2)
    second.keyboard.press('r')
    at(second, 3)
    assert list(session(server, first)[1].values()) == ['accepted', 'rejected']
    first.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # the reader comes back to the first tab
    expect(notice(first)).to_contain_text('changed in another tab')
    first.goto(server.url)
    second.keyboard.press('a')
    at(second, 4)
    first.click('text=Delete')
    expect(notice(first)).to_contain_text('changed in another tab')
    first.click('text=Delete')
    second.keyboard.press('a')
    expect(notice(second)).to_contain_text('There is no such session')

def test_ten_quick_clicks_are_ten_actions(server, visit):
    page = start(server, visit(server), step='Review')
    page.click('text=Accept', click_count=10)
    at(page, 11)
    page.evaluate("for (let i = 0; i < 10; i++) document.querySelector(i % 2 ? '[hx-post=accept]' : '[hx-post=reject]').click()")
    at(page, 21)
    assert list(session(server, page)[1].values()) == ['accepted'] * 10 + ['rejected', 'accepted'] * 5
    page.evaluate("for (let i = 0; i < 10; i++) document.querySelector('[hx-post=undo]').click()")
    undo_says(page, 'Undo: Accept clause 10')
    to_step(page, 'Split')
    page.evaluate("for (const cut of document.querySelectorAll('[aria-current=true] .cut')) cut.click()")
    undo_says(page, 'Undo: Split clause 12')
    expect(page.locator('.clauses .text').nth(12)).to_have_text('and a third.')

def test_a_text_of_2000_clauses_stays_quick(own_server, visit, capsys):
    text = '\n\n'.join(f'Clause {i}. ' + 'It says a thing that somebody has to read. ' * 3 for i in range(1, 2001))
    page = start(own_server, visit(own_server), text, step='Review')
    log = Path(f'{own_server.db}-wal')
    written, seconds, revision = [], [], session(own_server, page)[0]
    page.goto(page.url)
    for number in range(1, 31):
        before = log.stat().st_size
        with page.expect_response('**/accept') as answer: page.keyboard.press('a')
        at(page, number + 1)
        written.append(log.stat().st_size - before)
        seconds.append(answer.value.request.timing['responseEnd'] / 1000)
        assert len(answer.value.body()) < 30_000
    with capsys.disabled():
        print(f'\nnote: 2,000 clauses: a click is answered in {sorted(seconds)[15] * 1000:.0f} ms, and writes {max(written):,} bytes at most')
    assert min(written) > 0 and max(written) < 100_000
    assert session(own_server, page) == (revision + 30, dict.fromkeys(session(own_server, page)[1], 'accepted'))

@pytest.mark.skipif(not Path('/proc/self/fd').exists(), reason='there is no /proc to see the workers in')
def test_two_workers_share_one_file(tmp_path, visit):
    server = Server(tmp_path/'review.db', workers=2).start()
    try:
        page = start(server, visit(server), step='Review')
        cookies = {c['name']: c['value'] for c in page.context.cookies()}
        workers = [int(pid) for pid in Path(f'/proc/{server.process.pid}/task/{server.process.pid}/children').read_text().split()
                   if any(os.path.realpath(fd) == str(server.db) for fd in Path(f'/proc/{pid}/fd').iterdir())]
        assert len(workers) == 2
        for sleeper in workers * 3:  # while one is stopped, only the other can answer
            os.kill(sleeper, signal.SIGSTOP)
            try:
                with httpx.Client(cookies=cookies, timeout=20) as client:
                    revision = re.search(r'value="(\d+)"[^>]* id="revision"', client.get(base(page)).text)[1]
                    assert client.post(base(page) + 'accept', data={'revision': revision}).status_code == 200
            finally: os.kill(sleeper, signal.SIGCONT)
        page.goto(base(page))
        at(page, 7)
        undo_says(page, 'Undo: Accept clause 6')
    finally: server.stop()

def test_a_change_of_step_asks_nothing_and_leaving_an_unsaved_comment_does(own_server, visit):
    page = start(own_server, visit(own_server))
    for key, step in ('2', 'Review'), ('3', 'Export'), ('1', 'Split'), ('2', 'Review'):
        page.keyboard.press(key)
        expect(page.locator('.steps [aria-current]')).to_contain_text(step)
    page.fill('#comment', 'saved as the box is left')
    to_step(page, 'Export')
    undo_says(page, 'Undo: Comment on clause 1')
    assert not visit.wrong
    to_step(page, 'Review')
    own_server.kill()
    page.fill('#comment', 'not saved')
    page.keyboard.press('Escape')
    expect(notice(page)).to_contain_text('may not be saved')
    own_server.start()
    page.goto(own_server.url)
    assert visit.wrong == ['dialog beforeunload']
    visit.wrong.clear()

def test_what_is_refused_leaves_the_clauses_on_the_page(server, visit):
    page = start(server, visit(server), step='Review')
    page.route('**/accept', lambda route: route.continue_(headers={**route.request.headers, 'content-type': 'text/plain'}))
    page.click('text=Accept')
    expect(notice(page)).to_have_text('This is no form.')
    page.fill('header input', ' ')
    page.keyboard.press('Enter')
    expect(page).to_have_title('Untitled: review')
    expect(page.locator('.clauses li')).to_have_count(20)
    page.evaluate("document.querySelector('#comment').removeAttribute('maxlength')")
    page.fill('#comment', 'x' * 2001)
    page.keyboard.press('Escape')
    expect(notice(page)).to_contain_text('at most 2,000 characters')
    expect(page.locator('.clauses li')).to_have_count(20)
    page.fill('#comment', 'x' * 2000)
    page.keyboard.press('Escape')
    undo_says(page, 'Undo: Comment on clause 1')

def test_nobody_reaches_the_session_of_another_visitor(server, visit):
    mine = start(server, visit(server), step='Review')
    other = visit(server)
    other.goto(server.url)
    expect(other.get_by_text('None yet.')).to_be_visible()
    assert other.goto(mine.url).status == 404
    expect(notice(other)).to_contain_text('There is no such session')
    before, stranger = session(server, mine), visit(server)
    gets, posts = ['export.json', 'news?revision=1', 'split', 'review?at=0'], ['accept', 'undo', 'rename', 'delete', 'put-back']
    for method, path in [*[('get', path) for path in gets], *[('post', path) for path in posts]]:
        for request in (other.request, stranger.request):  # one with a cookie of its own, one that never opened a page
            answer = getattr(request, method)(base(mine) + path, **({'form': {'revision': before[0], 'value': 'x'}} if method == 'post' else {}))
            assert answer.status in (200, 404, 409) and 'Clause 1' not in answer.text()
            assert session(server, mine) == before
    [cookie] = mine.context.cookies()
    assert cookie['httpOnly'] and cookie['sameSite'] == 'Lax'
    [others] = other.context.cookies()
    forged = httpx.get(base(mine), cookies={cookie['name']: cookie['value'].rpartition('.')[0] + '.' + others['value'].rpartition('.')[2]})
    assert forged.status_code == 404
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (server.db, server.db.with_suffix('.key')))

def test_a_bad_upload_is_refused_with_a_reason(server, visit):
    page = visit(server)
    for data, reason in [(b'\xff\xfe\x00', 'not a text file'), (b'a\0b', 'not a text file'), (b' \n', 'empty'), (b'x\n' * 30_000, '30,000 clauses')]:
        page.goto(server.url)
        page.set_input_files('[name=file]', {'name': 'x', 'mimeType': 'text/plain', 'buffer': data})
        page.click('text=Start')
        expect(notice(page)).to_contain_text(reason)
        expect(page.get_by_text('None yet.')).to_be_visible()
    big = b'x' * 1_000_001
    page.set_input_files('[name=file]', {'name': 'x', 'mimeType': 'text/plain', 'buffer': big})
    assert 'too big' in page.locator('[name=file]').evaluate('input => input.validationMessage')
    assert httpx.post(f'{server.url}/new', files={'file': ('x', big)}).status_code == 400
    for body in (b'x' * 2_000_001, iter([b'x'])):  # the second one does not say how long it is
        assert httpx.post(f'{server.url}/new', content=body).status_code == 413

def test_the_list_is_paged_and_deleting_can_be_undone(server, visit):
    page = visit(server)
    page.goto(server.url)
    for i in range(12):
        assert page.request.post(f'{server.url}/new', multipart={'file': {'name': f'{i}.txt', 'mimeType': 'text/plain', 'buffer': b'One.\n\nTwo.'}}).ok
    page.reload()
    expect(page.locator('.sessions li')).to_have_count(10)
    expect(page.locator('.sessions a').first).to_have_text('11.txt')
    page.click('text=Older')
    expect(page.locator('.sessions a')).to_have_text(['1.txt', '0.txt'])
    page.click('text=Newer')
    page.locator('.sessions li', has_text='10.txt').get_by_text('Delete').click()
    expect(page.locator('.sessions li').first).to_contain_text('10.txt is deleted')
    page.click('text=Put back')
    expect(page.locator('.sessions a').first).to_have_text('10.txt')

@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_a_phone_shows_all_of_it(server, visit, scheme):
    page = visit(server, viewport={'width': 390, 'height': 844}, color_scheme=scheme, device_scale_factor=2, has_touch=True, is_mobile=True)
    text = 'A-word-that-does-not-end' * 20 + '. And more; and more.\n\n' + TEXT
    def fits(name):
        assert page.evaluate('document.documentElement.scrollWidth') <= 390, name
        for button in page.locator('footer button, header button, header input').all(): assert button.bounding_box()['height'] >= 36
        shot(page, f'phone-{scheme}-{name}')
    start(server, page, text, name='A long name of a lease, which nobody can shorten, as it stands in the register.txt')
    page.locator('.cut').first.click()
    undo_says(page, 'Undo: Split clause 1')
    fits('split')
    to_step(page, 'Review')
    page.click('text=Accept')
    page.click('text=Reject')
    at(page, 3)
    page.fill('#comment', 'word' * 50)
    page.click('[hx-post=next]')
    at(page, 4)
    fits('review')
    to_step(page, 'Export')
    fits('export')
    page.click('text=Sessions')
    fits('sessions')
    page.click('text=Delete')
    fits('deleted')

def test_the_flask_app_of_the_tutorial_runs_as_it_is_printed_there(tmp_path, monkeypatch):
    pytest.importorskip('flask', reason='Flask is not installed')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    cells = json.loads((ROOT/'nbs/tutorials/web_app.ipynb').read_text(encoding='utf-8'))['cells']
    [code] = re.findall(r'```python\n(from flask.*?)```', '\n'.join(''.join(c['source']) for c in cells), re.DOTALL)
    page = {'__name__': 'page'}
    exec(code, page)
    app, store, rv = page['app'], page['store'], page['rv']
    app.secret_key = 'of this test'
    sid = rv.start_session(store, 'review/ana', 'x.txt', b'One.\n\nTwo.')
    store.set_current_step('review/ana', sid, 'review')
    client = app.test_client()
    revision = store.get_session_summary('review/ana', sid).revision
    click = lambda: client.post(f'/{sid}/accept', data={'revision': revision})
    assert click().status_code == 404
    with client.session_transaction() as session: session['visitor'] = 'ana'
    assert click().json == {'revision': revision + 1, 'here': 1, 'done': 1}
    assert click().status_code == 409
    for form in ({}, {'revision': ''}, {'revision': 'x'}): assert client.post(f'/{sid}/accept', data=form).status_code >= 400
    assert store.get_session_summary('review/ana', sid).revision == revision + 1
    store.close()
