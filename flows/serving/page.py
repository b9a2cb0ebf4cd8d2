"""The page to try a model and the address that it asks, `POST /predict`: an app, and its server.

A picture is the body of a request. It is answered and forgotten: nothing is written to disk. So
that no other page that is open in the browser can ask:

* a request whose `Origin` is not the page's own is refused;
* on loopback, one for another host's name too: that name may lead here (DNS rebinding);
* whoever listens elsewhere must name a password, which every request is asked for then.

No Prefect here, and no torch.
"""

import asyncio
import base64
import errno
import ipaddress
import logging
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from resnext.contracts.errors import InputError

MOST_BYTES = 25_000_000  # of a picture
MOST_AT_ONCE = 4  # pictures that are received or wait for their answer
MOST_CONNECTIONS = 64
SECONDS_TO_SEND = 60.0  # a picture
SECONDS_TO_END = 3  # for what is being answered
LEAST_PASSWORD = 8  # characters
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # which a page can't say of itself
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PICTURE = {"schema": {"type": "string", "format": "binary"}}
BODY = {"required": True, "content": {"image/*": PICTURE, "application/octet-stream": PICTURE}}


class Answer(BaseModel):
    """What is answered for a picture."""

    answer: str = Field(description="the class that is answered")
    probabilities: dict[str, float] = Field(description="calibrated, 0 to 1, by class")
    refer: bool = Field(
        False, description="whether the answer is too uncertain to be given: ask a person"
    )
    possible: list[str] = Field(
        [], description="the classes that it may be, the likeliest first; empty if not known"
    )
    unlike_training: float | None = Field(
        None,
        description="the share of held-out images, 0 to 1, that are more like the training images: "
        "above 0.95 the picture is unlike them; null if not known",
    )
    note: str = Field(description="what is odd about the picture or the answer; empty if nothing")
    thumbnail: str | None = Field(None, description="the picture, small, as a data URI")
    heat_map: str | None = Field(
        None, description="which places spoke for the answer, over the picture, as a data URI"
    )


class Fault(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="a sentence for a person")


FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": Fault, "description": text}
    for status, text in {
        403: "another page asks",
        408: "the picture takes too long to arrive",
        413: f"the picture is larger than {MOST_BYTES // 1_000_000} MB",
        415: "the content type is not one of a picture",
        422: "the picture can't be used",
        503: f"{MOST_AT_ONCE} pictures are in work",
    }.items()
}
Answering = Callable[[bytes, bool], Answer]
"""Answers a picture, and shows it too where the second argument is true; an InputError says why
it can't be used."""


def page_app(answering: Answering, page: str, host: str, login: str | None = None) -> FastAPI:
    """Make the app: the page, and the answers to what it asks.

    Args:
        answering: Called for one picture at a time, in a thread.
        page: The HTML text.
        host: Where it will listen.
        login: user:password that everybody must give; None where nobody need.
    """
    app = FastAPI(
        title="Predict the class of a picture",
        description="A picture is the body of a request, and is kept nowhere. Not for diagnosis.",
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
    )
    places, turn = asyncio.Semaphore(MOST_AT_ONCE), asyncio.Lock()

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def show() -> str:
        return page

    @app.post("/predict", responses=FAULTS, openapi_extra={"requestBody": BODY})
    async def predict(
        request: Request,
        explain: Annotated[bool, Query(description="give thumbnail and heat map too")] = False,
    ) -> Answer:
        """Answer which class a picture shows."""
        if places.locked():
            again = {"Retry-After": "2"}
            raise HTTPException(503, "Too many pictures at once. Send it again in a while.", again)
        async with places:
            data = await _received(request)
            async with turn:
                return await asyncio.to_thread(answering, data, explain)

    app.exception_handler(InputError)(_unusable)
    app.exception_handler(RequestValidationError)(_misread)
    app.exception_handler(Exception)(_failed)

    @app.middleware("http")
    async def guard(
        request: Request, proceed: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = _refusal(request, login) or await proceed(request)
        response.headers.update(HEADERS)
        return response

    if is_loopback(host):
        names = ["127.0.0.1", "localhost", "[::1]", host]
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)
    return app


