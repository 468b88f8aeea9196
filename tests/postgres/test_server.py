"The server that tests start: its faults do what they claim to do."
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .server import PostgresServer, external_server, processes

try: import psycopg
except ImportError: pass  # the fixture skips these tests, with the reason

def ask(address, sql, *values):
    with psycopg.connect(address) as con:
        found = con.execute(sql, values)
        return found.fetchall() if found.description else None

def test_socket_and_port_reach_the_same_server(own_server):
    ask(own_server.conninfo, 'CREATE TABLE t (x int)')
    ask(own_server.url, 'INSERT INTO t VALUES (1)')
    assert ask(own_server.conninfo, 'SELECT x FROM t') == [(1,)]
    settings = "SELECT current_setting('fsync'), current_setting('server_encoding')"
    assert ask(own_server.url, settings) == [('on', 'UTF8')]

def test_killed_and_started_again(own_server):
    "The server keeps its address and every acknowledged write; connections of clients are lost."
    ask(own_server.conninfo, 'CREATE TABLE t (x int)')
    client = psycopg.connect(own_server.conninfo, autocommit=True)
    client.execute('INSERT INTO t VALUES (1)')
    address, pids = (own_server.conninfo, own_server.url), [own_server.process.pid, *own_server.children()]
    assert len(pids) > 5
    own_server.kill()
    with pytest.raises(psycopg.OperationalError): client.execute('SELECT 1')
    with pytest.raises(psycopg.OperationalError): psycopg.connect(own_server.conninfo)
    own_server.start()
    assert (own_server.conninfo, own_server.url) == address
    assert not {*pids} & {own_server.process.pid, *own_server.children()}
    assert ask(own_server.url, 'SELECT x FROM t') == [(1,)] and 'was not properly shut down' in own_server.log()
    own_server.restart()
    assert ask(own_server.conninfo, 'SELECT x FROM t') == [(1,)]

def test_a_failed_block_leaves_nothing(own_server):
    with pytest.raises(ZeroDivisionError), PostgresServer(own_server.bin) as server:
        process, folder = server.process, server.folder
        1 / 0
    assert process.poll() is not None and not folder.exists()

def test_a_killed_test_run_leaves_nothing(own_server):
    code = ('from postgres.server import PostgresServer\n'
            'server = PostgresServer().start()\nprint(server.folder, server.process.pid, flush=True)\ninput()')
    run = subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                           stderr=subprocess.DEVNULL, env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1])})
    folder, pid = run.stdout.readline().split()
    assert (int(pid), folder) == (int(Path(folder, 'data/postmaster.pid').read_text().split()[0]), folder)
    run.kill()
    run.communicate()
    def there(): return any(one == int(pid) and state[0] != 'Z' for one, _, state in processes())
    while Path(folder).exists() or there(): time.sleep(0.05)

@pytest.mark.parametrize('variable, value, conninfo', [
    ('DATABASE_URL', 'postgresql://h/d', 'postgresql://h/d'), ('PGHOST', 'h', '')])
def test_tests_use_the_server_that_the_environment_names(monkeypatch, variable, value, conninfo):
    for name in ('DATABASE_URL', 'PGHOST'): monkeypatch.delenv(name, raising=False)
    assert external_server() is None
    monkeypatch.setenv(variable, value)
    assert external_server().conninfo == external_server().url == conninfo
