"""A document that a person reviews clause by clause: what the store keeps, and what each button changes. No web framework in here.

A review is two kinds of sessions, so that looking at a clause does not change the document:

flow review/OWNER, the document. Each change has a label and can be undone; nothing else is written here.
    metadata       deleted: true, if the owner has deleted it; it can be put back for a day
    state          progress: [clauses with a verdict, all clauses], for the list of sessions; no metadata, which undo would not restore
    step counts    clauses, accepted, rejected, commented: how many each page has, in four lists
    step text/7    clauses: [[id, text], ...], the clauses of page 7 in their order
    step notes/7   for each clause of page 7 that has one, by its id: {"verdict": ..., "comment": ...}

flow view/VISITOR, with the same session id: where one person is in the document.
    current step   split, review or export
    state          at: the clause, as PAGE-ID

A page has 20 clauses when the document is uploaded. A click reads and writes one page, however long the document is.
"""
import codecs
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, NamedTuple
from uuid import uuid4

from cjm_workflow_state.state_store import SessionSnapshot, SessionSummary, StaleSessionError, WorkflowStateStore

STEPS = ["split", "review", "export"]
FILTERS = ["all", "open", "accepted", "rejected", "commented"]
UNTITLED = "Untitled"
PAGE_SIZE = 20
MAX_FILE_BYTES, MAX_SESSION_BYTES = 1_000_000, 5_000_000
MAX_CLAUSES, MAX_CLAUSE, MAX_COMMENT, MAX_NAME = 20_000, 20_000, 2_000, 200


class ReviewError(Exception):
    "Something that the reviewer can't do. The message is written for the reviewer."

class ConflictError(ReviewError):
    "The text that the reviewer was editing has been changed by someone else."
    def __init__(self, message: str, current: str) -> None:
        super().__init__(message)
        self.current = current  # what is stored now

class NotFoundError(LookupError):
    "There is no such session, step or action. The message is written for the reviewer."


# -- files

class Note(NamedTuple):
    verdict: str = "open"
    comment: str = ""

NO_NOTE, NOTE_KEYS = Note(), {*Note._fields}

def read_file(name: str, data: bytes) -> list[tuple[str, Note]]:
    "The clauses of an uploaded file. The texts, joined, are the text of the file."
    text = decode(data)
    clauses = read_jsonl(text) if name.lower().endswith((".jsonl", ".ndjson")) else [(part, NO_NOTE) for part in paragraphs(text)]
    if len(clauses) > MAX_CLAUSES: raise ReviewError(f"The text has {len(clauses):,} clauses. At most {MAX_CLAUSES:,} are possible.")
    return clauses

def decode(data: bytes) -> str:
    if len(data) > MAX_FILE_BYTES: raise ReviewError(f"The file is too big: at most {MAX_FILE_BYTES // 1_000_000} MB of text is possible.")
    if data.startswith(b"PK\x03\x04"): raise ReviewError("This is a Word document or a ZIP file. Save it as plain text (.txt), and upload that.")
    if data.startswith(b"%PDF"): raise ReviewError("This is a PDF file. Save it as plain text (.txt), and upload that.")
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try: text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ReviewError(f"This is not a text file in UTF-8 (byte {error.start + 1:,} is not text). Save it as UTF-8 text, and upload that.") from None
    if "\0" in text: raise ReviewError("This is not a text file: it has NUL characters.")
    if not text.strip(): raise ReviewError("The file is empty.")
    return text.replace("\r\n", "\n").replace("\r", "\n")

def paragraphs(text: str) -> list[str]:
    "The paragraphs of a text, or its lines if no empty line separates any."
    before = r"(?:\A|^[^\S\n]*\n)" if "\n\n" in text.strip() else "^"
    starts = [match.end() for match in re.finditer(before + r"(?=.*\S)", text, re.MULTILINE)]
    return [text[start:end] for start, end in zip([0, *starts[1:]], [*starts[1:], len(text)])]

