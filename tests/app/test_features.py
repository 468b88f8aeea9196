"The review app in a browser: finding clauses, the list of sessions, links, keys and times."
import json
import re
from pathlib import Path

import pytest
from helpers import (
    TEXT, expect_clause, expect_focus, expect_redo, expect_state, expect_undo, in_list, notice, open_step, screenshot, session_url,
    stored_notes, type_comment, upload)

from playwright.sync_api import expect

# -- finding

def test_go_to_a_clause_by_its_number(server, visit):
    page = upload(server, visit(server), step='Review')
    page.keyboard.press('g')
    expect_focus(page, 'number')
    page.keyboard.type('27')
    page.keyboard.press('Enter')
    expect_clause(page, 27)
    expect(page.locator('[aria-current=true]')).to_be_in_viewport()
    page.keyboard.press('a')
    expect_clause(page, 28)
    open_step(page, 'Split')
    page.fill('#number', '3')
    page.click('text=Go')
    expect_clause(page, 3)
    expect(page.locator('#title')).to_contain_text('split')

def test_search_and_filter_and_go_to_what_was_found(server, visit):
    page = upload(server, visit(server), step='Review')
    page.keyboard.press('a')
    page.keyboard.press('r')
    expect_clause(page, 3)
    type_comment(page, 'Why?')
    page.keyboard.press('Escape')
    page.keyboard.press('/')
    expect_focus(page, 'query')
    page.keyboard.type('clause 2')
    page.keyboard.press('Enter')
    expect(page.get_by_role('status')).to_have_text('Clauses found: 11')
    expect(page.locator('mark').first).to_have_text('Clause 2')
    numbers = lambda: page.locator('.clauses .number').all_inner_texts()
    assert numbers() == ['2', *map(str, range(20, 30))]
    page.click('#only-rejected')
    assert numbers() == ['2'] and page.input_value('#query') == 'clause 2'
    page.fill('#query', '')
    page.keyboard.press('Enter')
    expect(page.get_by_role('status')).to_have_text('Clauses found: 30')
    assert len(numbers()) == 25
    page.click('text=Later')
    assert numbers() == ['26', '27', '28', '29', '30']
    for only, found in dict(open=28, accepted=1, rejected=1, commented=1).items():
        page.click(f'#only-{only}')
        expect(page.get_by_role('status')).to_have_text(f'Clauses found: {found}')
    assert numbers() == ['3']
    expect(page.locator('.note')).to_have_text('Why?')
    screenshot(page, 'find')
    page.click('.clauses .number')
    expect_clause(page, 3)
    expect(page.locator('#title')).to_contain_text('review')

def test_an_export_can_be_read_back(server, visit):
    page = upload(server, visit(server, accept_downloads=True), step='Review')
    for key in 'ar': page.keyboard.press(key)
    expect_clause(page, 3)
    type_comment(page, 'Why\nso?')
    expect_state(page, 'Saved.')
    open_step(page, 'Export')
    with page.expect_download() as download: page.click('text=JSON Lines')
    text = Path(download.value.path()).read_text()
    assert [json.loads(line)['verdict'] for line in text.splitlines()[:3]] == ['accepted', 'rejected', 'open']
    first = stored_notes(server, page)
    upload(server, page, text, download.value.suggested_filename, step='Review')
    assert stored_notes(server, page) == first and len(first) == 3
    expect_clause(page, 1)
    open_step(page, 'Export')
    with page.expect_download() as download: page.click('text=JSON Lines')
    assert Path(download.value.path()).read_text() == text

# -- the list of sessions

def test_rename_copy_and_search_in_the_list(server, visit):
    page = upload(server, visit(server), step='Review')
    page.keyboard.press('a')
    expect_clause(page, 2)
    page.goto(server.url)
    page.click('summary')
    page.fill('.sessions [name=value]', 'Lease, 3 Elm Street')
    page.click('.sessions >> text=Save')
    expect(page.locator('.sessions li > a')).to_have_text('Lease, 3 Elm Street')
    in_list(page, 'Lease, 3 Elm Street', 'Copy')
    expect(page).to_have_title('Copy of Lease, 3 Elm Street: split')
    expect_undo(page, 'Nothing to undo')
    open_step(page, 'Review')
    expect(page.locator('#progress')).to_contain_text('1 of 30')
    page.goto(server.url)
    expect(page.locator('.sessions li > a')).to_have_text(['Copy of Lease, 3 Elm Street', 'Lease, 3 Elm Street'])
    page.goto(server.url + '/?q=copy')
    expect(page.locator('.sessions li > a')).to_have_text(['Copy of Lease, 3 Elm Street'])
    page.fill('[name=q]', 'nothing')
    page.click('text=Search')
    expect(page.get_by_text('No name contains “nothing”.')).to_be_visible()

def test_the_list_says_when_a_session_was_changed_in_another_tab(server, visit):
    page = upload(server, visit(server), step='Review')
    other = page.context.new_page()
    other.goto(server.url)
    page.keyboard.press('a')
    expect_clause(page, 2)
    in_list(other, 'lease.txt', 'Delete')
    expect(notice(other)).to_contain_text('changed in another tab')
    in_list(other, 'lease.txt', 'Delete')
    expect(other.locator('.deleted')).to_be_visible()
    page.keyboard.press('a')
    expect(notice(page)).to_contain_text('There is no such session')

# -- other people, other browsers

