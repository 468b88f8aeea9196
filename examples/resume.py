"A reviewer goes through a text clause by clause. The process is killed in the middle, and a new one continues the review where it stopped."
import sys
from argparse import ArgumentParser
from collections import Counter
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore

FLOW, SESSION = "clause-review", "ana"

def read_clauses(path: Path) -> list[str]:
    "The paragraphs of a text file, each as one line."
    try: text = path.read_text(encoding="utf-8")
    except OSError as error: fail(f"can't read {path}: {error.strerror}")
    except UnicodeDecodeError: fail(f"{path} is not UTF-8 text")
    clauses = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    return clauses or fail(f"{path} has no text")

def fail(reason: str) -> NoReturn:
    print(f"resume.py: {reason}", file=sys.stderr)
    sys.exit(2)

def judge(store: SQLiteWorkflowStateStore, i: int, clause: str) -> None:
    "One click of the reviewer is one call, one transaction and one undo entry."
    verdict = "reject" if "liab" in clause.lower() else "accept"
    store.update_step_state(FLOW, SESSION, "review", {str(i): verdict}, undo_label=f"{verdict} clause {i + 1}")

def review(db: str, clauses: list[str], clicks: Connection) -> None:
    "Runs in the process that is killed. It reports each click after the store has saved it."
    store = SQLiteWorkflowStateStore(db)
    store.update_step_state(FLOW, SESSION, "split", {"clauses": clauses})
    store.set_current_step(FLOW, SESSION, "review")
    for i, clause in enumerate(clauses):
        judge(store, i, clause)
        clicks.send(i)
    clicks.recv()  # wait to be killed if the text is short

def crash(db: str, clauses: list[str]) -> int:
    "Kill the reviewer's process after half of the clicks. Returns how many were acknowledged."
    receiver, sender = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=review, args=(db, clauses, sender))
    process.start()
    sender.close()
    for acknowledged in range(1, (len(clauses) + 1) // 2 + 1): receiver.recv()
    process.kill()
    process.join()
    return acknowledged

def resume(db: str, acknowledged: int) -> None:
    "What a server does after a restart: list the session, continue it, undo."
    with SQLiteWorkflowStateStore(db) as store:
        [session] = store.list_sessions(FLOW)
        clauses = store.get_step_state(FLOW, session.session_id, "split")["clauses"]
        verdicts = store.get_step_state(FLOW, session.session_id, session.current_step or "split")
        lost = [i + 1 for i in range(acknowledged) if str(i) not in verdicts]
        if lost: sys.exit(f"resume.py: clicks lost, on clauses {lost}")
        report("listed", f"{session.label}, at step {session.current_step}, revision {session.revision}")
        report("survived", f"{len(verdicts)} clicks, among them the {acknowledged} acknowledged ones")

        undone = store.undo(FLOW, SESSION, "review", count=min(2, len(verdicts))) or []
        redone = store.redo(FLOW, SESSION, "review") or []
        report("undone", ", ".join(entry.label for entry in undone))
        report("redone", ", ".join(entry.label for entry in redone))

        verdicts = store.get_step_state(FLOW, SESSION, "review")
        rest = [(i, clause) for i, clause in enumerate(clauses) if str(i) not in verdicts]
        report("resumed at", f"clause {rest[0][0] + 1}: {rest[0][1][:60]}" if rest else "the end")
        for i, clause in rest: judge(store, i, clause)
        store.set_current_step(FLOW, SESSION, "done")

        counts = Counter(store.get_step_state(FLOW, SESSION, "review").values())
        report("finished", f"{counts.total()} of {len(clauses)} clauses, {counts['accept']} accepted, {counts['reject']} rejected, at step {store.get_current_step(FLOW, SESSION)}")

def report(what: str, value: str) -> None: print(f"  {what:<11} {value}")

def main(args: list[str]) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("text_file", nargs="?", type=Path, default=Path(__file__).parents[1]/"LICENSE", help="a text whose paragraphs are the clauses (default: this project's LICENSE)")
    path = parser.parse_args(args).text_file
    clauses = read_clauses(path)
    with TemporaryDirectory() as folder:
        db = str(Path(folder)/"review.db")
        with SQLiteWorkflowStateStore(db) as store:
            store.create_session(FLOW, SESSION, label=f"Review of {path.name}")
            store.set_current_step(FLOW, SESSION, "split")
        print(f"{path.name}: {len(clauses)} clauses to split and review")
        acknowledged = crash(db, clauses)
        print(f"The reviewer's process was killed after {acknowledged} acknowledged clicks. A new one opens the store:")
        resume(db, acknowledged)

if __name__ == "__main__": main(sys.argv[1:])