def read_jsonl(text: str) -> list[tuple[str, Note]]:
    "The clauses of a JSON Lines export, with their verdicts and comments."
    clauses = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(): continue
        try: clauses.append(read_record(json.loads(line)))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ReviewError(f'Line {number:,} is not a clause. A line is like {{"text": "...", "verdict": "accepted", "comment": "..."}}.') from None
    return clauses

def read_record(record: dict[str, Any]) -> tuple[str, Note]:
    text, note = record["text"], Note(record.get("verdict", "open"), record.get("comment", ""))
    if not isinstance(text, str) or not isinstance(note.comment, str) or not text.strip() or "\0" in text or note.verdict not in FILTERS[1:4]: raise ValueError
    check_characters(text)
    return text, note._replace(comment=check_comment(note.comment))

def check_characters(text: str) -> None:
    if re.search("[\ud800-\udfff]", text): raise ReviewError("This text holds half of a character.")

def check_comment(comment: str) -> str:
    comment = comment.strip()
    check_characters(comment)
    if len(comment) > MAX_COMMENT: raise ReviewError(f"A comment has at most {MAX_COMMENT:,} characters.")
    return comment

def one_line(name: str) -> str | None:
    check_characters(name)
    return " ".join(name.split())[:MAX_NAME] or None

def start_session(store: WorkflowStateStore, flow_id: str, name: str, data: bytes) -> str:
    "Create a session for an uploaded file. The text and the name are part of the transaction that creates it."
    clauses, session_id = read_file(name, data), str(uuid4())
    pages = [clauses[i:i + PAGE_SIZE] for i in range(0, len(clauses), PAGE_SIZE)]
    with store.edit_session(flow_id, session_id, expected_revision=0) as s:
        s.label = one_line(name)
        for page, part in enumerate(pages):
            s.step(f"text/{page}")["clauses"] = [[str(i), text] for i, (text, _) in enumerate(part)]
            s.step(f"notes/{page}").update({str(i): note._asdict() for i, (_, note) in enumerate(part) if note != NO_NOTE})
        counts = [count([note for _, note in part]) for part in pages]
        s.step("counts").update({kind: [numbers[kind] for numbers in counts] for kind in COUNTED})
        s.state["progress"] = progress(s.step("counts"))
    return session_id

COUNTED = ("clauses", "accepted", "rejected", "commented")

def count(notes: list[Note]) -> dict[str, int]:
    "The counts of one page."
    verdicts = [note.verdict for note in notes]
    return {"clauses": len(notes), "accepted": verdicts.count("accepted"), "rejected": verdicts.count("rejected"),
            "commented": sum(bool(note.comment) for note in notes)}

def progress(counts: dict[str, list[int]]) -> list[int]: return [sum(counts["accepted"]) + sum(counts["rejected"]), sum(counts["clauses"])]


# -- a document

class Clause(NamedTuple):
    at: str      # its address in the document, PAGE-ID; it stays the same when other clauses are split and merged
    number: int  # 1 is the first
    text: str    # with the white space around it
    note: Note

