"The web side of the review: pages, routes and cookies. What a click does is in review.py."
import json
import os
import secrets
import sqlite3
from pathlib import Path
from uuid import uuid4

from fasthtml.common import *
from starlette.datastructures import Headers, UploadFile
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from cjm_workflow_state.state_store import SQLiteWorkflowStateStore, StaleSessionError
from . import review as rv

HERE = Path(__file__).parent
SAMPLES = {name: HERE.parents[1]/name for name in ("LICENSE", "README.md", "CONTRIBUTING.md")}
LISTED = 10  # sessions on one page of the list

def secret_key(path):
    "The key that signs the cookies, made once, readable by its owner alone."
    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file: file.write(secrets.token_hex(32))
    except FileExistsError: pass
    return Path(path).read_text()

class LimitBody:
    "Refuses a request that is much bigger than any upload may be, before anything of it is read or kept."
    def __init__(self, app): self.app = app
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if "transfer-encoding" in headers or int(headers.get("content-length", 0)) > 2 * rv.MAX_BYTES:
                return await PlainTextResponse("The file is too big: at most 1 MB of text.", 413)(scope, receive, send)
        await self.app(scope, receive, send)

db_path = Path(os.environ.get("REVIEW_DB", "review_app.db"))
store = SQLiteWorkflowStateStore(db_path)  # one for each process, shared by all of its threads
for flow_id in store.list_flows(): rv.purge(store, flow_id)

fh_cfg.indent = False  # white space in a clause's text is kept, so none may be added to it
HTMX = dict(responseHandling=[dict(code="204", swap=False), dict(code="(2..|4..|503)", swap=True), dict(code="...", swap=False, error=True)],
            allowEval=False, includeIndicatorStyles=False)
app = FastHTML(
    title="Review", default_hdrs=False, canonical=False, htmlkw={"lang": "en"},
    hdrs=[Meta(charset="utf-8"), Meta(name="viewport", content="width=device-width, initial-scale=1"), Meta(name="htmx-config", content=json.dumps(HTMX)),
          Link(rel="icon", href="data:,"), Link(rel="stylesheet", href="/static/style.css"),
          Script(src="/static/htmx.min.js", defer=True), Script(src="/static/app.js", defer=True)],
    # Every button sends the revision that the page shows, and waits for its turn: ten quick clicks are ten actions, in order.
    hx_include="#revision", hx_sync="#page:queue all", hx_target="#page", hx_disabled_elt="#comment",
    routes=[Mount("/static", StaticFiles(directory=HERE/"static"))], middleware=[Middleware(LimitBody)],
    session_cookie="review", secret_key=secret_key(db_path.with_suffix(".key")), same_site="lax")

def flow_of(session):
    "Each visitor's sessions are a flow of their own, named in the signed cookie: nobody else's can be asked for, whatever the address says."
    if "visitor" not in session: session["visitor"] = str(uuid4())
    return f"review/{session['visitor']}"

CSP = "default-src 'self'; img-src data:; frame-ancestors 'none'"  # nothing from anywhere else, no inline scripts

def page(title, *content):
    return Title(title), HttpHeader("Content-Security-Policy", CSP), HttpHeader("Cache-Control", "no-store"), *content

# -- the list of sessions

def row(flow, summary, n):
    fields = Hidden(summary.revision, name="revision"), Hidden(n, name="n")
    post = lambda action, text: Form(*fields, Button(text, cls="quiet"), method="post", action=f"/s/{summary.session_id}/{action}")
    label = summary.label or "Untitled"
    if rv.is_deleted(summary): return Li(P(Strong(label), " is deleted, for good in a day."), post("put-back", "Put back"), cls="deleted")
    try: review = rv.Review(store, flow, summary.session_id)
    except LookupError: return ""  # deleted in another tab, just now
    where = Small(f"At {review.step} · {summary.updated_at} UTC")
    return Li(Div(A(label, href=f"/s/{summary.session_id}/"), progress(review), where), post("delete", "Delete"))

