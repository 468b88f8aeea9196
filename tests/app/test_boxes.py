"What a reviewer types is saved, and the page says truthfully whether it is: while typing, after a crash, in two tabs."
import pytest
from helpers import (
    expect_clause, expect_focus, expect_state, expect_status, expect_undo, notice, open_step, session_url, stored, stored_notes, stored_session,
    type_comment, upload, wait_for_answers, wait_until)

from playwright.sync_api import expect

def comment(server, page):
    "The stored comment on the only clause that has one."
    comments = [note['comment'] for note in stored_notes(server, page)]
    return comments[0] if comments else ''

STEP = 300  # milliseconds between two keys

def type_steadily(page, letters):
    "Types without a pause, on the page's clock, and yields after each key what has been typed."
    for i, letter in enumerate(letters, 1):
        page.keyboard.type(letter)
        page.clock.run_for(STEP)
        expect(page.locator('#state')).not_to_have_text('Saving…')
        yield letters[:i]

def test_steady_typing_loses_at_most_two_seconds(killable_server, visit):
    page = visit(killable_server)
    page.clock.install()
    upload(killable_server, page, step='Review')
    page.click('#comment')
    most = 2000 // STEP
    for typed in type_steadily(page, 'a remark that is typed without any pause'):
        assert typed[:-most].strip() == comment(killable_server, page)[:max(len(typed) - most, 0)].strip()
    saved = comment(killable_server, page)
    killable_server.kill()
    assert 30 < len(saved) and comment(killable_server, page) == saved
    killable_server.start()
    page.clock.run_for(10_000)
    expect_state(page, 'Saved.')  # what was not saved is sent again
    assert comment(killable_server, page) == 'a remark that is typed without any pause'
    expect_undo(page, 'Undo: Comment on clause 1')
    page.keyboard.press('Escape')
    page.keyboard.press('u')
    expect_undo(page, 'Nothing more to undo')
    assert comment(killable_server, page) == ''

def test_the_page_says_at_once_that_something_is_not_saved(server, visit):
    page = visit(server)
    page.clock.install()
    upload(server, page, step='Review')
    expect_state(page, 'Saved.')
    page.click('#comment')
    page.keyboard.type('x')
    expect_state(page, 'Not saved yet.')
    page.clock.run_for(1100)
    expect_state(page, 'Saved.')
    page.keyboard.press('Backspace')
    expect_state(page, 'Not saved yet.')
    page.clock.run_for(1100)
    expect_state(page, 'Saved.')
    expect_undo(page, 'Nothing to undo')

def test_leaving_and_coming_back_shows_what_was_typed_and_it_is_saved(server, visit):
    page = upload(server, visit(server), step='Review')
    page.click('#comment')
    page.route('**/comment', lambda route: route.abort() if route.request.resource_type == 'xhr' else route.continue_())  # requests that end with the page
    page.keyboard.type('typed just before leaving')
    page.goto(server.url)
    page.unroute('**/comment')
    page.go_back()
    expect(page.locator('#comment')).to_have_value('typed just before leaving')
    expect_state(page, 'Saved.')
    assert comment(server, page) == 'typed just before leaving'
    page.click('#comment')
    page.keyboard.type(', and before a link')
    page.click('#split')
    expect(page.locator('#title')).to_contain_text(': split')
    assert comment(server, page) == 'typed just before leaving, and before a link'

def test_what_was_typed_while_the_server_was_down_is_saved_when_it_is_back(killable_server, visit):
    page = upload(killable_server, visit(killable_server), step='Review')
    killable_server.kill()
    page.keyboard.press('c')
    page.keyboard.type('typed too early')
    page.keyboard.press('Escape')
    expect(notice(page)).to_contain_text('The server does not answer')
    expect_state(page, 'Not saved.')
    page.keyboard.press('a')  # would take the box away: it is not sent while the comment can't be saved
    expect_clause(page, 1)
    expect(page.locator('#comment')).to_have_value('typed too early')
    killable_server.start()
    expect_state(page, 'Saved.')
    expect(notice(page)).to_be_empty()
    assert comment(killable_server, page) == 'typed too early'
    page.keyboard.press('a')
    expect_clause(page, 2)
    expect(page.locator('.note')).to_have_text('typed too early')

