"The example app in a real browser: what a reviewer does, and what must not happen to it."
import json
import os
import re
import signal
import stat
from http.client import HTTPConnection
from pathlib import Path

import pytest
from helpers import (
    TEXT, Server, expect_clause, expect_focus, expect_redo, expect_undo, in_list, notice, open_step, screenshot, session_url, stored, upload)

import httpx
from playwright.sync_api import expect

def test_the_whole_path(server, visit):
    page = upload(server, visit(server))
    expect(page.locator('.clauses li')).to_have_count(20)
    expect(page.get_by_text('Clauses 1 to 20 of 30')).to_be_visible()
    expect_undo(page, 'Nothing to undo')
    page.click('text=Merge with next')
    expect_undo(page, 'Undo: Merge clauses 1 and 2')
    expect(page.get_by_text('Clauses 1 to 19 of 29')).to_be_visible()
    page.locator('.cut').first.click()
    expect_undo(page, 'Undo: Split clause 1')
    page.keyboard.press('u')
    expect_undo(page, 'Undo: Merge clauses 1 and 2')
    expect_redo(page, 'Redo: Split clause 1')
    page.keyboard.press('Shift+U')
    expect_redo(page, 'Nothing to redo')
    expect(page.locator('.clauses .text').first).to_have_text('Clause 1 says one thing.')
    screenshot(page, 'split')

    open_step(page, 'Review')
    expect_clause(page, 1)
    page.keyboard.press('a')
    expect_clause(page, 2)
    page.keyboard.press('r')
    expect_clause(page, 3)
    page.keyboard.press('k')
    expect_clause(page, 2)
    page.keyboard.press('c')
    expect_focus(page, 'comment')
    page.keyboard.type('Ask about <the> garden & "fence"')
    page.keyboard.press('Escape')
    expect_undo(page, 'Undo: Comment on clause 2')
    expect(page.locator('.progress')).to_contain_text('2 of 30 reviewed')
    page.locator('#c-0-0 .number').click()
    expect_clause(page, 1)
    expect(page.locator('.note')).to_have_text('Ask about <the> garden & "fence"')
    page.fill('header input', 'Lease, 3 Elm Street')
    page.keyboard.press('Enter')
    expect(page.locator('#name')).to_be_focused()
    page.keyboard.press('Escape')
    screenshot(page, 'review')
    page.keyboard.press(']')
    expect_clause(page, 21)

    open_step(page, 'Export')
    expect(page).to_have_title('Lease, 3 Elm Street: export')
    page.click('#only-rejected')
    expect(page.get_by_text('Clauses to export: 1')).to_be_visible()
    screenshot(page, 'export')
    with page.expect_download() as download: page.get_by_role('link', name='JSON', exact=True).click()
    exported = json.loads(Path(download.value.path()).read_text())
    assert exported['label'] == 'Lease, 3 Elm Street'
    assert [(c['number'], c['verdict'], c['comment']) for c in exported['clauses']] == [(2, 'rejected', 'Ask about <the> garden & "fence"')]
    with page.expect_download() as download: page.click('text=Markdown')
    assert Path(download.value.path()).read_text().startswith('# Lease, 3 Elm Street\n\n## 2: rejected\n\n> ')

    upload(server, page, name='second.txt')
    page.click('text=Sessions')
    rows = page.locator('.sessions li')
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text('second.txt')
    expect(rows.nth(1)).to_contain_text('2 of 30 reviewed')
    screenshot(page, 'sessions')
    in_list(page, 'Lease, 3 Elm Street', 'Delete')
    expect(rows.nth(0)).to_contain_text('Lease, 3 Elm Street is deleted')
    screenshot(page, 'deleted')
    page.click('text=Put back')
    page.click('text=Lease, 3 Elm Street')
    expect(page.locator('.steps [aria-current]')).to_have_text('3. Export')

