"The review app with a keyboard, a screen reader, a phone, another script, or no JavaScript; and what people expect of a review tool."
import json
import re
from pathlib import Path

import pytest
from helpers import (
    TEXT, Server, expect_clause, expect_focus, expect_redo, expect_state, expect_status, expect_undo, in_list, notice, open_step, screenshot,
    session_url, stored, type_comment, upload, wait_for_answers)

import axe_playwright_python
from playwright.sync_api import expect

AXE = Path(axe_playwright_python.__file__).with_name('axe.min.js').read_text(encoding='utf-8')
WRAPPED = 'The tenant shall pay the rent on the first day of\neach month, in advance and without any deduction,\nto the account of the landlord.'

def focused_id(page): return page.evaluate('document.activeElement.id')

def press_tab_until(page, name):
    for _ in range(80):
        if focused_id(page) == name: return
        page.keyboard.press('Tab')
    raise AssertionError(f'Tab does not reach {name}')

# -- the keyboard

def test_the_whole_review_by_keyboard_alone(server, visit):
    page = visit(server, accept_downloads=True)
    page.goto(server.url)
    page.mouse.click = page.click = None  # no mouse from here on
    page.keyboard.press('Tab')
    page.keyboard.press('Tab')
    page.keyboard.press('ArrowDown')
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    expect(page.locator('#title')).to_have_text('README.md: split')
    page.keyboard.press('m')
    expect_undo(page, 'Undo: Merge clauses 1 and 2')
    cut = page.locator('.cut').first.get_attribute('id')
    press_tab_until(page, cut)
    page.keyboard.press('Enter')
    expect_undo(page, 'Undo: Split clause 1')
    expect_focus(page, 'go-0-0')
    page.keyboard.press('2')
    expect(page.locator('#title')).to_contain_text(': review')
    page.keyboard.press('j')
    expect_clause(page, 2)
    page.keyboard.press('k')
    expect_clause(page, 1)
    page.keyboard.press('a')
    expect_clause(page, 2)
    page.keyboard.press('c')
    expect_focus(page, 'comment')  # letters typed earlier are clicks
    page.keyboard.type('Is that so?')
    page.keyboard.press('Control+Enter')
    expect_undo(page, 'Undo: Comment on clause 2')
    expect_focus(page, 'write-comment')
    page.keyboard.press('r')
    expect_clause(page, 3)
    page.keyboard.press('Control+z')
    expect_undo(page, 'Undo: Comment on clause 2')
    page.keyboard.press('Control+Shift+Z')
    expect_undo(page, 'Undo: Reject clause 2')
    press_tab_until(page, 'name')
    page.keyboard.press('Control+a')
    page.keyboard.type('Readme, read')
    page.keyboard.press('Enter')
    expect(page.locator('#title')).to_have_text('Readme, read: review')
    expect_focus(page, 'name')
    page.keyboard.press('Escape')
    page.keyboard.press('3')
    expect(page.locator('#title')).to_contain_text(': export')
    press_tab_until(page, 'only-rejected')
    page.keyboard.press('Enter')
    expect(page.locator('#only-rejected')).to_have_attribute('aria-current', 'true')
    expect_focus(page, 'only-rejected')
    for _ in range(20):
        page.keyboard.press('Tab')
        if page.evaluate('document.activeElement.textContent') == 'JSON': break
    with page.expect_download() as download: page.keyboard.press('Enter')
    assert download.value.suggested_filename == 'Readme, read (reviewed).json'
    assert [c['comment'] for c in json.loads(Path(download.value.path()).read_text())['clauses']] == ['Is that so?']
    page.keyboard.press('Escape')
    press_tab_until(page, 'name')
    page.keyboard.press('Shift+Tab')
    page.keyboard.press('Enter')
    expect(page.locator('.sessions li > a')).to_have_text('Readme, read')