async def _received(request: Request) -> bytes:
    """Give the body of a request, which must be a picture's, and not too large."""
    kind = request.headers.get("content-type", "none").partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind != "application/octet-stream":
        text = f"The content type must be image/... or application/octet-stream, got {kind}."
        raise HTTPException(415, text)
    length = request.headers.get("content-length", "")
    data = bytearray()
    try:
        async with asyncio.timeout(SECONDS_TO_SEND):
            _require_size(int(length) if length.isdecimal() else 0)
            async for part in request.stream():
                data += part
                _require_size(len(data))
    except TimeoutError:
        raise HTTPException(408, "The picture took too long to arrive. Send it again.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The picture did not arrive whole.") from None
    return bytes(data)


def _require_size(size: int) -> None:
    if size > MOST_BYTES:
        text = f"The picture is larger than {MOST_BYTES // 1_000_000} MB. Make it smaller."
        raise HTTPException(413, text)


# ---------------------------------------------------------------- who may ask, and what is refused


def _refusal(request: Request, login: str | None) -> Response | None:
    """Refuse who gives no password, and what other pages send; None for any other request."""
    headers = request.headers
    if login is not None:
        right = f"Basic {base64.b64encode(login.encode()).decode()}"
        given = headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), right.encode()):
            how = {"WWW-Authenticate": 'Basic realm="The page to try a model", charset="UTF-8"'}
            return _said("Name and password are needed.", 401, how)
    origin = headers.get("origin")
    if request.method != "GET" and origin is not None:
        own = headers.get("host", "")
        if not own or origin.partition("://")[2] != own:
            return _said("Another page may not ask.", 403)
    return None


def _said(text: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": text}, status, headers)


async def _unusable(_: Request, error: Exception) -> JSONResponse:
    why = error.got if isinstance(error, InputError) else error
    return _said(f"The picture can't be used: {why}.", 422)


async def _misread(_: Request, error: Exception) -> JSONResponse:
    names = [str(each["loc"][-1]) for each in error.errors()]  # type: ignore[attr-defined]
    return _said(f"The request can't be read: {', '.join(names)}.", 422)


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return _said(f"The program failed ({type(error).__name__}). Its terminal says more.", 500)


# ---------------------------------------------------------------- where it listens


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_login(host: str, login: str | None, name: str) -> None:
    """Check that whoever listens for other machines asks them for a password.

    Args:
        host: Where it will listen.
        login: user:password, None without one.
        name: What the setting of it is called.

    Raises:
        InputError: there is none, or none that is worth anything.
    """
    remedy = f"Set the environment variable {name} to user:password."
    if login is None and not is_loopback(host):
        got = f"'{host}', which other machines reach, and no password"
        raise InputError("host", "be 127.0.0.1, or come with a password", got, remedy)
    user, _, password = (login or "").partition(":")
    if login is not None and not (user and len(password) >= LEAST_PASSWORD):
        rule = f"be user:password, with a password of {LEAST_PASSWORD} characters or more"
        raise InputError(name, rule, "another text")


def listen(host: str, port: int) -> socket.socket:
    """Take a port, 0 for any free one.

    Raises:
        InputError: it is taken, or the address isn't one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "Something listens there, another page perhaps. Stop it, or name another port."
            raise InputError("port", "be free", port, remedy) from error
        got = f"'{host}' with `port` {port} ({error.strerror or error})"
        raise InputError("host", "be an address that can be listened on", got) from error


def address_of(listening: socket.socket, host: str) -> str:
    """Give the address to type into a browser."""
    everywhere = host in ("0.0.0.0", "::")
    name = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM: a KeyboardInterrupt, unless the process ignores Ctrl-C."""
    config = uvicorn.Config(
        app, log_level="error", access_log=False, lifespan="off", ws="none", server_header=False,
        limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=SECONDS_TO_END,
    )  # fmt: skip
    server = uvicorn.Server(config)
    # What is cut off by Ctrl-C is no error to be shown.
    logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server.run(sockets=[listening])
