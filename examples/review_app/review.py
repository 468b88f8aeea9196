"""A document that a person reviews clause by clause: what is kept, and what each click does to it. No web framework in here.

A session has cursor, the clause that the person is at, actions, how many led here, and progress: clauses decided, of how many.
step upload:    text, and starts: where in the text each clause begins; written once
step split:     "1204": false          the clause that began at 1204 was merged into the one before it (true: one was split there)
step review/0:  "notes": {"1204": {}}  verdict and comment on the clause that begins at 1204
step export:    "only": "rejected"     which clauses to export
An edit costs what the steps cost that it touches, so the notes on each 10,000 characters of text are a step of their own.
An action is one edit over all of these with one undo entry, in the session's scope. Moving the cursor is no action, and has no label.
"""
import json, re
from bisect import bisect_right
from collections import namedtuple
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from cjm_workflow_state.state_store import StaleSessionError, UndoEntry, UndoHistory, WorkflowStateStore

STEPS = ["split", "review", "export"]
VERDICTS, CHOICES = ("accepted", "rejected"), ["all", "accepted", "rejected", "commented", "open"]
ACTIONS = {  # methods of Review: the steps that have it (none: it needs no look at the session), and what a form sends for it
    **{name: (["review"], []) for name in ("accept", "reject", "clear", "undecided")}, "comment": (["review"], ["value", "to"]),
    "next": (STEPS[:2], []), "previous": (STEPS[:2], []), "go": (STEPS[:2], ["to"]), "merge": (["split"], []), "split": (["split"], ["to"]),
    "choose": (["export"], ["value"]), "undo": ([], []), "redo": ([], []), "rename": ([], ["value"])}
UNTITLED, MAX_BYTES, MAX_CLAUSES, MAX_COMMENT = "Untitled", 1_000_000, 20_000, 2_000
BLOCK, WINDOW = 10_000, 20  # characters whose notes are one step; clauses shown at once

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
    before = r"(?:\A|^[^\S\n]*\n)" if "\n\n" in text.strip() else "^"
    starts = [match.end() for match in re.finditer(before + r"(?=.*\S)", text, re.MULTILINE)]
    if len(starts) > MAX_CLAUSES: raise ValueError(f"The text has {len(starts):,} clauses: at most {MAX_CLAUSES:,}.")
    return starts
def one_line(name): return " ".join(name.split())[:200] or None
def start_session(store: WorkflowStateStore, flow_id, name, data):
    "A new session for an uploaded file: there as a whole, with its text and its name, or not at all."
    text = read_text(data)
    starts, session_id = find_starts(text), str(uuid4())
    with store.edit_session(flow_id, session_id, expected_revision=0) as s:
        s.label, s.current_step = one_line(name), STEPS[0]
        s.step("upload").update(text=text, starts=starts)
        s.state.update(cursor=0, progress=[0, len(starts)])
    return session_id

# -- one session
Clause = namedtuple("Clause", "number start text verdict comment")  # 1 is the first; where in the text; accepted, rejected or open
# Other programs write into the database too, so these make something of whatever is stored.
def read_edits(split): return {int(key): value for key, value in split.items() if re.fullmatch("[0-9]{1,9}", key) and isinstance(value, bool)}
def read_starts(text, starts, edits):
    starts = {s for s in starts if type(s) is int and 0 <= s < len(text)} | {s for s, kept in edits.items() if kept and s < len(text)}
    return sorted(starts - {s for s, kept in edits.items() if not kept}) or [0]
def read_notes(notes): return {key: note for key, note in notes.items() if isinstance(note, dict)} if isinstance(notes, dict) else {}
def read_verdict(note): return note.get("verdict") if note.get("verdict") in VERDICTS else "open"
def read_comment(note): return note["comment"].encode(errors="replace").decode() if isinstance(note.get("comment"), str) else ""
def read_int(value): return value if isinstance(value, int) else 0

