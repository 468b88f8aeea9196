"""The private names of the package that tests need: no other module in tests/ uses one.

After a change to the package's private structure, change only this module.
"""
import threading
from itertools import chain
from types import SimpleNamespace

from cjm_workflow_state import state_store

SCHEMA_VERSION = len(state_store._SCHEMA)
LOG_LIMIT = state_store._LOG_LIMIT  # bytes of the write-ahead log beyond which a store restarts it

def make_version_1(connection):
    "Turn a file of this release into one that schema version 1 wrote."
    expected = state_store._expected_schema(1)
    found = connection.execute('SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL').fetchall()
    for kind, name, sql in sorted(found, key=lambda row: row[0] == 'table'):  # tables last, with what is left on them
        if expected.get(name) != sql: connection.execute(f'DROP {kind} IF EXISTS {name}')
    names = {name for name, in connection.execute('SELECT name FROM sqlite_master')}
    for name, sql in expected.items():
        if name not in names: connection.execute(sql)
    connection.execute('PRAGMA user_version = 1')


# of a store in a SQLite file

def watch_connections(monkeypatch, watch):
    "Call `watch(connection)` for each connection that a store opens from now on."
    connect = state_store._SQLite.connect
    def connect_and_watch(engine):
        con = connect(engine)
        watch(con)
        return con
    monkeypatch.setattr(state_store._SQLite, 'connect', connect_and_watch)


def checkpoint_after_each_commit(store):
    "Make SQLite move every commit from the log into the file at once."
    store._db.writer.execute('PRAGMA wal_autocheckpoint = 1')


def is_closed(store): return bool(store._db.closed)


def without_flock(monkeypatch, flock=None):
    "Make this look like a system without `fcntl`, or with this function as `fcntl.flock`."
    fake = SimpleNamespace(LOCK_EX=2, LOCK_NB=4, LOCK_UN=8, flock=flock)
    monkeypatch.setattr(state_store, 'fcntl', fake if flock else None)


def attached_databases(store):
    return [name for _, name, _ in store._db.writer.execute('PRAGMA database_list') if name not in ('main', 'temp')]


def add_sqlite_schema_version(monkeypatch, *statements):
    "Make the package support one more schema version of SQLite files, to which these statements lead."
    state_store._expected_schema.cache_clear()
    monkeypatch.setattr(state_store, '_SCHEMA', [*state_store._SCHEMA, list(statements)])


# of a store on PostgreSQL

def transaction(store):
    "One transaction of the store: a context manager whose value has `execute(sql, values)`."
    return store._db.write()


def pending_writes(store):
    "How many writes the store has begun or has waiting for a connection."
    return len(store._db.writes)


def connection_parameters(transaction):
    "The parameters that the connection of a transaction was opened with."
    return transaction.con.info.get_parameters()


def set_idle_seconds(monkeypatch, seconds):
    "Close connections of stores on PostgreSQL that have been idle for that long."
    monkeypatch.setattr(state_store, '_IDLE', seconds)


def closing_threads():
    "How many threads close idle connections of stores."
    return sum(thread.name == 'close idle connections' for thread in threading.enumerate())


# of any store

def set_clock(monkeypatch, time_ns):
    "Make stores read the time from this function; waiting and timeouts keep the real time."
    real = state_store.time
    monkeypatch.setattr(state_store, 'time', SimpleNamespace(
        time_ns=time_ns, monotonic=real.monotonic, sleep=real.sleep))


def set_datetime(replacement):
    "Make the package use this class instead of `datetime.datetime`."
    state_store.datetime = replacement


def waits(store):
    "Those who wait for a change."
    return store._watcher.waits


def watcher_thread(store):
    "The thread that watches for changes, while somebody waits."
    return store._watcher.thread


def before_watching(monkeypatch, store, action):
    "Call this function between the next wait's own look at the database and the watcher's."
    add = store._watcher.add
    def add_later(wait):
        action()
        add(wait)
    monkeypatch.setattr(store._watcher, 'add', add_later)


def fail_watcher(monkeypatch, store, fail):
    "Make the watcher call this function in place of its first look at the database."
    monkeypatch.setattr(store._db, 'data_version', fail)


def record_threads(monkeypatch, store):
    "The threads in which the store reads or writes from now on; the value grows."
    threads = set()
    for name in 'read_all', 'write', 'check':
        def call(*args, original=getattr(store._db, name), **options):
            threads.add(threading.get_ident())
            return original(*args, **options)
        monkeypatch.setattr(store._db, name, call)
    return threads


def steps_of(snapshot):
    "The states of all steps that a `SessionSnapshot` has loaded."
    return snapshot._steps


def histories_of(snapshot):
    "The undo histories of a `SessionSnapshot`, by the name of the scope."
    return snapshot._histories


def set_steering(monkeypatch, few, walk):
    "How many sessions a list fetches without trying anything else, and how many a walk looks at."
    monkeypatch.setattr(state_store, '_FEW', few)
    monkeypatch.setattr(state_store, '_WALK', walk)


# of schema versions

KEY_COLUMNS = state_store._KEY_COLUMNS


def behave_like_release(version):
    "Make this process know the schema versions up to this one alone, as an older release does. There is no way back."
    del state_store._SCHEMA[version:], state_store._POSTGRES_SCHEMA[version:]


def add_schema_version(monkeypatch, sqlite, postgres):
    "Add a version that no release has: a list of statements for each engine."
    monkeypatch.setattr(state_store, '_SCHEMA', [*state_store._SCHEMA, sqlite])
    monkeypatch.setattr(state_store, '_POSTGRES_SCHEMA', [*state_store._POSTGRES_SCHEMA, ';\n\n'.join(postgres)])


def set_key_columns(monkeypatch, names): monkeypatch.setattr(state_store, '_KEY_COLUMNS', names)


# of an engine outside the package

def create_tables(connection):
    "Run the statements that create the tables in SQLite."
    for statement in chain(*state_store._SCHEMA): connection.execute(statement)


def error_context(name):
    "Adds the name of the database to the errors of sqlite3."
    return state_store._ErrorContext(name)


def use_engine(
        store, create_engine, timeout=30.0, synchronous='FULL', max_undo_depth=50, max_undo_bytes=None, default=None):
    "Check the options of a store, and make it work on `create_engine(timeout)`."
    store._undo_limit = state_store._checked_options(timeout, synchronous, max_undo_depth, max_undo_bytes, default)
    store._default = default
    store._start(create_engine(timeout))
