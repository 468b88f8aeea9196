"The HTML of the pages and of their parts."
import re
from typing import Any
from urllib.parse import urlencode

from fasthtml.common import (
    H1, H2, A, Button, Code, Dd, Details, Dialog, Div, Dl, Dt, Footer, Form, Header, Hidden, Input, Kbd, Label, Li, Main, Mark, Nav, Noscript, Ol,
    Option, P, Progress, Search, Select, Small, Span, Strong, Summary, Textarea, Time, Title, Ul)

from . import review as rv
from . import sessions
from .review import Clause, Document, Result

SAMPLES = ["LICENSE", "README.md", "CONTRIBUTING.md"]
NOTHING = ""

def full_page(title: str, *content: Any) -> tuple[Any, ...]:
    return Title(title), Header(A("← Sessions", href="/"), H1(title)), Main(notice_box(), *content)

def notice_box(message: Any = None) -> Any: return Div(message, id="notice", role="alert")

def notice(message: str, link: str = "", text: str = "Reload") -> Any:
    return P(message, " ", A(text, href=link, cls="button") if link else NOTHING)

def local_time(utc: str) -> Any:
    "A time of the store, which a script shows in the reader's time zone."
    return Time(f"{utc} UTC", datetime=utc.replace(" ", "T") + "Z")

def progress_bar(done: int, clauses: int, **attributes: Any) -> Any:
    return Label(Progress(value=done, max=max(clauses, 1)), f"{done:,} of {clauses:,} reviewed", cls="progress", **attributes)


# -- the list of sessions

def home(listing: sessions.Listing, query: str, name: str, message: Any = None) -> tuple[Any, ...]:
    new = Form(H2("Review a document"),
        Label("Text file, 1 MB at most (.txt, .md, or a .jsonl export of this app)",
              Input(type="file", name="file", accept="text/*,.md,.txt,.jsonl", data_max_bytes=rv.MAX_FILE_BYTES)),
        Label("or one of these", Select(*[Option(sample) for sample in SAMPLES], name="sample")),
        Button("Start", cls="main"), method="post", action="/new", enctype="multipart/form-data")
    search = Search(Form(Input(type="search", name="q", value=query, aria_label="Search in the names", placeholder="Name"), Button("Search"), cls="row"))
    nothing = P(f"No name contains “{query}”." if query else "There are no sessions yet.")
    return (Title("Review"), Header(H1("Review")),
        Main(notice_box(message), new, H2(f"Your sessions ({listing.count:,})"), search if query or listing.pages > 1 else NOTHING,
             Ul(*[session_row(row, query, listing.page) for row in listing.rows], cls="sessions") if listing.rows else nothing,
             list_pages(listing, query), about_the_key(name)))

def list_pages(listing: sessions.Listing, query: str) -> Any:
    link = lambda text, page: A(text, href="/?" + urlencode({"q": query, "n": page}), cls="button")
    if listing.pages == 1: return NOTHING
    return Nav(link("← Newer", listing.page - 1) if listing.page else NOTHING, Span(f"Page {listing.page + 1} of {listing.pages}"),
               link("Older →", listing.page + 1) if listing.page + 1 < listing.pages else NOTHING, aria_label="Pages")

def session_row(row: sessions.Row, query: str, page: int) -> Any:
    address, change = f"/s/{row.session_id}/", f"/list/{row.session_id}/"
    fields = Hidden(row.revision, name="revision"), Hidden(page, name="n"), Hidden(query, name="q")
    def button(action: str, text: str) -> Any:
        return Form(*fields, Button(text, cls="quiet", aria_label=f"{text}: {row.name}"), method="post", action=change + action)
    if row.deleted:
        return Li(P(Strong(row.name, dir="auto"), " is deleted, and will be gone for good in a day."), button("put-back", "Put back"), cls="deleted")
    rename = Form(*fields, Input(name="value", value="" if row.name == rv.UNTITLED else row.name, maxlength=rv.MAX_NAME, aria_label=f"New name of {row.name}"),
                  Button("Save"), method="post", action=change + "rename", cls="row")
    more = Details(Summary("More", aria_label=f"More: {row.name}"), rename, Div(
        button("copy", "Copy"), NOTHING if row.owner else A("Share", href=address + "share", cls="button", aria_label=f"Share: {row.name}"),
        button("delete", "Leave" if row.owner else "Delete"), cls="row"))
    owner = f"Shared by {row.owner} · " if row.owner else ""
    return Li(A(row.name, href=address, dir="auto"), progress_bar(row.done, row.clauses), Small(f"{owner}At {row.step} · ", local_time(row.updated_at)), more)

