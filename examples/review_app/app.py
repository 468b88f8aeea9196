"The web side of the review: pages, routes and cookies. What a click does is in review.py."
import json, os, re, secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from fasthtml.common import *
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, StaleSessionError, UndoConflictError, WorkflowStateStore
from . import review as rv

HERE = Path(__file__).parent
SAMPLES, LISTED = {name: HERE.parents[1]/name for name in ("LICENSE", "README.md", "CONTRIBUTING.md")}, 10  # LISTED: sessions on one page

def open_store(db) -> WorkflowStateStore:
    "A file for one machine, or the address of a server for several."
    if not db.startswith("postgresql://"): return SQLiteWorkflowStateStore(db)
    from cjm_workflow_state.state_store import PostgresWorkflowStateStore
    return PostgresWorkflowStateStore(db)
def secret_key(db):
    "The key that signs the cookies: REVIEW_KEY, which all hosts have to share; for a file, made once beside it, readable by its owner alone."
    if os.environ.get("REVIEW_KEY") or "://" in db: return os.environ["REVIEW_KEY"]
    path = Path(db).with_suffix(".key")
    with suppress(FileExistsError), open(path, "x", opener=lambda *file: os.open(*file, 0o600)) as file: file.write(secrets.token_hex(32))
    return path.read_text()