class Document:
    "A session as it was at one moment. Methods that change it change this copy; `save` writes what they changed."

    def __init__(self, store: WorkflowStateStore, flow_id: str, session_id: str, at: str = "", *, whole: bool = False) -> None:
        self.store, self.flow_id, self.session_id = store, flow_id, session_id
        page = parse_address(at)[0]
        session = self._read(None if whole else page)
        self.label, self.revision, self.history = session.label or UNTITLED, session.revision, session.history()
        self.size = session.state_size_bytes
        self.counts: dict[str, list[int]] = session.step("counts")
        if not is_counts(self.counts): raise NotFoundError(UNREADABLE)
        self.texts: dict[int, list[list[str]]] = {}
        self.notes: dict[int, dict[str, Note]] = {}
        self._changed: set[int] = set()
        for i in range(len(self.counts["clauses"])) if whole else [page]: self._keep(i, session)
        self.at = self.find(at)

    # reading
    def _read(self, page: int | None) -> SessionSnapshot:
        steps = None if page is None else ["counts", f"text/{page}", f"notes/{page}"]
        session = self.store.get_session(self.flow_id, self.session_id, keys=[], steps=steps)
        if session is None or is_deleted(session): raise NotFoundError("There is no such session.")
        return session

    def _keep(self, page: int, session: SessionSnapshot) -> None:
        if page >= len(self.counts["clauses"]): return
        clauses, notes = session.step(f"text/{page}").get("clauses", []), session.step(f"notes/{page}")
        if not is_page(clauses, notes) or len(clauses) != self.counts["clauses"][page]: raise NotFoundError(UNREADABLE)
        self.texts[page], self.notes[page] = clauses, {id: Note(**note) for id, note in notes.items()}

    def _page(self, page: int) -> list[list[str]]:
        "The clauses of a page, which is read when it is first needed."
        if page not in self.texts:
            session = self._read(page)
            if session.revision != self.revision: raise StaleSessionError(self.revision, session.revision)
            self._keep(page, session)
        return self.texts[page]

    def note(self, at: str) -> Note:
        page, id = parse_address(at)
        return self.notes[page].get(str(id), NO_NOTE)

    @property
    def clauses(self) -> int: return progress(self.counts)[1]
    @property
    def done(self) -> int: return progress(self.counts)[0]

    def total(self, only: str) -> int:
        "How many clauses a filter shows."
        if only == "all": return self.clauses
        return self.clauses - self.done if only == "open" else sum(self.counts[only])

    # places
    def _filled(self) -> list[int]: return [page for page, clauses in enumerate(self.counts["clauses"]) if clauses]

    def find(self, at: str) -> str:
        "The address of an existing clause: `at` itself if it exists, else one near it."
        wanted_page, wanted = parse_address(at)
        filled = self._filled()
        page = filled[max(bisect_right(filled, wanted_page) - 1, 0)]
        ids = [int(id) for id, _ in self._page(page)]
        if page < wanted_page: return f"{page}-{ids[-1]}"  # the other page has no clauses any more
        return f"{page}-{max((i for i in ids if i <= wanted), default=ids[0])}"

    def _position(self, at: str) -> tuple[int, int]:
        "The page of a clause, and its index on that page."
        page, id = parse_address(at)
        return page, [int(other) for other, _ in self._page(page)].index(id)

    def number(self, at: str) -> int:
        page, i = self._position(at)
        return sum(self.counts["clauses"][:page]) + i + 1

    def address(self, number: int) -> str:
        "The address of a clause by its number. A number that is too small or too large gives the first or the last one."
        number = min(max(number, 1), self.clauses)
        ends = list(accumulate(self.counts["clauses"]))
        page = bisect_left(ends, number)
        return f"{page}-{self._page(page)[number - ends[page] - 1][0]}"

    def page_start(self, at: str, pages: int) -> str:
        "The address of the first clause that many pages further, or `at` if there is no such page."
        filled = self._filled()
        i = filled.index(parse_address(at)[0]) + pages
        return f"{filled[i]}-" if 0 <= i < len(filled) else at

    def clause(self, at: str) -> Clause:
        page, i = self._position(at)
        return Clause(at, self.number(at), self._page(page)[i][1], self.note(at))

    def page(self, at: str) -> list[Clause]:
        "The clauses of the page on which `at` is."
        page = parse_address(at)[0]
        return list(self._numbered(page, sum(self.counts["clauses"][:page]) + 1))

    def _numbered(self, page: int, first: int) -> Iterator[Clause]:
        for number, (id, text) in enumerate(self._page(page), first):
            yield Clause(f"{page}-{id}", number, text, self.notes[page].get(id, NO_NOTE))

    def matching(self, query: str = "", only: str = "all") -> Iterator[Clause]:
        "The clauses that a search and a filter show. The document has to be read with `whole=True`."
        query, first = query.casefold(), 1
        for page, clauses in enumerate(self.counts["clauses"]):
            yield from (clause for clause in self._numbered(page, first) if matches(clause, query, only))
            first += clauses

    def next_open(self) -> str:
        "The next clause without a verdict, from the start again after the end."
        page, i = self._position(self.at)
        counts = zip(*(self.counts[kind] for kind in ("clauses", "accepted", "rejected")))
        open_pages = [p for p, (clauses, accepted, rejected) in enumerate(counts) if clauses > accepted + rejected]
        if not open_pages: raise ReviewError("All clauses have a verdict.")
        def first_open(p: int, after: int = -1) -> str | None:
            return next((f"{p}-{id}" for id, _ in self._page(p)[after + 1:] if self.note(f"{p}-{id}").verdict == "open"), None)
        if found := first_open(page, i): return found
        p = next((p for p in open_pages if p > page), open_pages[0])
        return first_open(p) or self.at

    # changes
    def set_note(self, at: str, note: Note) -> None:
        page, id = parse_address(at)
        if note == self.note(at): return
        if note == NO_NOTE: del self.notes[page][str(id)]
        else: self.notes[page][str(id)] = note
        self._touch(page)

    def set_text(self, at: str, text: str) -> None:
        page, i = self._position(at)
        if self._page(page)[i][1] == text: return
        self._page(page)[i][1] = text
        self._touch(page)

    def insert_after(self, at: str, text: str) -> str:
        page, i = self._position(at)
        id = str(max(int(id) for id, _ in self._page(page)) + 1)
        self._page(page).insert(i + 1, [id, text])
        self._touch(page)
        return f"{page}-{id}"

    def remove(self, at: str) -> None:
        page, i = self._position(at)
        id, _ = self._page(page).pop(i)
        self.notes[page].pop(id, None)
        self._touch(page)

    def _touch(self, page: int) -> None:
        self._changed.add(page)
        for kind, number in count([self.note(f"{page}-{id}") for id, _ in self._page(page)]).items(): self.counts[kind][page] = number

    def save(self, label: str, group: str | None = None) -> bool:
        "Write what was changed as one action that can be undone. `StaleSessionError` if the session is no longer as it was read."
        if not self._changed: return False
        with self.store.edit_session(self.flow_id, self.session_id, expected_revision=self.revision, undo_label=label, undo_group=group) as s:
            for page in self._changed:
                s.step(f"text/{page}")["clauses"] = self.texts[page]
                notes = s.step(f"notes/{page}")
                for id in list(notes):
                    if id not in self.notes[page]: del notes[id]
                notes.update({id: note._asdict() for id, note in self.notes[page].items()})
            s.step("counts").update(self.counts)
            s.state["progress"] = progress(self.counts)
        self.revision = s.revision
        self._changed.clear()
        return True