def test_the_focus_stays_where_the_reviewer_was(server, visit):
    page = upload(server, visit(server))
    for name in ('go-0-0', 'merge', 'go-0-0', 'next', 'undo', 'name', 'redo'):
        page.click(f'#{name}')
        wait_for_answers(page)
        expect_focus(page, name)
    page.click('#later')
    expect_focus(page, 'later')
    expect(page.get_by_text('Clauses 20 to')).to_be_visible()
    page.keyboard.press('Enter')  # there is no later page: the button and the focus stay
    wait_for_answers(page)
    expect_focus(page, 'later')
    for step in ('review', 'export', 'split', 'review'):
        page.click(f'#{step}')
        expect(page.locator('#title')).to_contain_text(step)
        expect_focus(page, step)
    page.keyboard.press('[')
    page.click('#comment')
    page.keyboard.type('typed')
    page.keyboard.press('Escape')
    expect_focus(page, 'write-comment')
    page.click('#go-0-18')
    expect_clause(page, 18)
    page.keyboard.press('a')
    page.keyboard.press('a')  # this one turns to the next page of clauses, where that number is not
    expect_clause(page, 20)
    wait_for_answers(page)
    expect(page.locator('[aria-current=true] .number')).to_be_focused()
    page.keyboard.press('e')
    expect_focus(page, 'text')
    page.keyboard.press('Escape')
    expect_focus(page, 'edit-text')

def test_a_key_that_is_held_is_one_click(server, visit):
    page = upload(server, visit(server), step='Review')
    for _ in range(5): page.keyboard.down('a')
    page.keyboard.up('a')
    page.locator('[hx-post=accept]').focus()
    for _ in range(5): page.keyboard.down('Enter')
    page.keyboard.up('Enter')
    page.keyboard.press('j')
    expect_clause(page, 4)
    assert stored(server, page)[1] == ['accepted', 'accepted']

def test_letters_typed_before_the_comment_box_appears_are_no_clicks(server, visit):
    page = upload(server, visit(server), step='Review')
    held = []
    page.route('**/accept', lambda route: held.append(route))
    page.keyboard.press('a')
    expect_state(page, 'Saving…')
    page.keyboard.type('cr')  # C asks for the box that comes with the answer; R is typed before it is there
    held.pop().continue_()
    expect(page.locator('#comment')).to_be_focused()
    expect_clause(page, 2)
    wait_for_answers(page)
    assert stored(server, page)[1] == ['accepted']

def test_keys_are_named_on_their_buttons_and_in_the_help(server, visit):
    page = upload(server, visit(server), step='Review')
    assert page.locator('footer button:not([aria-keyshortcuts])').count() == 0
    page.focus('[hx-post=accept]')
    page.keyboard.press('?')
    dialog = page.get_by_role('dialog', name='Keys')
    for key, name in ('A', 'Accept'), ('C', 'Comment'), ('Shift+U, Ctrl+Shift+Z', 'Redo'), (']', 'Later'), ('3', '3. Export'), ('G', 'Go to a clause'), ('/', 'Search'), ('?', 'This help'):
        assert re.search(re.escape(key) + r'\s+' + re.escape(name), dialog.inner_text()), (key, name)
    screenshot(page, 'help')
    page.keyboard.press('a')
    page.keyboard.press('Escape')
    expect(dialog).not_to_be_visible()
    expect_focus(page, 'accept')
    page.click('#keys')
    dialog.get_by_text('Close').click()
    expect(dialog).not_to_be_visible()
    expect_clause(page, 1)

def test_control_z_in_a_box_undoes_only_typing(server, visit):
    page = upload(server, visit(server), step='Review')
    page.keyboard.press('a')
    expect_clause(page, 2)
    page.click('#comment')
    page.keyboard.type('word')
    expect_undo(page, 'Undo: Comment on clause 2')
    page.keyboard.press('Control+z')
    expect(page.locator('#comment')).not_to_have_value('word')
    expect_clause(page, 2)
    page.keyboard.press('Escape')
    page.keyboard.press('Control+z')
    page.keyboard.press('Control+z')
    expect_clause(page, 1)
    expect_redo(page, 'Redo: Accept clause 1')

# -- screen readers

