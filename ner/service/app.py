"""The service as an ASGI application: routes, limits, and the phases loading, ready, draining."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loguru import logger
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ner.errors import printable, unknown_key
from ner.service.batcher import Batcher, Item, QueueFullError
from ner.service.metrics import Metrics
from ner.service.model import ServedModel, merge_coverage
from ner.service.schema import TagRequest

if TYPE_CHECKING:
    from ner.service.page import Page

BYTES_PER_PIECE = 4
"""Bytes of UTF-8 that are counted as a piece: about an English word piece, or a Chinese character."""
QUIET = 0.5
"""Seconds, at least, in which a draining service still answers new requests with 503, so that clients move on."""
DISCARDED = 1 << 24
"""Bytes of a too large body that are discarded, because many clients read no answer before they have sent it."""
SWITCH = 0.0005
"""Seconds after which the thread of the model lets the event loop run; Python's default of 0.005 delays every step."""


@dataclass(frozen=True)
class Limits:
    """Limits of the service.

    Attributes:
        body_bytes: Size of a request.
        batch_pieces: Estimated pieces that are annotated together.
        queue_pieces: Estimated pieces that wait; fewer if they would wait longer than half the deadline.
        deadline: Seconds from the complete request to its answer.
        receive: Seconds in which the body of a request must arrive.
        drain: Seconds for the requests in flight after a signal.
    """

    body_bytes: int = 1 << 20
    batch_pieces: int = 4096
    queue_pieces: int = 65536
    deadline: float = 30
    receive: float = 10
    drain: float = 30


LOADING = "<!doctype html><html lang=en><title>ner</title><p>The model is loading."


