"""What stands between the server and the pages: limits for hostile requests, headers, compression, and the files of the pages.

A form is read and parsed here, and the pages get a dict of text and files. The framework's own parser takes quadratic time for many fields.
"""
import hashlib
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY, MAX_URLENCODED, MAX_FIELDS, MAX_URL = 2_000_000, 1_000_000, 20, 4_000
SECURITY_HEADERS = {  # nothing from other sites, no inline scripts, no frames
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"}
TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}


class Upload(NamedTuple):
    filename: str
    data: bytes

class RefusedError(Exception):
    "A request that no page of this app sends: a sentence for its sender, and a status."
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


# -- forms

def parse_form(content_type: str, body: bytes) -> dict[str, str | Upload]:
    "The fields of a form by name. A form with two fields of one name, or with too many fields, is refused."
    kind, options = parse_options_header(content_type)
    if kind == b"application/x-www-form-urlencoded": fields = parse_urlencoded(body)
    elif kind == b"multipart/form-data" and options.get(b"boundary"): fields = parse_multipart(body, options[b"boundary"])
    else: raise RefusedError("This is not a form.", 415)
    if len({name for name, _ in fields}) < len(fields): raise RefusedError("This form has a field twice.", 400)
    return dict(fields)

def parse_urlencoded(body: bytes) -> list[tuple[str, str | Upload]]:
    check_count(body.count(b"&"))
    if len(body) > MAX_URLENCODED: raise RefusedError("This is too big.", 413)
    return list(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))

def parse_multipart(body: bytes, boundary: bytes) -> list[tuple[str, str | Upload]]:
    line = b"\r\n--" + boundary
    check_count(body.count(line))
    before, *parts = (b"\r\n" + body).split(line)
    if before or not parts or not parts.pop().startswith(b"--"): raise RefusedError("This is not a form.", 415)
    return [parse_part(part) for part in parts]

def parse_part(part: bytes) -> tuple[str, str | Upload]:
    head, separator, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    found = [parse_options_header(line.partition(b":")[2].strip()) for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition:")]
    if not separator or not found or b"name" not in found[0][1]: raise RefusedError("This is not a form.", 415)
    options = {name: value.decode("utf-8", errors="replace") for name, value in found[0][1].items()}
    name = options[b"name"]
    return name, Upload(options[b"filename"], data) if b"filename" in options else data.decode("utf-8", errors="replace")

def check_count(fields: int) -> None:
    if fields > MAX_FIELDS: raise RefusedError(f"This form has too many fields: at most {MAX_FIELDS} are possible.", 413)

async def read_body(receive: Receive) -> bytes | None:
    "The whole body, or `None` if the client went away."
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect": return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY: raise RefusedError("This is too big.", 413)  # more than it announced
        if not message.get("more_body"): return b"".join(parts)


# -- requests

def check_request(scope: Scope, headers: Headers, origins: frozenset[str]) -> None:
    "Refuse what no page of this app sends, before anything of it is read."
    if "\0" in scope["path"] or len(scope["path"]) + len(scope["query_string"]) > MAX_URL: raise RefusedError("There is no such page.", 404)
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdecimal()) or len(length) > 9 or int(length) > MAX_BODY:
        raise RefusedError("This is too big: at most 1 MB of text is possible.", 413)
    if scope["method"] == "POST" and not is_same_site(headers, origins): raise RefusedError("This came from a page of another site.", 403)

def is_same_site(headers: Headers, origins: frozenset[str]) -> bool:
    """Whether a page of this app sent this. Browsers say so themselves, which also works behind a proxy that does not pass Host.

    Older browsers, and pages without HTTPS, send only Origin, which is compared with Host and with the public address of the app."""
    if "sec-fetch-site" in headers: return headers["sec-fetch-site"] in ("same-origin", "none")
    if "origin" not in headers: return True  # not a browser, or an old one
    hosts = {headers.get("host"), headers.get("x-forwarded-host")} - {None, ""}
    return headers["origin"] in origins or ("://" in headers["origin"] and urlsplit(headers["origin"]).netloc in hosts)

def is_https(scope: Scope, headers: Headers) -> bool: return scope["scheme"] == "https" or headers.get("x-forwarded-proto") == "https"


# -- files

class Files:
    "The scripts and styles of the pages, read once. An address with the file's version is kept by browsers."
    def __init__(self, folder: Path) -> None:
        self._data = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in TYPES}
        self._versions = {name: hashlib.sha256(data).hexdigest()[:16] for name, data in self._data.items()}

    def url(self, name: str) -> str: return f"/static/{name}?v={self._versions[name]}"

    def response(self, name: str, headers: Headers) -> Response:
        if name not in self._data: return PlainTextResponse("There is no such file.", 404, {"Cache-Control": "no-store"})
        kept = {"Cache-Control": "public, max-age=600", "ETag": f'"{self._versions[name]}"'}
        if headers.get("if-none-match") == kept["ETag"]: return Response(status_code=304, headers=kept)
        return Response(self._data[name], headers=kept, media_type=TYPES[os.path.splitext(name)[1]])


# -- all of it

class Middleware:
    "The whole app, for the server: `pages` with everything above around it."
    def __init__(self, pages: ASGIApp, files: Files, origins: frozenset[str] = frozenset()) -> None:
        self._app, self._pages, self._files, self._origins = GZipMiddleware(self._answer, minimum_size=1000), pages, files, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http": return await self._pages(scope, receive, send)
        secure = is_https(scope, Headers(scope=scope))
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start": add_headers(MutableHeaders(scope=message), secure)
            await send(message)
        await self._app(scope, receive, send_with_headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            check_request(scope, headers, self._origins)
            if scope["path"].startswith("/static/"): return await self._files.response(scope["path"][8:], headers)(scope, receive, send)
            body = await read_body(receive)
            if body is None: return
            form = await run_in_threadpool(parse_form, headers.get("content-type", ""), body) if scope["method"] == "POST" else {}
        except RefusedError as error: return await PlainTextResponse(str(error), error.status)(scope, receive, send)
        await self._pages({**scope, "form": form, "headers": without_body(scope["headers"])}, empty_body(receive), send)

def without_body(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name not in (b"content-type", b"content-length")]

def empty_body(receive: Receive) -> Receive:
    "The body has been read: the pages get an empty one, and afterwards only the news that the client went away."
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    async def receive_nothing() -> Message: return messages.pop() if messages else await receive()
    return receive_nothing

def add_headers(headers: MutableHeaders, secure: bool) -> None:
    headers.update(SECURITY_HEADERS)
    headers.setdefault("Cache-Control", "no-store")
    if secure and "set-cookie" in headers: headers["set-cookie"] += "; secure"
