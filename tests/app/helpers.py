"What the browser tests share: the app in a process, what a reviewer does, and what the pages show."
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

MISSING = [name for name in ('fasthtml', 'playwright', 'axe_playwright_python') if not __import__('importlib.util').util.find_spec(name)]
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
if MISSING: pytest.skip(f'the app is tested with pip install -e ".[dev,app,browser]" (not installed: {", ".join(MISSING)})', allow_module_level=True)
if not CHROMIUM: pytest.skip('there is no chromium', allow_module_level=True)

from playwright.sync_api import expect

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

expect.set_options(timeout=float(os.environ.get("EXPECT_TIMEOUT", 10_000)))
ROOT = Path(__file__).parents[2]
ARTEFACTS = Path(os.environ.get('ARTEFACTS', ROOT/'artefacts'))  # screenshots, for a person to look at
TEXT = '\n\n'.join(f'Clause {i} says one thing. It says another; and a third.' for i in range(1, 31))

class Server:
    "The app in a process, as a reader starts it; `before` is the start of its command line."
    def __init__(self, db, workers=1, before=(), **env): self.db, self.workers, self.before, self.port, self.env = db, workers, before, 0, env

    def start(self):
        options = ['--db', str(self.db), '--port', str(self.port), '--workers', str(self.workers)]
        self.process = subprocess.Popen([*self.before, sys.executable, '-m', 'examples.review_app', *options], cwd=ROOT, env={**os.environ, **self.env},
                                        stderr=subprocess.PIPE, text=True)
        too_long = threading.Timer(60, self.process.kill)  # a test must not hang
        too_long.start()
        log = ''
        while 'running on' not in log or log.count('startup complete') < self.workers:
            line = self.process.stderr.readline()
            assert line, log  # it ended
            log += line
        too_long.cancel()
        self.url = re.search(r'running on (http://[\w.:]+)', log)[1]
        self.port = int(self.url.rpartition(':')[2])
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()

def upload(server, page, text=TEXT, name='lease.txt', step=None):
    "Start a session in a page, and open one of its steps."
    page.goto(server.url)
    page.set_input_files('[name=file]', {'name': name, 'mimeType': 'text/plain', 'buffer': text.encode()})
    page.click('text=Start')
    expect(page.locator('#page')).to_be_visible()
    if step: open_step(page, step)
    return page

def open_step(page, step):
    page.click(f'.steps >> text={step}')
    expect(page.locator('#title')).to_contain_text(f': {step.lower()}')

def in_list(page, name, button):
    "Press a button of a session in the list."
    row = page.locator('.sessions li', has=page.get_by_role('link', name=name, exact=True))
    row.locator('summary').click()
    row.get_by_text(button, exact=True).click()

def type_comment(page, text):
    page.fill('#comment', text)
    page.locator('#comment').blur()  # saved at once

def expect_clause(page, number): expect(page.locator('[aria-current=true] .number')).to_have_text(f'{number:,}')

def expect_focus(page, name): expect(page.locator(f'[id="{name}"]')).to_be_focused()

def expect_undo(page, text): expect(page.locator('#undo-label')).to_have_text(text)

def expect_redo(page, text): expect(page.locator('#redo-label')).to_have_text(text)

def expect_state(page, text): expect(page.locator('#state')).to_have_text(text)

def expect_status(page, text): expect(page.get_by_role('status')).to_contain_text(text)

def notice(page): return page.locator('#notice')

def screenshot(page, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS/f'{name}.png')

def wait_until(page, condition):
    "Evaluates a condition repeatedly from outside: the page's policy allows no text to be run as code."
    for _ in range(200):
        if page.evaluate(condition): return
        page.wait_for_timeout(50)
    raise AssertionError(f'not true after 10 s: {condition}')

def wait_for_answers(page):
    expect(page.locator('.htmx-request, .htmx-settling')).to_have_count(0)
    expect(page.locator('#state')).not_to_have_text('Saving…')

def session_url(page): return re.match(r'.*/s/[^/]+/', page.url)[0]

def stored_session(server, page):
    "The session that the page shows, as another process reads it from the file."
    session_id = session_url(page).split('/')[-2]
    with SQLiteWorkflowStateStore(server.db) as store:
        [flow_id] = [f for f in store.list_flows() if f.startswith('review/') and store.session_exists(f, session_id)]
        return store.get_session(flow_id, session_id)

def stored_notes(server, page):
    "The verdicts and comments that are stored, in the order of the clauses."
    session = stored_session(server, page)
    pages = range(len(session.step('counts')['clauses']))
    return [session.step(f'notes/{p}')[id] for p in pages for id, _ in session.step(f'text/{p}')['clauses'] if id in session.step(f'notes/{p}')]

def stored(server, page):
    "Revision, and the verdicts that are not open."
    return stored_session(server, page).revision, [note['verdict'] for note in stored_notes(server, page) if note['verdict'] != 'open']