class Review:
    "A session as one page shows it, and what its buttons do. Each is one write, after which this is the page that follows."
    def __init__(self, store: WorkflowStateStore, flow_id, session_id, revision=..., read=True):
        self.store, self.ids, self.revision, self.said, self.moved = store, (flow_id, session_id), revision, "", None
        if not read: return  # for what writes without a look: undo, redo, rename
        one = store.get_session(flow_id, session_id)
        if one is None or is_deleted(one): raise LookupError("There is no such session.")
        if revision not in (..., one.revision): raise StaleSessionError(revision, one.revision)
        self.label, self.revision, self._history = one.label or UNTITLED, one.revision, one.history()
        self.step = one.current_step if one.current_step in STEPS else STEPS[0]
        self.text, self._starts = map((one.step("upload") or one.state).get, ("text", "starts"))  # in the state: of an earlier version
        if not isinstance(self.text, str) or not isinstance(self._starts, list): raise LookupError("This session has no text.")
        self._edits, self._notes = read_edits(one.step("split")), read_notes(one.step("review"))  # here too, of an earlier version
        for block in range(len(self.text) // BLOCK + 1): self._notes.update(read_notes(one.step(f"review/{block}").get("notes")))
        self.only = one.step("export").get("only") if one.step("export").get("only") in CHOICES else "all"
        self.actions = read_int(one.state.get("actions"))  # how many led here
        self._count()
        self.here = self.index(read_int(one.state.get("cursor")))
    def _count(self, edits=True):
        if edits: self.starts = read_starts(self.text, self._starts, self._edits)
        self.done = len({key for key, note in self._notes.items() if note.get("verdict") in VERDICTS}.intersection(map(str, self.starts)))
    def index(self, position): return max(bisect_right(self.starts, position) - 1, 0)
    def window(self): return self.clauses(self.here // WINDOW * WINDOW, WINDOW)  # the page that the cursor is on
    def clauses(self, first=0, most=MAX_BYTES): return [self.clause(i) for i in range(first, min(first + most, len(self.starts)))]
    def note(self, start): return self._notes.get(str(start), {})
    def clause(self, i):
        start, end = [*self.starts[i:i + 2], len(self.text)][:2]
        return Clause(i + 1, start, self.text[start:end].rstrip(), read_verdict(self.note(start)), read_comment(self.note(start)))
    def history(self): return self._history
    def _write(self, label=None, at=None, step=None, edits={}, only=None, notes=(), group=None):
        "One transaction. If more than the cursor moves, it is an action that can be undone."
        at = self.starts[min(max(self.here if at is None else at, 0), len(self.starts) - 1)]
        notes = [c for c in notes if (c.verdict, c.comment) != (read_verdict(self.note(c.start)), read_comment(self.note(c.start)))]
        if not (edits or only or notes): label = None
        with self.store.edit_session(*self.ids, expected_revision=self.revision, undo_label=label, undo_group=label and group) as s:
            self._edits.update(edits)
            self._notes.update(notes_on(notes))
            if edits or notes: self._count(edits)
            self.here, self.step, self.only = self.index(at), step or self.step, only or self.only
            self.actions, self.said = self.actions + bool(label), label or ""
            if edits: s.step("split").update({str(start): kept for start, kept in edits.items()})
            if only: s.step("export")["only"] = only
            for c in notes:
                block = s.step(f"review/{c.start // BLOCK}")
                block["notes"] = {**read_notes(block.get("notes")), **notes_on([c])}
            s.state.update(cursor=self.starts[self.here], progress=[self.done, len(self.starts)], actions=self.actions)
            s.current_step = self.step
        self.revision = s.revision
        if label: self._history = UndoHistory([UndoEntry(label, "", []), *self._history.undo], [])

    def open(self, step, at=None):
        "Go to a step, or to a clause by its place in the text; `None`: to where the person was."
        if step not in STEPS: raise LookupError("There is no such step.")
        at = self.here if at is None else self.index(at)
        if (step, at) != (self.step, self.here): self._write(at=at, step=step)
    def elsewhere(self):
        "The address of what undo or redo has changed, if it is not in sight. The number in its label is right again now."
        if not self.moved: return None
        step = next((step for step in STEPS if any(key.startswith("_step_" + step) for key in self.moved.keys)), self.step)
        i = min(*map(int, re.findall("[0-9]+", self.moved.label)[:1] or [self.here + 1]), len(self.starts)) - 1
        if step != self.step or self.here - i not in (0, 1): return f"{step}?at={self.starts[i]}"
    def go(self, to): self._write(at=self.index(to))
    def next(self): self._write(at=self.here + 1)
    def previous(self): self._write(at=self.here - 1)
    def undecided(self):
        if self.done == len(self.starts): raise ValueError("All clauses have a verdict.")
        self.go(next(start for start in self.starts[self.here + 1:] + self.starts if read_verdict(self.note(start)) == "open"))
    def merge(self):
        if self.here + 1 == len(self.starts): raise ValueError("This is the last clause.")
        one, two = self.clauses(self.here, 2)
        differ, comment = one.verdict != two.verdict, "\n".join(filter(None, [one.comment, two.comment]))
        notes = one._replace(verdict="open" if differ else one.verdict, comment=comment), two._replace(verdict="open", comment="")
        self._write(f"Merge clauses {one.number} and {two.number}" + ", clear their verdicts" * differ, edits={two.start: False}, notes=notes)
    def split(self, to):
        one = self.clause(self.index(to))
        if to not in split_points(one): raise ValueError("A clause can't be split there.")
        self._write(f"Split clause {one.number}" + ", clear its verdict" * (one.verdict != "open"), one.number - 1, edits={to: True},
                    notes=[one._replace(verdict="open"), Clause(0, to, "", "open", "")])  # nobody has judged the parts
    def accept(self): self._decide("Accept", self.here, self.here + 1, verdict="accepted")
    def reject(self): self._decide("Reject", self.here, self.here + 1, verdict="rejected")
    def clear(self): self._decide("Clear verdict on", self.here, self.here, verdict="open")
    def comment(self, value, to): self._decide("Comment on", self.index(to), self.here, f"comment {to}", comment=value.strip())  # sent while it is typed
    def _decide(self, verb, i, at, group=None, **new): self._write(f"{verb} clause {i + 1}", at, notes=[self.clause(i)._replace(**new)], group=group)
    def choose(self, value):
        if value not in CHOICES: raise ValueError("There is no such choice.")
        self._write(f"Export {value} clauses" if value != self.only else None, only=value)
    def undo(self): self._say("Undone", self.store.undo(*self.ids, force=["cursor"], expected_revision=self.revision))  # wherever the cursor is by now
    def redo(self): self._say("Redone", self.store.redo(*self.ids, force=["cursor"], expected_revision=self.revision))
    def _say(self, verb, entries): self.said, self.moved = (f"{verb}: {entries[0].label}", entries[0]) if entries else ("", None)
    def rename(self, value): self.store.set_session_label(*self.ids, one_line(value), expected_revision=self.revision)
    def chosen(self):
        is_chosen = {"all": lambda note: True, "commented": read_comment}.get(self.only, lambda note: read_verdict(note) == self.only)
        return [i for i, start in enumerate(self.starts) if is_chosen(self.note(start))]
    def exported(self): return [self.clause(i) for i in self.chosen()]

def notes_on(clauses):
    "What is to be kept of them."
    if any(len(c.comment) > MAX_COMMENT for c in clauses): raise ValueError(f"A comment has at most {MAX_COMMENT:,} characters.")
    if any(re.search("[\ud800-\udfff]", c.comment) for c in clauses): raise ValueError("This comment holds half of a character.")
    return {str(c.start): {"verdict": c.verdict, "comment": c.comment} for c in clauses}
def split_points(clause, most=100):
    "Where in the text a clause can be split: before a line, or after the end of a sentence."
    return [clause.start + match.end() for match in re.finditer(r"\n\s*|(?<=[.;:!?])[^\S\n]+", clause.text)][:most]
def read_field(form, name):
    "What a form says; `ValueError` if it is nothing that a page of this app sends."
    value = form.get(name)
    if name == "value" and isinstance(value, str): return value.replace("\r\n", "\n")
    if isinstance(value, str) and re.fullmatch("[0-9]{1,15}", value): return int(value)
    raise ValueError(f"This click came without its {name}, so nothing was done. Reload the page.")

def click(store, flow_id, session_id, action, form):
    "What a button does, in two calls of the store at most: the page that follows."
    if action not in ACTIONS: raise LookupError("There is no such action.")
    steps, names = ACTIONS[action]
    revision, *values = [read_field(form, name) for name in ("revision", *names)]
    review = Review(store, flow_id, session_id, revision, read=bool(steps))
    if steps and review.step not in steps: raise ValueError(f"This belongs to step {steps[0]}, and the session is at {review.step}.")
    getattr(review, action)(*values)
    after = review if steps else Review(store, flow_id, session_id)
    after.said, after.moved = review.said, review.moved
    return after
def as_markdown(review):
    parts = [f"## {c.number}: {c.verdict}\n\n" + re.sub("(?m)^", "> ", c.text) + f"\n\n{c.comment}" * bool(c.comment) for c in review.exported()]
    return "\n\n".join([f"# {review.label}", *parts]) + "\n"
def file_name(review, kind): return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", re.sub(r"\.(txt|md|text)$", "", review.label)) + f" (reviewed).{kind}"
def as_json(review): return json.dumps({"label": review.label, "clauses": [c._asdict() for c in review.exported()]}, ensure_ascii=False, indent=1)

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
    "Delete for good what was deleted longer than `kept` ago, and not put back meanwhile."
    limit = (datetime.now(timezone.utc) - kept).strftime("%Y-%m-%d %H:%M:%S")
    for one in store.list_sessions(flow_id, order_by="current_step"):
        if not is_deleted(one) or one.updated_at >= limit: continue
        with suppress(StaleSessionError): store.delete_session(flow_id, one.session_id, expected_revision=one.revision)