class Refusal(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        self.status, self.content, self.headers = status, {"error": printable(error), **more}, dict(headers or {})
        super().__init__(error)


class Service:
    """State of a process: the model, its queue, and the phase.

    Args:
        load: Loads the model; called in the thread that owns it.
        limits: Limits of the service.
        on_failure: Called in the event loop if the model cannot be loaded.
    """

    def __init__(
        self,
        load: Callable[[], ServedModel],
        limits: Limits,
        on_failure: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self.load, self.limits, self.on_failure = load, limits, on_failure
        self.metrics = Metrics()
        self.model: ServedModel | None = None
        self.is_draining = False
        self.in_flight = 0
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.batcher = Batcher(
            self._annotate,
            self.thread,
            limits.batch_pieces,
            limits.queue_pieces,
            limits.deadline / 2,
            self.metrics.on_batch,
        )

    def _annotate(self, items: list[Any], options: Any) -> list[Any]:
        assert self.model is not None, "requests are refused before"
        return self.model.tag(items, options)

    async def start(self) -> None:
        """Load the model."""
        sys.setswitchinterval(SWITCH)
        try:
            self.model = await asyncio.get_running_loop().run_in_executor(self.thread, self.load)
        except BaseException as error:
            self.on_failure(error)
            raise
        self.metrics.ready.set(1)

    async def drain(self) -> None:
        """Refuse new requests, and wait until those in flight are answered, at most ``limits.drain`` seconds."""
        self.is_draining = True
        self.metrics.ready.set(0)
        start_time = time.monotonic()
        while (elapsed := time.monotonic() - start_time) < self.limits.drain:
            if not self.in_flight and elapsed >= QUIET:
                break
            await asyncio.sleep(0.02)

    @property
    def phase(self) -> str:
        """``loading``, ``ready`` or ``draining``."""
        return "draining" if self.is_draining else "ready" if self.model is not None else "loading"

    async def tag(self, request: Request) -> Response:
        """Answer ``POST /tag``."""
        start_time = time.perf_counter()
        self.in_flight += 1
        self.metrics.in_flight.set(self.in_flight)
        try:
            content = await self._tag(request)
            response = _json(content, headers={"Connection": "close"} if self.is_draining else None)
        except Refusal as refusal:
            response = _json(refusal.content, refusal.status, refusal.headers)
        except ClientDisconnect:
            response = Response(status_code=499)
        finally:
            self.in_flight -= 1
            self.metrics.in_flight.set(self.in_flight)
        self.metrics.requests.labels(str(response.status_code)).inc()
        if response.status_code == 200:
            self.metrics.seconds.observe(time.perf_counter() - start_time)
        return response

    async def _tag(self, request: Request) -> dict[str, Any]:
        if self.model is None or self.is_draining:
            headers = {"Retry-After": "1"}
            raise Refusal(
                503, f"the service is {self.phase}", headers | ({"Connection": "close"} if self.model else {})
            )
        model = self.model
        try:
            tag_request = _parse(await self._body(request))
            options = tag_request.options
            if options.n_best and not model.has_alternatives:
                error = "expected 0: this model does not compute alternatives"
                raise Refusal(422, f"n_best: {error}", fields=[{"field": "n_best", "error": error}])
            job = self.batcher.put([_item(value) for value in tag_request.items], options)
        except QueueFullError as full:
            raise _refusal(full) from None
        self.metrics.waiting.set(self.batcher.waiting_pieces)
        disconnect = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait(
                (job.answers, disconnect), timeout=self.limits.deadline, return_when=asyncio.FIRST_COMPLETED
            )
            if not job.answers.done():
                if disconnect.done():
                    raise ClientDisconnect
                raise Refusal(504, f"no answer within {self.limits.deadline:g} s; send less text", {"Retry-After": "1"})
            if (failure := job.answers.exception()) is not None:
                logger.error("a request failed: {}: {}", type(failure).__name__, failure)
                raise Refusal(500, "the model failed on this text")
            answers = job.answers.result()
        finally:
            disconnect.cancel()
            job.answers.cancel()
            self.metrics.waiting.set(self.batcher.waiting_pieces)
        coverage = merge_coverage(answers)
        self.metrics.words.inc(coverage["words"])
        return {"documents": answers, "coverage": coverage, "model": model.sha256}

    async def _body(self, request: Request) -> bytes:
        """Read the body within its limits."""
        limit = self.limits.body_bytes
        too_large = Refusal(413, f"expected at most {limit:,} bytes", {"Connection": "close"})
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit + DISCARDED:
            raise too_large
        size, body = 0, bytearray()
        try:
            async with asyncio.timeout(self.limits.receive):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= limit:
                        body += chunk
                    elif size > limit + DISCARDED:
                        break
        except TimeoutError:
            error = f"the body did not arrive within {self.limits.receive:g} s"
            raise Refusal(408, error, {"Connection": "close"}) from None
        if size > limit:
            raise too_large
        return bytes(body)

    async def ready(self, request: Request) -> Response:
        """Answer ``GET /readyz``."""
        is_ready = self.phase == "ready"
        return _json({"status": self.phase}, 200 if is_ready else 503, None if is_ready else {"Retry-After": "1"})

    async def version(self, request: Request) -> Response:
        """Answer ``GET /version``."""
        if self.model is None:
            return _json({"error": "the service is loading"}, 503, {"Retry-After": "1"})
        return _json(self.model.version())


class RefuseWhenFull:
    """Middleware that refuses requests without room in the queue before they are read; an overload costs little.

    Args:
        app: The application.
        service: Its state.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429, or call the application."""
        handler = self.app
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/tag"):
            length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
            if self.service.phase == "ready" and length.isdigit() and int(length) <= self.service.limits.body_bytes:
                try:
                    self.service.batcher.check_room(int(length) // BYTES_PER_PIECE)
                except QueueFullError as full:
                    self.service.metrics.requests.labels("429").inc()
                    refusal = _refusal(full)
                    handler = _json(refusal.content, refusal.status, refusal.headers)
        await handler(scope, receive, send)


def _refusal(error: QueueFullError) -> Refusal:
    return Refusal(429, str(error), {"Retry-After": str(max(1, math.ceil(error.seconds)))})


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(content), status, headers, "application/json")


def _html(page: Page) -> Response:
    headers = {"Content-Security-Policy": page.policy, "X-Content-Type-Options": "nosniff"}
    return Response(page.html, headers=headers, media_type="text/html")


def _item(value: str | list[str]) -> Item:
    text = value if isinstance(value, str) else " ".join(value)
    return Item(value, 1 + len(text.encode()) // BYTES_PER_PIECE)


def _parse(body: bytes) -> TagRequest:
    """Return the request of a body.

    Raises:
        Refusal: 400 if it is not JSON, 422 if a field is not valid.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"expected JSON in UTF-8: {error}") from None
    try:
        return TagRequest.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)[:10]
        fields = [
            {
                "field": ".".join(map(str, entry["loc"])),
                "error": unknown_key(str(entry["loc"][-1]), list(TagRequest.model_fields))
                if entry["type"] == "extra_forbidden"
                else entry["msg"].removeprefix("Value error, "),
            }
            for entry in errors
        ]
        first = fields[0]
        message = f"{first['field']}: {first['error']}" if first["field"] else first["error"]
        raise Refusal(422, message, fields=fields) from None


async def _disconnected(request: Request) -> None:
    """Return when the client closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: POST /tag annotates texts, GET /docs lists all paths"
    return _json({"error": message}, error.status_code, error.headers)


async def _health(request: Request) -> Response:
    return _json({"status": "ok"})


def create(service: Service) -> Starlette:
    """Return the application. It loads the model after its start, and drains after SIGTERM or SIGINT."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loading = asyncio.ensure_future(service.start())
        loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        drain_on_signals(service)
        yield
        loading.cancel()
        service.thread.shutdown(wait=False, cancel_futures=True)
        if threading.current_thread() is threading.main_thread():
            # uvicorn raises the signal again after its end; blocked, it does not turn a clean end into a failure
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))

    async def metrics(request: Request) -> Response:
        return Response(service.metrics.render(), media_type=service.metrics.content_type)

    async def description(request: Request) -> Response:
        from ner.service import openapi

        return _json(openapi.document())

    async def demonstration(request: Request) -> Response:
        from ner.service import page  # templates and Markdown take a fifth of a second, which a start does not need

        if service.model is None:
            return Response(LOADING, 503, {"Retry-After": "1", "Refresh": "1"}, "text/html")
        return _html(page.demonstration(service.model))

    async def interface(request: Request) -> Response:
        from ner.service import page

        return _html(page.interface())

    routes = [
        Route("/tag", service.tag, methods=["POST"]),
        Route("/healthz", _health),
        Route("/readyz", service.ready),
        Route("/version", service.version),
        Route("/metrics", metrics),
        Route("/openapi.json", description),
        Route("/docs", interface),
        Route("/", demonstration),
    ]
    middleware = [Middleware(RefuseWhenFull, service=service)]
    return Starlette(
        routes=routes, middleware=middleware, lifespan=lifespan, exception_handlers={HTTPException: _error}
    )


def drain_on_signals(service: Service) -> None:
    """Drain the service before the server handles a signal; a second signal is handled at once."""
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        server_handler = signal.getsignal(signal_number)
        if not callable(server_handler):
            continue

        def handle(signal_number: int, frame: Any, server_handler: Any = server_handler) -> None:
            if service.is_draining:
                server_handler(signal_number, frame)
                return
            service.is_draining = True
            task = asyncio.run_coroutine_threadsafe(service.drain(), loop)
            task.add_done_callback(lambda _: server_handler(signal_number, frame))

        with suppress(ValueError):  # not in the main thread, as in tests
            signal.signal(signal_number, handle)
