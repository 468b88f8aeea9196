"""The web side of the review app: routes, cookies, and what an error of the store looks like.

What a click does is in review.py, who has which sessions in sessions.py, the HTML in components.py, and limits for hostile requests in middleware.py."""
import asyncio
import logging
import os
import secrets
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from fasthtml.common import FastHTML, FtResponse, Link, Meta, Redirect, Script, fh_cfg
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cjm_workflow_state.state_store import AsyncWorkflowStateStore, CommitUnknownError, SQLiteWorkflowStateStore, StaleSessionError, UndoConflictError, WorkflowStateStore

from . import components as html
from . import review as rv
from . import sessions
from .middleware import Files, Middleware, Upload
from .review import BOXES, ConflictError, Document, NotFoundError, Result, ReviewError, View

HERE = Path(__file__).parent
FOUND_PER_PAGE = 25
NEWS_AFTER = 25  # seconds; proxies close a request that is silent for a minute
CHANGED = "This session was changed in another tab or window."
STALE = "This session was changed in another tab or window, or by a click whose answer got lost, so this click did nothing."
UNAVAILABLE = "The server can't save or show this at the moment. Try again in a minute."
UNKNOWN = "The server does not know whether this was saved. Reload the page to see."

def open_store(db: str) -> WorkflowStateStore:
    "A file for one machine, or the address of a PostgreSQL server for several. Nobody should wait longer than `timeout` for a click."
    if "://" not in db: return SQLiteWorkflowStateStore(db, timeout=5, max_undo_bytes=1_000_000)
    from cjm_workflow_state.state_store import PostgresWorkflowStateStore
    return PostgresWorkflowStateStore(db, timeout=3, max_undo_bytes=1_000_000)

def secret_key(db: str) -> str:
    "The key that signs the cookies: REVIEW_KEY, which all hosts have to share, or for a file one that is created beside it."
    if os.environ.get("REVIEW_KEY") or "://" in db: return os.environ["REVIEW_KEY"]
    path = Path(db).with_suffix(".key")
    def private(*file: Any) -> int: return os.open(*file, 0o600)
    with suppress(FileExistsError), open(path, "x", opener=private) as file: file.write(secrets.token_hex(32))
    return path.read_text()

DB = os.environ.get("REVIEW_DB", "review_app.db")
PUBLIC_URL = os.environ.get("REVIEW_URL", "").rstrip("/")
store = open_store(DB)  # one for each process, shared by all of its threads
coroutines = AsyncWorkflowStateStore(store)  # for pages that wait
key = secret_key(DB)
private_links = URLSafeSerializer(key, salt="private link")
files = Files(HERE/"static")
sessions.purge_all(store)

def log(error: Exception, where: str = "") -> None:
    logging.getLogger("uvicorn.error").error("%s%s: %s", where, type(error).__name__, " ".join(str(error).split()))

def unavailable(request: Request, error: Exception) -> FtResponse:
    "The store failed: the database is down, its disk is full, or another process holds it for too long. Visitors do not see the details."
    log(error, f"{request.method} {request.url.path}: ")
    message = UNKNOWN if isinstance(error, CommitUnknownError) else UNAVAILABLE
    link = request.url.path if request.method == "GET" else "/"
    page = html.notice(message) if "hx-request" in request.headers else html.full_page("Not available", html.notice(message, link, "Try again"))
    return FtResponse(page, status_code=503, headers={"Retry-After": "60"})

fh_cfg.indent = False  # the white space of a clause is kept, so none may be added to it
web = FastHTML(
    title="Review", default_hdrs=False, canonical=False, htmlkw={"lang": "en"},
    hdrs=[Meta(charset="utf-8"), Meta(name="viewport", content="width=device-width, initial-scale=1"),
          Link(rel="icon", href="data:,"), Link(rel="stylesheet", href=files.url("style.css")),
          Script(src=files.url("htmx.min.js"), defer=True), Script(src=files.url("app.js"), defer=True)],
    # Each button sends the position that the page shows, and waits for its turn: ten quick clicks are ten actions, in order.
    hx_include="#position input", hx_sync="#page:queue all", hx_target="#page", hx_disabled_elt="#page textarea",
    exception_handlers={store.Error: unavailable},
    session_cookie="review", secret_key=key, same_site="lax")
app = Middleware(web, files, frozenset({PUBLIC_URL} - {""}))

def visitor_of(request: Request) -> str:
    "The visitor's id, from the signed cookie."
    return request.session.setdefault("visitor", str(uuid4()))

def public_url(request: Request) -> str: return PUBLIC_URL or str(request.base_url).rstrip("/")