def test_a_killed_server_goes_on_at_the_same_clause_with_the_same_undo_list(killable_server, visit):
    page = upload(killable_server, visit(killable_server), step='Review')
    for number, key in enumerate('arar', 1):
        page.keyboard.press(key)
        expect_clause(page, number + 1)
    page.keyboard.press('u')
    expect_clause(page, 4)
    page.keyboard.press('k')
    expect_clause(page, 3)
    killable_server.kill()
    page.keyboard.press('a')
    expect(notice(page)).to_contain_text('Your last click may not be saved')
    killable_server.start()
    page.reload()
    expect_clause(page, 3)
    expect_undo(page, 'Undo: Accept clause 3')
    expect_redo(page, 'Redo: Reject clause 4')
    page.keyboard.press('u')
    page.keyboard.press('u')
    expect_undo(page, 'Undo: Accept clause 1')
    page.keyboard.press('Shift+U')
    expect_undo(page, 'Undo: Reject clause 2')
    assert stored(killable_server, page)[1] == ['accepted', 'rejected']
    page.goto(killable_server.url)
    page.click('.sessions a')
    expect(page.locator('.steps [aria-current]')).to_have_text('2. Review')
    expect_clause(page, 2)

def test_ten_quick_clicks_are_ten_actions(server, visit):
    page = upload(server, visit(server), step='Review')
    page.click('text=Accept', click_count=10)
    expect_clause(page, 11)
    page.evaluate("for (let i = 0; i < 10; i++) document.querySelector(i % 2 ? '#accept' : '#reject').click()")
    expect_clause(page, 21)
    assert stored(server, page)[1] == ['accepted'] * 10 + ['rejected', 'accepted'] * 5
    page.evaluate("for (let i = 0; i < 10; i++) document.querySelector('[hx-post=undo]').click()")
    expect_undo(page, 'Undo: Accept clause 10')
    open_step(page, 'Split')
    page.evaluate("for (const cut of document.querySelectorAll('[aria-current=true] .cut')) cut.click()")
    expect_undo(page, 'Undo: Split clause 12')
    expect(page.locator('.clauses .text').nth(12)).to_have_text('and a third.')

@pytest.mark.skipif(not Path('/proc/self/fd').exists(), reason='there is no /proc to see the workers in')
def test_two_workers_share_one_file(tmp_path, visit):
    server = Server(tmp_path/'review.db', workers=2).start()
    try:
        page = upload(server, visit(server), step='Review')
        cookies = {c['name']: c['value'] for c in page.context.cookies()}
        workers = [int(pid) for pid in Path(f'/proc/{server.process.pid}/task/{server.process.pid}/children').read_text().split()
                   if any(os.path.realpath(fd) == str(server.db) for fd in Path(f'/proc/{pid}/fd').iterdir())]
        assert len(workers) == 2
        for done, sleeper in enumerate(workers * 3):  # while one is stopped, only the other can answer
            os.kill(sleeper, signal.SIGSTOP)
            try:
                with httpx.Client(cookies=cookies, timeout=20) as client:
                    revision = re.search(r'value="(\d+)"[^>]* id="revision"', client.get(session_url(page)).text)[1]
                    assert client.post(session_url(page) + 'accept', data={'revision': revision, 'step': 'review', 'at': f'0-{done}'}).status_code == 200
            finally: os.kill(sleeper, signal.SIGCONT)
        page.goto(session_url(page))
        expect_clause(page, 7)
        expect_undo(page, 'Undo: Accept clause 6')
    finally: server.stop()

def test_a_page_that_waits_for_news_does_not_hold_up_the_end_of_the_server(killable_server):
    visitor = httpx.Client(base_url=killable_server.url)
    url = visitor.post('/new', files={'file': ('x.txt', b'One.')}).headers['location']
    page = HTTPConnection('127.0.0.1', killable_server.port, timeout=60)
    page.request('GET', url + 'news?revision=1', headers={'Cookie': f"review={visitor.cookies['review']}"})
    assert visitor.get(url + 'split').status_code == 200  # the server has read the request before this one
    killable_server.stop()
    assert page.getresponse().status == 204
    assert 'Traceback' not in killable_server.process.stderr.read()

