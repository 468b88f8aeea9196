"""A document that a person reviews clause by clause: what is kept, and what each click does to it. No web framework in here.

A session keeps, each written once:   text, and starts: where in the text each clause begins
step split:    "1204": false          the clause that began at 1204 was merged into the one before it (true: one was split there)
step review:   "1204": {...}          verdict and comment on the clause that begins at 1204, so a click writes one small key
step export:   "only": "rejected"     which clauses to export
and in the first two "cursor", the clause the person is at, which is written without a label, or along with an action.
"""
import json
import re
from bisect import bisect_right
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from cjm_workflow_state.state_store import StaleSessionError

STEPS = ["split", "review", "export"]
CHOICES = ["all", "accepted", "rejected", "commented", "open"]
ACTIONS = {"go": ["to"], "next": [], "previous": [], "merge": [], "split": ["to"], "accept": [], "reject": [], "comment": ["value", "to"],
           "choose": ["value"], "undo": [], "redo": [], "rename": ["value"], "open": ["value"]}  # methods of Review, with what a form sends for each
MAX_BYTES, MAX_CLAUSES = 1_000_000, 20_000
WINDOW = 20  # clauses shown at once

# -- documents

def read_text(data):
    "The text of an upload; `ValueError` says to a person what is wrong with it."
    if len(data) > MAX_BYTES: raise ValueError(f"The file is too big: at most {MAX_BYTES // 1_000_000} MB of text.")
    try: text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error: raise ValueError(f"This is not a text file in UTF-8 (byte {error.start + 1} is not text).") from None
    if "\0" in text: raise ValueError("This is not a text file: it has NUL characters.")
    if not text.strip(): raise ValueError("The file is empty.")
    return text.replace("\r\n", "\n").replace("\r", "\n")

def find_starts(text):
    "Where each paragraph begins; each line, if there is no empty line."
    lines_alone = "\n\n" not in text.strip()
    starts, position, after_blank = [], 0, True
    for line in text.split("\n"):
        if line.strip() and (after_blank or lines_alone): starts.append(position)
        after_blank = not line.strip()
        position += len(line) + 1
    if len(starts) > MAX_CLAUSES: raise ValueError(f"The text has {len(starts):,} clauses: at most {MAX_CLAUSES:,}.")
    return starts

def start_session(store, flow_id, name, data):
    "A new session for an uploaded file. The text comes with its creation, so that a crash leaves no session without one."
    text = read_text(data)
    session_id = str(uuid4())
    store.update_state(flow_id, session_id, {"text": text, "starts": find_starts(text)}, expected_revision=0)
    store.set_session_label(flow_id, session_id, name[:200])
    return session_id

# -- one session

@dataclass
class Clause:
    number: int   # 1 is the first
    start: int    # where in the text
    text: str
    verdict: str  # accepted, rejected or open
    comment: str

def _offsets(step): return {int(key): value for key, value in step.items() if key.isdecimal()}

