"""The private names of the package that tests need: no other module in tests/ uses one.

After a change to the package's private structure, change only this module.
"""
import threading
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