def text_field(request: Request, name: str) -> str:
    value = request.scope["form"].get(name, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""

def number_field(request: Request, name: str) -> int:
    value = text_field(request, name)
    if not rv.is_number(value): raise ReviewError("This click was incomplete, so it did nothing. Reload the page.")
    return int(value)

def parameter(request: Request, name: str, allowed: list[str] | None = None) -> str:
    value = request.query_params.get(name, "")
    return value if allowed is None or value in allowed else allowed[0]

def number_parameter(request: Request, name: str) -> int:
    value = parameter(request, name)
    return int(value) if rv.is_number(value) else 0


# -- the list of sessions

def home_page(request: Request, message: Any = None, status: int = 200) -> FtResponse:
    visitor = visitor_of(request)
    query = parameter(request, "q")
    listing = sessions.list_sessions(store, visitor, query, number_parameter(request, "n"))
    return FtResponse(html.home(listing, query, sessions.name_of(store, visitor), message), status_code=status)

def at_home(route: Any) -> Any:
    "Show what a route refuses above the list of sessions."
    @wraps(route)
    def wrapped(request: Request) -> Any:
        try: return route(request)
        except ReviewError as error: return home_page(request, str(error), 400)
        except StaleSessionError: return home_page(request, STALE, 409)
        except NotFoundError as error: return home_page(request, str(error), 404)
    return wrapped

@web.get("/")
@at_home
def index(request: Request): return home_page(request)

@web.post("/new")
@at_home
def new(request: Request):
    file, sample = request.scope["form"].get("file"), text_field(request, "sample")
    if isinstance(file, Upload) and file.filename: name, data = file
    elif sample in html.SAMPLES: name, data = sample, (HERE.parents[1]/sample).read_bytes()
    else: raise ReviewError("There is no such sample.")
    return Redirect(f"/s/{sessions.start(store, visitor_of(request), name, data)}/")

LIST_ACTIONS = {"delete": sessions.delete, "put-back": sessions.put_back, "rename": sessions.rename}

@web.post("/list/{sid}/{action}")
@at_home
def change_list(request: Request):
    "Delete, put back, rename or copy a session in the list."
    action, session_id, visitor = request.path_params["action"], request.path_params["sid"], visitor_of(request)
    if action == "copy": return Redirect(f"/s/{sessions.copy(store, visitor, session_id)}/")
    if action not in LIST_ACTIONS: raise NotFoundError("There is no such action.")
    arguments = [text_field(request, "value")] if action == "rename" else []
    LIST_ACTIONS[action](store, visitor, session_id, number_field(request, "revision"), *arguments)
    return Redirect(f"/?q={quote(text_field(request, 'q'))}&n={number_field(request, 'n')}")


# -- keys and links

@web.post("/name")
@at_home
def name(request: Request):
    sessions.set_name(store, visitor_of(request), text_field(request, "name"))
    return Redirect("/")

@web.post("/key")
def show_key(request: Request): return html.key_page(f"{public_url(request)}/enter/{private_links.dumps(visitor_of(request))}")

@web.get("/enter/{token}")
def enter(request: Request):
    text = "This browser will show the sessions of the link, and no longer those that you see now. If you need those again, keep their private link first."
    return html.confirm_page("Open your sessions here", text, "Open them", f"/enter/{quote(request.path_params['token'])}")

@web.post("/enter/{token}")
@at_home
def entered(request: Request):
    try: request.session["visitor"] = private_links.loads(request.path_params["token"])
    except BadSignature: raise NotFoundError("This private link is incomplete or not from this server.") from None
    return Redirect("/")

@web.get("/s/{sid}/share")
@at_home
def share_page(request: Request):
    session_id, visitor = request.path_params["sid"], visitor_of(request)
    document = Document(store, sessions.find_flow(store, visitor, session_id), session_id)
    access = store.get_state("shared", session_id) if document.flow_id == sessions.own_flow(visitor) else {}
    link = f"{public_url(request)}/join/{session_id}/{access['secret']}" if access else ""
    return html.share_page(document.label, session_id, link, len(access.get("people", {})))

@web.post("/s/{sid}/share")
@at_home
def change_sharing(request: Request):
    change = sessions.stop_sharing if text_field(request, "stop") else sessions.share
    change(store, visitor_of(request), request.path_params["sid"])
    return Redirect(f"/s/{request.path_params['sid']}/share")

@web.get("/join/{sid}/{secret}")
@at_home
def join_page(request: Request):
    summary = sessions.shared_link(store, request.path_params["sid"], request.path_params["secret"])
    return html.confirm_page("A shared session", f"Somebody has shared “{summary.label or rv.UNTITLED}” with you. They see what you change.", "Take part", request.url.path)

@web.post("/join/{sid}/{secret}")
@at_home
def join(request: Request):
    sessions.join(store, visitor_of(request), request.path_params["sid"], request.path_params["secret"])
    return Redirect(f"/s/{request.path_params['sid']}/")


# -- one session

def find_document(request: Request, at: str = "", **options: Any) -> Document:
    session_id = request.path_params["sid"]
    return Document(store, sessions.find_flow(store, visitor_of(request), session_id), session_id, at, **options)

@web.get("/s/{sid}/news")
async def news(request: Request):
    "Answer as soon as the session is at another revision than the page, or after a while. A page that waits takes no thread."
    session_id, seen = request.path_params["sid"], number_parameter(request, "revision")
    try:
        flow_id = await run_in_threadpool(sessions.find_flow, store, visitor_of(request), session_id)
        revision = await coroutines.wait_for_change(flow_id, session_id, seen, timeout=NEWS_AFTER)
    except NotFoundError: revision = -1
    except asyncio.CancelledError: revision = seen  # the server stops; the page asks the next one
    if revision == seen: return Response(status_code=204)
    return FtResponse(html.notice(CHANGED, f"/s/{session_id}/"), status_code=409)

@web.get("/s/{sid}/export.{kind}")
def download(request: Request):
    try: (write, media_type), document = rv.EXPORTS[request.path_params["kind"]], find_document(request, whole=True)
    except LookupError: return PlainTextResponse("There is no such session, or no such format.", 404)
    name = quote(rv.file_name(document.label, request.path_params["kind"]), errors="replace")
    return Response(write(document, parameter(request, "only", rv.FILTERS)), media_type=media_type,
                    headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})

