"The review app on PostgreSQL: two hosts that share a database, and a database that is down."
from types import SimpleNamespace

import pytest
from helpers import Server, expect_clause, expect_state, expect_undo, notice, screenshot, upload

ANY_PORT = SimpleNamespace(url='http://127.0.0.1')  # a visitor who may load pages from several apps

@pytest.fixture
def hosts(postgres):
    servers = [Server(postgres.url, REVIEW_KEY='shared by both') for _ in range(2)]
    for server in servers: server.start()
    yield servers
    for server in servers: server.stop()

def test_what_is_done_on_one_host_is_seen_and_undone_on_the_other(hosts, visit):
    one, two = hosts
    page = visit(ANY_PORT)
    upload(one, page, step='Review')
    page.keyboard.press('a')
    expect_undo(page, 'Undo: Accept clause 1')
    page.goto(page.url.replace(one.url, two.url))
    expect_undo(page, 'Undo: Accept clause 1')
    page.click('#undo')
    expect_undo(page, 'Nothing more to undo')
    expect_clause(page, 1)
    page.goto(page.url.replace(two.url, one.url))
    expect_undo(page, 'Nothing more to undo')
    assert not notice(page).inner_text()

def test_a_database_that_is_down_makes_a_message_and_the_app_goes_on_when_it_is_back(own_server, visit):
    database, server = own_server, Server(own_server.url, REVIEW_KEY='of this test').start()
    try:
        page = upload(server, visit(server), step='Review')
        page.keyboard.press('a')
        expect_clause(page, 2)
        database.kill()
        page.set_default_timeout(9_000)  # less than the store waits if nobody tells it otherwise
        with page.expect_response('**/accept', timeout=9_000) as answer: page.keyboard.press('a')
        assert answer.value.status == 503
        notice(page).get_by_text("The server can't save or show this at the moment.").wait_for()
        expect_state(page, 'Not saved.')
        screenshot(page, 'database-down')
        other = page.context.new_page()
        for path in ('/', page.url.removeprefix(server.url)):
            answer = other.goto(server.url + path)
            assert answer.status == 503 and "can't save or show" in answer.text()
            assert not [word for word in ('127.0.0.1', 'postgres', str(database.port)) if word in answer.text() + page.locator('body').inner_text()]
        database.start()
        page.keyboard.press('a')
        expect_clause(page, 3)
        expect_state(page, 'Saved.')
    finally: server.stop()
    log = server.process.stderr.read()
    assert 'Traceback' not in log and str(database.port) in log  # the operator sees the details
