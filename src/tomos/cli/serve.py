"""`tomos serve`: a model as a web page and an HTTP service."""

from __future__ import annotations

import argparse

HELP = "Serve one or more model files: a page to read images on, and HTTP for programs."


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", nargs="+", metavar="MODEL", help="a model.tomos, or the RUN it lies in")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    add("--port", type=int, default=8080, help="port, 0 for a free one (%(default)s)")
    add("--open", action="store_true", help="open the page in the browser")
    cores = "images read at once, or cores for one mask (0: one a core)"
    add("--threads", type=int, default=0, metavar="N", help=cores)
    backends = ("auto", "onnxruntime", "openvino")
    add("--backend", default="auto", choices=backends, help="what runs the networks (%(default)s)")
    size = "largest file that is accepted (%(default)s)"
    add("--max-upload-mb", type=int, default=256, metavar="N", help=size)
    waiting = "requests that may wait; more are told to come back (%(default)s)"
    add("--queue", type=int, default=32, metavar="N", help=waiting)
    slow = "longest time for one answer (60; for a mask 600)"
    add("--timeout", type=float, metavar="SECONDS", help=slow)
    language = "language of the page until the reader chooses (auto: the browser's)"
    add("--lang", default="auto", choices=("auto", "en", "zh"), help=language)
    keys = "accept only models signed by these public keys (PEM file or folder)"
    add("--trust", metavar="KEYS", help=keys)
    proxy = "a further host name to answer to, as behind a proxy; may be repeated"
    add("--allow-host", action="append", default=[], metavar="NAME", help=proxy)


def run(args: argparse.Namespace) -> int | None:
    from pathlib import Path

    from tomos.cli.terminal import Terminal
    from tomos.serve import serve

    serve(
        [Path(model) for model in args.model],
        Terminal(),
        host=args.host,
        port=args.port,
        browser=args.open,
        threads=args.threads,
        backend=args.backend,
        max_upload_mb=args.max_upload_mb,
        queue=args.queue,
        timeout=args.timeout,
        language=args.lang,
        allow_hosts=args.allow_host,
        trust=args.trust,
    )
    return None
