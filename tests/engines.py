"Opens stores on any engine, and looks at what they have stored."
import os
import sqlite3
import uuid
from contextlib import closing

from cjm_workflow_state.state_store import PostgresWorkflowStateStore, SQLiteWorkflowStateStore


class Engine:
    "Opens stores. A name stands for a place: stores of one name share their data. In the end all of it is gone."
    takes_nul = True  # in ids and labels

    def __init__(self): self.stores = {}

    def open(self, name='wf', **options):
        store = self.make(name, **options)
        self.stores.setdefault(name, []).append(store)
        return store

    def drop(self, name='wf'):
        for store in self.stores.pop(name, []): store.close()
        self.remove(name)

    def close(self):
        for name in list(self.stores): self.drop(name)

    def remove(self, name): pass

    def written(self):
        "Bytes that have been written to the disk until now, or `None`."

    def view(self, name='wf'):
        "The states as JSON, in the view that is there for other tools."
        return []


class Memory(Engine):
    def make(self, name, **options): return SQLiteWorkflowStateStore(':memory:', **options)


class Files(Engine):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def path(self, name): return self.folder/name/'wf.db'

    def make(self, name, **options): return SQLiteWorkflowStateStore(self.path(name), **options)

    def remove(self, name):
        path = self.path(name)
        assert os.listdir(path.parent) == ['wf.db']  # closing leaves one file
        with closing(self.connect(name)) as con: assert con.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
        path.unlink()
        path.parent.rmdir()

    def written(self):
        if not os.path.exists('/proc/self/io'): return None
        with open('/proc/self/io') as lines: return int(dict(line.split(': ') for line in lines)['wchar'])

    # what other tools see

    def connect(self, name='wf'): return sqlite3.connect(self.path(name))

    def view(self, name='wf'):
        with closing(self.connect(name)) as con:
            return [state for state, in con.execute('SELECT state_json FROM workflow_state')]

    def schema(self, con, name='wf'): return con.execute('SELECT name, sql FROM sqlite_master ORDER BY name').fetchall()

    def content(self, con, name='wf'):
        "All that is stored, row by row."
        tables = 'workflow_session', 'workflow_value', 'workflow_undo'
        rows = [con.execute(f'SELECT * FROM {table} ORDER BY rowid').fetchall() for table in tables]
        return [*rows, self.schema(con, name)]


class Schemas(Engine):
    "Of a PostgreSQL server."
    takes_nul = False

    def __init__(self, server):
        super().__init__()
        self.server, self.prefix = server, f'test_{uuid.uuid4().hex[:12]}'

    def name_of(self, name): return f'{self.prefix}_{name}'

    def make(self, name, **options):
        options = {'schema': self.name_of(name), 'max_size': 4, **options}
        return PostgresWorkflowStateStore(self.server.conninfo, **options)

    def remove(self, name):
        with closing(self.connect(name)) as con: con.execute(f'DROP SCHEMA IF EXISTS "{self.name_of(name)}" CASCADE')

    def written(self):
        with closing(self.connect()) as con:
            return int(con.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone()[0])

    def connect(self, name='wf'):
        import psycopg
        return psycopg.connect(self.server.conninfo, autocommit=True)

    def schema(self, con, name='wf'):
        return con.execute('''SELECT relname, relkind, attname, atttypid FROM pg_class
            JOIN pg_namespace ON relnamespace = pg_namespace.oid JOIN pg_attribute ON attrelid = pg_class.oid
            WHERE nspname = %s ORDER BY relname, attnum''', [self.name_of(name)]).fetchall()

    def content(self, con, name='wf'):
        schema, place = self.schema(con, name), self.name_of(name)
        tables = sorted({table for table, kind, *_ in schema if kind in 'rp'})  # ordinary and partitioned
        rows = [con.execute(f'SELECT * FROM "{place}".{table} ORDER BY tableoid, ctid').fetchall() for table in tables]
        return [schema, *rows]


def make_engine(kind, request):
    if kind == 'postgres': return Schemas(request.getfixturevalue('postgres'))
    return Files(request.getfixturevalue('tmp_path')) if kind == 'file' else Memory()