class Review:
    "A session as one page shows it, and what its buttons do. Each action is one call of the store, so one transaction."
    def __init__(self, store, flow_id, session_id, revision=None):
        # The revision is read before the state. Should somebody write in between, our next write is refused, and theirs is safe.
        summary = store.get_session_summary(flow_id, session_id)
        if summary is None or is_deleted(summary): raise LookupError("There is no such session.")
        if revision not in (None, summary.revision): raise StaleSessionError(revision, summary.revision)
        state = store.get_state(flow_id, session_id)
        self.store, self.ids, self.revision = store, (flow_id, session_id), summary.revision
        self.label = summary.label or "Untitled"
        self.step = summary.current_step or STEPS[0]
        self.text, self.steps = state["text"], {step: state.get(f"_step_{step}", {}) for step in STEPS}
        edits = _offsets(self.steps["split"])
        self.starts = sorted({s for s in state["starts"] if edits.get(s, True)} | {s for s, is_start in edits.items() if is_start})
        self.verdicts = _offsets(self.steps["review"])

    def index(self, position): return max(bisect_right(self.starts, position) - 1, 0)

    @property
    def here(self): return self.index(self.steps[self.step].get("cursor", 0))

    @property
    def done(self): return sum(bool(self.verdicts.get(start, {}).get("verdict")) for start in self.starts)

    def clause(self, i):
        end = self.starts[i + 1] if i + 1 < len(self.starts) else len(self.text)
        found = self.verdicts.get(self.starts[i], {})
        return Clause(i + 1, self.starts[i], self.text[self.starts[i]:end].rstrip(), found.get("verdict") or "open", found.get("comment", ""))

    def window(self):
        "The clauses of the page that the cursor is on."
        first = self.here // WINDOW * WINDOW
        return [self.clause(i) for i in range(first, min(first + WINDOW, len(self.starts)))]

    def history(self): return self.store.get_undo_history(*self.ids, self.step)

    def _write(self, updates, label=None):
        self.store.update_step_state(*self.ids, self.step, updates, undo_label=label, expected_revision=self.revision)

    # Moving is not an action that one would undo: no label.
    def go(self, to): self._write({"cursor": self.starts[self.index(to)]})
    def next(self): self._write({"cursor": self.starts[min(self.here + 1, len(self.starts) - 1)]})
    def previous(self): self._write({"cursor": self.starts[max(self.here - 1, 0)]})

    def merge(self):
        i = self.here
        if i + 1 == len(self.starts): raise ValueError("This is the last clause.")
        self._write({str(self.starts[i + 1]): False, "cursor": self.starts[i]}, f"Merge clauses {i + 1} and {i + 2}")

    def split(self, to):
        i = self.index(to)
        if to not in split_points(self.clause(i)): raise ValueError("A clause can't be split there.")
        self._write({str(to): True, "cursor": self.starts[i]}, f"Split clause {i + 1}")

    def accept(self): self._decide("accepted", "Accept")
    def reject(self): self._decide("rejected", "Reject")

    def _decide(self, verdict, verb):
        i, start = self.here, self.starts[self.here]
        was = self.verdicts.get(start, {})
        changed = was.get("verdict") != verdict
        self._write({str(start): {**was, "verdict": verdict}, "cursor": self.starts[min(i + 1, len(self.starts) - 1)]},
                    f"{verb} clause {i + 1}" if changed else None)

    def comment(self, value, to):
        i = self.index(to)
        self._write({str(self.starts[i]): {**self.verdicts.get(self.starts[i], {}), "comment": value.strip()}}, f"Comment on clause {i + 1}")

    def choose(self, value):
        if value not in CHOICES: raise ValueError("There is no such choice.")
        self._write({"only": value}, f"Export {value} clauses")

    # `force`: all that this app writes without a label is the cursor, and undo is meant to take it back to where the action was.
    def undo(self): self.store.undo(*self.ids, self.step, force=True, expected_revision=self.revision)
    def redo(self): self.store.redo(*self.ids, self.step, force=True, expected_revision=self.revision)

    def rename(self, value): self.store.set_session_label(*self.ids, value.strip()[:200] or None)

    def open(self, value):
        if value not in STEPS: raise ValueError("There is no such step.")
        self.store.set_current_step(*self.ids, value, expected_revision=self.revision)

    def exported(self):
        only = self.steps["export"].get("only", "all")
        clauses = [self.clause(i) for i in range(len(self.starts))]
        return [c for c in clauses if only in ("all", c.verdict) or only == "commented" and c.comment]

def split_points(clause, most=100):
    "Where in the text a clause can be split: before a line, or after the end of a sentence."
    found = re.finditer(r"\n\s*|(?<=[.;:!?])[^\S\n]+", clause.text)
    return [clause.start + match.end() for match, _ in zip(found, range(most))]

def as_markdown(review):
    parts = [f"# {review.label}"]
    for c in review.exported():
        parts.append(f"## {c.number}: {c.verdict}\n\n" + "\n".join(f"> {line}" for line in c.text.split("\n")) + (f"\n\n{c.comment}" if c.comment else ""))
    return "\n\n".join(parts) + "\n"

def as_json(review):
    return json.dumps({"label": review.label, "clauses": [asdict(c) for c in review.exported()]}, ensure_ascii=False, indent=1)

# -- deleting, in a way that can be undone: the step a session is at says that it is deleted, and a day later it is

KEPT = timedelta(days=1)
_DELETED = "deleted/"

def is_deleted(summary): return (summary.current_step or "").startswith(_DELETED)

def delete(store, flow_id, session_id, revision):
    summary = store.get_session_summary(flow_id, session_id)
    if summary and not is_deleted(summary):
        store.set_current_step(flow_id, session_id, _DELETED + (summary.current_step or STEPS[0]), expected_revision=revision)

def put_back(store, flow_id, session_id, revision):
    summary = store.get_session_summary(flow_id, session_id)
    if summary and is_deleted(summary):
        store.set_current_step(flow_id, session_id, summary.current_step.removeprefix(_DELETED), expected_revision=revision)

def purge(store, flow_id, kept=KEPT):
    "Delete for good what was deleted longer than `kept` ago."
    limit = (datetime.now(timezone.utc) - kept).strftime("%Y-%m-%d %H:%M:%S")
    for summary in store.list_sessions(flow_id, order_by="current_step"):
        if is_deleted(summary) and summary.updated_at < limit: store.delete_session(flow_id, summary.session_id)
