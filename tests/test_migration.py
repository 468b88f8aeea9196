"Files in the format of releases before 0.1."
import json
import math
import sqlite3
import zlib
from contextlib import closing

import internals
import pytest

import internals
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

COLUMNS = """flow_session_key TEXT PRIMARY KEY, current_step TEXT, state_json TEXT DEFAULT '{}',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP"""
OLD, NEWER = f"CREATE TABLE workflow_state ({COLUMNS})", f"CREATE TABLE workflow_state ({COLUMNS}, label TEXT)"
INDEX = "CREATE INDEX idx_workflow_state_updated ON workflow_state (updated_at)"
UUID = "0b9f4a6e-7d2c-4f0e-9a35-3f6c1f1f2d11"

@pytest.fixture
def path(tmp_path): return tmp_path/"old.db"

def make(path, *statements, rows=(), table=NEWER):
    "Create an old file; a row has a key, a state and further columns."
    with closing(sqlite3.connect(path)) as con:
        for statement in (table, INDEX): con.execute(statement)
        for key, state, more in rows:
            values = {"flow_session_key": key, "state_json": state, **more}
            con.execute(f"INSERT INTO workflow_state ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))
        for statement in statements: con.execute(statement)
        con.commit()

def query(path, sql):
    with closing(sqlite3.connect(path)) as con: return con.execute(sql).fetchall()

@pytest.mark.parametrize("table", [OLD, NEWER], ids=["without label", "with label"])
def test_both_formats(path, table):
    state = {"files": 3, "big": 2 ** 70, "nan": math.nan, "odd": "a\0b \u0416 \U0001f600 \ud83d", "_step_split": {"n": [1, {"x": 0.1}]}, "_step_empty": {}, "step_states": {"a": {"history": [[1], [2]]}}}
    times = {"created_at": "2026-03-01 09:00:00", "updated_at": "2026-03-02 10:11:12"}
    make(path, table=table, rows=[(f"team:wizard:{UUID}", json.dumps(state), {"current_step": "split", **times, **({"label": "Lease"} if table == NEWER else {})}),
                                  ("wizard:s1", "", {}), ("Wizard:s1", None, {"current_step": "done"}), ("wizard_2:s1", "{}", {})])
    with SQLiteWorkflowStateStore(path) as store:
        [summary] = store.list_sessions("team:wizard")
        assert (summary.session_id, summary.label, summary.current_step) == (UUID, "Lease" if table == NEWER else None, "split")
        assert (summary.created_at, summary.updated_at, summary.revision) == (*times.values(), 1)
        assert json.dumps(store.get_state("team:wizard", UUID)) == json.dumps(state)
        assert summary.state_size_bytes == pytest.approx(len(json.dumps(state, separators=(",", ":"))), abs=200)
        assert store.get_step_state("team:wizard", UUID, "split") == state["_step_split"]
        assert store.list_flows() == ["Wizard", "team:wizard", "wizard", "wizard_2"]
        assert store.get_state("wizard", "s1") == store.get_state("Wizard", "s1") == {} and store.get_current_step("Wizard", "s1") == "done"

def test_a_view_replaces_the_table(path):
    make(path, rows=[("f:s1", '{"a": {"b": {"c": 1}}, "_step_x": {"k": [1]}}', {"label": "L", "current_step": "x"})])
    with SQLiteWorkflowStateStore(path) as store: store.update_state("f", "s1", {"text": {"long": "x" * 3000, "n": {"m": 1}}})
    [[key, step, state, label]] = query(path, "SELECT flow_session_key, current_step, state_json, label FROM workflow_state")
    assert (key, step, label) == ("f:s1", "x", "L")
    with SQLiteWorkflowStateStore(path) as store: assert list(json.loads(state).items()) == list(store.get_state("f", "s1").items())
    with pytest.raises(sqlite3.OperationalError, match="view"): query(path, "INSERT INTO workflow_state (flow_session_key) VALUES ('f:s2')")
    assert query(path, "PRAGMA user_version") == [(internals.SCHEMA_VERSION,)] and query(path, "PRAGMA integrity_check") == [("ok",)]

def test_other_tables_in_the_file_stay(path):
    make(path, "CREATE TABLE notes (k TEXT REFERENCES workflow_state (flow_session_key) ON DELETE CASCADE, note TEXT)", "INSERT INTO notes VALUES ('f:s1', 'mine')",
         "CREATE VIEW mine AS SELECT flow_session_key FROM workflow_state", "CREATE VIEW broken AS SELECT * FROM nowhere",
         "CREATE TRIGGER mine_too AFTER INSERT ON notes BEGIN UPDATE notes SET note = (SELECT count(*) FROM workflow_state); END", rows=[("f:s1", "{}", {})])
    with SQLiteWorkflowStateStore(path) as store: store.create_session("f", "s2")
    assert query(path, "SELECT * FROM notes") == [("f:s1", "mine")]
    assert sorted(query(path, "SELECT * FROM mine")) == [("f:s1",), ("f:s2",)]
    with closing(sqlite3.connect(path)) as con: assert con.execute("INSERT INTO notes VALUES ('f:s1', 'more') RETURNING k").fetchall() and con.execute("SELECT note FROM notes").fetchall() == [("2",)] * 2

def test_a_table_with_more_columns_is_kept(path):
    make(path, "ALTER TABLE workflow_state ADD COLUMN mine TEXT", "UPDATE workflow_state SET mine = 'precious'", rows=[("f:s1", '{"a": 1}', {})])
    with SQLiteWorkflowStateStore(path) as store: assert store.get_state("f", "s1") == {"a": 1}
    assert query(path, "SELECT mine FROM workflow_state_old") == [("precious",)]

def test_empty_ids_are_replaced(path):
    make(path, rows=[("f:", '{"a": 1}', {}), (":s", '{"a": 2}', {})])
    with SQLiteWorkflowStateStore(path) as store: assert (store.get_state("f", "(empty)"), store.get_state("(empty)", "s")) == ({"a": 1}, {"a": 2})

@pytest.mark.parametrize("key, state, more, why", [
    ("f:bad", "[1]", {}, "not a JSON object"), ("f:bad", "{oops", {}, "property name"), ("f:bad", b'{"a": "\xff"}', {}, "utf-8"), ("f:bad", '{"a":' + "[" * 100_000 + "]" * 100_000 + "}", {}, "recursion"),
    ("bad", "{}", {}, "the key is not a text of the form flow:session"), (None, "{}", {}, "the key is not a text of the form flow:session"), ("f:bad", "{}", {"created_at": "yesterday"}, "yesterday")],
    ids=["list", "no JSON", "no UTF-8", "too deep", "no colon", "no key", "no time"])
def test_an_unknown_row_stops_the_upgrade_without_a_change(path, key, state, more, why):
    make(path, rows=[("f:good", '{"a": 1}', {}), (key, state, more)])
    before = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError) as caught: SQLiteWorkflowStateStore(path)
    for part in (repr(key), why, str(path)): assert part in str(caught.value)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]

