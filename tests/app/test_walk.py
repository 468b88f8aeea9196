"The walk that benchmarks/review_app.py times, at 300 and at 10,000 clauses: it ends with the same session, whatever the size."
import sys

import pytest
from helpers import ROOT, expect_undo, screenshot, session_url, stored_session

from playwright.sync_api import expect

sys.path.insert(0, str(ROOT))
from benchmarks import review_app

@pytest.mark.parametrize('clauses', review_app.SIZES)
def test_a_person_walks_through_a_document(server, visit, clauses):
    page = visit(server)
    review_app.upload(page, server.url, clauses)
    url = session_url(page)
    middle = clauses // 2
    found = {'search': 1, 'search for nothing': 0, 'filter': clauses // 20 + ((middle + 1) % 20 != 1), 'search and filter': clauses // 10}
    for name, step in review_app.walk(url, clauses).items():
        assert step(page) > 0
        if name in found: expect(page.get_by_role('status')).to_have_text(f'Clauses found: {found[name]:,}')
        if name == 'go to the last clause': screenshot(page, f'walk-{clauses}')
    page.goto(url + 'review')
    expect_undo(page, f'Undo: Edit clause {middle:,}')
    assert [entry.label for entry in stored_session(server, page).history().undo] == [
        f'Edit clause {middle:,}', f'Split clause {middle:,}' + ', clear its verdict' * (clauses == 300),
        f'Merge clauses {middle:,} and {middle + 1:,}' + ', clear their verdicts' * (clauses != 300), f'Comment on clause {middle + 1:,}', f'Accept clause {middle:,}']