def test_a_link_lets_a_second_person_in(server, visit):
    ana = upload(server, visit(server), step='Review')
    ana.goto(server.url)
    ana.fill('main [name=name]', 'Ana')
    ana.click('text=Save >> nth=-1')
    ana.click('summary')
    ana.click('.sessions >> text=Share')
    ana.click('text=Make a link')
    link = ana.locator('#link').inner_text()
    ben = visit(server)
    ben.goto(link)
    expect(ben.locator('main')).to_contain_text('Somebody has shared “lease.txt” with you')
    ben.click('button >> text=Take part')
    open_step(ben, 'Review')
    ben.keyboard.press('r')
    expect_clause(ben, 2)
    ana.goto(session_url(ana) + 'review')
    expect_clause(ana, 1)  # each has a place of their own
    expect_undo(ana, 'Undo: Reject clause 1')
    ana.keyboard.press('a')
    expect_clause(ana, 2)
    ben.keyboard.press('a')
    expect(notice(ben)).to_contain_text('changed in another tab')
    ben.goto(server.url)
    expect(ben.locator('.sessions')).to_contain_text('Shared by Ana')
    ben.click('summary')
    expect(ben.locator('.sessions').get_by_text('Leave')).to_be_visible()
    expect(ben.get_by_role('link', name='Share: lease.txt')).to_have_count(0)
    ana.goto(session_url(ana) + 'share')
    expect(ana.get_by_text('People who have followed it: 1')).to_be_visible()
    ana.click('text=Withdraw the link')
    expect(ana.get_by_text('Make a link')).to_be_visible()
    assert ben.goto(session_url(ana) + 'review').status == 404 and ben.goto(link).status == 404
    expect(ben.get_by_text('There are no sessions yet.')).to_be_visible()

def test_a_private_link_opens_the_sessions_in_another_browser(server, visit):
    page = upload(server, visit(server))
    page.goto(server.url)
    expect(page.get_by_text('A cookie in this browser is the only key to your sessions.')).to_be_visible()
    page.click('text=Show my private link')
    link = page.locator('#link').inner_text()
    other = visit(server)
    other.goto(link)
    expect(other.get_by_text('no longer those that you see now')).to_be_visible()
    other.click('button >> text=Open them')
    expect(other.locator('.sessions li > a')).to_have_text('lease.txt')
    other.goto(link[:-2])
    other.click('button >> text=Open them')
    expect(notice(other)).to_contain_text('incomplete or not from this server')

# -- keys, times

def test_one_letter_keys_can_be_switched_off(server, visit):
    page = upload(server, visit(server), step='Review')
    page.keyboard.press('?')
    page.uncheck('#letters')
    page.click('#help >> text=Close')
    expect(page.locator('kbd').first).to_be_hidden()
    for key in ('a', 'u', 'j', ']', '3', '?', 'c', 'Shift+U', '/'): page.keyboard.press(key)
    expect_clause(page, 1)
    expect(page.get_by_role('dialog')).not_to_be_visible()
    expect_undo(page, 'Nothing to undo')
    page.click('#accept')
    expect_clause(page, 2)
    page.keyboard.press('Control+z')
    expect_redo(page, 'Redo: Accept clause 1')
    expect_clause(page, 1)
    expect(page).to_have_url(re.compile('at=0-0$'))  # where the reload goes
    page.reload()
    page.keyboard.press('a')
    expect_undo(page, 'Nothing more to undo')
    page.click('#keys')
    page.check('#letters')
    page.keyboard.press('Escape')
    page.keyboard.press('a')
    expect_undo(page, 'Undo: Accept clause 1')

def test_times_are_those_of_the_reader(server, visit):
    hours = []
    for zone in ('Asia/Tokyo', 'America/New_York'):
        page = upload(server, visit(server, timezone_id=zone, locale='en-GB'))
        page.goto(server.url)
        time = page.locator('time')
        expect(time).not_to_contain_text('UTC')
        assert time.get_attribute('datetime').endswith('Z')
        hours.append(time.inner_text().split()[-1])
    assert hours[0] != hours[1]

# -- screens

SCREENS = {'light': {}, 'dark': {'color_scheme': 'dark'}, 'phone': {'viewport': {'width': 390, 'height': 844}, 'is_mobile': True, 'has_touch': True},
           '200%': {'viewport': {'width': 640, 'height': 400}, 'device_scale_factor': 2}}  # a screen of 1280 by 800 at 200 %
@pytest.mark.parametrize('screen', SCREENS)
def test_no_page_is_wider_than_the_screen(server, visit, screen):
    page = visit(server, **SCREENS[screen])
    def check(name):
        width = SCREENS[screen].get('viewport', {'width': 1280})['width']
        assert page.evaluate('document.documentElement.scrollWidth') <= width, name
        if name in ('split', 'review'): assert page.locator('footer').bounding_box()['height'] < page.viewport_size['height'] * (.16 if screen == 'phone' else .35)
        screenshot(page, f'screen-{screen.replace("%", "")}-{name}')
    page.goto(server.url)
    check('home')
    upload(server, page, TEXT.replace('one thing', 'onethingthatdoesnotend' * 5), name='A long name of a lease ' * 6 + '.txt')
    check('split')
    open_step(page, 'Review')
    page.click('#accept')
    expect_clause(page, 2)
    type_comment(page, 'A comment')
    expect_state(page, 'Saved.')
    check('review')
    page.goto(session_url(page) + 'find?q=says')
    check('find')
    page.goto(session_url(page) + 'export')
    check('export')
    page.goto(session_url(page) + 'share')
    page.click('text=Make a link')
    check('share')
    page.goto(server.url)
    page.click('summary')
    check('list')
