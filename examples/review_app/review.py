"""A document that a person reviews clause by clause: what is kept, and what each click does to it. No web framework in here.

A session has cursor, the clause that the person is at, and progress: clauses decided, of how many (a list of sessions reads nothing else).
step upload:  text, and starts: where in the text each clause begins; written once
step split:   "1204": false          the clause that began at 1204 was merged into the one before it (true: one was split there)
step review:  "1204": {...}          verdict and comment on the clause that begins at 1204
step export:  "only": "rejected"     which clauses to export
An action is one edit over all of these with one undo entry, in the session's scope. Moving the cursor is no action, and has no label.
"""
import json
import re
from bisect import bisect_right
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from cjm_workflow_state.state_store import StaleSessionError, UndoEntry, UndoHistory

STEPS = ["split", "review", "export"]
CHOICES = ["all", "accepted", "rejected", "commented", "open"]
ACTIONS = {  # methods of Review: the steps that have it (none: it needs no look at the session), and what a form sends for it
    "go": (STEPS[:2], ["to"]), "next": (STEPS[:2], []), "previous": (STEPS[:2], []), "merge": (["split"], []), "split": (["split"], ["to"]),
    "accept": (["review"], []), "reject": (["review"], []), "comment": (["review"], ["value", "to"]), "choose": (["export"], ["value"]),
    "undo": ([], []), "redo": ([], []), "rename": ([], ["value"]), "open": ([], ["value"])}
MAX_BYTES, MAX_CLAUSES, MAX_COMMENT = 1_000_000, 20_000, 2_000
UNSET = {"split": None, "review": {"verdict": "open", "comment": ""}, "export": "all"}  # what a key that isn't there stands for
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

def one_line(name): return " ".join(name.split())[:200] or None
def start_session(store, flow_id, name, data):
    "A new session for an uploaded file: there as a whole, with its text and its name, or not at all."
    text = read_text(data)
    starts, session_id = find_starts(text), str(uuid4())
    with store.edit_session(flow_id, session_id, expected_revision=0) as s:
        s.label = one_line(name)
        s.step("upload").update(text=text, starts=starts)
        s.state.update(cursor=0, progress=[0, len(starts)])
    return session_id

# -- one session

@dataclass
class Clause:
    number: int   # 1 is the first
    start: int    # where in the text
    text: str
    verdict: str  # accepted, rejected or open
    comment: str

# Other programs write into the file too, so these four make something of whatever is stored.
def _by_place(step, kind): return {int(key): value for key, value in step.items() if re.fullmatch("[0-9]{1,9}", key) and isinstance(value, kind)}
def read_starts(text, starts, split):
    edits = _by_place(split, bool)
    starts = {s for s in starts if type(s) is int and edits.get(s, True)} | {s for s, is_start in edits.items() if is_start}
    return sorted(s for s in starts if 0 <= s < len(text)) or [0]
def read_verdict(note): return note.get("verdict") if note.get("verdict") in ("accepted", "rejected") else "open"
def read_comment(note): return note["comment"].encode(errors="replace").decode() if isinstance(note.get("comment"), str) else ""

def notes_on(*clauses):
    "What step review is to hold of them."
    if max(len(c.comment) for c in clauses) > MAX_COMMENT: raise ValueError(f"A comment has at most {MAX_COMMENT:,} characters.")
    if any(re.search("[\ud800-\udfff]", c.comment) for c in clauses): raise ValueError("This comment holds half of a character.")
    return {str(c.start): {"verdict": c.verdict, "comment": c.comment} for c in clauses}

