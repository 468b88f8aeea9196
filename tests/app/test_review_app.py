"The example app in a real browser: what a reviewer does, and what must not happen to it."
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

MISSING = [name for name in ('fasthtml', 'playwright') if not __import__('importlib.util').util.find_spec(name)]
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
if MISSING: pytest.skip(f'the app is tested with pip install -e ".[dev,app]" (not installed: {", ".join(MISSING)})', allow_module_level=True)
if not CHROMIUM: pytest.skip('there is no chromium', allow_module_level=True)

import httpx
from playwright.sync_api import expect, sync_playwright

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT/'artefacts'
TEXT = '\n\n'.join(f'Clause {i} says one thing. It says another; and a third.' for i in range(1, 31))

class Server:
    "The app in a process of its own, as a reader starts it."
    def __init__(self, db, workers=1): self.db, self.workers, self.port = db, workers, 0

    def start(self):
        self.process = subprocess.Popen([sys.executable, '-m', 'examples.review_app', '--db', str(self.db), '--port', str(self.port), '--workers', str(self.workers)],
                                        cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r'http://\S+', self.process.stdout.readline())[0]
        self.port = int(self.url.rpartition(':')[2])
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()

@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path/'review.db').start()
    yield server
    server.stop()

@pytest.fixture(scope='session')
def browser():
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox', '--disable-gpu', '--disable-background-networking'])
        yield browser
        browser.close()

@pytest.fixture
def visit(browser):
    "A visitor's first tab. Nothing may be asked of any other host, and no script may fail."
    contexts, wrong = [], []
    def visit(server, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        context.on('request', lambda r: r.url.startswith((server.url, 'data:')) or wrong.append(r.url))
        context.on('weberror', lambda e: wrong.append(str(e.error)))
        contexts.append(context)
        return context.new_page()
    yield visit
    for context in contexts: context.close()
    assert not wrong

def start(server, page, text=TEXT, name='lease.txt', step=None):
    page.goto(server.url)
    page.set_input_files('[name=file]', {'name': name, 'mimeType': 'text/plain', 'buffer': text.encode()})
    page.click('text=Start')
    expect(page.locator('#page')).to_be_visible()
    if step: to_step(page, step)
    return page

def to_step(page, step):
    with page.expect_navigation(): page.click(f'.steps >> text={step}')

def here(page): return page.locator('[aria-current=true] .number').inner_text()

def at(page, number): expect(page.locator('[aria-current=true] .number')).to_have_text(str(number))

def undo_says(page, text): expect(page.locator('#undo-label')).to_have_text(text)

def redo_says(page, text): expect(page.locator('#redo-label')).to_have_text(text)

def notice(page): return page.locator('#notice')

def shot(page, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS/f'{name}.png')

def session(server, page):
    "What the file says, as another process sees it: revision and verdicts of the session that the page shows."
    session_id = page.url.rstrip('/').rpartition('/')[2]
    with SQLiteWorkflowStateStore(server.db) as store:
        [flow_id] = [f for f in store.list_flows() if store.session_exists(f, session_id)]
        review = store.get_step_state(flow_id, session_id, 'review')
        return store.get_session_summary(flow_id, session_id).revision, {k: v['verdict'] for k, v in review.items() if k != 'cursor'}

def test_the_whole_path(server, visit, tmp_path):
    page = start(server, visit(server))
    expect(page.locator('.clauses li')).to_have_count(20)
    expect(page.get_by_text('Clauses 1 to 20 of 30')).to_be_visible()
    undo_says(page, 'Nothing to undo')
    page.click('text=Merge with next')
    undo_says(page, 'Undo: Merge clauses 1 and 2')
    expect(page.get_by_text('of 29')).to_have_count(2)
    page.locator('.cut').first.click()
    undo_says(page, 'Undo: Split clause 1')
    page.keyboard.press('u')
    undo_says(page, 'Undo: Merge clauses 1 and 2')
    redo_says(page, 'Redo: Split clause 1')
    page.keyboard.press('U')
    redo_says(page, 'Nothing to redo')
    expect(page.locator('.clauses .text').first).to_have_text('Clause 1 says one thing.')
    shot(page, 'split')

    to_step(page, 'Review')
    at(page, 1)
    page.keyboard.press('a')
    at(page, 2)
    page.keyboard.press('r')
    at(page, 3)
    page.keyboard.press('k')
    at(page, 2)
    page.keyboard.press('c')
    page.keyboard.type('Ask about <the> garden & "fence"')
    page.keyboard.press('Escape')
    undo_says(page, 'Undo: Comment on clause 2')
    expect(page.locator('.progress')).to_contain_text('2 of 30 reviewed')
    page.locator('#c0 .number').click()
    at(page, 1)
    expect(page.locator('.note')).to_have_text('Ask about <the> garden & "fence"')
    page.fill('header input', 'Lease, 3 Elm Street')
    page.keyboard.press('Enter')
    shot(page, 'review')
    page.keyboard.press('PageDown')
    at(page, 21)

    to_step(page, 'Export')
    expect(page).to_have_title('Lease, 3 Elm Street')
    page.click('text=rejected')
    undo_says(page, 'Undo: Export rejected clauses')
    shot(page, 'export')
    with page.expect_download() as download: page.click('text=JSON')
    exported = json.loads(Path(download.value.path()).read_text())
    assert exported['label'] == 'Lease, 3 Elm Street'
    assert [(c['number'], c['verdict'], c['comment']) for c in exported['clauses']] == [(2, 'rejected', 'Ask about <the> garden & "fence"')]
    with page.expect_download() as download: page.click('text=Markdown')
    assert Path(download.value.path()).read_text().startswith('# Lease, 3 Elm Street\n\n## 2: rejected\n\n> ')

    start(server, page, name='second.txt')
    page.click('text=Sessions')
    rows = page.locator('.sessions li')
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text('second.txt')
    expect(rows.nth(1)).to_contain_text('2 of 30 reviewed')
    shot(page, 'sessions')
    rows.nth(1).get_by_text('Delete').click()
    expect(rows.nth(0)).to_contain_text('Lease, 3 Elm Street is deleted')
    shot(page, 'deleted')
    page.click('text=Put back')
    page.click('text=Lease, 3 Elm Street')
    expect(page.locator('.steps [aria-current]')).to_have_text('3. Export')