def about_the_key(name: str) -> Any:
    return (H2("This browser is the key"),
        P("A cookie in this browser is the only key to your sessions. Without it, nobody can open them, not even you. ",
          "To open them in another browser, or after the cookie was deleted, keep a private link."),
        Form(Button("Show my private link"), method="post", action="/key"),
        Form(Label("Your name, for people with whom you share a session", Input(name="name", value=name, maxlength=rv.MAX_NAME, autocomplete="name")),
             Button("Save"), method="post", action="/name", cls="row"))

def key_page(link: str) -> tuple[Any, ...]:
    return full_page("Your private link", P("Whoever has this link can see and change all of your sessions. Keep it as you keep a password."),
                     P(Code(link, id="link")))

def confirm_page(title: str, text: str, button: str, action: str) -> tuple[Any, ...]:
    return full_page(title, P(text), Form(Button(button, cls="main"), method="post", action=action))

def share_page(name: str, session_id: str, link: str, people: int) -> tuple[Any, ...]:
    start = Form(Button("Make a link", cls="main"), method="post", action=f"/s/{session_id}/share")
    stop = (P(Code(link, id="link")), P(f"People who have followed it: {people:,}"),
            Form(Button("Withdraw the link", name="stop", value="yes", cls="quiet"), method="post", action=f"/s/{session_id}/share"))
    return full_page(f"Share {name}", P("Whoever has the link can read and change this session, and undo what you did. If you withdraw it, everyone who has followed it loses access."),
                     *(stop if link else [start]))


# -- one session: the clauses

def split_text(clause: Clause) -> Any:
    "The text of a clause, with a button at each place where it can be split."
    cuts = [0, *rv.split_points(clause.text), len(clause.text)]
    for start, end in zip(cuts, cuts[1:]):
        part = clause.text[start:end]
        if start: yield Button("✂", id=f"cut-{clause.at}-{start}", data_action="cut", data_to=start, cls="cut", aria_label=f"Split before “{part[:30]}”")
        yield Span(part)

def box(name: str, value: str, clause: Clause, **attributes: Any) -> Any:
    "A box that a script saves while the reviewer types."
    return Textarea("\n" + value, id=name, data_box=name, data_to=clause.at, hx_swap="none", hx_disabled_elt="unset", autocomplete="off", dir="auto", **attributes)

def clause_card(clause: Clause, step: str, is_current: bool) -> Any:
    verdict, comment = clause.note
    number = A(f"{clause.number:,}", id=f"go-{clause.at}", href=f"{step}?at={clause.at}", data_action="go", data_to=clause.at, cls="number button",
               aria_label=f"Clause {clause.number:,}")
    text = list(split_text(clause)) if is_current and step == "split" else [clause.text.rstrip()]
    parts = [Div(number, Span(verdict, cls=f"verdict {verdict}") if step == "review" else NOTHING), P(*text, cls=text_class(clause.text), dir="auto")]
    if is_current:
        parts.append(box("text", clause.text.strip(), clause, rows=4, hidden=True, aria_label=f"Text of clause {clause.number:,}"))
    if is_current and step == "review":
        parts.append(box("comment", comment, clause, rows=2, placeholder="Comment", maxlength=rv.MAX_COMMENT, aria_label=f"Comment on clause {clause.number:,}"))
    elif comment and step == "review":
        parts.append(P(comment, cls="note", dir="auto"))
    return Li(*parts, id=f"c-{clause.at}", cls=verdict, aria_current="true" if is_current else None)

def text_class(text: str) -> str:
    "Text whose lines end where those of a page did is wrapped again on narrow screens."
    lines = text.strip().split("\n")
    return "wrapped text" if len(lines) > 1 and min(map(len, lines[:-1])) > 45 else "text"

def clauses(document: Document, step: str) -> list[Any]:
    shown = document.page(document.at)
    earlier, later = document.page_start(document.at, -1), document.page_start(document.at, 1)
    def turn(text: str, id: str, key: str, to: str) -> Any:
        return Button(text, id=id, data_action="go", data_to=to, aria_keyshortcuts=key, aria_disabled=str(to == document.at).lower())
    return [Ol(*[clause_card(c, step, c.at == document.at) for c in shown], cls="clauses"),
            Nav(turn("← Earlier", "earlier", "[", earlier), Span(f"Clauses {shown[0].number:,} to {shown[-1].number:,} of {document.clauses:,}"),
                turn("Later →", "later", "]", later), aria_label="Pages")]

