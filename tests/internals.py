"""The private names of the package that tests need: no other module in tests/ uses one.

After a change to the package's private structure, change only this module.
"""
from types import SimpleNamespace

from cjm_workflow_state import state_store

SCHEMA_VERSION = len(state_store._SCHEMA)


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


# of any store

def set_clock(monkeypatch, time_ns):
    "Make stores read the time from this function; waiting and timeouts keep the real time."
    real = state_store.time
    monkeypatch.setattr(state_store, 'time', SimpleNamespace(
        time_ns=time_ns, monotonic=real.monotonic, sleep=real.sleep))


def set_datetime(replacement):
    "Make the package use this class instead of `datetime.datetime`."
    state_store.datetime = replacement


def steps_of(snapshot):
    "The states of all steps that a `SessionSnapshot` has loaded."
    return snapshot._steps


def histories_of(snapshot):
    "The undo histories of a `SessionSnapshot`, by the name of the scope."
    return snapshot._histories