def test_changes_are_announced_in_a_region_that_stays(server, visit):
    page = upload(server, visit(server))
    expect(page.get_by_role('heading', level=1)).to_have_text('lease.txt: split')
    page.evaluate("for (const id of ['said', 'notice']) document.getElementById(id).mark = true")
    expect_status(page, 'Clause 1 of 30')
    page.keyboard.press('m')
    expect_status(page, 'Merge clauses 1 and 2. Clause 1 of 29')
    page.keyboard.press('u')
    expect_status(page, 'Undone: Merge clauses 1 and 2. Clause 1 of 30')
    page.keyboard.press('Shift+u')
    expect_status(page, 'Redone: Merge clauses 1 and 2. Clause 1 of 29')
    page.keyboard.press('j')
    expect_status(page, 'Clause 2 of 29')
    page.evaluate("document.querySelector('#revision').value = 1")
    page.keyboard.press('j')
    expect(page.get_by_role('alert')).to_contain_text('changed in another tab')
    expect_state(page, 'Not saved.')
    assert page.evaluate("document.getElementById('said').mark && document.getElementById('notice').mark")
    open_step(page, 'Review')
    expect_status(page, 'Clause 2 of 29, open')
    page.keyboard.press('a')
    expect_status(page, 'Accept clause 2. Clause 3 of 29, open')

PEOPLE = {'desktop': {}, 'phone': {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True}}
@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('who', PEOPLE)
def test_axe_finds_nothing_on_any_page(server, visit, who, scheme):
    page = visit(server, color_scheme=scheme, **PEOPLE[who])
    seen = []
    def check(name):
        if page.locator('#state').count(): wait_for_answers(page)
        page.evaluate(AXE)
        found = page.evaluate('axe.run()')
        seen.append(len(found['passes']))
        bad = {f['id']: [n['html'][:200] for n in f['nodes']] for f in found['violations'] }
        assert not bad, (name, bad)
        screenshot(page, f'axe-{who}-{scheme}-{name}')
    page.goto(server.url)
    check('home-empty')
    page.set_input_files('[name=file]', {'name': 'x', 'mimeType': 'text/plain', 'buffer': b''})
    page.click('text=Start')
    check('home-refused')
    upload(server, page, WRAPPED + '\n\n' + TEXT)
    check('split')
    open_step(page, 'Review')
    for key in 'ar': page.keyboard.press(key)
    expect_clause(page, 3)
    page.fill('#comment', 'A comment')
    page.keyboard.press('Escape')
    expect_undo(page, 'Undo: Comment on clause 3')
    page.keyboard.press('j')
    expect_clause(page, 4)
    check('review')
    page.click('#keys')
    check('help')
    page.keyboard.press('Escape')
    page.evaluate("document.querySelector('#revision').value = 1")
    page.keyboard.press('a')
    expect(notice(page)).to_contain_text('changed in another tab')
    check('stale')
    open_step(page, 'Export')
    check('export')
    page.goto(session_url(page) + 'find?q=clause&only=accepted')
    check('find')
    page.goto(session_url(page) + 'share')
    page.click('text=Make a link')
    check('share')
    page.goto(page.locator('#link').inner_text())
    check('join')
    upload(server, page, 'One.', step='Review')
    page.keyboard.press('a')
    expect(page.locator('#ready')).to_contain_text('All clauses have a verdict')
    check('ready')
    for i in range(10): assert page.request.post(f'{server.url}/new', multipart={'file': {'name': f'{i}.txt', 'mimeType': 'text/plain', 'buffer': b'One.'}}).ok
    page.goto(server.url)
    in_list(page, '9.txt', 'Delete')
    page.locator('.sessions summary').first.click()
    check('home')
    page.goto(server.url)
    page.click('text=Show my private link')
    check('key')
    page.goto(server.url + '/s/none/')
    check('missing')
    assert min(seen) > 10, seen  # axe has checked something

# -- undo