def test_leaving_with_something_that_cannot_be_saved_asks_first(server, visit):
    page = upload(server, visit(server))
    for key, step in ('2', 'Review'), ('3', 'Export'), ('1', 'Split'), ('2', 'Review'):
        page.keyboard.press(key)
        expect(page.locator('.steps [aria-current]')).to_contain_text(step)
    page.fill('#comment', 'saved when the box is left')
    open_step(page, 'Export')
    expect_undo(page, 'Undo: Comment on clause 1')
    assert not visit.problems
    open_step(page, 'Review')
    page.route('**/comment', lambda route: route.abort())
    type_comment(page, 'not saved')
    expect(notice(page)).to_contain_text('may not be saved')
    page.goto(server.url)
    assert visit.problems == ['dialog beforeunload']
    visit.problems.clear()

@pytest.mark.parametrize('key', ['a', 'r', 'u', 'Shift+u', 'j'])
def test_a_server_killed_in_the_middle_of_a_click_leaves_a_whole_session(killable_server, visit, key):
    page = upload(killable_server, visit(killable_server), step='Review')
    for _ in range(3): page.keyboard.press('a')
    expect_clause(page, 4)
    page.keyboard.press('u')
    expect_clause(page, 3)
    page.keyboard.press(key)
    killable_server.kill()
    page.wait_for_timeout(0)
    session = stored_session(killable_server, page)
    verdicts = [note['verdict'] for note in stored_notes(killable_server, page)]
    last = session.history().undo[0].label
    assert (len(verdicts), last) in [(2, 'Accept clause 2'), (3, 'Accept clause 3'), (3, 'Reject clause 3'), (1, 'Accept clause 1')]
    assert session.state['progress'] == [len(verdicts), 30] and session.step('counts')['clauses'] == [20, 10]
    killable_server.start()
    page.on('dialog', lambda dialog: None)
    page.reload()
    visit.problems.clear()
    expect(page.locator('#progress')).to_contain_text(f'{len(verdicts)} of 30')
    expect_undo(page, f'Undo: {last}')
    page.keyboard.press('u')
    expect(page.locator('#progress')).to_contain_text(f'{len(verdicts) - 1} of 30')

# -- two tabs

def second_tab(page):
    other = page.context.new_page()
    other.goto(page.url)
    return other

def test_a_tab_that_only_looks_makes_no_other_tab_stale(server, visit):
    first = upload(server, visit(server), step='Review')
    second = second_tab(first)
    for step in ('Split', 'Export', 'Review'): open_step(second, step)
    second.keyboard.press(']')
    expect_clause(second, 21)
    second.fill('#number', '7')
    second.keyboard.press('Enter')
    expect_clause(second, 7)
    type_comment(first, 'typed in the first tab')
    expect_state(first, 'Saved.')
    first.keyboard.press('Escape')
    first.keyboard.press('a')
    expect_clause(first, 2)
    expect(notice(first)).to_be_empty()
    assert stored(server, first)[1] == ['accepted'] and comment(server, first) == 'typed in the first tab'

def test_a_tab_is_told_when_another_one_changes_the_session(server, visit):
    first = visit(server)
    with first.expect_request('**/news*'): upload(server, first)
    second = second_tab(first)
    with first.expect_response('**/news*') as own: first.click('text=Merge with next')
    assert own.value.status == 409
    expect_undo(first, 'Undo: Merge clauses 1 and 2')
    expect(notice(second)).to_contain_text('changed in another tab or window.')
    expect_state(second, 'Saved.')
    expect(notice(first)).to_be_empty()  # it knows its own click
    second.click('#notice >> text=Reload')
    second.click('text=Merge with next')
    expect(notice(first)).to_contain_text('changed in another tab or window.')

def test_news_does_not_replace_a_notice(server, visit):
    first, asked = upload(server, visit(server), step='Review'), []
    second = second_tab(first)
    type_comment(second, 'theirs')
    expect(notice(first)).to_contain_text('changed in another tab')
    type_comment(first, 'mine')
    expect(first.locator('#save-mine')).to_be_visible()
    first.on('request', lambda request: asked.append(request.url))
    first.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert 'mine' in first.evaluate("fetch('export.md').then(() => document.querySelector('#comment').value)")
    assert [url.rpartition('/')[2] for url in asked] == ['export.md']

def test_a_click_in_a_stale_tab_is_refused_and_overwrites_nothing(server, visit):
    first = upload(server, visit(server), step='Review')
    second = second_tab(first)
    first.keyboard.press('a')
    expect_clause(first, 2)
    before = stored(server, first)
    for action in ('reject', 'next', 'undo', 'redo'):
        with second.expect_response(f'**/{action}'): second.click(f'#{action}')
        expect(notice(second)).to_contain_text('changed in another tab')
        expect_state(second, 'Not saved.')
        assert stored(server, first) == before
    second.click('#notice >> text=Reload')
    expect_clause(second, 2)
    second.keyboard.press('r')
    expect_clause(second, 3)
    assert stored(server, first)[1] == ['accepted', 'rejected']
    first.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # the reviewer comes back to the first tab
    expect(notice(first)).to_contain_text('changed in another tab')

