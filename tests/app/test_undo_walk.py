"Undo and redo in a browser: at any point, from any step, in two tabs, everything that was undone can be redone."
from helpers import (
    expect_clause, expect_redo, expect_undo, notice, open_step, session_url, stored_session, upload, wait_for_answers)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from internals import steps_of

from playwright.sync_api import expect

def content(server, page):
    session = stored_session(server, page)
    return session.state, {name: state for name, state in steps_of(session).items() if state}

def press(server, page, key):
    "Press a key and wait for the answer. A tab that turns out to be stale is loaded again first."
    page.keyboard.press(key)
    wait_for_answers(page)
    if 'changed in another tab' in notice(page).inner_text():
        page.reload()
        page.keyboard.press(key)
        wait_for_answers(page)
    if key in ('u', 'Shift+U'): expect(page.locator('#revision')).to_have_value(str(stored_session(server, page).revision))  # also in another step

def test_undo_everything_after_a_merge_and_ten_verdicts_and_redo_it(server, visit):
    page = upload(server, visit(server))
    press(server, page, 'm')
    open_step(page, 'Review')
    for _ in range(10): press(server, page, 'a')
    last = content(server, page)
    for _ in range(11): press(server, page, 'u')
    expect_undo(page, 'Nothing more to undo')
    expect_redo(page, 'Redo: Merge clauses 1 and 2')
    page.reload()
    for _ in range(11): press(server, page, 'Shift+U')
    expect_redo(page, 'Nothing to redo')
    assert content(server, page) == last

def test_redo_after_a_move(server, visit):
    page = upload(server, visit(server))
    for key in ('m', 'u', 'j', 'Shift+U'): press(server, page, key)
    expect(notice(page)).to_be_empty()
    expect_undo(page, 'Undo: Merge clauses 1 and 2')
    expect_clause(page, 1)

KEYS = ['a', 'r', 'x', 'n', 'j', 'k', 'm', '[', ']', 'u', 'u', 'Shift+U', '1', '2', '3', 'comment', 'text', 'cut', 'number']

def act(server, page, key):
    "Do something; some things are not possible in every step."
    if key in ('comment', 'text') and page.locator(f'#{key}').count():
        press(server, page, key[0].replace('t', 'e'))
        page.keyboard.type(' a word.')
        press(server, page, 'Escape')
    elif key == 'cut' and page.locator('.cut').count():
        page.locator('.cut').first.click()
        wait_for_answers(page)
    elif key == 'number' and page.locator('#number').count():
        page.fill('#number', '25')
        page.press('#number', 'Enter')
        page.wait_for_url('**at=**')
    elif key in ('1', '2', '3'):
        page.keyboard.press(key)
        expect(page.locator('.steps [aria-current]')).to_contain_text(f'{key}.')
    elif key not in ('comment', 'text', 'cut', 'number'): press(server, page, key)

def test_everything_undone_can_be_redone_from_two_tabs(server, visit):
    @given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(KEYS)), min_size=5, max_size=12), st.lists(st.integers(0, 1), min_size=30, max_size=30))
    @settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
    def walk(actions, turns):
        context = visit(server).context
        tabs = [upload(server, context.pages[0]), context.new_page()]
        tabs[1].goto(session_url(tabs[0]))
        start, turns = content(server, tabs[0]), iter(turns)
        for tab, key in actions: act(server, tabs[tab], key)
        last, depth = content(server, tabs[0]), len(stored_session(server, tabs[0]).history().undo)
        for _ in range(depth): press(server, tabs[next(turns, 0)], 'u')
        assert content(server, tabs[0]) == start
        for _ in range(depth):
            page = tabs[next(turns, 0)]
            if page.locator('#next').count(): press(server, page, 'j')  # a look in between
            press(server, page, 'Shift+U')
        assert not stored_session(server, tabs[0]).history().redo
        assert content(server, tabs[0]) == last
        context.close()
    walk()
