"What the browser tests share: the app in a process of its own, and what its pages show."
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

expect.set_options(timeout=10_000)
ROOT = Path(__file__).parents[2]
ARTEFACTS = Path(os.environ.get('ARTEFACTS', ROOT/'artefacts'))  # screenshots, for a person to look at
TEXT = '\n\n'.join(f'Clause {i} says one thing. It says another; and a third.' for i in range(1, 31))

class Server:
    "The app in a process of its own, as a reader starts it."
    def __init__(self, db, workers=1, **env): self.db, self.workers, self.port, self.env = db, workers, 0, env

    def start(self):
        options = ['--db', str(self.db), '--port', str(self.port), '--workers', str(self.workers)]
        self.process = subprocess.Popen([sys.executable, '-m', 'examples.review_app', *options], cwd=ROOT, env={**os.environ, **self.env},
                                        stderr=subprocess.PIPE, text=True)
        too_long = threading.Timer(60, self.process.kill)  # a test must not hang
        too_long.start()
        log = ''
        while 'running on' not in log or log.count('startup complete') < self.workers:
            line = self.process.stderr.readline()
            assert line, log
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

def start(server, page, text=TEXT, name='lease.txt', step=None):
    page.goto(server.url)
    page.set_input_files('[name=file]', {'name': name, 'mimeType': 'text/plain', 'buffer': text.encode()})
    page.click('text=Start')
    expect(page.locator('#page')).to_be_visible()
    if step: to_step(page, step)
    return page

def to_step(page, step):
    page.click(f'.steps >> text={step}')
    expect(page.locator('#title')).to_contain_text(f': {step.lower()}')

def at(page, number): expect(page.locator('[aria-current=true] .number')).to_have_text(str(number))

def focused(page, name): expect(page.locator(f'[id="{name}"]')).to_be_focused()

def undo_says(page, text): expect(page.locator('#undo-label')).to_have_text(text)

def redo_says(page, text): expect(page.locator('#redo-label')).to_have_text(text)

def notice(page): return page.locator('#notice')

def shot(page, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS/f'{name}.png')

def base(page): return re.match(r'.*/s/[^/]+/', page.url)[0]

def session(server, page):
    "What the file says, as another process sees it: revision and verdicts of the session that the page shows."
    session_id = base(page).split('/')[-2]
    with SQLiteWorkflowStateStore(server.db) as store:
        [flow_id] = [f for f in store.list_flows() if store.session_exists(f, session_id)]
        one = store.get_session(flow_id, session_id)
        notes = one.step('review/0').get('notes', {}) | one.step('review/1').get('notes', {})
        return one.revision, {k: v['verdict'] for k, v in notes.items()}
