"Two hosts that serve one app from one PostgreSQL database, and a person who is sent to either."
from types import SimpleNamespace

import pytest
from helpers import Server, expect_clause, notice, upload, open_step, expect_undo

@pytest.fixture
def hosts(postgres):
    servers = [Server(postgres.url, REVIEW_KEY='shared by both') for _ in range(2)]
    for server in servers: server.start()
    yield servers
    for server in servers: server.stop()

def test_what_is_done_on_one_host_is_seen_and_undone_on_the_other(hosts, visit):
    one, two = hosts
    page = visit(SimpleNamespace(url='http://127.0.0.1'))  # of any port: the visitor may ask both
    upload(one, page, step='Review')
    page.keyboard.press('a')
    expect_undo(page, 'Undo: Accept clause 1')
    page.goto(page.url.replace(one.url, two.url))
    expect_undo(page, 'Undo: Accept clause 1')
    page.click('#undo')
    expect_undo(page, 'Nothing to undo')
    expect_clause(page, 1)
    page.goto(page.url.replace(two.url, one.url))
    expect_undo(page, 'Nothing to undo')
    assert not notice(page).inner_text()
