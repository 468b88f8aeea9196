"""Who has which sessions, and what a list of sessions shows.

Everything that a list searches or shows is read and written here: owner, name, progress, deleted.
    flow review/OWNER            the documents of a visitor (review.py); the flow says who the owner is
    flow visitors, VISITOR       name: what others see; shared: {session id: true}, the sessions of others that this visitor may open
    flow shared, SESSION ID      owner, secret: the end of the link; people: {visitor: true}, who has followed it
"""
import secrets
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

from cjm_workflow_state.state_store import SessionSummary, StaleSessionError, WorkflowStateStore

from . import review as rv
from .review import NotFoundError, ReviewError, is_deleted

PER_PAGE = 10
MAX_SESSIONS, MAX_BYTES, MAX_SHARED = 200, 50_000_000, 50  # of one visitor
MAX_STORE_BYTES = 2_000_000_000  # of all visitors, in a file
KEPT = timedelta(days=1)  # a deleted session can be put back for that long

class Row(NamedTuple):
    "A session in the list."
    session_id: str
    name: str
    owner: str  # empty if it is the visitor's own
    step: str   # where the visitor is
    done: int
    clauses: int
    updated_at: str
    revision: int
    deleted: bool

class Listing(NamedTuple):
    rows: list[Row]
    count: int   # how many there are on all pages
    page: int    # 0 is the first
    pages: int

def own_flow(visitor: str) -> str: return f"review/{visitor}"

def find_flow(store: WorkflowStateStore, visitor: str, session_id: str) -> str:
    "The flow of a session that the visitor may open: an own one, or one that its owner has shared."
    if store.session_exists(own_flow(visitor), session_id): return own_flow(visitor)
    return shared_flow(store, visitor, session_id)

def shared_flow(store: WorkflowStateStore, visitor: str, session_id: str) -> str:
    "The flow of a session of somebody else, who has shared it with the visitor."
    access = store.get_state("shared", session_id)
    if visitor not in access.get("people", {}): raise NotFoundError("There is no such session.")
    return own_flow(access["owner"])

def find_summary(store: WorkflowStateStore, flow_id: str, session_id: str) -> SessionSummary:
    summary = store.get_session_summary(flow_id, session_id)
    if summary is None or is_deleted(summary): raise NotFoundError("There is no such session.")
    return summary

# -- the list

