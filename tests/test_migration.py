"Files in the format of releases before 0.1."
import json
import math
import sqlite3
import warnings
import zlib
from contextlib import closing

import internals
import pytest

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
    with pytest.warns(RuntimeWarning, match="kept as workflow_state_old.*column 'mine'.*drop that table") as caught, SQLiteWorkflowStateStore(path) as store:
        assert store.get_state("f", "s1") == {"a": 1}
    assert str(path) in str(caught[0].message) and caught[0].filename == __file__
    assert query(path, "SELECT mine, flow_session_key, state_json FROM workflow_state_old") == [("precious", "f:s1", '{"a": 1}')]

@pytest.mark.parametrize("statement, name", [
    ("CREATE TRIGGER notify AFTER UPDATE ON workflow_state BEGIN INSERT INTO changes VALUES (new.flow_session_key); END", "trigger 'notify'"),
    ("CREATE TRIGGER audit AFTER DELETE ON workflow_state BEGIN INSERT INTO changes VALUES (old.flow_session_key); END", "trigger 'audit'"),
    ("CREATE INDEX by_step ON workflow_state (current_step)", "index 'by_step'"),
    ("ALTER TABLE workflow_state ADD COLUMN bytes INTEGER AS (length(state_json))", "column 'bytes'")], ids=["update", "delete", "index", "generated"])
def test_what_people_added_to_the_table_is_kept_with_it(path, statement, name):
    make(path, "CREATE TABLE changes (k TEXT)", statement, rows=[("f:s1", '{"a": 1}', {}), ("f:s2", "{}", {})])
    with pytest.warns(RuntimeWarning, match=f"workflow_state_old.*{name}"), SQLiteWorkflowStateStore(path) as store:
        assert store.get_state("f", "s1") == {"a": 1} and store.count_sessions("f") == 2
        store.update_state("f", "s1", {"a": 2})
    assert query(path, "SELECT count(*) FROM workflow_state_old") == [(2,)] and query(path, "SELECT * FROM changes") == []
    kind, quoted = name.split()
    if kind != "column": assert query(path, f"SELECT tbl_name FROM sqlite_master WHERE name = {quoted}") == [("workflow_state_old",)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with SQLiteWorkflowStateStore(path) as store: assert store.get_state("f", "s1") == {"a": 2} and store.check() == []

def test_a_file_with_nothing_special_causes_no_warning(path):
    make(path, rows=[("f:s1", '{"_step_a": {"n": 1}}', {}), ("f:", "{}", {"created_at": None})])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with SQLiteWorkflowStateStore(path) as store: assert store.check() == []
    assert query(path, "SELECT name FROM sqlite_master WHERE name LIKE '%_old'") == []

@pytest.mark.parametrize("bad", ["yesterday", "", 1_700_000_000, 1.5, b"\xff", "2026-13-01 00:00:00", "0001-01-01T00:00:00+14:00"], ids=repr)
@pytest.mark.parametrize("column", ["created_at", "updated_at"])
def test_a_time_that_is_none_does_not_stop_it(path, column, bad):
    "The other time is used for it, and its old row stays."
    good = {"created_at": "2026-03-01 09:00:00", "updated_at": "2026-03-02 10:11:12"}
    make(path, rows=[("f:good", "{}", good), ("f:bad", '{"a": 1}', {**good, column: bad}), ("f:both", "{}", {"created_at": bad, "updated_at": bad})])
    with pytest.warns(RuntimeWarning) as caught, SQLiteWorkflowStateStore(path) as store:
        summary, [other] = store.get_session_summary("f", "bad"), [time for name, time in good.items() if name != column]
        assert (summary.created_at, summary.updated_at) == (other, other) and store.get_state("f", "bad") == {"a": 1}
        summary = store.get_session_summary("f", "good")
        assert (summary.created_at, summary.updated_at) == tuple(good.values())
        assert store.get_session_summary("f", "both").created_at > "2026-10" and store.check() == []
    assert f"{column} {bad!r} of row 'f:bad'" in str(caught[0].message) and f"created_at {bad!r} and updated_at" in str(caught[0].message)
    assert query(path, f"SELECT flow_session_key, {column} FROM workflow_state_old") == [("f:bad", bad), ("f:both", bad)]

def test_a_time_in_bad_utf8_does_not_stop_it(path):
    make(path, "UPDATE workflow_state SET created_at = CAST(x'ff' AS TEXT)", rows=[("f:s1", "{}", {"updated_at": "2026-03-02 10:11:12"})])
    with pytest.warns(RuntimeWarning), SQLiteWorkflowStateStore(path) as store: assert store.get_session_summary("f", "s1").created_at == "2026-03-02 10:11:12"

def test_an_error_at_the_warning_changes_nothing(path):
    make(path, rows=[("f:s1", '{"_step_x": 5}', {})])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning): SQLiteWorkflowStateStore(path)
        with SQLiteWorkflowStateStore(path) as store: assert store.get_step_state("f", "s1", "x") == {"value": 5}

