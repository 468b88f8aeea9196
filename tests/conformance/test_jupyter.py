"How a store and a session are displayed in Jupyter."
from .helpers import F, S

def test_a_store_is_displayed_as_a_table_of_its_ten_newest_sessions(store):
    assert isinstance(store._repr_markdown_(), str) and store.list_flows() == []
    store.create_session(F, S)
    for i in range(12): store.create_session(F, f'session {i}')
    table = store._repr_markdown_()
    assert 'session 11' in table and 'session 2 ' in table and 'session 1 ' not in table and '3 more' in table
    store.set_session_label(F, S, 'Lease | <b>12</b>\n')
    store.set_current_step(F, S, '`step`')
    table = store._repr_markdown_()
    assert 'Lease' in table and not set('<`') & set(table) and table.count('\n') == 2 + 11 + 2
    assert type(store).__name__ in repr(store)

def test_long_table_cells_are_truncated(store):
    for name in ('a', 'b'): store.create_session(F, name, label='x' * 1000)
    assert len(store._repr_markdown_()) < 10_000

def test_a_session_snapshot_is_displayed_as_escaped_html(full):
    odd = '<b>' + 'x' * 999
    full.update_state('html', odd, {odd: odd}, undo_label='<i>')
    html = full.get_session('html', odd)._repr_html_()
    assert '<b>x' not in html and '<i>' not in html and '&lt;b&gt;x' in html and len(html) < 5000
