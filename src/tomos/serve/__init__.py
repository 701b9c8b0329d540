"""`model.tomos` -> HTTP: a page to read images on, and three protocols for programs.

guard -> routes (api, tensorflow_protocol, inference_protocol, page) -> desk (queue and workers)
-> reader (one model). The routes know a model only as `reader.Reader`. What a model of masks drew
waits in `results` to be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tomos.types import Progress

__all__ = ["serve"]


def serve(
    models: Iterable[Path],
    progress: Progress,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    browser: bool = False,
    threads: int = 0,
    backend: str = "auto",
    max_upload_mb: int = 256,
    queue: int = 32,
    timeout: float | None = None,
    language: str = "auto",
    allow_hosts: Iterable[str] = (),
    trust: str | None = None,
) -> None:
    """Load and prove the models, then answer until interrupted.

    threads  images read at the same time, each on one core; 0: one a core. Models of masks read
             one image at a time, on as many
    trust    public keys: models not signed by one of them are refused
    queue    requests that may wait beyond those
    timeout  seconds for one answer; None: 60, of models of masks 600
    PackageError for a model that is refused, SettingsError for an address that cannot be had.
    """
    import os

    from tomos.serve import listen
    from tomos.serve.application import create
    from tomos.serve.desk import Limits
    from tomos.serve.packaged import load_all
    from tomos.serve.service import build
    from tomos.types import SettingsError

    for name, value in (("max-upload-mb", max_upload_mb), ("timeout", timeout)):
        if value is not None and value <= 0:
            raise SettingsError(f"--{name}: expected a number above 0, got {value}")
    if threads < 0 or queue < 0:
        raise SettingsError("--threads and --queue: expected 0 or more")
    listener = listen.bind(host, port)
    try:
        usual = Limits()
        limits = Limits(
            upload_bytes=max_upload_mb << 20,
            workers=threads or os.cpu_count() or 1,
            waiting=queue,
            seconds=timeout or usual.seconds,
            mask_seconds=timeout or usual.mask_seconds,
        )
        readers = load_all(models, backend=backend, trust=trust, mask_threads=threads)
        for reader in readers:
            progress.say(f"{reader.name}: loaded, gives its own example's answer")
        if not listen.is_loopback(host):
            progress.say(listen.WARNING.format(host=host))
        app = create(build(readers, limits), listen.hosts_for(host, allow_hosts), language)
        listen.run(app, listener, progress, browser)
    finally:
        listener.close()