FORMS, NO_FORM = ("application/x-www-form-urlencoded", "multipart/form-data"), ("This is no form.", 415)
HEADERS = {"X-Content-Type-Options": "nosniff",  # of every answer: nothing from anywhere else, no inline scripts, no frames, no guesses
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"}
def refusal(method, headers):
    "What to say to what no page of this app sends, before anything of it is read or kept."
    length, host = headers.get("content-length", "0"), headers.get("host", "")
    if "transfer-encoding" in headers or not length.isdecimal() or int(length) > 2 * rv.MAX_BYTES: return "This is too big: at most 1 MB of text.", 413
    if method == "POST" and headers.get("origin", "//" + host).rpartition("//")[2] != host: return "This came from a page of another site.", 403
    if method == "POST" and not headers.get("content-type", "").startswith(FORMS): return NO_FORM

store = open_store(DB := os.environ.get("REVIEW_DB", "review_app.db"))  # one for each process, shared by all of its threads
for flow_id in store.list_flows(): rv.purge(store, flow_id)

fh_cfg.indent = False  # white space in a clause's text is kept, so none may be added to it
web = FastHTML(
    title="Review", default_hdrs=False, canonical=False, htmlkw={"lang": "en"},
    hdrs=[Meta(charset="utf-8"), Meta(name="viewport", content="width=device-width, initial-scale=1"),
          Link(rel="icon", href="data:,"), Link(rel="stylesheet", href="/static/style.css"),
          Script(src="/static/htmx.min.js", defer=True), Script(src="/static/app.js", defer=True)],
    # Every button sends the revision that the page shows, and waits for its turn: ten quick clicks are ten actions, in order.
    hx_include="#revision", hx_sync="#page:queue all", hx_target="#page", hx_disabled_elt="#comment",
    routes=[Mount("/static", StaticFiles(directory=HERE/"static"))], exception_handlers={FormParserError: lambda *_: PlainTextResponse(*NO_FORM)},
    session_cookie="review", secret_key=secret_key(DB), same_site="lax")

async def app(scope, receive, send):
    async def answer(message):
        if message["type"] == "http.response.start":
            cache = "max-age=600" if scope["path"].startswith("/static/") else "no-store"  # keys work once the scripts are there
            MutableHeaders(scope=message).update({**HEADERS, "Cache-Control": cache})
        await send(message)
    refused = scope["type"] == "http" and refusal(scope["method"], Headers(scope=scope))
    await (PlainTextResponse(*refused) if refused else web)(scope, receive, answer)
def flow_of(session):
    "Each visitor's sessions are a flow of their own, named in the signed cookie: nobody else's can be asked for, whatever the address says."
    if "visitor" not in session: session["visitor"] = str(uuid4())
    return f"review/{session['visitor']}"

# -- the list of sessions
STALE = "This session was changed in another tab or window, or by a click whose answer got lost, so nothing was done here."
def row(summary, n):
    label, address = summary.label or rv.UNTITLED, f"/s/{summary.session_id}/"
    fields = Hidden(summary.revision, name="revision"), Hidden(n, name="n")
    post = lambda action, text: Form(*fields, Button(text, cls="quiet", aria_label=f"{text}: {label}"), method="post", action=address + action)
    if rv.is_deleted(summary): return Li(P(Strong(label, dir="auto"), " is deleted, for good in a day."), post("put-back", "Put back"), cls="deleted")
    where = Small(f"At {summary.current_step or rv.STEPS[0]} · {summary.updated_at} UTC")
    return Li(Div(A(label, href=address, dir="auto"), progress(*rv.progress(store, summary)), where), post("delete", "Delete"))

def home(flow, n=0, error=None):
    rv.purge(store, flow)
    n, count = max(n, 0), store.count_sessions(flow)
    sessions = store.list_sessions(flow, limit=LISTED, offset=n * LISTED)
    pages = [A("← Newer", href=f"/?n={n - 1}")] * bool(n) + [A("Older →", href=f"/?n={n + 1}")] * ((n + 1) * LISTED < count)
    new = Form(H2("Review a document"),
        Label("Text file, 1 MB at most", Input(type="file", name="file", accept="text/*,.md,.txt", data_most=rv.MAX_BYTES)),
        Label("or one of these", Select(*[Option(name) for name in SAMPLES], name="sample")),
        Button("Start", cls="main"), method="post", action="/new", enctype="multipart/form-data")
    return (Title("Review"), Header(H1("Review")), Main(Div(error, id="notice", role="alert"), new, H2(f"Your sessions ({count})"),
        Ul(*[row(s, n) for s in sessions], cls="sessions") if sessions else P("None yet."), Nav(*pages, aria_label="Pages") if pages else ""))
@web.get("/")
def index(session, n: int = 0): return home(flow_of(session), n)
@web.post("/new")
def new(session, form: dict):
    file, sample = form.get("file"), form.get("sample")
    try:
        if isinstance(file, UploadFile) and file.filename: name, data = file.filename, file.file.read(rv.MAX_BYTES + 1)
        elif sample in list(SAMPLES): name, data = sample, SAMPLES[sample].read_bytes()
        else: raise ValueError("There is no such sample.")
        return Redirect(f"/s/{rv.start_session(store, flow_of(session), name, data)}/")
    except ValueError as error: return FtResponse(home(flow_of(session), error=str(error)), status_code=400)

def change_list(flow, sid, change, form):
    try:
        change(store, flow, sid, rv.read_field(form, "revision"))
        return Redirect(f"/?n={rv.read_field(form, 'n')}")
    except (StaleSessionError, ValueError) as error:
        return FtResponse(home(flow, error=STALE if isinstance(error, StaleSessionError) else str(error)), status_code=409)

# -- one session
def progress(done, count, **kw): return Label(Progress(value=done, max=count), f"{done:,} of {count:,} reviewed", cls="progress", **kw)
def split_body(clause):
    cuts = [0, *(at - clause.start for at in rv.split_points(clause)), len(clause.text)]
    for part, at in zip((clause.text[a:b] for a, b in zip(cuts, cuts[1:])), cuts):
        if at: yield Button("✂", id=f"cut{clause.start + at}", data_do="split", data_to=clause.start + at, cls="cut", aria_label=f"Split before “{part[:30]}”")
        yield Span(part)
def clause_card(review, clause, here):
    number = A(clause.number, id=f"go{clause.start}", href=f"{review.step}?at={clause.start}", data_do="go", data_to=clause.start, cls="number button", aria_label=f"Clause {clause.number}")
    wrapped = "\n" in clause.text and not re.search("(?m)^.{,45}\n", clause.text)  # its lines end where those of a page did: narrow screens break them anew
    text = P(*split_body(clause) if here and review.step == "split" else [clause.text], cls="text wrapped" if wrapped else "text", dir="auto")
    verdict = Span(clause.verdict, cls=f"verdict {clause.verdict}") if review.step == "review" else ""
    comment = P(clause.comment, cls="note", dir="auto") if clause.comment and review.step == "review" else ""
    if here and review.step == "review":  # no answer takes this box away while somebody types in it
        comment = Textarea(clause.comment, id="comment", name="value", rows=2, placeholder="Comment", aria_label=f"Comment on clause {clause.number}",
                           maxlength=rv.MAX_COMMENT, hx_post="comment", hx_trigger="change, input changed delay:1s", hx_swap="none",
                           hx_disabled_elt="unset", hx_vals=json.dumps({"to": clause.start}), dir="auto")
    return Li(Div(number, verdict), text, comment, id=f"c{clause.start}", cls=clause.verdict, aria_current="true" if here else None)
def clauses(review):
    shown, count = review.window(), len(review.starts)
    first, last = shown[0].number, shown[-1].number
    turn = lambda text, id, key, to, end: Button(text, id=id, data_do="go", data_to=review.starts[to], aria_keyshortcuts=key, aria_disabled=str(end).lower())
    return [Ol(*[clause_card(review, c, c.number == review.here + 1) for c in shown], cls="clauses"),
            Nav(turn("← Earlier", "earlier", "[", max(first - 1 - rv.WINDOW, 0), first == 1), Span(f"Clauses {first:,} to {last:,} of {count:,}"),
                turn("Later →", "later", "]", min(last, count - 1), last == count), aria_label="Pages")]
def export(review):
    choices = [Button(c, id=f"choose-{c}", data_do="choose", data_value=c, aria_pressed=str(c == review.only).lower()) for c in rv.CHOICES]
    return [H2("Export"), P("Which clauses?"), Div(*choices, cls="choices"), P(f"Clauses chosen: {len(review.chosen()):,}"),
            P(A("Markdown", href="export.md", download=True, cls="button main"), " ", A("JSON", href="export.json", download=True, cls="button main"))]
def content(review): return export(review) if review.step == "export" else clauses(review)
def words(review):
    "What else an answer puts in its place: the buttons and boxes stay, as a click on one that goes would be lost, and so would the focus."
    put = lambda tag, *words, id, **kw: tag(*words, id=id, hx_swap_oob="innerHTML", **kw)
    yield Hidden(review.revision, id="revision", name="revision", hx_swap_oob="true")
    yield put(H1, f"{review.label}: {review.step}", id="title", cls="unseen", dir="auto")
    count, here = len(review.starts), review.clause(review.here)
    yield progress(review.done, count, id="progress", hx_swap_oob="true")
    yield put(P, *("All clauses have a verdict. ", A("Export", href="export", cls="button main")) * (review.step == "review" and review.done == count), id="ready")
    yield put(Span, "Saved. ", review.said and review.said + ". ", f"Clause {here.number:,} of {count:,}" * (review.step != "export") + f", {here.verdict}" * (review.step == "review"), id="said", role="status")
    for verb, entries in ("Undo", review.history().undo), ("Redo", review.history().redo):
        nothing = "Older actions are no longer kept" if verb == "Undo" and review.actions else f"Nothing to {verb.lower()}"
        yield Span(f"{verb}: {entries[0].label}" if entries else nothing, id=f"{verb.lower()}-label", cls=None if entries else "none", hx_swap_oob="true")
    yield put(Div, id="notice", role="alert")
def name_box(review):
    return Input(value="" if review.label == rv.UNTITLED else review.label, id="name", name="value", hx_post="rename", hx_trigger="change", hx_swap_oob="true", dir="auto",
                 aria_label="Name of this session", placeholder=rv.UNTITLED, maxlength=200, autocomplete="off")

MOVES = ("previous", "Previous", "K", ""), ("next", "Next", "J", "")
BUTTONS = {"split": [("merge", "Merge with next", "M", "main"), *MOVES], "export": [], "review": [("accept", "Accept", "A", "main"),
    ("reject", "Reject", "R", "reject"), ("clear", "Clear", "X", ""), ("undecided", "Next open", "N", ""), *MOVES]}
def session_page(review):
    revision, title, bar, ready, said, undo, redo, notice = words(review)
    key = lambda keys: Kbd(keys.split()[0].replace("Shift+", "⇧"), aria_hidden="true")
    button = lambda action, text, keys, cls, *more: Button(text, *more, key(keys), id=action, hx_post=action, aria_keyshortcuts=keys, cls=cls, data_name=action.title() if more else None)
    steps = [A(f"{i}. {step.title()}", id=step, href=step, cls="button", aria_keyshortcuts=i, aria_current="step" if step == review.step else None) for i, step in enumerate(rv.STEPS, 1)]
    actions = [button(*one) for one in BUTTONS[review.step]]
    if review.step == "review": actions.insert(3, Button("Comment", key("C"), id="write-comment", aria_keyshortcuts="C"))
    undo, redo = button("undo", undo, "U Control+Z", "", Small("in all steps")), button("redo", redo, "Shift+U Control+Shift+Z", "", Small("in all steps"))
    return (Title(f"{review.label}: {review.step}"),
        Header(A("← Sessions", href="/"), title, name_box(review), Button("?", id="keys", aria_keyshortcuts="?", aria_label="Keys", data_name="This help"),
               Nav(*steps, cls="steps", aria_label="Steps"), Span(hx_get="news", hx_trigger="visibilitychange from:document", hx_disabled_elt="unset"),
               Noscript(P("The buttons of this page need JavaScript, which is switched off."))),
        notice, Main(revision, bar, ready, Div(*content(review), id="page")),
        Footer(P(said, cls="sign"), Div(*actions, cls="actions"), Div(undo, redo, cls="undo")),
        Dialog(H2("Keys", id="help-title"), Dl(), P("Escape, or Ctrl and Enter, leaves a comment; it is saved as you type."), Button("Close"), id="help", aria_labelledby="help-title"))

def notice(status, message, link=None, text="Reload"): return FtResponse(P(message, " ", link and A(text, href=link, cls="button")), status_code=status)
@web.get("/s/{sid}/news")
def news(session, sid: str, revision: int):
    summary = store.get_session_summary(flow_of(session), sid)
    return Response(status_code=204) if summary and summary.revision == revision else notice(409, STALE, f"/s/{sid}/")
@web.get("/s/{sid}/export.{kind}")
def download(session, sid: str, kind: str):
    try: (write, media), review = {"md": (rv.as_markdown, "text/markdown"), "json": (rv.as_json, "application/json")}[kind], rv.Review(store, flow_of(session), sid)
    except LookupError: return PlainTextResponse("There is no such session, or no such format.", 404)
    name = quote(rv.file_name(review, kind), errors="replace")
    return Response(write(review), media_type=media, headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})

