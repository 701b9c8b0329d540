"""The web application: routes, refusals as JSON, and the guard around it all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from tomos import __version__
from tomos.serve import api, inference_protocol, page, tensorflow_protocol
from tomos.serve.guard import Guard
from tomos.serve.refusal import Refusal, from_error
from tomos.serve.service import Service
from tomos.types import TomosError

LOCAL = ("localhost", "127.0.0.1", "::1")
DESCRIPTION = """Reads medical images with the models of one or more `model.tomos` files.

Three ways in: `/api/read` for people and programs that send files, `/v1` as TensorFlow Serving
answers, `/v2` as the Open Inference Protocol says. For research use; not a medical device."""


def create(
    service: Service,
    hosts: Iterable[str] = LOCAL,
    language: str = "auto",
    static: Path = page.STATIC,
) -> ASGIApp:
    """The ASGI application over `service`.

    hosts     names (without port) in the Host header that are answered; "*" adds IP addresses
    language  of the page until the reader chooses: "en", "zh" or "auto" (the browser's)
    """
    app = FastAPI(
        title="Tomos",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        openapi_tags=[
            {"name": "reading", "description": "Files in, findings out"},
            {"name": "tensorflow", "description": "As TensorFlow Serving's REST interface"},
            {"name": "open inference", "description": "Open Inference Protocol, version 2"},
            {"name": "operation", "description": "Health and figures"},
        ],
    )
    app.state.service = service
    app.include_router(api.routes)
    app.include_router(tensorflow_protocol.routes)
    app.include_router(inference_protocol.routes)
    page.mount(app, language, static)
    app.add_exception_handler(Refusal, _from_refusal)  # type: ignore[arg-type]
    app.add_exception_handler(TomosError, _from_tree)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _from_framework)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _from_validation)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _from_bug)  # type: ignore[arg-type]
    return Guard(app, service.metrics, hosts)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.service.close()


class _Refused:
    """A response that leaves the sending to the guard, which knows how much body is unread."""

    background = None

    def __init__(self, refusal: Refusal):
        self.refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["state"]["refuse"](self.refusal)


def _from_refusal(_: Request, refusal: Refusal) -> _Refused:
    return _Refused(refusal)


def _from_tree(_: Request, error: TomosError) -> _Refused:
    return _Refused(from_error(error))


def _from_framework(request: Request, error: HTTPException) -> _Refused:
    words = {
        404: ("not_found", f"nothing at {request.url.path[:100]}; see /openapi.json"),
        405: ("method", f"{request.method} is not for this address; see /openapi.json"),
    }
    kind, message = words.get(error.status_code, ("http", str(error.detail)))
    return _Refused(Refusal(error.status_code, kind, message))


def _from_validation(_: Request, error: RequestValidationError) -> _Refused:
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"])
    return _Refused(Refusal(400, "setting", f"{where}: {first['msg']}"))


def _from_bug(_: Request, error: Exception) -> _Refused:
    return _Refused(Refusal(500, "failure", "the server failed at this request; see its log"))
