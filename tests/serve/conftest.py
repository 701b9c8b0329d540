"""Servers to talk to: one in memory, one on a real socket."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from tomos import formats
from tomos.formats import png_bytes
from tomos.serve import listen
from tomos.serve.application import create
from tomos.serve.desk import Limits
from tomos.serve.packaged import load_all
from tomos.serve.reader import HeatMap, Sample
from tomos.serve.service import build
from tomos.types import Answer, EnvelopeError, Image, Prediction

# The models of tests/workflows and the scans of tests/formats serve here, too.
for room in ("workflows", "formats"):
    sys.path.append(str(Path(__file__).parents[1] / room))


class FakeReader:
    """P(bright) = mean / 255. Refers within 0.05 of a half, refuses volumes.

    `gate` makes it wait inside `predict`, to fill the queue; `stops`: whether nobody waited for the
    answer any more when it went on; `fault` is raised instead of answering.
    """

    name = "fake"
    classes = ("dark", "bright")
    channels = 1
    axes = 2
    several = None
    draws = False

    def __init__(self) -> None:
        self.gate: threading.Event | None = None
        self.entered = threading.Semaphore(0)
        self.fault: Exception | None = None
        self.seen: list[Image] = []
        self.stops: list[bool] = []

    def describe(self) -> dict:
        return {"name": self.name, "classes": [{"name": name} for name in self.classes]}

    def load(self, path: Path, member: int | None) -> tuple[Image, int]:
        addresses = formats.members(path)
        return formats.read(addresses[member or 0]), len(addresses)

    def predict(self, image: Image, stop, progress) -> Prediction:
        self.stop = stop
        progress.step(1, 4, "tiles")
        self.entered.release()
        if self.gate is not None:
            assert self.gate.wait(20)
        self.stops.append(stop())
        if self.fault is not None:
            raise self.fault
        if image.is_volume:
            raise EnvelopeError("a volume; this model reads single pictures")
        self.seen.append(image)
        share = float(image.pixels.mean()) / 255
        verdict = "refer" if abs(share - 0.5) < 0.05 else "finding" if share > 0.5 else "no finding"
        answer = Answer({"dark": 1 - share, "bright": share}, "bright" if share > 0.5 else "dark")
        return Prediction("?", {"label": answer}, verdict, "mean grey")

    def explain(self, image: Image, prediction: Prediction) -> HeatMap:
        heat = image.pixels[:1].astype(np.float32) / 255
        return HeatMap("picture", "bright", image.with_pixels(heat))

    def example(self) -> Sample:
        return Sample(png_bytes(np.full((8, 8), 200, np.uint8)), "image/png", "example.png")


@pytest.fixture(scope="session")
def grey_png():
    """value -> a PNG file, 8 x 8, all of that grey."""
    return lambda value: png_bytes(np.full((1, 8, 8), value, np.uint8))


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
def client(reader):
    """Starlette's client on the application, without a socket."""
    with warnings.catch_warnings():  # it asks for a successor of httpx that is not pinned here
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    service = build([reader], Limits(upload_bytes=200_000, json_bytes=100_000, waiting=2))
    with TestClient(create(service), base_url="http://localhost") as talk:
        talk.folder = service.folder
        yield talk


@pytest.fixture(scope="session")
def film_model():
    """The module beside this one that makes a model file and films to read with it."""
    return _beside("film_model")


@pytest.fixture(scope="session")
def mask_model():
    """The same for models of masks."""
    return _beside("mask_model")


def _beside(name: str):
    pytest.importorskip("onnx", reason="needs onnx to make a model")
    location = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, location)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHROMIUM = "/usr/bin/chromium"
WIDE = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def browser_flags() -> list[str]:
    """Beyond the usual ones; a test's module may have its own."""
    return []


@pytest.fixture(scope="module")
def browser(browser_flags):
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright").sync_playwright
    with sync() as playwright:
        arguments = ["--no-sandbox", *browser_flags]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the page of the server at `address`, which the test's module has; at the end no request
    had left the origin and no error was logged. `script` runs before the page's own.
    """
    contexts, requests, errors = [], [], []

    def opened(viewport=WIDE, locale="en-US", script=""):
        context = browser.new_context(viewport=viewport, locale=locale)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(script)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.locator("#open-card").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith((address, f"blob:{address}"))] == []
    # The browser itself notes every refused request; what the page does wrong is an error.
    noted = ("status of 422", "status of 404")
    assert [text for text in errors if not any(each in text for each in noted)] == []


@pytest.fixture(scope="session")
def live():
    """`with live([reader], limits) as address`: a server on a free port of this machine."""
    return _live


@contextlib.contextmanager
def _live(readers, limits: Limits | None = None, **options) -> Iterator[str]:
    service = build(readers, limits)
    listener = listen.bind("127.0.0.1", 0)
    config = uvicorn.Config(create(service, **options), log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield listen.address_of(listener).rstrip("/")
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture(scope="module")
def talk(mask_model, tmp_path_factory):
    """A client of a server with a model of pictures, "flat", and one of volumes, "solid"."""
    with warnings.catch_warnings():  # it asks for a successor of httpx that is not pinned here
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    folder = tmp_path_factory.mktemp("models")
    models = [
        mask_model.write(folder / "flat.tomos", 2, name="flat"),
        mask_model.write(folder / "solid.tomos", 3, name="solid"),
    ]
    service = build(load_all(models, mask_threads=1))
    with TestClient(create(service), base_url="http://localhost") as client:
        client.service = service
        yield client