def home(flow, n=0, error=None):
    n, count = max(n, 0), store.count_sessions(flow)
    sessions = store.list_sessions(flow, limit=LISTED, offset=n * LISTED)
    newer = A("← Newer", href=f"/?n={n - 1}") if n else ""
    older = A("Older →", href=f"/?n={n + 1}") if (n + 1) * LISTED < count else ""
    new = Form(H2("Review a document"),
        Label("Text file, 1 MB at most", Input(type="file", name="file", accept="text/*,.md,.txt", data_most=rv.MAX_BYTES)),
        Label("or one of these", Select(*[Option(name) for name in SAMPLES], name="sample")),
        Button("Start", cls="main"), method="post", action="/new", enctype="multipart/form-data")
    return page("Review", Header(H1("Review")), Main(Div(error, id="notice", role="alert"), new, H2(f"Your sessions ({count})"),
        Ul(*[row(flow, s, n) for s in sessions], cls="sessions") if sessions else P("None yet."), Nav(newer, older)))

@app.get("/")
def index(session, n: int = 0):
    rv.purge(store, flow_of(session))
    return home(flow_of(session), n)

@app.post("/new")
def new(session, file: UploadFile = None, sample: str = "LICENSE"):
    try:
        if file is not None and file.filename: name, data = file.filename, file.file.read(rv.MAX_BYTES + 1)
        else: name, data = sample, SAMPLES[sample].read_bytes()
        return Redirect(f"/s/{rv.start_session(store, flow_of(session), name, data)}/")
    except KeyError: error = "There is no such sample."
    except ValueError as refused: error = str(refused)
    return FtResponse(home(flow_of(session), error=error), status_code=400)

def change_list(change, session, sid, revision, n):
    try: change(store, flow_of(session), sid, revision)
    except StaleSessionError:
        error = "That session was changed in another tab, so nothing was done. This is how it is now."
        return FtResponse(home(flow_of(session), n, error), status_code=409)
    return Redirect(f"/?n={n}")

@app.post("/s/{sid}/delete")
def delete(session, sid: str, revision: int, n: int = 0): return change_list(rv.delete, session, sid, revision, n)

@app.post("/s/{sid}/put-back")
def put_back(session, sid: str, revision: int, n: int = 0): return change_list(rv.put_back, session, sid, revision, n)

# -- one session

def progress(review):
    done, count = review.done, len(review.starts)
    return Label(Progress(value=done, max=count), f"{done:,} of {count:,} reviewed", cls="progress")

def split_body(review, clause):
    cuts = [clause.start, *rv.split_points(clause)]
    ends = [*cuts[1:], clause.start + len(clause.text)]
    pieces = [Span(review.text[a:b]) for a, b in zip(cuts, ends)]
    return [pieces[0], *[part for cut, piece in zip(cuts[1:], pieces[1:])
                         for part in (Button("✂", data_do="split", data_to=cut, cls="cut", title="Split here", aria_label="Split here"), piece)]]

def clause_card(review, clause, here):
    head = [Button(clause.number, data_do="go", data_to=clause.start, cls="number", aria_label=f"Go to clause {clause.number}")]
    if review.step == "review": head += [Span(clause.verdict, cls=f"verdict {clause.verdict}")]
    text = P(*split_body(review, clause), cls="text") if here and review.step == "split" else P(clause.text, cls="text")
    extra = ""
    if here and review.step == "review":
        extra = Textarea(clause.comment, id="comment", name="value", rows=2, placeholder="Comment", aria_label=f"Comment on clause {clause.number}",
                         hx_post="comment", hx_trigger="change", hx_vals=json.dumps({"to": clause.start}))
    elif clause.comment and review.step == "review": extra = P(clause.comment, cls="note")
    return Li(Div(*head), text, extra, id=f"c{clause.start}", cls=clause.verdict, aria_current="true" if here else None)

def clauses(review):
    shown, count = review.window(), len(review.starts)
    first, last = shown[0].number, shown[-1].number
    pager = Nav(Button("← Earlier", data_do="go", data_to=review.starts[max(first - 1 - rv.WINDOW, 0)], data_key="[", disabled=first == 1),
                Span(f"Clauses {first:,} to {last:,} of {count:,}"),
                Button("Later →", data_do="go", data_to=review.starts[min(last, count - 1)], data_key="]", disabled=last == count))
    return [Ol(*[clause_card(review, c, c.number == review.here + 1) for c in shown], cls="clauses"), pager]

def export(review):
    only = review.steps["export"].get("only", "all")
    choices = [Button(choice, data_do="choose", data_value=choice, aria_pressed=str(choice == only).lower()) for choice in rv.CHOICES]
    return [H2("Export"), P("Which clauses?"), Div(*choices, cls="choices"), P(f"Clauses chosen: {len(review.exported()):,}"),
            P(A("Markdown", href="export.md", download=True, cls="button main"), " ", A("JSON", href="export.json", download=True, cls="button main"))]