def test_nobody_reaches_the_session_of_another_visitor(server, visit):
    mine = upload(server, visit(server), step='Review')
    other = visit(server)
    other.goto(server.url)
    expect(other.get_by_text('There are no sessions yet.')).to_be_visible()
    assert other.goto(mine.url).status == 404
    expect(notice(other)).to_contain_text('There is no such session')
    before, stranger = stored(server, mine), visit(server)
    gets = ['export.json', 'news?revision=1', 'split', 'review?at=0-0', 'find?q=Clause', 'share']
    posts = ['accept', 'undo', 'rename', 'comment', 'text', 'share']
    address, in_the_list = session_url(mine), session_url(mine).replace('/s/', '/list/')
    form = {'revision': before[0], 'step': 'review', 'at': '0-0', 'to': '0-0', 'value': 'x', 'n': 0}
    requests = [('get', address + path, {}) for path in gets] + [('post', address + path, {'form': form}) for path in posts]
    requests += [('post', in_the_list + path, {'form': form}) for path in ('delete', 'put-back', 'rename', 'copy')]
    for method, url, options in [*requests, ('post', address + 'share', {'form': {**form, 'stop': 'yes'}})]:
        for request in (other.request, stranger.request):  # one with a cookie of its own, one that never opened a page
            answer = getattr(request, method)(url, **options)
            assert answer.status in (200, 400, 404, 409) and 'Clause 1' not in answer.text()
            assert stored(server, mine) == before
    [cookie] = mine.context.cookies()
    assert cookie['httpOnly'] and cookie['sameSite'] == 'Lax'
    [others] = other.context.cookies()
    forged = httpx.get(session_url(mine), cookies={cookie['name']: cookie['value'].rpartition('.')[0] + '.' + others['value'].rpartition('.')[2]})
    assert forged.status_code == 404
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (server.db, server.db.with_suffix('.key')))

def test_a_bad_upload_is_refused_with_a_reason(server, visit):
    page = visit(server)
    bad = [(b'\xff\xfe\x00', 'not a text file'), (b'a\0b', 'not a text file'), (b' \n', 'empty'), (b'x\n' * 30_000, '30,000 clauses'),
           (b'PK\x03\x04word/', 'Word document'), (b'%PDF-1.7', 'PDF'), (b'caf\xe9', 'byte 4 is not text')]
    for data, reason in bad:
        page.goto(server.url)
        page.set_input_files('[name=file]', {'name': 'x', 'mimeType': 'text/plain', 'buffer': data})
        page.click('text=Start')
        expect(notice(page)).to_contain_text(reason)
        expect(page.get_by_text('There are no sessions yet.')).to_be_visible()
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
    expect(page.locator('.sessions li > a')).to_have_text(['1.txt', '0.txt'])
    page.goto(server.url + '/?n=50')  # there is no such page: the last one is shown
    expect(page.locator('.sessions li > a')).to_have_text(['1.txt', '0.txt'])
    page.click('text=Newer')
    in_list(page, '10.txt', 'Delete')
    expect(page.locator('.sessions li').first).to_contain_text('10.txt is deleted')
    page.click('text=Put back')
    expect(page.locator('.sessions a').first).to_have_text('10.txt')

@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_a_phone_shows_all_of_it(server, visit, scheme):
    page = visit(server, viewport={'width': 390, 'height': 844}, color_scheme=scheme, device_scale_factor=2, has_touch=True, is_mobile=True)
    text = 'A-word-that-does-not-end' * 20 + '. And more; and more.\n\n' + TEXT
    def fits(name):
        assert page.evaluate('document.documentElement.scrollWidth') <= 390, name
        for button in page.locator('footer button:visible, header button:visible, header input:visible').all(): assert button.bounding_box()['height'] >= 36
        footer = page.locator('footer')
        if footer.count(): assert footer.bounding_box()['height'] < 844 * .16, name
        screenshot(page, f'phone-{scheme}-{name}')
    upload(server, page, text, name='A long name of a lease, which nobody can shorten, as it stands in the register.txt')
    page.locator('.cut').first.click()
    expect_undo(page, 'Undo: Split clause 1')
    fits('split')
    open_step(page, 'Review')
    page.click('text=Accept')
    page.click('text=Reject')
    expect_clause(page, 3)
    page.fill('#comment', 'word' * 50)
    page.click('[hx-post=next]')
    expect_clause(page, 4)
    fits('review')
    open_step(page, 'Export')
    fits('export')
    page.click('text=Sessions')
    page.locator('.sessions summary').first.click()
    fits('sessions')
    page.locator('.sessions').get_by_text('Delete').click()
    fits('deleted')