def filters(document: Document, selected: str, query: str | None = None) -> Any:
    "Links to what each filter shows."
    def link(only: str) -> Any:
        address = urlencode({"only": only} if query is None else {"q": query, "only": only})
        return A(f"{only} ({document.total(only):,})", id=f"only-{only}", href="?" + address, cls="button", aria_current="true" if only == selected else None)
    return Div(*map(link, rv.FILTERS), cls="choices")

def export(document: Document, only: str) -> list[Any]:
    links = [A(text, href=f"export.{kind}?only={only}", download=True, cls="button main") for kind, text in
             {"md": "Markdown", "json": "JSON", "jsonl": "JSON Lines"}.items()]
    return [H2("Export"), P("Which clauses?"), filters(document, only), P(f"Clauses to export: {document.total(only):,}"), P(*links, cls="row"),
            P(Small("An upload of the JSON Lines file starts a session with the same clauses, verdicts and comments."))]

def content(result: Result, only: str = "all") -> list[Any]:
    return export(result.document, only) if result.step == "export" else clauses(result.document, result.step)


# -- one session: what an answer replaces around the clauses

def position(result: Result) -> Any:
    "What each click sends: the revision that the page shows, and where the reviewer is on it."
    fields = {"revision": result.document.revision, "step": result.step, "at": result.document.at}
    return Div(*[Hidden(value, name=name, id=name) for name, value in fields.items()], id="position", hx_swap_oob="true")

def around(result: Result) -> list[Any]:
    """The parts outside of the clauses, in the order in which `session_page` unpacks them.

    The buttons and boxes themselves stay: a click on one that is replaced would be lost, and so would the focus."""
    document, step = result.document, result.step
    def put(tag: Any, *content: Any, id: str, **attributes: Any) -> Any: return tag(*content, id=id, hx_swap_oob="innerHTML", **attributes)
    all_done = document.done == document.clauses
    clause = document.clause(document.at)
    said = [result.said + ". " if result.said else "", f"Clause {clause.number:,} of {document.clauses:,}" if step != "export" else "",
            f", {clause.note.verdict}" if step == "review" else ""]
    return [
        position(result), put(H1, f"{document.label}: {step}", id="title", cls="unseen", dir="auto"),
        progress_bar(document.done, document.clauses, id="progress", hx_swap_oob="true"),
        put(P, *["All clauses have a verdict. ", A("Export", href="export", cls="button main")] if all_done and step == "review" else [], id="ready"),
        put(Span, *said, id="said", role="status"),
        *undo_labels(document), put(Div, id="notice", role="alert")]

def undo_labels(document: Document) -> list[Any]:
    history = document.history
    nothing_more = "Nothing more to undo" if history.redo else "Nothing to undo"
    texts = {"undo": f"Undo: {history.undo[0].label}" if history.undo else nothing_more,
             "redo": f"Redo: {history.redo[0].label}" if history.redo else "Nothing to redo"}
    return [Span(text, id=f"{name}-label", cls="none" if text.startswith("Nothing") else None, hx_swap_oob="true") for name, text in texts.items()]

def answer(result: Result) -> tuple[Any, ...]:
    "What a click gets."
    return Title(f"{result.document.label}: {result.step}"), *content(result), *around(result)

def box_answer(result: Result, reload: str) -> tuple[Any, ...]:
    "What a saved box gets. If the rest of the page is old, it stays old, and its next click is refused as stale."
    title, parts = Title(f"{result.document.label}: {result.step}"), around(result)
    if result.is_current: return title, *parts
    old = Div(notice("Your text is saved. The rest of this page is older than that.", reload), id="notice", hx_swap_oob="innerHTML")
    return title, *[part for part in parts if part.id in ("said", "title")], old

def conflict(message: str, current: str) -> Any:
    return P(message, " Your text is still in its box. ", Button("Save mine instead", id="save-mine", data_current=current))


# -- one session: the page

EVERYWHERE = [("edit-text", "Edit text", "E", ""), ("previous", "Previous", "K", "move"), ("next", "Next", "J", "move")]
BUTTONS = {
    "split": [("merge", "Merge with next", "M", "main"), *EVERYWHERE],
    "review": [("accept", "Accept", "A", "main"), ("reject", "Reject", "R", "reject"), ("clear", "Clear", "X", ""),
               ("write-comment", "Comment", "C", ""), ("next-open", "Next open", "N", ""), *EVERYWHERE],
    "export": []}
LOCAL = {"edit-text", "write-comment"}  # only a script of the page answers these

def key_hint(keys: str) -> Any: return Kbd(keys.split()[0].replace("Shift+", "⇧"), aria_hidden="true")

def action_button(action: str, text: str, keys: str, css: str) -> Any:
    return Button(Span(text), key_hint(keys), id=action, hx_post=None if action in LOCAL else action, aria_keyshortcuts=keys, cls=css or None)

