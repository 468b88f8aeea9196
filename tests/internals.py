"""The private names of the package that tests need: no other module in tests/ uses one.

After a change to the package's private structure, change only this module.
"""
from types import SimpleNamespace

from cjm_workflow_state import state_store

SCHEMA_VERSION = state_store._SCHEMA_VERSION
LOG_LIMIT = state_store._LOG_LIMIT  # bytes of the write-ahead log beyond which a store restarts it


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
    return len(store._db.turns)


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


# of an engine outside the package

SCHEMA = state_store._statements()  # the statements that create the tables in SQLite


def error_context(name):
    "Adds the name of the database to the errors of sqlite3."
    return state_store._NamesPath(name)


def use_engine(
        store, create_engine, timeout=30.0, synchronous='FULL', max_undo_depth=50, max_undo_bytes=None, default=None):
    "Check the options of a store, and make it work on `create_engine(timeout)`."
    state_store._check_options(timeout, synchronous, max_undo_depth, max_undo_bytes, default)
    store._limit, store._encode = state_store._Limit(max_undo_depth, max_undo_bytes), state_store._encoder(default)
    store._db = PresentNames(create_engine(timeout))
    store._db.open()


class PresentNames:
    "An engine that follows the planned protocol, under the names that the store uses now."
    def __init__(self, engine): self.engine = engine
    def __getattr__(self, name): return getattr(self.engine, {'named': 'errors'}.get(name, name))
    def write(self, theirs=False): return self.engine.write(runs_user_code=theirs)
