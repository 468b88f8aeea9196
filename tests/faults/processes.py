"Child processes that report what they do, line by line, and that tests start, signal and kill."
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

SCRIPTS = str(Path(__file__).with_name('subprocess_scripts.py'))

class Child:
    "A process that runs one function of subprocess_scripts.py."
    def __init__(self, name, *args, before=(), longest=300):
        self.name, self.errors = name, tempfile.TemporaryFile()
        self.process = subprocess.Popen([*before, sys.executable, SCRIPTS, name, json.dumps(args)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        self.guard = threading.Timer(longest, self.process.kill)  # a child that hangs must not block the tests
        self.guard.daemon = True
        self.guard.start()

    def line(self): return self.process.stdout.readline().decode().rstrip('\n')

    def ready(self): assert self.line() == 'ready', self.failure()

    def go(self, word=''):
        self.process.stdin.write(f'{word}\n'.encode())
        self.process.stdin.flush()

    def rest(self):
        "The lines that nobody has read yet, once the process has ended."
        self.process.stdin.close()
        lines = self.process.stdout.read().decode().splitlines(keepends=True)
        self.process.stdout.close()
        self.process.wait()
        self.guard.cancel()
        return [line.rstrip('\n') for line in lines if line.endswith('\n')]

    def kill(self):
        self.process.kill()
        lines = self.rest()
        assert self.process.returncode in (-9, 1), self.failure()  # 1 on Windows
        return lines

    def kill_at_random(self, longest):
        "Send SIGKILL after a random time; the process must still be running then."
        self.ready()
        time.sleep(random.uniform(0, longest))
        assert self.process.poll() is None, self.failure()
        return self.kill()

    def end(self, status=0):
        "Wait until it ends by itself, with this status and nothing on stderr."
        lines = self.rest()
        assert self.process.returncode == status and not self.complaint(), self.failure()
        return lines

    def complaint(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors='replace')

    def failure(self): return f'{self.name} ended with {self.process.poll()}:\n{self.complaint()}'

def run(name, *args, **kw):
    "The figures that a child process prints in its last line."
    return json.loads(Child(name, *args, **kw).end()[-1])

IMPORTS = 'import atexit, os, sqlite3, sys\nfrom cjm_workflow_state.state_store import SQLiteWorkflowStateStore as Store\n'

def with_imports(code): return IMPORTS + textwrap.dedent(code)

def run_code(code, *args, status=0):
    "What another process prints when it runs this code with these arguments."
    words = [sys.executable, '-c', with_imports(code), *map(str, args)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert not done.stderr or status, done.stderr
    return done.stdout.strip()

def check_file(path):
    "Check what must be true for any file, whatever happened to its writers."
    with closing(sqlite3.connect(path)) as con:
        assert con.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
        for table in ('workflow_value', 'workflow_undo', 'workflow_metadata'):
            assert con.execute(f'SELECT count(*) FROM {table} WHERE session NOT IN (SELECT id FROM workflow_session)').fetchone() == (0,)
        assert con.execute('SELECT count(*) FROM workflow_session WHERE revision < 1').fetchone() == (0,)

def in_private_mount(folder, *mount):
    "The start of a command line that runs a program with a private mount; skips the test if that is not allowed."
    if not shutil.which('unshare'): pytest.skip('unshare is not installed, which private mounts need')
    words = ['unshare', '-m' if os.getuid() == 0 else '-Urm', 'sh', '-c', f'mount {" ".join(mount)} "$0" && exec "$@"', str(folder)]
    tried = subprocess.run([*words, 'true'], capture_output=True, text=True)
    if tried.returncode: pytest.skip(f'this machine does not allow mounts: {tried.stderr.strip()}')
    return words

OLD_COLUMNS = """flow_session_key TEXT PRIMARY KEY, current_step TEXT, state_json TEXT DEFAULT '{}',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP"""

def old_file(path, sessions=40, label=True, extra=''):
    "Create a file as releases before 0.1 did; returns its content."
    states = {}
    with closing(sqlite3.connect(path)) as con:
        con.executescript(f"CREATE TABLE workflow_state ({OLD_COLUMNS}{', label TEXT' if label else ''});"
                          f'CREATE INDEX idx_workflow_state_updated ON workflow_state (updated_at);{extra}')
        for i in range(sessions):
            flow, session = ('wizard', 'Wizard', 'team:wizard')[i % 3], f'session-{i}'
            review = {'rows': [{'id': j, 'text': f'{j}' * 8} for j in range(20)], 'at': {'x': i, 'y': 2 ** 70}}
            state = {'n': i, 'текст': '€' * 50, '_step_review': review}
            states[flow, session] = state
            row = (f'{flow}:{session}', f'step {i}', json.dumps(state), '2024-01-02 03:04:05', '2024-06-07 08:09:10', f'label {i}')
            con.execute(f"INSERT INTO workflow_state VALUES ({', '.join('?' * (5 + label))})", row[:5 + label])
        con.commit()
    return states

def is_old(path):
    with closing(sqlite3.connect(path)) as con:
        return con.execute("SELECT type FROM sqlite_master WHERE name = 'workflow_state'").fetchone() == ('table',)

def files(folder): return sorted(os.listdir(folder))