def undo_button(name: str, label: Any, keys: str) -> Any:
    return Button(label, " ", Small("in all steps"), key_hint(keys), id=name, hx_post=name, aria_keyshortcuts=keys, data_name=name.title())

def session_page(result: Result, only: str = "all") -> tuple[Any, ...]:
    document, step = result.document, result.step
    place, title, bar, ready, said, undo, redo, notice = around(result)
    steps = [A(f"{i}. {name.title()}", id=name, href=name, cls="button", aria_keyshortcuts=str(i), aria_current="step" if name == step else None)
             for i, name in enumerate(rv.STEPS, 1)]
    return (Title(f"{document.label}: {step}"),
        Header(A("← Sessions", href="/"), title, name_box(document), Button("?", id="keys", aria_keyshortcuts="?", aria_label="Keys", data_name="This help"),
               Nav(*steps, cls="steps", aria_label="Steps"), find_bar(document, step) if step != "export" else NOTHING,
               Noscript(P("The buttons of this page need JavaScript, which is switched off."))),
        notice, Main(place, bar, ready, Div(*content(result, only), id="page")),
        Footer(P(Span("Saved.", id="state"), " ", said, cls="sign"), Div(*[action_button(*button) for button in BUTTONS[step]], cls="actions"), Div(undo_button("undo", undo, "U Control+Z"),
               undo_button("redo", redo, "Shift+U Control+Shift+Z"), cls="undo")),
        help_dialog())

def name_box(document: Document) -> Any:
    return Input(value="" if document.label == rv.UNTITLED else document.label, id="name", data_box="rename", hx_swap="none", hx_disabled_elt="unset",
                 dir="auto", aria_label="Name of this session", placeholder=rv.UNTITLED,
                 maxlength=rv.MAX_NAME, autocomplete="off")

def find_bar(document: Document, step: str, query: str = "") -> Any:
    number = Input(type="number", name="number", id="number", min=1, max=document.clauses, required=True, aria_label="Number of a clause",
                   placeholder="No.", aria_keyshortcuts="G", data_name="Go to a clause")
    return Search(Form(Input(type="search", name="q", id="query", value=query, aria_label="Search in the text", placeholder="Search", aria_keyshortcuts="/",
                             data_name="Search"), Button("Find"), action="find", cls="row grow"),
                  Form(number, Button("Go"), action=step if step != "find" else "review", cls="row"), cls="find")

def help_dialog() -> Any:
    return Dialog(H2("Keys", id="help-title"), Dl(), P("Escape, or Ctrl and Enter, leaves a box. What you type is saved as you type."),
                  P("The last 50 actions can be undone, also tomorrow, and in another tab."),
                  Label(Input(type="checkbox", id="letters"), " Keys without Ctrl are on", cls="check"), Button("Close"), id="help", aria_labelledby="help-title")

def find_page(document: Document, found: list[Clause], query: str, only: str, first: int, most: int) -> tuple[Any, ...]:
    shown = found[first:first + most]
    def link(text: str, first: int) -> Any: return A(text, href="?" + urlencode({"q": query, "only": only, "first": first}), cls="button")
    number = lambda clause: A(f"{clause.number:,}", href=f"review?at={clause.at}", cls="number button", aria_label=f"Clause {clause.number:,}")
    card = lambda clause: Li(Div(number(clause), Span(clause.note.verdict, cls=f"verdict {clause.note.verdict}")),
                             P(*marked(clause.text.strip(), query), cls="text", dir="auto"),
                             P(clause.note.comment, cls="note", dir="auto") if clause.note.comment else NOTHING, cls=clause.note.verdict)
    pages = Nav(link("← Earlier", max(first - most, 0)) if first else NOTHING, Span(f"{first + 1:,} to {first + len(shown):,} of {len(found):,}"),
                link("Later →", first + most) if first + most < len(found) else NOTHING, aria_label="Pages")
    return (Title(f"{document.label}: find"),
        Header(A("← Back to the clauses", href="./"), H1(f"Find in {document.label}", dir="auto"), find_bar(document, "find", query)),
        Main(filters(document, only, query), P(f"Clauses found: {len(found):,}", role="status"), Ol(*map(card, shown), cls="clauses"), pages if shown else NOTHING))

def marked(text: str, query: str, most: int = 600) -> Any:
    "The beginning of a text, with what was searched marked."
    text = text if len(text) <= most else text[:most] + "…"
    end = 0
    for match in re.finditer(re.escape(query), text, re.IGNORECASE) if query else ():
        yield text[end:match.start()]
        yield Mark(match[0])
        end = match.end()
    yield text[end:]
