"""The outermost layer: who may ask, which headers every answer carries, and what is counted.

A page on another site must not be able to use a server on this machine: the Host header is checked
(DNS rebinding), and the Origin of whatever may change or cost something (cross-site requests).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import time
import traceback
from collections.abc import Iterable
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tomos.serve.metrics import Metrics
from tomos.serve.refusal import Refusal

LOG = logging.getLogger("tomos.serve")
LINGER_SECONDS = 5.0

HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

# Route names for logs and metrics: a path from outside never becomes a label.
ROUTES = (
    (r"/", "/"),
    (r"/(?:health|ready|metrics|openapi\.json|api/read|api/models|v2)", None),
    (r"/assets/.*|/(?:icon\.svg|favicon\.ico|site\.webmanifest)", "/assets"),
    (r"/api/models/[^/]+", "/api/models/NAME"),
    (r"/api/models/[^/]+/example", "/api/models/NAME/example"),
    (r"/api/progress/[^/]+", "/api/progress/NAME"),
    (r"/api/results/[^/]+(?:/[^/]+)?", "/api/results/KEY"),
    (r"/v1/models/[^/]+(?:/versions/[^/]+)?:predict", "/v1/models/NAME:predict"),
    (r"/v1/models/[^/]+(?:/versions/[^/]+)?/metadata", "/v1/models/NAME/metadata"),
    (r"/v1/models/[^/:]+(?:/versions/[^/:]+)?", "/v1/models/NAME"),
    (r"/v2/health/(?:live|ready)", None),
    (r"/v2/models/[^/]+(?:/versions/[^/]+)?/infer", "/v2/models/NAME/infer"),
    (r"/v2/models/[^/]+(?:/versions/[^/]+)?/ready", "/v2/models/NAME/ready"),
    (r"/v2/models/[^/]+(?:/versions/[^/]+)?", "/v2/models/NAME"),
)
_ROUTES = tuple((re.compile(pattern), name) for pattern, name in ROUTES)


def route_name(path: str) -> str:
    """The route that a path belongs to, "other" when none."""
    for pattern, name in _ROUTES:
        if pattern.fullmatch(path):
            return name or path
    return "other"


class Guard:
    """ASGI middleware around the whole application.

    hosts     names in the Host header that are answered; "*" adds every IP address (a name is
              needed for DNS rebinding, an address cannot be rebound)
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: Iterable[str]):
        self.app = app
        self.metrics = metrics
        self.hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        started = time.perf_counter()
        scope.setdefault("state", {})["refuse"] = partial(self.refuse, exchange)
        self.metrics.add("tomos_requests_in_flight", 1)
        try:
            self._check(Headers(scope=scope), scope["method"])
            await self.app(scope, exchange.receive, exchange.send)
        except Refusal as refusal:
            await self.refuse(exchange, refusal)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _log_failure(error)
            await self.refuse(exchange, Refusal(500, "failure", "the server failed; see its log"))
        finally:
            self.metrics.add("tomos_requests_in_flight", -1)
            self._count(scope, exchange, time.perf_counter() - started)

    async def refuse(self, exchange: _Exchange, refusal: Refusal) -> None:
        """Send the refusal as `{"error": ...}`, unless an answer has begun."""
        self.metrics.add("tomos_refusals_total", reason=refusal.kind)
        if exchange.status:
            return
        content: dict[str, str | int] = {"error": refusal.message}
        if refusal.members:
            content["members"] = refusal.members
        body = json.dumps(content, ensure_ascii=False).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if refusal.retry_after:
            headers.append((b"retry-after", str(refusal.retry_after).encode()))
        if not exchange.received_all:
            headers.append((b"connection", b"close"))
        await exchange.send(
            {"type": "http.response.start", "status": refusal.status, "headers": headers}
        )
        await exchange.send({"type": "http.response.body", "body": body, "more_body": True})
        await exchange.linger()
        await exchange.send({"type": "http.response.body", "body": b""})

    def _check(self, headers: Headers, method: str) -> None:
        hosts = headers.getlist("host")
        name = host_name(hosts[0]) if len(hosts) == 1 else ""
        if not name or not self._known(name):
            raise Refusal(421, "host", "this server does not answer to that host name; start it "
                          "with --allow-host NAME to add one")  # fmt: skip
        if method in ("GET", "HEAD", "OPTIONS"):
            return
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != hosts[0].lower():
            raise Refusal(403, "origin", "requests from other sites are refused")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refusal(403, "origin", "requests from other sites are refused")

    def _known(self, name: str) -> bool:
        if name in self.hosts:
            return True
        return "*" in self.hosts and _is_address(name)

    def _count(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        route, method = route_name(scope["path"]), scope["method"]
        method = method if method in ("GET", "HEAD", "POST") else "other"
        status = str(exchange.status or 499)  # nginx's number for a client that went away
        self.metrics.add("tomos_requests_total", route=route, method=method, status=status)
        self.metrics.observe("tomos_request_seconds", seconds, route=route)
        self.metrics.add("tomos_upload_bytes_total", exchange.received)
        LOG.info("%s %s %s %.0f ms", method, route, status, 1000 * seconds)


class _Exchange:
    """One request and its answer: adds the headers, remembers the status, counts the body."""

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self._receive = receive
        self._send = send
        self.status = 0
        self.received = 0
        self.received_all = scope["method"] in ("GET", "HEAD", "OPTIONS")

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.received_all = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await self._send(message)

    async def linger(self) -> None:
        """Take in, and forget, the rest of a refused body for a moment: a socket closed on unread
        bytes is reset, and the sender would never see why it was refused.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.received_all:
                    await self.receive()


def host_name(header: str) -> str:
    """The name in a Host header, without port and brackets; "" when it is not one.

    >>> host_name("localhost:8080"), host_name("[::1]:8080"), host_name("a b")
    ('localhost', '::1', '')
    """
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return ""
    plain = parts.path == "" and parts.query == "" and not parts.username
    name = parts.hostname if plain else None
    return name if name and re.fullmatch(r"[a-z0-9.:_-]+", name) else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _log_failure(error: Exception) -> None:
    """Where it failed, without the message: that may quote a header of a patient's file."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in reversed(frames))
    LOG.error("failure: %s at %s", type(error).__name__, where)