def test_undo_goes_to_what_it_changed(server, visit):
    page = upload(server, visit(server), step='Review')
    type_comment(page, 'On the first')
    expect_undo(page, 'Undo: Comment on clause 1')
    page.keyboard.press(']')
    expect_clause(page, 21)
    page.keyboard.press('u')
    expect_clause(page, 1)
    expect(page.locator('#comment')).to_have_value('')
    expect(page.locator('[aria-current=true]')).to_be_in_viewport()
    page.keyboard.press(']')
    expect_clause(page, 21)
    page.keyboard.press('Shift+u')
    expect_clause(page, 1)
    expect(page.locator('#comment')).to_have_value('On the first')
    open_step(page, 'Export')
    expect(page.get_by_role('button', name='Undo: Comment on clause 1 in all steps')).to_be_visible()
    page.keyboard.press('u')
    expect(page.locator('#title')).to_contain_text('review')
    expect_clause(page, 1)
    expect(page.locator('#comment')).to_have_value('')

def test_the_page_says_when_nothing_more_can_be_undone(server, visit):
    page = upload(server, visit(server), TEXT + '\n\n' + TEXT, step='Review')
    expect_undo(page, 'Nothing to undo')
    page.keyboard.press('a')
    expect_undo(page, 'Undo: Accept clause 1')
    page.keyboard.press('u')
    expect_undo(page, 'Nothing more to undo')
    page.evaluate("for (let i = 0; i < 51; i++) document.querySelector('#accept').click()")
    expect_clause(page, 52)
    page.evaluate("for (let i = 0; i < 50; i++) document.querySelector('#undo').click()")
    expect_clause(page, 2)
    expect_undo(page, 'Nothing more to undo')

# -- addresses

def test_steps_and_clauses_have_addresses_and_back_goes_back_a_step(server, visit):
    page = upload(server, visit(server))
    for step in ('review', 'export'): page.click(f'.steps [href={step}]')
    expect(page).to_have_url(session_url(page) + 'export')
    page.go_back()
    expect(page.locator('.steps [aria-current]')).to_have_text('2. Review')
    expect(page).to_have_url(session_url(page) + 'review?at=0-0')
    page.keyboard.press('a')
    expect_clause(page, 2)
    page.go_back()
    expect(page.locator('.steps [aria-current]')).to_have_text('1. Split')
    page.go_forward()
    expect(page.locator('.steps [aria-current]')).to_have_text('2. Review')
    expect_clause(page, 2)
    address = page.locator('.clauses .number').nth(14).evaluate('link => link.href')
    other = page.context.new_page()
    other.goto(address)
    expect_clause(other, 15)
    expect(other).to_have_url(address)
    other.reload()
    expect_clause(other, 15)
    other.goto(server.url)
    other.click('.sessions a')
    expect_clause(other, 15)
    for path, status in ('nowhere', 404), ('review/1', 404), ('review?at=x', 200), ('review?at=-5', 200), ('review?at=99999-9', 200), ('review?number=0', 200), ('review?number=99999', 200): assert other.goto(session_url(page) + path).status == status, path

def test_a_link_waits_for_what_is_being_saved(server, visit):
    page = upload(server, visit(server), step='Review')
    page.route('**/accept', lambda route: (page.wait_for_timeout(500), route.continue_()))
    page.keyboard.press('a')
    page.keyboard.press('3')
    expect(page.locator('#title')).to_contain_text(': export')
    expect(page.locator('#title')).to_contain_text('export')
    expect_undo(page, 'Undo: Accept clause 1')

# -- names, scripts, screens

def test_a_name_that_is_emptied_is_untitled_everywhere(server, visit):
    page = upload(server, visit(server))
    for typed, box, title in ('  Lease,   3 Elm Street ', 'Lease, 3 Elm Street', 'Lease, 3 Elm Street: split'), ('  ', '', 'Untitled: split'):
        page.fill('#name', typed)
        page.keyboard.press('Enter')
        expect(page).to_have_title(title)
        expect(page.locator('#title')).to_have_text(title)
        page.reload()
        expect(page.locator('#name')).to_have_value(box)
    expect(page.locator('#name')).to_have_value('')
    open_step(page, 'Review')
    expect(page).to_have_title('Untitled: review')

def test_without_javascript_a_sentence_says_so(server, visit):
    page = visit(server, java_script_enabled=False)
    page.goto(server.url)
    page.click('text=Start')
    expect(page.locator('noscript p')).to_be_visible()
    expect(page.locator('noscript p')).to_contain_text('need JavaScript')

