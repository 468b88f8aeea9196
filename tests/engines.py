"Opens stores on each engine, and shows tests what they have written."
import os
import sqlite3
import uuid
from contextlib import closing

import third_engine

from cjm_workflow_state.state_store import PostgresWorkflowStateStore, SQLiteWorkflowStateStore


class Engine:
    "Opens stores and deletes their data at the end. Stores that are opened under the same name share their data."
    supports_nul = True  # in ids and labels

    def __init__(self): self.stores = {}

    def new_store(self, name, **options):
        "A store on the data called `name`."
        raise NotImplementedError

    def open(self, name='wf', **options):
        store = self.new_store(name, **options)
        self.stores.setdefault(name, []).append(store)
        return store

    def drop(self, name='wf'):
        "Close the stores on the data called `name`, and delete that data."
        for store in self.stores.pop(name, []): store.close()
        self.remove(name)

    def close(self):
        for name in list(self.stores): self.drop(name)

    def remove(self, name): pass

    def written(self):
        "Bytes written to the disk so far, or `None` if this engine does not report that."

    def view(self, name='wf'):
        "The states as JSON, read from the view for other tools; empty if this engine has no such view."
        return []


class MemoryEngine(Engine):
    "SQLite in memory: each store has its own data."
    def new_store(self, name, **options): return SQLiteWorkflowStateStore(':memory:', **options)


class ThirdEngine(Engine):
    "An engine from outside the package, which shares its data among the stores of this process."
    def __init__(self):
        super().__init__()
        self.prefix = f'{uuid.uuid4().hex[:12]}_'

    def new_store(self, name, **options): return third_engine.ThirdStore(self.prefix + name, **options)

    def remove(self, name): third_engine.databases.pop(self.prefix + name, None)

    def written(self): return sum(database.bytes_written for database in third_engine.databases.values())


class FileEngine(Engine):
    "SQLite files: one folder and one file for each name."
    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def path(self, name): return self.folder/name/'wf.db'

    def new_store(self, name, **options): return SQLiteWorkflowStateStore(self.path(name), **options)

    def remove(self, name):
        path = self.path(name)
        assert os.listdir(path.parent) == ['wf.db'], 'a closed store must leave one file'
        with closing(self.connect(name)) as con: assert con.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
        path.unlink()
        path.parent.rmdir()

    def written(self):
        if not os.path.exists('/proc/self/io'): return None
        with open('/proc/self/io') as lines: return int(dict(line.split(': ') for line in lines)['wchar'])

    # what other programs see

    def connect(self, name='wf'): return sqlite3.connect(self.path(name))

    def execute(self, sql, name='wf'):
        "Run a statement as another program would; returns its rows."
        with closing(self.connect(name)) as con, con: return con.execute(sql).fetchall()

    def view(self, name='wf'): return [state for state, in self.execute('SELECT state_json FROM workflow_state', name)]

    def schema(self, con, name='wf'): return con.execute('SELECT name, sql FROM sqlite_master ORDER BY name').fetchall()

    def content(self, con, name='wf'):
        "All rows of all tables, and the schema."
        tables = 'workflow_session', 'workflow_value', 'workflow_undo'
        rows = [con.execute(f'SELECT * FROM {table} ORDER BY rowid').fetchall() for table in tables]
        metadata = con.execute('SELECT * FROM workflow_metadata ORDER BY session, position').fetchall()
        return [*rows, metadata, self.schema(con, name)]


class PostgresEngine(Engine):
    "A PostgreSQL server: one schema for each name."
    supports_nul = False

    def __init__(self, server):
        super().__init__()
        self.server, self.prefix = server, f'test_{uuid.uuid4().hex[:12]}'

    def schema_name(self, name): return f'{self.prefix}_{name}'

    def new_store(self, name, **options):
        options = {'schema': self.schema_name(name), 'max_size': 4, **options}
        return PostgresWorkflowStateStore(self.server.conninfo, **options)

    def remove(self, name):
        with closing(self.connect(name)) as con:
            con.execute(f'DROP SCHEMA IF EXISTS "{self.schema_name(name)}" CASCADE')

    def written(self):
        with closing(self.connect()) as con:
            return int(con.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone()[0])

    def connect(self, name='wf'):
        import psycopg
        return psycopg.connect(self.server.conninfo, autocommit=True)

    def execute(self, sql, name='wf'):
        "Run a statement as another program would; returns its rows."
        with closing(self.connect(name)) as con:
            con.execute(f'SET search_path TO "{self.schema_name(name)}"')
            cursor = con.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def schema(self, con, name='wf'):
        return con.execute('''SELECT relname, relkind, attname, atttypid FROM pg_class
            JOIN pg_namespace ON relnamespace = pg_namespace.oid JOIN pg_attribute ON attrelid = pg_class.oid
            WHERE nspname = %s ORDER BY relname, attnum''', [self.schema_name(name)]).fetchall()

    def content(self, con, name='wf'):
        schema, schema_name = self.schema(con, name), self.schema_name(name)
        tables = sorted({table for table, kind, *_ in schema if kind in 'rp'})  # ordinary and partitioned
        rows = [con.execute(f'SELECT * FROM "{schema_name}".{table} ORDER BY tableoid, ctid').fetchall()
                for table in tables]
        return [schema, *rows]


def make_engine(kind, request):
    "The engine called `memory`, `file`, `third` or `postgres`."
    if kind == 'file': return FileEngine(request.getfixturevalue('tmp_path'))
    if kind == 'postgres': return PostgresEngine(request.getfixturevalue('postgres'))
    return {'memory': MemoryEngine, 'third': ThirdEngine}[kind]()
