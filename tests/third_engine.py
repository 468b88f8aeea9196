"""A third engine for the conformance suite, written from the engine protocol alone: SQLite connections in memory.

Writers share one connection under a lock. After each commit, readers get a copy of the whole database, so they never
wait for a writer. Stores of one process share their data by name; other processes can't see it.
"""
import sqlite3
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar

import internals

from cjm_workflow_state.state_store import WorkflowStateStore

HOUR = 3_600_000_000  # microseconds
edit_blocks = ContextVar('edit blocks that this call is inside of', default=())


def connect(): return sqlite3.connect(':memory:', isolation_level=None, check_same_thread=False)


class Database:
    "What the stores of one name share: a connection for writing, and a copy of what was committed for reading."
    def __init__(self):
        self.writing, self.reading = threading.Lock(), threading.Lock()
        self.writer, self.reader, self.bytes_written = connect(), connect(), 0
        internals.create_tables(self.writer)
        self.publish()

    def publish(self):
        "Show readers what was committed."
        with self.reading: self.reader.deserialize(self.writer.serialize())

    def execute(self, sql, values=()):
        self.bytes_written += sum(len(value) for value in values if isinstance(value, (str, bytes)))
        return self.writer.execute(sql, values)


databases = {}


class ThirdEngine:
    TIME_TEXT = "datetime({} / 1000000, 'unixepoch')"
    LOCK = SKIP_LOCKED = INDEXED_BY = PLANNER = ''
    NEXT_TIME = 'updated'
    STEP_KEY = '{}'
    CONTAINS = 'instr(lower(label), lower(?)) > 0'
    METADATA = """(SELECT '{' || group_concat(key || ':' || value) || '}'
        FROM (SELECT key, value FROM workflow_metadata WHERE session = id ORDER BY position))"""
    LOAD_AHEAD = 1000

    def __init__(self, name, timeout):
        self.name, self.timeout, self.closed, self.block = name, timeout, '', None
        self.errors = internals.error_context(f'memory database {name}')

    def open(self):
        if self.name not in databases: databases[self.name] = Database()
        self.database = databases[self.name]

    def change_time(self, connection, flow_id, latest): return self.creation_time(connection, flow_id)

    def creation_time(self, connection, flow_id=None):
        now = time.time_ns() // 1000
        sql = 'SELECT max(updated) FROM workflow_session WHERE flow_id = ? AND updated <= ?'
        [[latest]] = connection.execute(sql, (flow_id, now + HOUR)).fetchall()
        return max(now, (latest or 0) + 1)

    def read(self, sql, *values): return self.read_all((sql, values))[0]

    def read_all(self, *statements):
        self.check_open()
        with self.errors, self.database.reading:
            return [self.database.reader.execute(*statement).fetchall() for statement in statements]

    @contextmanager
    def write(self, session=None, runs_user_code=False):
        if self.inside_block():
            raise RuntimeError('this call is inside an edit block of the same store: write after the block')
        database = self.database
        if not database.writing.acquire(timeout=self.timeout):
            problem = f'another writer did not finish within timeout={self.timeout} seconds'
            raise sqlite3.OperationalError(f'{problem}: {self.name}')
        try:
            self.check_open()
            database.execute('BEGIN')
            if runs_user_code:
                self.block = object()
                edit_blocks.set((*edit_blocks.get(), self.block))
            yield database
            database.execute('COMMIT')
            database.publish()
        finally:
            self.block = None
            if database.writer.in_transaction: database.execute('ROLLBACK')
            database.writing.release()

    def inside_block(self): return self.block is not None and self.block in edit_blocks.get()

    def check_open(self):
        if self.closed: raise sqlite3.ProgrammingError(self.closed)

    def data_version(self): return None

    def identity(self): return id(self.database)

    def check(self): return [text for text, in self.read('PRAGMA integrity_check') if text != 'ok']

    def close(self):
        if self.inside_block(): raise RuntimeError('close the store after the edit block, not inside it')
        self.closed = f'the store is closed: {self.name}'

    def close_idle(self): pass


class ThirdStore(WorkflowStateStore):
    Error, DatabaseError, OperationalError = sqlite3.Error, sqlite3.DatabaseError, sqlite3.OperationalError
    IntegrityError, ProgrammingError = sqlite3.IntegrityError, sqlite3.ProgrammingError

    def __init__(self, name, **options):
        self.name, self.options = name, options
        internals.use_engine(self, lambda timeout: ThirdEngine(name, timeout), **options)

    def __reduce__(self): return reopen, (self.name, self.options)

    def __repr__(self): return f'ThirdStore({self.name!r})'


def reopen(name, options): return ThirdStore(name, **options)
