"A private PostgreSQL server for tests, in a temporary folder, on a Unix socket and a loopback port."
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path


def programs():
    "The folder of the newest installed server programs, or `None`."
    found = [shutil.which('initdb')]
    if shutil.which('pg_config'):
        bindir = subprocess.run(['pg_config', '--bindir'], capture_output=True, text=True).stdout.strip()
        found.append(os.path.join(bindir, 'initdb'))
    debian = Path('/usr/lib/postgresql').glob('*/bin/initdb')
    found += sorted(debian, key=lambda path: float(path.parts[-3]), reverse=True)
    for path in found:
        real = path and Path(path).resolve()  # on PATH there may be only a link
        if real and os.access(real, os.X_OK) and real.with_name('postgres').exists(): return real.parent
    return None


def unprivileged():
    "Arguments for `subprocess` that set the user of the server, which refuses to run as root."
    if os.name != 'posix' or os.getuid(): return {}
    import pwd
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get('postgres') or users['nobody']
    return {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []}


def processes():
    "Id, id of the parent, and state of every process."
    lines = subprocess.run(['ps', '-A', '-o', 'pid=,ppid=,stat='], capture_output=True, text=True, check=True).stdout
    return [(int(pid), int(parent), state) for pid, parent, state in map(str.split, lines.splitlines())]


GUARD = '''
read _
pid=$(head -n 1 "$0/data/postmaster.pid")
if [ "$pid" ] && ps -o args= -p "$pid" | grep -qF "$0"; then
  kill -INT "$pid"
  for _ in $(seq 100); do [ -e "$0/data/postmaster.pid" ] || break; sleep 0.1; done
fi
rm -rf "$0"'''


class PostgresServer:
    "A private server. It keeps its address and its data after `stop`, `kill` and `restart`."

    def __init__(self, bin=None, *, fsync=False, listen='127.0.0.1'):
        self.bin, self.fsync, self.listen, self.process = bin or programs(), fsync, listen, None
        # a socket's path may have about 100 bytes, which the usual temporary folder can exceed
        self.folder = Path(tempfile.mkdtemp(prefix='pg-', dir='/tmp' if os.path.isdir('/tmp') else None))
        self.user, self.data = unprivileged(), self.folder/'data'
        if self.user: os.chown(self.folder, self.user['user'], self.user['group'])
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]
        # it waits for the end of this process, even by `kill -9`, and then stops the server and deletes its folder
        self.guard = subprocess.Popen(['sh', '-c', GUARD, self.folder], stdin=subprocess.PIPE, start_new_session=True,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        command = [self.bin/'initdb', '-D', self.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C']
        made = subprocess.run([*command, '--no-sync'], cwd=self.folder, capture_output=True, text=True, **self.user)
        if made.returncode: raise RuntimeError(f'initdb failed: {made.stdout}{made.stderr}')
        if listen != '127.0.0.1':
            with open(self.data/'pg_hba.conf', 'a') as access: access.write(f'host all all {listen}/24 trust\n')

    @property
    def conninfo(self): return f'host={self.folder} port={self.port} user=postgres dbname=postgres'

    @property
    def url(self): return f'postgresql://postgres@127.0.0.1:{self.port}/postgres'

    def start(self, timeout=60):
        options = {'port': self.port, 'listen_addresses': self.listen, 'unix_socket_directories': self.folder,
                   'fsync': 'on' if self.fsync else 'off', 'max_connections': 200}
        command = [self.bin/'postgres', '-D', self.data]
        for name, value in options.items(): command += ['-c', f'{name}={value}']
        with open(self.folder/'log', 'ab') as log:
            # in a new session, so that Ctrl-C reaches only the tests, which then stop the server
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, **self.user)
        deadline = time.monotonic() + timeout
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f'the server does not start: {self.log()[-2000:]}')
            time.sleep(0.02)
        return self

    def ready(self):
        "Whether the server says in its file that it is ready, as `pg_ctl` checks it."
        try: pid, *_, state = (self.data/'postmaster.pid').read_text().split()
        except (OSError, ValueError): return False
        return (pid, state) == (str(self.process.pid), 'ready')

    def stop(self, timeout=60):
        "Shut down: the server ends all connections and keeps every commit."
        if self.process is None: return
        self.process.send_signal(signal.SIGINT)
        try: self.process.wait(timeout)
        except subprocess.TimeoutExpired: self.kill()
        self.process = None

    def kill(self):
        "Stop like a crash of the machine: `kill -9` of all its processes, so that their shared memory is lost too."
        if self.process is None: return
        if self.process.poll() is None: self.process.send_signal(signal.SIGSTOP)  # so that it starts no new processes
        children = self.children()
        self.process.kill()
        for pid in children:
            try: os.kill(pid, signal.SIGKILL)
            except ProcessLookupError: pass
        self.process.wait()
        while any(not state.startswith('Z') for pid, _, state in processes() if pid in children): time.sleep(0.01)
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def children(self):
        "Ids of the child processes of the server."
        return [pid for pid, parent, _ in processes() if self.process and parent == self.process.pid]

    def log(self): return (self.folder/'log').read_text(errors='replace')

    def remove(self):
        "Stop the server and delete its folder."
        self.stop()
        self.guard.stdin.close()
        self.guard.wait()

    def __enter__(self): return self.start()
    def __exit__(self, *error): self.remove()


class ExternalServer:
    "A running server, named by `DATABASE_URL` or by libpq's variables (`PGHOST`); tests must not stop it."
    def __init__(self): self.conninfo = self.url = os.environ.get('DATABASE_URL', '')


def external_server():
    "The running server that the environment names, or `None`."
    return ExternalServer() if os.environ.get('DATABASE_URL') or os.environ.get('PGHOST') else None


def missing_requirement(programs_too=True):
    "What a test on PostgreSQL needs and this machine does not have, as a sentence, or `None`."
    try: import psycopg  # noqa: F401
    except ImportError as error: return f'PostgreSQL: {error}; pip install "cjm-workflow-state[postgres]"'
    if programs_too and programs() is None: return 'PostgreSQL: there are no server programs (Debian: postgresql)'
    return None