def test_text_that_runs_from_right_to_left_does_so(server, visit):
    page = upload(server, visit(server), 'שלום עולם.\n\nOne.', name='חוזה.txt', step='Review')
    page.fill('#comment', 'שאלה')
    page.keyboard.press('Escape')
    page.keyboard.press('j')
    expect_clause(page, 2)
    direction = lambda selector: page.locator(selector).first.evaluate('e => getComputedStyle(e).direction')
    assert [direction(s) for s in ('#c-0-0 .text', '#c-0-0 .note', '#name', '#c-0-1 .text')] == ['rtl', 'rtl', 'rtl', 'ltr']
    page.goto(server.url)
    assert direction('.sessions a') == 'rtl'

@pytest.mark.parametrize('who', PEOPLE)
def test_text_with_hard_line_ends_is_wrapped_again_only_on_a_phone(server, visit, who):
    page = upload(server, visit(server, **PEOPLE[who]), WRAPPED + '\n\n' + WRAPPED.replace('\n', ' ') + '\n\n- milk\n- eggs\n- bread', step='Review')
    lines = page.evaluate("[...document.querySelectorAll('.text')].map(p => { const r = document.createRange(); r.selectNodeContents(p); return new Set([...r.getClientRects()].map(r => r.top)).size })")
    assert lines[2] == 3
    assert lines[0] == lines[1] if who == 'phone' else lines[0] == 3

# -- a review tool

def test_next_open_clear_and_what_to_do_when_all_is_done(server, visit):
    page = upload(server, visit(server), 'One.\n\nTwo.\n\nThree.', step='Review')
    ready = page.locator('#ready')
    page.keyboard.press('j')
    page.keyboard.press('a')
    expect_clause(page, 3)
    page.keyboard.press('n')
    page.keyboard.press('k')
    page.keyboard.press('k')
    expect_clause(page, 1)
    page.keyboard.press('n')
    expect_clause(page, 3)
    page.keyboard.press('n')
    expect_clause(page, 1)
    page.keyboard.press('r')
    page.keyboard.press('n')
    expect_clause(page, 3)
    expect(ready).not_to_be_visible()
    page.keyboard.press('a')
    expect(ready).to_contain_text('All clauses have a verdict')
    page.keyboard.press('n')
    expect(notice(page)).to_contain_text('All clauses have a verdict')
    page.keyboard.press('x')
    expect_undo(page, 'Undo: Clear verdict on clause 3')
    expect(page.locator('[aria-current=true] .verdict')).to_have_text('open')
    expect(ready).not_to_be_visible()
    page.keyboard.press('u')
    ready.get_by_role('link', name='Export').click()
    expect(page.locator('#title')).to_contain_text('export')
    assert sorted(stored(server, page)[1]) == ['accepted', 'accepted', 'rejected']

def test_downloads_are_named_after_the_document(server, visit):
    page = upload(server, visit(server), name='x.txt')
    page.fill('#name', 'Lease: 3/4 "Elm" – ž.txt')
    page.keyboard.press('Enter')
    expect(page).to_have_title(re.compile('^Lease'))
    open_step(page, 'Export')
    for kind, text in ('md', 'Markdown'), ('json', 'JSON'), ('jsonl', 'JSON Lines'):
        with page.expect_download() as download: page.get_by_role('link', name=text, exact=True).click()
        assert download.value.suggested_filename == f'Lease_ 3_4 _Elm_ – ž (reviewed).{kind}'

# -- several hosts

def test_hosts_that_share_a_key_share_their_visitors(tmp_path, visit):
    one, two, three = [Server(tmp_path/'review.db', REVIEW_KEY=key).start() for key in ('secret', 'secret', 'another')]
    try:
        page = upload(one, visit(one), step='Review')
        page.keyboard.press('a')
        expect_clause(page, 2)
        assert not (tmp_path/'review.key').exists()
        [flow] = visit.contexts
        get = lambda server: flow.request.get(session_url(page).replace(one.url, server.url))
        assert 'Undo: Accept clause 1' in get(two).text() and get(three).status == 404
    finally:
        for server in (one, two, three): server.stop()
