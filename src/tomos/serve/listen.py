"""Running the application: the socket, the warning, and the end."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterable

import uvicorn
from starlette.types import ASGIApp

from tomos.serve.application import LOCAL
from tomos.types import Progress, SettingsError

CONNECTIONS = 512
WARNING = """\
Warning: {host} can be reached from other machines. Whoever reaches it can send images and read
answers: there is no sign-in and no encryption here. Put it behind a proxy that has both, or leave
--host out to serve this machine only."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_for(host: str, allowed: Iterable[str]) -> tuple[str, ...]:
    """The Host headers to answer: this machine's names, what was allowed, and, where other machines
    can reach the server, its host name and any IP address ("*").
    """
    names = {*LOCAL, *(name.strip("[]").lower() for name in allowed)}
    if not is_loopback(host):
        names |= {"*", socket.gethostname().lower()}
    if host not in ("0.0.0.0", "::", ""):
        names.add(host.lower())
    return tuple(sorted(names))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. SettingsError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = {
            errno.EADDRINUSE: f"port {port} is in use; choose another with --port, or --port 0",
            errno.EACCES: f"port {port} needs rights this user has not; choose one above 1023",
        }.get(error.errno or 0, str(error.strerror or error))
        raise SettingsError(f"cannot listen on {host}:{port}: {why}") from None
    except OverflowError:
        listener.close()
        raise SettingsError(f"--port {port}: expected 0 to 65535") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def run(app: ASGIApp, listener: socket.socket, progress: Progress, browser: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; requests that are being answered are finished first."""
    address = address_of(listener)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would write query strings; the guard logs routes
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=20,
        h11_max_incomplete_event_size=64 << 10,
    )
    progress.say(f"Serving at {address}    (Ctrl-C to stop)")
    if browser:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
