"""Measure what a click costs for different shapes of the state; writes benchmarks/shape.json, which the page "How to shape your state" reads.

usage: python -m benchmarks.shape [--check]     needs only the package; --check prints and writes nothing"""
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

from benchmarks.jobs import segments
from benchmarks.run import io_bytes, machine
from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, WorkflowStateStore

HERE = "shape", "s1"
ITEMS = segments(150_000)[:600]
Click = Callable[[WorkflowStateStore, int], None]

def _checked(i: int) -> dict[str, Any]: return {**ITEMS[i * 7 % len(ITEMS)], "checked": True, "by": f"person {i}"}

def key_per_item(store: WorkflowStateStore, i: int) -> None:
    store.update_step_state(*HERE, "items", {str(i * 7 % len(ITEMS)): _checked(i)}, undo_label="Check")

def one_list(store: WorkflowStateStore, i: int) -> None:
    with store.edit_step_state(*HERE, "list", undo_label="Check") as state: state["items"][i * 7 % len(ITEMS)] = _checked(i)

def one_dict(store: WorkflowStateStore, i: int) -> None:
    with store.edit_step_state(*HERE, "dict", undo_label="Check") as state: state["items"][str(i * 7 % len(ITEMS))] = _checked(i)

def cursor_apart(store: WorkflowStateStore, i: int) -> None: store.update_step_state(*HERE, "list", {"cursor": i})

def cursor_inside(store: WorkflowStateStore, i: int) -> None:
    with store.edit_step_state(*HERE, "nested") as state: state["page"]["items"][0]["cursor"] = 10 ** (i % 9)  # the length changes each time, because SQLite overwrites in place if it does not

SHAPES: dict[str, Click] = {
    "a step key for each of 600 items": key_per_item, "600 items as a list under one key": one_list, "600 items as a dict under one key": one_dict,
    "a cursor in a key of its own": cursor_apart, "a cursor inside the list": cursor_inside}

def measure(folder: Path, rounds: int = 15, clicks: int = 20) -> dict[str, dict[str, float]]:
    "Microseconds and bytes of a click: medians over rounds in which the shapes take turns."
    found: dict[str, dict[str, list[float]]] = {name: {"us": [], "bytes": []} for name in SHAPES}
    with SQLiteWorkflowStateStore(folder/"wf.db", synchronous="NORMAL") as store:
        items = {str(i): item for i, item in enumerate(ITEMS)}
        store.update_state(*HERE, {"_step_items": items, "_step_list": {"items": ITEMS, "cursor": 0}, "_step_dict": {"items": items}, "_step_nested": {"page": {"items": ITEMS}}})
        for i in range(rounds + 1):
            for name, click in SHAPES.items():
                before, start = io_bytes("wchar") or 0, perf_counter_ns()
                for k in range(clicks): click(store, i * clicks + k)
                if i: found[name]["us"].append((perf_counter_ns() - start) / clicks / 1000)
                if i: found[name]["bytes"].append(((io_bytes("wchar") or 0) - before) / clicks)
    return {name: {unit: round(median(values)) for unit, values in row.items()} for name, row in found.items()}

def main() -> None:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder: results = {"machine": machine(Path(folder)), "shapes": measure(Path(folder))}
    text = json.dumps(results, indent=1) + "\n"
    print(text)
    if "--check" not in sys.argv: (Path(__file__).parent/"shape.json").write_text(text, encoding="utf-8")

if __name__ == "__main__": main()
