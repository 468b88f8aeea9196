"The disk becomes full while a person works: a message, nothing lost, and the app goes on when there is room again."
import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

from faults.processes import in_private_mount
from helpers import Server, expect_clause, expect_redo, expect_state, expect_undo, notice, screenshot, stored_session, type_comment, upload

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore
from playwright.sync_api import expect

UNAVAILABLE = "The server can't save or show this at the moment."

def fill(file):
    "Use all the room that is left."
    with open(file, 'wb', buffering=0) as file:
        try:
            while file.write(bytes(4096)): pass
        except OSError as error: assert error.errno == errno.ENOSPC

def exported(page): return page.request.get(page.url.partition('review?')[0] + 'export.json').json()

def check_stored(folder, copy, page):
    "Copy the files as they are, as if the machine stopped now; returns the label of each action that can be undone."
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns('fill', '*-lock'))
    with SQLiteWorkflowStateStore(copy/'review.db') as store: assert store.check() == []
    session = stored_session(SimpleNamespace(db=copy/'review.db'), page)
    notes = session.step('notes/0')
    assert session.state['progress'] == [sum(note['verdict'] != 'open' for note in notes.values()), 30]
    return [entry.label for entry in session.history().undo], [note['comment'] for note in notes.values() if note['comment']]

def test_a_reviewer_clicks_and_types_while_the_disk_is_full(tmp_path, visit):
    disk = tmp_path/'disk'
    disk.mkdir()
    server = Server(disk/'review.db', before=in_private_mount(disk, '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs')).start()
    seen = Path(f'/proc/{server.process.pid}/root{disk}')  # the disk of the server, which only it has mounted
    try:
        page = upload(server, visit(server), step='Review')
        page.keyboard.press('a')
        expect_clause(page, 2)
        before = exported(page)
        fill(seen/'fill')

        page.keyboard.press('r')
        expect(notice(page)).to_contain_text(UNAVAILABLE)
        expect_state(page, 'Not saved.')
        expect_clause(page, 2)
        page.keyboard.press('u')
        expect(notice(page)).to_contain_text(UNAVAILABLE)
        type_comment(page, 'typed while the disk was full')
        expect(notice(page)).to_contain_text(UNAVAILABLE)
        expect_state(page, 'Not saved.')
        screenshot(page, 'disk-full')
        assert exported(page) == before
        assert check_stored(seen, tmp_path/'full', page) == (['Accept clause 1'], [])

        other = page.context.new_page()  # everything can still be read
        other.goto(page.url.replace('review?', 'split?'))
        expect_undo(other, 'Undo: Accept clause 1')
        other.click('text=Sessions')
        expect(other.locator('.sessions')).to_contain_text('1 of 30 reviewed')
        other.set_input_files('[name=file]', {'name': 'new.txt', 'mimeType': 'text/plain', 'buffer': b'A new one.'})
        other.click('text=Start')
        expect(other.locator('main')).to_contain_text(UNAVAILABLE)
        other.goto(server.url)
        expect(other.locator('.sessions li')).to_have_count(1)

        os.unlink(seen/'fill')
        expect_state(page, 'Saved.')  # the page sends the comment again by itself
        expect(notice(page)).to_be_empty()
        page.keyboard.press('r')
        expect_clause(page, 3)
        page.keyboard.press('u')
        expect_redo(page, 'Redo: Reject clause 2')
        assert check_stored(seen, tmp_path/'room', page) == (['Comment on clause 2', 'Accept clause 1'], ['typed while the disk was full'])
    finally: server.stop()
    log = server.process.stderr.read()
    assert 'Traceback' not in log and 'database or disk is full' in log and str(disk/'review.db') in log  # the operator sees the details
