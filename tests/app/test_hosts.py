"Two hosts that serve one app from one PostgreSQL database, and a person who is sent to either."
from types import SimpleNamespace

import pytest
from pages import Server, at, notice, start, to_step, undo_says

@pytest.fixture
def hosts(postgres):
    servers = [Server(postgres.url, REVIEW_KEY='shared by both') for _ in range(2)]
    for server in servers: server.start()
    yield servers
    for server in servers: server.stop()

def test_what_is_done_on_one_host_is_seen_and_undone_on_the_other(hosts, visit):
    one, two = hosts
    page = visit(SimpleNamespace(url='http://127.0.0.1'))  # of any port: the visitor may ask both
    start(one, page, step='Review')
    page.keyboard.press('a')
    undo_says(page, 'Undo: Accept clause 1')
    page.goto(page.url.replace(one.url, two.url))
    undo_says(page, 'Undo: Accept clause 1')
    page.click('#undo')
    undo_says(page, 'Nothing to undo')
    at(page, 1)
    page.goto(page.url.replace(two.url, one.url))
    undo_says(page, 'Nothing to undo')
    assert not notice(page).inner_text()