def test_a_comment_from_a_stale_tab_is_saved_and_the_tab_stays_stale(server, visit):
    first = upload(server, visit(server), step='Review')
    second = second_tab(first)
    second.keyboard.press('r')
    expect_clause(second, 2)
    type_comment(first, 'typed in an old page')
    expect(notice(first)).to_contain_text('Your text is saved. The rest of this page is older')
    expect_state(first, 'Saved.')
    assert comment(server, first) == 'typed in an old page'
    first.keyboard.press('a')
    expect(notice(first)).to_contain_text('changed in another tab')
    assert stored(server, first)[1] == ['rejected']
    first.click('#notice >> text=Reload')
    expect(first.locator('#c-0-0 .verdict')).to_have_text('rejected')

def test_a_refused_comment_stays_in_its_box_and_can_be_sent_again(server, visit):
    first = upload(server, visit(server), step='Review')
    second = second_tab(first)
    type_comment(second, 'theirs')
    expect_state(second, 'Saved.')
    type_comment(first, 'mine')
    expect(notice(first)).to_contain_text('Now it is: “theirs”')
    expect_state(first, 'Not saved.')
    for key in ('a', 'j', 'u'):  # nothing takes the box away
        first.keyboard.press(key)
        expect(first.locator('#comment')).to_have_value('mine')
    assert comment(server, first) == 'theirs' and stored(server, first)[1] == []
    first.click('text=Save mine instead')
    expect_state(first, 'Saved.')
    assert comment(server, first) == 'mine'

def test_a_comment_that_is_too_long_stays_in_its_box(server, visit):
    page = upload(server, visit(server), step='Review')
    page.evaluate("document.querySelector('#comment').removeAttribute('maxlength')")
    type_comment(page, 'x' * 2001)
    expect(notice(page)).to_contain_text('at most 2,000 characters')
    expect_state(page, 'Not saved.')
    expect(page.locator('.clauses li')).to_have_count(20)
    type_comment(page, 'x' * 2000)
    expect_state(page, 'Saved.')
    assert comment(server, page) == 'x' * 2000

def test_a_half_typed_comment_is_kept_and_typing_is_left_alone(server, visit):
    page = upload(server, visit(server), step='Review')
    page.click('#comment')
    page.keyboard.type('This was never ')
    expect_undo(page, 'Undo: Comment on clause 1')
    page.route('**/comment', lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.keyboard.type('finished', delay=150)  # answers come in between
    expect_focus(page, 'comment')
    expect(page.locator('#comment')).to_have_value('This was never finished')
    expect_state(page, 'Saved.')
    address = session_url(page)
    page.close()  # as a tab that dies: no box is left, and nobody is asked
    page = visit.contexts[0].new_page()
    page.goto(address)
    expect(page.locator('#comment')).to_have_value('This was never finished')
    page.keyboard.press('u')
    expect(page.locator('#comment')).to_have_value('')
    expect_undo(page, 'Nothing more to undo')

# -- the text of a clause

def test_the_text_of_a_clause_is_edited_in_place(server, visit):
    page = upload(server, visit(server), step='Review')
    text = page.locator('[aria-current=true] .text')
    page.keyboard.press('e')
    expect_focus(page, 'text')
    expect(text).to_be_hidden()
    page.keyboard.press('Control+a')
    page.keyboard.type('Clause one, written anew. ')
    page.keyboard.press('Escape')
    expect(text).to_have_text('Clause one, written anew.')
    expect_focus(page, 'edit-text')
    expect_undo(page, 'Undo: Edit clause 1')
    page.reload()
    expect(text).to_have_text('Clause one, written anew.')
    page.keyboard.press('u')
    expect(text).to_have_text('Clause 1 says one thing. It says another; and a third.')
    page.keyboard.press('e')
    page.fill('#text', ' ')
    page.keyboard.press('Escape')
    expect(notice(page)).to_contain_text("can't be empty")
    expect_state(page, 'Not saved.')
    page.fill('#text', 'Full again.')
    page.keyboard.press('Control+Enter')
    expect(text).to_have_text('Full again.')
    expect_status(page, 'Clause 1 of 30')
    wait_for_answers(page)
    wait_until(page, "document.querySelector('#text').hidden")