@web.get("/s/{sid}/find")
@at_home
def find(request: Request):
    document, query, only = find_document(request, whole=True), parameter(request, "q").strip(), parameter(request, "only", rv.FILTERS)
    found = list(document.matching(query, only))
    return html.find_page(document, found, query, only, number_parameter(request, "first"), FOUND_PER_PAGE)

@web.get("/s/{sid}/{step:path}")
@at_home
def show(request: Request):
    "A step, or a clause in it, by its address. The visitor comes back to it later, also from the list."
    session_id, step, visitor = request.path_params["sid"], request.path_params["step"], visitor_of(request)
    if step not in ("", *rv.STEPS): raise NotFoundError("There is no such step.")
    view = rv.read_view(store, visitor, session_id)
    document = find_document(request, parameter(request, "at") or view.at)
    if number := number_parameter(request, "number"): document.at = document.address(number)
    remember_view(visitor, session_id, View(step or view.step, document.at))
    return html.session_page(Result(document, step or view.step), parameter(request, "only", rv.FILTERS))

def remember_view(visitor: str, session_id: str, view: View) -> None:
    "Store where the visitor is. If that fails, for example because the disk is full, the page is shown all the same."
    try: rv.write_view(store, visitor, session_id, view)
    except store.OperationalError as error: log(error)

def read_form(request: Request) -> rv.Form:
    step = text_field(request, "step")
    if step not in rv.STEPS: raise ReviewError("This click was incomplete, so it did nothing. Reload the page.")
    return rv.Form(number_field(request, "revision"), step, text_field(request, "at"), text_field(request, "to"), text_field(request, "value"),
                   (text_field(request, "was"), text_field(request, "sent")))

@web.post("/s/{sid}/{action}")
def act(request: Request):
    "A click, or a box that is being typed in."
    session_id, action = request.path_params["sid"], request.path_params["action"]
    try: return perform(request, session_id, action)
    except StaleSessionError: return FtResponse(html.notice(STALE, f"/s/{session_id}/"), status_code=409)
    except ConflictError as error: return FtResponse(html.conflict(str(error), error.current), status_code=409)
    except ReviewError as error: return FtResponse(html.notice(str(error)), status_code=422)
    except NotFoundError as error: return FtResponse(html.notice(str(error), "/", "Your sessions"), status_code=404)
    except UndoConflictError:
        return FtResponse(html.notice("Another program has changed the same clauses since, so this can't be undone or redone."), status_code=409)

def perform(request: Request, session_id: str, action: str):
    visitor, form = visitor_of(request), read_form(request)
    flow_id = sessions.find_flow(store, visitor, session_id)
    if action in BOXES: return html.box_answer(BOXES[action](store, flow_id, session_id, form), f"/s/{session_id}/")
    result = rv.click(store, flow_id, session_id, action, form)
    remember_view(visitor, session_id, View(result.step, result.document.at))
    if result.step != form.step: return Redirect(f"/s/{session_id}/{result.step}?at={result.document.at}")
    return html.answer(result)