def parse_address(at: str) -> tuple[int, int]:
    "Page and id of a clause; of its page, the first clause, if the address names no id."
    match = re.fullmatch("([0-9]{1,6})-([0-9]{0,9})", at)
    return (int(match[1]), int(match[2] or -1)) if match else (0, -1)

# Other programs can write into the database too, so these check what it holds.
UNREADABLE = "This session can't be shown: another program or another version of this app has written it."

def is_counts(counts: dict[str, Any]) -> bool:
    def is_list(numbers: Any) -> bool: return isinstance(numbers, list) and {*map(type, numbers)} == {int} and 0 <= min(numbers) and max(numbers) <= MAX_CLAUSES
    lists = [counts.get(kind) for kind in COUNTED]
    return all(map(is_list, lists)) and len({*map(len, lists)}) == 1 and sum(counts["clauses"]) > 0  # type: ignore[arg-type]

def is_page(clauses: Any, notes: dict[str, Any]) -> bool:
    return isinstance(clauses, list) and all(map(is_clause, clauses)) and all(is_number(id) and is_note(note) for id, note in notes.items())

def is_clause(value: Any) -> bool: return isinstance(value, list) and len(value) == 2 and is_number(value[0]) and isinstance(value[1], str)
def is_number(value: Any) -> bool: return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10
def is_note(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == NOTE_KEYS and value["verdict"] in FILTERS[1:4] and isinstance(value["comment"], str)

def is_deleted(session: SessionSummary) -> bool: return session.metadata.get("deleted") is True

def matches(clause: Clause, folded_query: str, only: str) -> bool:
    note = clause.note
    shown = only == "all" or note.verdict == only or (only == "commented" and bool(note.comment))
    return shown and folded_query in clause.text.casefold()

def split_points(text: str, most: int = 100) -> list[int]:
    "Where a text can be split: before a line, or after the end of a sentence."
    first, end = len(text) - len(text.lstrip()), len(text.rstrip())
    found = (match.end() for match in re.finditer(r"\n\s*|(?<=[.;:!?])[^\S\n]+", text))
    return list(islice((i for i in found if first < i < end), most))


# -- what the buttons do

class Form(NamedTuple):
    "What a click sends."
    revision: int = 0   # of the page that the reviewer sees
    step: str = "split"
    at: str = ""        # the current clause of that page
    to: str = ""        # the clause, or the place in it, that the click is about
    value: str = ""     # what was typed
    was: tuple[str, ...] = ()  # what the box held before that

class Result(NamedTuple):
    document: Document
    step: str
    said: str = ""         # what happened, for the line at the bottom of the page
    is_current: bool = True  # False if the page of the reviewer is older than what was changed

def merge(document: Document, form: Form) -> tuple[str, str]:
    one = document.clause(document.at)
    if one.number == document.clauses: raise ReviewError("This is the last clause.")
    two = document.clause(document.address(one.number + 1))
    verdicts = {one.note.verdict, two.note.verdict}
    comment = check_comment("\n".join(filter(None, [one.note.comment, two.note.comment])))
    between = "" if one.text[-1:].isspace() else "\n\n"
    document.set_text(one.at, one.text + between + two.text)
    document.set_note(one.at, Note("open" if len(verdicts) > 1 else one.note.verdict, comment))
    document.remove(two.at)
    return f"Merge clauses {one.number:,} and {two.number:,}" + ", clear their verdicts" * (len(verdicts) > 1), one.at

def split(document: Document, form: Form) -> tuple[str, str]:
    one, place = document.clause(document.at), int(form.to) if is_number(form.to) else -1
    while place >= len(one.text) and one.number < document.clauses:  # a quick click before this one has split the clause already
        place -= len(one.text)
        one = document.clause(document.address(one.number + 1))
    if place not in split_points(one.text): raise ReviewError("This clause can't be split there.")
    if document.clauses == MAX_CLAUSES: raise ReviewError(f"There are already {MAX_CLAUSES:,} clauses, the most that are possible.")
    document.set_text(one.at, one.text[:place])
    document.set_note(one.at, one.note._replace(verdict="open"))  # nobody has judged the parts
    document.insert_after(one.at, one.text[place:])
    return f"Split clause {one.number:,}" + ", clear its verdict" * (one.note.verdict != "open"), document.at

def judge(label: str, verdict: str, move: int) -> Callable[[Document, Form], tuple[str, str]]:
    def action(document: Document, form: Form) -> tuple[str, str]:
        number = document.number(document.at)
        document.set_note(document.at, document.note(document.at)._replace(verdict=verdict))
        return f"{label} clause {number:,}", document.address(number + move)
    return action

def go(document: Document, form: Form) -> tuple[str, str]: return "", document.find(form.to)
def go_to_next(document: Document, form: Form) -> tuple[str, str]: return "", document.address(document.number(document.at) + 1)
def go_to_previous(document: Document, form: Form) -> tuple[str, str]: return "", document.address(document.number(document.at) - 1)
def go_to_next_open(document: Document, form: Form) -> tuple[str, str]: return "", document.next_open()

@dataclass(frozen=True)
class Action:
    steps: tuple[str, ...]  # where its button is
    run: Callable[[Document, Form], tuple[str, str]]  # changes the document; returns a label, and the clause to go to

SPLIT, REVIEW = ("split",), ("review",)
ACTIONS = {
    "merge": Action(SPLIT, merge), "cut": Action(SPLIT, split),
    "accept": Action(REVIEW, judge("Accept", "accepted", 1)), "reject": Action(REVIEW, judge("Reject", "rejected", 1)),
    "clear": Action(REVIEW, judge("Clear verdict on", "open", 0)), "next-open": Action(REVIEW, go_to_next_open),
    "next": Action(SPLIT + REVIEW, go_to_next), "previous": Action(SPLIT + REVIEW, go_to_previous), "go": Action(SPLIT + REVIEW, go),
}

def click(store: WorkflowStateStore, flow_id: str, session_id: str, name: str, form: Form) -> Result:
    "Do what a button says. Returns the document as it is afterwards, at the clause where the reviewer goes on."
    if name in ("undo", "redo"): return undo_or_redo(store, flow_id, session_id, name, form)
    if name not in ACTIONS: raise NotFoundError("There is no such action.")
    action = ACTIONS[name]
    if form.step not in action.steps: raise ReviewError(f"This button belongs to the step “{action.steps[0]}”.")
    document = Document(store, flow_id, session_id, form.at)
    if document.revision != form.revision: raise StaleSessionError(form.revision, document.revision)
    label, at = action.run(document, form)
    if label and document.save(label): return Result(Document(store, flow_id, session_id, at), form.step, label)
    document.at = document.find(at)
    return Result(document, form.step)

def undo_or_redo(store: WorkflowStateStore, flow_id: str, session_id: str, name: str, form: Form) -> Result:
    "Undo or redo one action, and go to the clause that it changed."
    move = store.undo if name == "undo" else store.redo
    entries = move(flow_id, session_id, expected_revision=form.revision)
    document = Document(store, flow_id, session_id, form.at)
    if not entries: return Result(document, form.step, f"Nothing to {name}")
    [entry] = entries
    if number := re.search("[0-9,]+", entry.label): document.at = document.address(int(number[0].replace(",", "")))
    return Result(document, step_showing(entry.label, form.step), f"{'Undone' if name == 'undo' else 'Redone'}: {entry.label}")

def step_showing(label: str, step: str) -> str:
    "The step in which the reviewer sees what an action changed: this one, if it shows it."
    is_text = label.startswith(("Merge", "Split", "Edit"))
    return step if is_text and step in ("split", "review") else "split" if is_text else "review"


# -- boxes, which are saved while the reviewer types

def save_comment(store: WorkflowStateStore, flow_id: str, session_id: str, form: Form) -> Result:
    def change(document: Document) -> str:
        note, value = document.note(document.at), check_comment(form.value)
        check_unchanged("comment on this clause", note.comment, form)
        check_size(document, value)
        document.set_note(document.at, note._replace(comment=value))
        return f"Comment on clause {document.number(document.at):,}"
    return save_box(store, flow_id, session_id, form, change, "comment")

def save_text(store: WorkflowStateStore, flow_id: str, session_id: str, form: Form) -> Result:
    def change(document: Document) -> str:
        text, value = document.clause(document.at).text, form.value.strip()
        if not value: raise ReviewError("A clause can't be empty. Merge it with another one instead.")
        check_characters(value)
        if "\0" in value: raise ReviewError("A clause can't have NUL characters.")
        if len(value) > max(MAX_CLAUSE, len(text)): raise ReviewError(f"A clause has at most {MAX_CLAUSE:,} characters.")
        check_unchanged("text of this clause", text.strip(), form)
        check_size(document, value)
        document.set_text(document.at, text.replace(text.strip(), value))
        return f"Edit clause {document.number(document.at):,}"
    return save_box(store, flow_id, session_id, form, change, "text")

def save_box(store: WorkflowStateStore, flow_id: str, session_id: str, form: Form, change: Callable[[Document], str], box: str) -> Result:
    """Save what stands in a box, even if something else has changed since the page was made.

    Everything typed into one box at one go is one action that can be undone."""
    while True:
        document = Document(store, flow_id, session_id, form.to)
        if document.at != form.to: raise ReviewError("This clause no longer exists: it was merged with another one.")
        is_current = document.revision == form.revision
        label = change(document)
        try: document.save(label, group=f"{box} {form.to}")
        except StaleSessionError: continue  # somebody was faster
        return Result(Document(store, flow_id, session_id, form.at), form.step, label, is_current)

def check_unchanged(what: str, current: str, form: Form) -> None:
    "Refuse to overwrite what the reviewer has not seen, apart from white space."
    if " ".join(current.split()) not in [" ".join(text.split()) for text in (form.value, *form.was)]:
        raise ConflictError(f"The {what} was changed in another tab or window. Now it is: “{current}”.", current)

def check_size(document: Document, value: str) -> None:
    if document.size + len(value.encode()) > MAX_SESSION_BYTES: raise ReviewError("This session is full: nothing more can be added to it.")

def rename(store: WorkflowStateStore, flow_id: str, session_id: str, form: Form) -> Result:
    before = Document(store, flow_id, session_id, form.at)
    current = "" if before.label == UNTITLED else before.label
    check_unchanged("name of this session", current, form)
    store.set_session_label(flow_id, session_id, one_line(form.value), expected_revision=before.revision)
    return Result(Document(store, flow_id, session_id, form.at), form.step, "Rename", before.revision == form.revision)

BOXES = {"comment": save_comment, "text": save_text, "rename": rename}


# -- exports

def escape_markdown(text: str) -> str:
    "Text that a Markdown reader shows as it was typed."
    text = re.sub(r"([\\`*_\[\]<>&~|])", r"\\\1", text)
    text = re.sub(r"(?m)^[ \t]*(?:([#+=-])|(\d+)([.)]))", lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", text)
    return re.sub(r"(?m)^[ \t]+", "", text)

def as_markdown(document: Document, only: str = "all") -> str:
    parts = [f"# {escape_markdown(document.label)}"]
    for clause in document.matching(only=only):
        parts.append(f"## {clause.number}: {clause.note.verdict}")
        parts.append(re.sub("(?m)^", "> ", clause.text.rstrip()))
        if clause.note.comment: parts.append(escape_markdown(clause.note.comment))
    return "\n\n".join(parts) + "\n"

def records(document: Document, only: str) -> list[dict[str, Any]]:
    return [{"number": clause.number, "text": clause.text, **clause.note._asdict()} for clause in document.matching(only=only)]

def as_json(document: Document, only: str = "all") -> str:
    return json.dumps({"label": document.label, "clauses": records(document, only)}, ensure_ascii=False, indent=1)

def as_jsonl(document: Document, only: str = "all") -> str:
    "One clause per line. An upload of this file gives the same clauses, verdicts and comments."
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records(document, only))

EXPORTS = {"md": (as_markdown, "text/markdown"), "json": (as_json, "application/json"), "jsonl": (as_jsonl, "application/x-ndjson")}

def file_name(label: str, kind: str) -> str:
    "A name that every system accepts."
    stem = re.sub(r"\.(txt|md|text|jsonl)$", "", label)
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", stem) + f" (reviewed).{kind}"


# -- where a person is

class View(NamedTuple):
    step: str = STEPS[0]
    at: str = ""

def read_view(store: WorkflowStateStore, visitor: str, session_id: str) -> View:
    view = store.get_session(f"view/{visitor}", session_id, steps=[])
    if view is None or view.current_step not in STEPS: return View()
    at = view.state.get("at")
    return View(view.current_step, at if isinstance(at, str) else "")

def write_view(store: WorkflowStateStore, visitor: str, session_id: str, view: View) -> None:
    "Remember where the person is, without a label: nobody wants to undo a look at the next clause."
    with store.edit_session(f"view/{visitor}", session_id) as s:
        s.current_step, s.state["at"] = view.step, view.at