class Review:
    "A session as one page shows it, and what its buttons do. Each is one write, after which this is the page that follows."
    def __init__(self, store, flow_id, session_id, revision=..., read=True):
        self.store, self.ids, self.revision = store, (flow_id, session_id), revision
        if not read: return  # for what writes without a look: undo, redo, rename, open
        one = store.get_session(flow_id, session_id)
        if one is None or is_deleted(one): raise LookupError("There is no such session.")
        if revision not in (..., one.revision): raise StaleSessionError(revision, one.revision)
        self.label, self.revision, self._history = one.label or "Untitled", one.revision, one.history()
        self.step = one.current_step if one.current_step in STEPS else STEPS[0]
        self.text, self._starts = map((one.step("upload") or one.state).get, ("text", "starts"))  # in the state: of an earlier version
        if not isinstance(self.text, str) or not isinstance(self._starts, list): raise LookupError("This session has no text.")
        self._show(one.state.get("cursor"), one.step)

    def _show(self, cursor, step):
        self.steps = {name: step(name) for name in STEPS}
        self.starts, self._notes = read_starts(self.text, self._starts, self.steps["split"]), _by_place(self.steps["review"], dict)
        self.here = self.index(cursor if isinstance(cursor, int) else 0)
        self.done = sum(read_verdict(self._notes[start]) != "open" for start in self._notes.keys() & set(self.starts))
        self.only = self.steps["export"].get("only") if self.steps["export"].get("only") in CHOICES else "all"

    def index(self, position): return max(bisect_right(self.starts, position) - 1, 0)
    def window(self): return self.clauses(self.here // WINDOW * WINDOW, WINDOW)  # the page that the cursor is on
    def clauses(self, first=0, most=MAX_BYTES): return [self.clause(i) for i in range(first, min(first + most, len(self.starts)))]
    def clause(self, i):
        start, end = [*self.starts[i:i + 2], len(self.text)][:2]
        note = self._notes.get(start, {})
        return Clause(i + 1, start, self.text[start:end].rstrip(), read_verdict(note), read_comment(note))
    def history(self): return self._history
    def _write(self, label=None, at=None, **updates):
        "One transaction. If more than the cursor moves, it is an action that can be undone."
        new = {step: {key: value for key, value in part.items() if value != self.steps[step].get(key, UNSET[step])} for step, part in updates.items()}
        if not any(new.values()): label = None
        with self.store.edit_session(*self.ids, expected_revision=self.revision, undo_label=label) as s:
            for step, part in new.items(): s.step(step).update(part)
            at = min(max(self.here if at is None else at, 0), len(self.starts) - 1)
            self._show(self.starts[at], lambda name: s.step(name) if name in new else self.steps[name])
            s.state.update(cursor=self.starts[self.here], progress=[self.done, len(self.starts)])
        self.revision = s.revision
        if label: self._history = UndoHistory([UndoEntry(label, "", []), *self._history.undo], [])

    def go(self, to): self._write(at=self.index(to))
    def next(self): self._write(at=self.here + 1)
    def previous(self): self._write(at=self.here - 1)
    def merge(self):
        if self.here + 1 == len(self.starts): raise ValueError("This is the last clause.")
        one, two = self.clauses(self.here, 2)
        differ, comment = one.verdict != two.verdict, "\n".join(filter(None, [one.comment, two.comment]))
        notes = notes_on(replace(one, verdict="open" if differ else one.verdict, comment=comment), replace(two, verdict="open", comment=""))
        self._write(f"Merge clauses {one.number} and {two.number}" + ", clear their verdicts" * differ, split={str(two.start): False}, review=notes)

    def split(self, to):
        one = self.clause(self.index(to))
        if to not in split_points(one): raise ValueError("A clause can't be split there.")
        self._write(f"Split clause {one.number}" + ", clear its verdict" * (one.verdict != "open"), one.number - 1, split={str(to): True},
                    review=notes_on(replace(one, verdict="open"), Clause(0, to, "", "open", "")))  # nobody has judged the parts

    def accept(self): self._decide("Accept", self.here, self.here + 1, verdict="accepted")
    def reject(self): self._decide("Reject", self.here, self.here + 1, verdict="rejected")
    def comment(self, value, to): self._decide("Comment on", self.index(to), self.here, comment=value.strip())
    def _decide(self, verb, i, at, **new): self._write(f"{verb} clause {i + 1}", at, review=notes_on(replace(self.clause(i), **new)))

    def choose(self, value):
        if value not in CHOICES: raise ValueError("There is no such choice.")
        self._write(f"Export {value} clauses", export={"only": value})
    def undo(self): self.store.undo(*self.ids, force=["cursor"], expected_revision=self.revision)  # the cursor goes back, wherever it moved since
    def redo(self): self.store.redo(*self.ids, force=["cursor"], expected_revision=self.revision)
    def rename(self, value): self.store.set_session_label(*self.ids, one_line(value), expected_revision=self.revision)
    def open(self, value):
        if value not in STEPS or not self.revision: raise ValueError("There is no such step.")
        self.store.set_current_step(*self.ids, value, expected_revision=self.revision)
    def exported(self): return [c for c in self.clauses() if self.only in ("all", c.verdict) or self.only == "commented" and c.comment]

def split_points(clause, most=100):
    "Where in the text a clause can be split: before a line, or after the end of a sentence."
    found = re.finditer(r"\n\s*|(?<=[.;:!?])[^\S\n]+", clause.text)
    return [clause.start + match.end() for match, _ in zip(found, range(most))]

def read_field(form, name):
    "What a form says; `ValueError` if it is nothing that a page of this app sends."
    value = form.get(name)
    if name == "value" and isinstance(value, str): return value.replace("\r\n", "\n")
    if isinstance(value, str) and re.fullmatch("[0-9]{1,15}", value): return int(value)
    raise ValueError(f"This click came without its {name}, so nothing was done. Reload the page.")

def click(store, flow_id, session_id, action, form):
    "What a button does, in two calls of the store at most: the page that follows, or `None` where another page is to be opened."
    if action not in ACTIONS: raise LookupError("There is no such action.")
    steps, names = ACTIONS[action]
    revision, *values = [read_field(form, name) for name in ("revision", *names)]
    review = Review(store, flow_id, session_id, revision, read=bool(steps))
    if steps and review.step not in steps: raise ValueError(f"This belongs to step {steps[0]}, and the session is at {review.step}.")
    getattr(review, action)(*values)
    return None if action == "open" else review if steps else Review(store, flow_id, session_id)

def as_markdown(review):
    parts = [f"# {review.label}"]
    for c in review.exported():
        parts.append(f"## {c.number}: {c.verdict}\n\n" + "\n".join(f"> {line}" for line in c.text.split("\n")) + (f"\n\n{c.comment}" if c.comment else ""))
    return "\n\n".join(parts) + "\n"

def as_json(review): return json.dumps({"label": review.label, "clauses": [asdict(c) for c in review.exported()]}, ensure_ascii=False, indent=1)

# -- in a list of sessions. Deleting can be undone: the step a session is at says that it is deleted, and a day later it is

_DELETED = "deleted/"
def is_deleted(summary): return (summary.current_step or "").startswith(_DELETED)
def delete(store, flow_id, session_id, revision, deleted=True):
    with store.edit_session(flow_id, session_id) as s:
        if not s.revision or is_deleted(s) == deleted: return  # a double click
        if s.revision != revision: raise StaleSessionError(revision, s.revision)
        s.current_step = _DELETED + (s.current_step or STEPS[0]) if deleted else s.current_step.removeprefix(_DELETED)
def put_back(store, flow_id, session_id, revision): delete(store, flow_id, session_id, revision, deleted=False)

def progress(store, summary):
    "Clauses decided, and all of them: a small key of its own, so that a list reads no text."
    found = store.get_state(summary.flow_id, summary.session_id, keys=["progress"]).get("progress")
    return found if isinstance(found, list) and [type(n) for n in found] == [int, int] else (0, 1)

def purge(store, flow_id, kept=timedelta(days=1)):
    "Delete for good what was deleted longer than `kept` ago."
    limit = (datetime.now(timezone.utc) - kept).strftime("%Y-%m-%d %H:%M:%S")
    for summary in store.list_sessions(flow_id, order_by="current_step"):
        if is_deleted(summary) and summary.updated_at < limit: store.delete_session(flow_id, summary.session_id)