@pytest.mark.parametrize("value", [5, None, "text", [1, {"a": 2}], True, 1.5, ""], ids=repr)
def test_a_step_whose_state_is_no_dict(path, value):
    "It becomes a dict, so that the state can be saved as it was read."
    make(path, rows=[("f:s1", json.dumps({"a": 1, "_step_x": value, "_step_": 5, "_step_y": {"n": 1}}), {})])
    with pytest.warns(RuntimeWarning, match="'_step_x' of .*'f', 's1'.*under its key 'value'"), SQLiteWorkflowStateStore(path) as store:
        state = store.get_state("f", "s1")
        assert state == {"a": 1, "_step_x": {"value": value}, "_step_": 5, "_step_y": {"n": 1}}
        store.update_state("f", "s1", state)
        store.update_state("f", "s1", {"_step_x": {"n": 2}}, undo_label="x")
        store.undo("f", "s1")
        assert store.get_step_state("f", "s1", "x") == {"value": value} and store.check() == []

@pytest.mark.parametrize("size, count", [(200_000, 30), (3_000, 1000), (200, 5000), (5_000_000, 3)])
def test_the_file_does_not_keep_twice_its_size(path, size, count):
    make(path, rows=[(f"f:{i}", json.dumps({"text": "x" * size, "n": i}), {}) for i in range(count)])
    before = path.stat().st_size
    with SQLiteWorkflowStateStore(path) as store: assert store.get_state("f", f"{count - 1}") == {"text": "x" * size, "n": count - 1}
    assert path.stat().st_size < 1.6 * before + 1.2 * size, path.stat().st_size / before  # 1.5: the indexes of small sessions

@pytest.mark.parametrize("keys, name", [
    ([":s", "(empty):s"], "(empty) 2"), (["(empty):s", ":s"], "(empty) 2"), (["f:", "f:(empty)"], "(empty) 2"), ([":", "(empty):(empty)"], "(empty) 2"),
    ([":s", ":t", "(empty):t", "a:(empty) 2"], "(empty) 3"), ([":s", "a::s", "(empty)::s"], "(empty)")], ids=str)
def test_a_name_for_empty_ids_that_no_other_id_has(path, keys, name):
    make(path, rows=[(key, json.dumps({"key": key}), {}) for key in keys])
    with SQLiteWorkflowStateStore(path) as store:
        for key in keys: assert store.get_state(*[part or name for part in key.rsplit(":", 1)]) == {"key": key}
        assert store.check() == [] and sum(map(store.count_sessions, store.list_flows())) == len(keys)

def test_empty_ids_are_replaced(path):
    make(path, rows=[("f:", '{"a": 1}', {}), (":s", '{"a": 2}', {})])
    with SQLiteWorkflowStateStore(path) as store: assert (store.get_state("f", "(empty)"), store.get_state("(empty)", "s")) == ({"a": 1}, {"a": 2})

@pytest.mark.parametrize("key, state, more, why", [
    ("f:bad", "[1]", {}, "not a JSON object"), ("f:bad", "{oops", {}, "property name"), ("f:bad", b'{"a": "\xff"}', {}, "utf-8"), ("f:bad", '{"a":' + "[" * 100_000 + "]" * 100_000 + "}", {}, "recursion"),
    ("bad", "{}", {}, "the key is not a text of the form flow:session"), (None, "{}", {}, "the key is not a text of the form flow:session"),
    ("f:bad", "{}", {"label": b"\xff"}, "label is a BLOB"), ("f:bad", "{}", {"current_step": b"\xff"}, "current_step is a BLOB"), (b"f:\xff", "{}", {}, "the key is not a text")],
    ids=["list", "no JSON", "no UTF-8", "too deep", "no colon", "no key", "no label", "no step", "no text"])
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