def test_a_table_of_another_application_with_the_same_name(path):
    with closing(sqlite3.connect(path)) as con: con.execute("CREATE TABLE workflow_state (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match="not those of an earlier release"): SQLiteWorkflowStateStore(path)
    assert path.read_bytes() == before

def test_undo_entries_of_schema_version_1_can_be_moved(path):
    "Version 1 had no index of positions, and accepted values that were split of up to 503 levels."
    deep = 0
    for _ in range(498): deep = [deep]
    with SQLiteWorkflowStateStore(path) as store:
        store.update_state("f", "s", {f"k{n}": n for n in range(30)})
        store.update_state("f", "s", {"deep": {"a": deep}})
        store.update_state("f", "s", {"deep": 1, "new": 1}, remove=["k7"], undo_label="Replace")
        store.update_step_state("f", "s", "review", {"n": 1}, undo_label="Begin")
        before = store.get_session("f", "s")
    with closing(sqlite3.connect(path)) as con:
        [[entry]] = con.execute("SELECT entry FROM workflow_undo WHERE label = 'Replace'")
        entry = zlib.decompress(entry).replace(b"[" * 400, b"[" * 403).replace(b"]" * 400, b"]" * 403)
        con.execute("UPDATE workflow_undo SET entry = ?, size = ? WHERE label = 'Replace'", (entry, len(entry)))
        internals.make_version_1(con)
        con.commit()
    with SQLiteWorkflowStateStore(path) as store:
        assert store.get_session("f", "s") == before and store.check() == []
        assert store.undo("f", "s", "review")[0].label == "Begin" and store.undo("f", "s")[0].label == "Replace"
        state = store.get_state("f", "s")
        assert list(state) == [*[f"k{n}" for n in range(30)], "deep"] and json.dumps(state["deep"]).count("[") == 501
        assert store.redo("f", "s")[0].label == "Replace" and store.redo("f", "s", "review")[0].label == "Begin"
        assert json.dumps(store.get_state("f", "s")) == json.dumps(before.state | {"_step_review": {"n": 1}})
        assert store.check() == []