def content(review):
    "What stands between the buttons."
    return [Hidden(review.revision, id="revision", name="revision"), progress(review), *(export(review) if review.step == "export" else clauses(review))]

def words(review):
    "What undo and redo will do, and no notice; put where such words stand, as the buttons themselves stay: a click on one that goes would be lost."
    history = review.history()
    for verb, entries in ("Undo", history.undo), ("Redo", history.redo):
        text = f"{verb}: {entries[0].label}" if entries else f"Nothing to {verb.lower()}"
        yield Span(text, id=f"{verb.lower()}-label", cls=None if entries else "none", hx_swap_oob="true")
    yield Div(id="notice", role="alert", hx_swap_oob="true")

BUTTONS = {"split": [("merge", "Merge with next", "m")], "review": [("accept", "Accept", "a"), ("reject", "Reject", "r")], "export": []}

def session_page(review):
    undo, redo, notice = words(review)
    button = lambda action, text, key, **kw: Button(text, Kbd(key), hx_post=action, data_key=key, **kw)
    steps = [Button(f"{i}. {step.title()}", hx_post="open", hx_vals=json.dumps({"value": step}), data_key=str(i),
                    aria_current="step" if step == review.step else None) for i, step in enumerate(rv.STEPS, 1)]
    actions = [button(action, text, key, cls=action if action == "reject" else "main") for action, text, key in BUTTONS[review.step]]
    if review.step == "review": actions.append(Button("Comment", Kbd("c"), id="write-comment", data_key="c"))
    if review.step != "export": actions += [button("previous", "Previous", "k"), button("next", "Next", "j")]
    return page(review.label,
        Header(A("← Sessions", href="/"),
               Input(value=review.label, name="value", hx_post="rename", hx_trigger="change",
                     aria_label="Name of this session", maxlength=200, autocomplete="off"),
               Nav(*steps, cls="steps"), Span(hx_get="news", hx_trigger="visibilitychange from:document", hx_disabled_elt="unset")),
        notice, Main(*content(review), id="page"),
        Footer(Div(*actions, cls="actions"), Div(button("undo", undo, "u"), button("redo", redo, "U"), cls="undo")))

def notice(status, message, link=None):
    return FtResponse(P(message, " ", link), status_code=status, headers={"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"})

STALE = "This session was changed in another tab or window, so nothing was done here."

@app.get("/s/{sid}/")
def show(session, sid: str):
    try: return session_page(rv.Review(store, flow_of(session), sid))
    except LookupError as error: return FtResponse(home(flow_of(session), error=str(error)), status_code=404)

@app.get("/s/{sid}/news")
def news(session, sid: str, revision: int):
    summary = store.get_session_summary(flow_of(session), sid)
    if summary and summary.revision == revision: return Response(status_code=204)
    return notice(409, STALE, A("Reload", href=f"/s/{sid}/", cls="button"))

@app.get("/s/{sid}/export.{kind}")
def download(session, sid: str, kind: str):
    try: review = rv.Review(store, flow_of(session), sid)
    except LookupError as error: return PlainTextResponse(str(error), 404)
    if kind not in ("md", "json"): return PlainTextResponse("There is no such format.", 404)
    text, media = (rv.as_markdown(review), "text/markdown") if kind == "md" else (rv.as_json(review), "application/json")
    return Response(text, media_type=media, headers={"Content-Disposition": f'attachment; filename="review.{kind}"'})

@app.post("/s/{sid}/{action}")
def act(session, sid: str, action: str, revision: int, value: str = "", to: int = 0):
    "A click: one call of the store, then the page as it is after it."
    if action not in rv.ACTIONS: return notice(404, "There is no such action.")
    flow = flow_of(session)
    try:
        review, form = rv.Review(store, flow, sid, revision), dict(value=value, to=to)
        getattr(review, action)(*[form[name] for name in rv.ACTIONS[action]])
        if action == "open": return Redirect(f"/s/{sid}/")
        review = rv.Review(store, flow, sid)
    except StaleSessionError: return notice(409, STALE, A("Reload", href=f"/s/{sid}/", cls="button"))
    except LookupError as error: return notice(404, str(error), A("Your sessions", href="/", cls="button"))
    except ValueError as error: return notice(422, str(error))
    except sqlite3.Error as error: return notice(503, f"This could not be saved ({error}). Try again.")
    return *content(review), *words(review)