def list_sessions(store: WorkflowStateStore, visitor: str, query: str = "", page: int = 0) -> Listing:
    "One page of the sessions whose name contains `query`: own and shared ones, the last changed first."
    purge(store, own_flow(visitor))
    found = [s for s in store.list_sessions(own_flow(visitor)) + shared_with(store, visitor) if query.casefold() in (s.label or rv.UNTITLED).casefold()]
    found.sort(key=lambda s: s.updated_at, reverse=True)  # stable, so own ones of the same second stay in order
    pages = max(-(-len(found) // PER_PAGE), 1)
    page = min(max(page, 0), pages - 1)
    return Listing([row(store, visitor, s) for s in found[page * PER_PAGE:(page + 1) * PER_PAGE]], len(found), page, pages)

def row(store: WorkflowStateStore, visitor: str, summary: SessionSummary) -> Row:
    progress = store.get_state(summary.flow_id, summary.session_id, keys=["progress"]).get("progress")
    is_progress = isinstance(progress, list) and [type(n) for n in progress] == [int, int]
    done, clauses = progress if is_progress else (0, 0)
    own = summary.flow_id == own_flow(visitor)
    owner = "" if own else name_of(store, summary.flow_id.partition("/")[2]) or "somebody else"
    step = rv.read_view(store, visitor, summary.session_id).step
    return Row(summary.session_id, summary.label or rv.UNTITLED, owner, step, done, clauses,
               summary.updated_at, summary.revision, is_deleted(summary))

def shared_with(store: WorkflowStateStore, visitor: str) -> list[SessionSummary]:
    "The sessions of others that the visitor may open, without deleted ones."
    found = []
    for session_id in store.get_state("visitors", visitor, keys=["shared"]).get("shared", {}):
        with suppress(NotFoundError):  # no longer shared, or deleted
            found.append(find_summary(store, shared_flow(store, visitor, session_id), session_id))
    return found

def check_room(store: WorkflowStateStore, visitor: str, new_bytes: int) -> None:
    "Refuse a new session if the visitor, or all visitors together, have stored as much as they may."
    sessions = store.list_sessions(own_flow(visitor))
    if len(sessions) >= MAX_SESSIONS: raise ReviewError(f"You have {len(sessions)} sessions, and more are not possible. Delete one first; a deleted one counts for a day.")
    if sum(s.state_size_bytes for s in sessions) + new_bytes > MAX_BYTES: raise ReviewError("Your sessions are full. Delete one first; a deleted one counts for a day.")
    path = getattr(store, "db_path", None)
    if path and Path(path).exists() and Path(path).stat().st_size > MAX_STORE_BYTES: raise ReviewError("This server has no room for another document.")

def start(store: WorkflowStateStore, visitor: str, name: str, data: bytes) -> str:
    check_room(store, visitor, len(data))
    return rv.start_session(store, own_flow(visitor), name, data)

def copy(store: WorkflowStateStore, visitor: str, session_id: str) -> str:
    "Copy a session, also one of somebody else, to the visitor's own. The copy has no undo."
    flow_id = find_flow(store, visitor, session_id)
    summary = find_summary(store, flow_id, session_id)
    check_room(store, visitor, summary.state_size_bytes)
    label = f"Copy of {summary.label or rv.UNTITLED}"[:rv.MAX_NAME]
    return store.copy_session(flow_id, session_id, to_flow_id=own_flow(visitor), label=label)

def rename(store: WorkflowStateStore, visitor: str, session_id: str, revision: int, name: str) -> None:
    flow_id = find_flow(store, visitor, session_id)
    store.set_session_label(flow_id, session_id, rv.one_line(name), expected_revision=revision)

# -- deleting. A deleted session can be put back for a day: its metadata says that it is deleted.

def delete(store: WorkflowStateStore, visitor: str, session_id: str, revision: int) -> None:
    "Delete an own session; leave one of somebody else."
    if store.session_exists(own_flow(visitor), session_id): mark(store, visitor, session_id, revision, True)
    else: leave(store, visitor, session_id)

def put_back(store: WorkflowStateStore, visitor: str, session_id: str, revision: int) -> None: mark(store, visitor, session_id, revision, False)

def mark(store: WorkflowStateStore, visitor: str, session_id: str, revision: int, deleted: bool) -> None:
    "Say in the metadata whether a session is deleted. One that is gone for good stays gone."
    try:
        with store.edit_session(own_flow(visitor), session_id, create=False) as s:
            if s.metadata.get("deleted", False) == deleted: return  # a double click
            if s.revision != revision: raise StaleSessionError(revision, s.revision)
            s.metadata["deleted"] = deleted
    except LookupError: raise NotFoundError("There is no such session.") from None

def purge(store: WorkflowStateStore, flow_id: str, kept: timedelta = KEPT) -> None:
    "Delete for good what was deleted longer than `kept` ago, and was not put back meanwhile."
    limit = (datetime.now(timezone.utc) - kept).strftime("%Y-%m-%d %H:%M:%S")
    for s in store.list_sessions(flow_id, metadata={"deleted": True}):
        if s.updated_at >= limit: continue
        with suppress(StaleSessionError):
            store.delete_session(flow_id, s.session_id, expected_revision=s.revision)
            store.delete_session("shared", s.session_id)
            store.delete_session(flow_id.replace("review/", "view/", 1), s.session_id)

def purge_all(store: WorkflowStateStore) -> None:
    "Do so for all visitors, also for those who do not come back."
    for flow_id in store.list_flows():
        if flow_id.startswith("review/"): purge(store, flow_id)

# -- visitors, and sessions that they share

def name_of(store: WorkflowStateStore, visitor: str) -> str:
    name = store.get_state("visitors", visitor, keys=["name"]).get("name")
    return name if isinstance(name, str) else ""

def set_name(store: WorkflowStateStore, visitor: str, name: str) -> None:
    store.update_state("visitors", visitor, {"name": rv.one_line(name) or ""})

def share(store: WorkflowStateStore, visitor: str, session_id: str) -> str:
    "The secret of the link to an own session. The first call makes it."
    if not store.session_exists(own_flow(visitor), session_id): raise ReviewError("Only the owner can share a session. Copy it to share your copy.")
    with store.edit_state("shared", session_id) as access:
        access.setdefault("owner", visitor)
        access.setdefault("people", {})
        return access.setdefault("secret", secrets.token_urlsafe(24))

def stop_sharing(store: WorkflowStateStore, visitor: str, session_id: str) -> None:
    "The link and everyone who followed it lose access."
    if store.session_exists(own_flow(visitor), session_id): store.delete_session("shared", session_id)

NO_LINK = "This link leads to no session. Its owner may have withdrawn it."

def shared_link(store: WorkflowStateStore, session_id: str, secret: str) -> SessionSummary:
    "The session that a link leads to."
    access = store.get_state("shared", session_id)
    summary = store.get_session_summary(own_flow(access["owner"]), session_id) if "owner" in access else None
    if summary is None or is_deleted(summary) or not compare_digest(str(access.get("secret")).encode(), secret.encode()):
        raise NotFoundError(NO_LINK)
    return summary

def join(store: WorkflowStateStore, visitor: str, session_id: str, secret: str) -> None:
    "Let a visitor into the session that a link leads to."
    if shared_link(store, session_id, secret).flow_id == own_flow(visitor): return
    mine = store.get_state("visitors", visitor, keys=["shared"]).get("shared", {})
    if len(mine) >= MAX_SHARED and session_id not in mine: raise ReviewError(f"You already take part in {MAX_SHARED} sessions of others. Leave one first.")
    try:
        with store.edit_state("shared", session_id, create=False) as access:
            people = access.get("people", {})
            if len(people) >= MAX_SHARED and visitor not in people: raise ReviewError(f"{MAX_SHARED} people have followed this link, and more are not possible.")
            if access.get("secret") != secret: raise NotFoundError(NO_LINK)
            people[visitor] = True
    except LookupError: raise NotFoundError(NO_LINK) from None  # the owner has withdrawn it meanwhile
    with store.edit_state("visitors", visitor) as me: me.setdefault("shared", {})[session_id] = True

def leave(store: WorkflowStateStore, visitor: str, session_id: str) -> None:
    with suppress(LookupError), store.edit_state("visitors", visitor, create=False) as me: me.get("shared", {}).pop(session_id, None)
    with suppress(LookupError), store.edit_state("shared", session_id, create=False) as access: access.get("people", {}).pop(visitor, None)