@web.get("/s/{sid}/{step:path}")
def show(session, sid: str, step: str, at: int = None):
    "A step, or a clause in it, by its address: going there is kept, so that the person comes back to it, from the list too."
    try:
        review = rv.Review(store, flow_of(session), sid)
        review.open(step or review.step, at)
        return session_page(review)
    except StaleSessionError: return Redirect(f"/s/{sid}/{step}")  # another tab was quicker
    except LookupError as error: return FtResponse(home(flow_of(session), error=str(error)), status_code=404)

@web.post("/s/{sid}/{action}")
def act(session, sid: str, action: str, form: dict):
    "A click: two calls of the store at most, then the page as it is after it."
    if action in ("delete", "put-back"): return change_list(flow_of(session), sid, rv.delete if action == "delete" else rv.put_back, form)
    try: review = rv.click(store, flow_of(session), sid, action, form)
    except StaleSessionError: return notice(409, STALE, f"/s/{sid}/")
    except LookupError as error: return notice(404, str(error), "/", "Your sessions")
    except (ValueError, UndoConflictError) as error: return notice(422, str(error))
    except store.Error as error: return notice(503, f"This could not be saved ({error}). Try again.")
    if address := review.elsewhere(): return Redirect(f"/s/{sid}/{address}")
    return (Title(f"{review.label}: {review.step}"), *content(review), *words(review), name_box(review) if action == "rename" else "")
