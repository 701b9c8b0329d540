"""The server with 8 clients against a bare loop: PIL decode + numpy resize + ONNX Runtime, batch 1.

    python benchmarks/serve.py [--rounds 5] [--images 64] [--clients 8]

ResNet-18 for 224 px, PNG in, JSON out, the same graph and the same pictures on both sides; the loop
may use every core. The server is a process of its own (`tomos serve`), the clients another, and all
share the machine. First the answers are compared, then the loop and the three ways of sending a
picture (raw body, multipart form, base64 in the TensorFlow protocol) are timed in turns. One JSON
object is printed and written to benchmarks/results/serve.json: pictures a second, and ratios of
the medians.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from _record import goal, keep

SIZE, SIDE, GOAL = 224, 320, 0.6
MEAN, SPREAD = 0.449, 0.226
NAME = "resnet18-224"
CLIENT = "--client"


def model_file(folder: Path) -> tuple[Path, bytes]:
    """A model.tomos with a ResNet-18 of random weights, and its graph."""
    import torch

    from tomos import models, package

    torch.manual_seed(0)
    net = models.build("resnet18", 3, 2).eval()
    graph = models.to_onnx(net, torch.zeros(1, 3, SIZE, SIZE))
    prepare = (
        {"step": "channels", "to": 3},
        {"step": "window", "source": "fixed", "centre": 127.5, "width": 255},
        {"step": "resize", "size": (SIZE, SIZE)},
        {"step": "normalise", "kind": "fixed", "mean": (MEAN,) * 3, "std": (SPREAD,) * 3},
    )
    outputs = ("logits", "features", "cam")
    manifest = package.Manifest.model_validate(
        {
            "name": NAME,
            "classes": ({"name": "no", "finding": False}, {"name": "yes"}),
            "input": {"channels": 3, "size": (SIZE, SIZE)},
            "prepare": prepare,
            "graphs": ({"file": "graphs/0.onnx", "outputs": outputs},),
            "map_method": "cam",
        }
    )
    path = folder / "model.tomos"
    package.write(path, manifest, [graph])
    return path, graph


def pictures(count: int) -> list[bytes]:
    """PNG files of smooth random grey, about as hard to decode as a film."""
    from tomos.formats import png_bytes

    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = rng.uniform(0, 255, (11, 11))
        at = np.linspace(0, 9.99, SIDE)
        low, part = at.astype(int), at - at.astype(int)
        rows = coarse[low] * (1 - part[:, None]) + coarse[low + 1] * part[:, None]
        smooth = rows[:, low] * (1 - part) + rows[:, low + 1] * part
        pixels = np.clip(smooth + rng.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)
        files.append(png_bytes(pixels))
    return files


class Loop:
    """What one writes by hand."""

    def __init__(self, graph: bytes):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def __call__(self, file: bytes) -> np.ndarray:
        """(K,) softmax probabilities."""
        from PIL import Image

        grey = np.asarray(Image.open(io.BytesIO(file)).convert("L"), np.float32) / 255
        small = (resize(grey, SIZE) - MEAN) / SPREAD
        batch = np.ascontiguousarray(np.broadcast_to(small, (1, 3, SIZE, SIZE)))
        logits = self.session.run(["logits"], {"image": batch})[0][0]
        exponents = np.exp(logits - logits.max())
        return exponents / exponents.sum()


def resize(picture: np.ndarray, side: int) -> np.ndarray:
    """Bilinear between pixel centres, in plain numpy."""
    length = picture.shape[0]
    at = np.clip((np.arange(side) + 0.5) * length / side - 0.5, 0, length - 1)
    low = np.minimum(at.astype(int), length - 2)
    part = (at - low).astype(np.float32)
    rows = picture[low] * (1 - part[:, None]) + picture[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def requests_of(files: Sequence[bytes]) -> dict[str, list[tuple[str, bytes, str]]]:
    """way -> (path, body, content type) of every picture."""
    path = "/api/read?picture=false&heat=false"
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
    form = "multipart/form-data; boundary=b"
    text = [base64.b64encode(file).decode() for file in files]
    instances = [json.dumps({"instances": [{"b64": each}]}).encode() for each in text]
    return {
        "raw": [(path, file, "image/png") for file in files],
        "multipart": [(path, head + file + b"\r\n--b--\r\n", form) for file in files],
        "v1_base64": [
            (f"/v1/models/{NAME}:predict", body, "application/json") for body in instances
        ],
    }


def ask(line: http.client.HTTPConnection, request: tuple[str, bytes, str]) -> dict:
    path, body, kind = request
    line.request("POST", path, body, {"Content-Type": kind})
    answer = line.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {content[:200]!r}")
    return json.loads(content)


def run_clients(port: int, clients: int, folder: Path) -> None:
    """The client process: for each way named on stdin, all pictures once, and the seconds taken."""
    files = [path.read_bytes() for path in sorted(folder.glob("*.png"))]
    ways = requests_of(files)
    lines = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(clients)]
    for command in sys.stdin:
        waiting = iter(ways[command.strip()])
        lock = threading.Lock()

        def work(line: http.client.HTTPConnection, waiting=waiting, lock=lock) -> None:
            while True:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    return
                ask(line, request)

        threads = [threading.Thread(target=work, args=(line,)) for line in lines]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(time.perf_counter() - started, flush=True)


def start_server(model: Path) -> tuple[subprocess.Popen, int]:
    code = "import sys; from tomos.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "serve", str(model), "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    for text in server.stderr:
        if "http://127.0.0.1:" in text:
            return server, int(text.split("http://127.0.0.1:")[1].split("/")[0])
    raise SystemExit("the server did not start")


def compare(port: int, files: Sequence[bytes], loop: Loop) -> float:
    """The largest difference of probabilities between the server and the loop."""
    line = http.client.HTTPConnection("127.0.0.1", port)
    ways = requests_of(files[:8])
    worst = 0.0
    for i, file in enumerate(files[:8]):
        expected = loop(file)
        read = ask(line, ways["raw"][i])["prediction"]["targets"]["label"]["scores"]
        served = ask(line, ways["v1_base64"][i])["predictions"][0]["scores"]
        for found in ([read["no"], read["yes"]], served):
            worst = max(worst, float(np.abs(np.array(found) - expected).max()))
    return worst


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(args: argparse.Namespace, folder: Path) -> dict:
    path, graph = model_file(folder)
    files = pictures(args.images)
    for i, file in enumerate(files):
        (folder / f"{i:04d}.png").write_bytes(file)
    loop = Loop(graph)
    server, port = start_server(path)
    here = [sys.executable, __file__, CLIENT, str(port), "--clients", str(args.clients)]
    clients = subprocess.Popen(
        [*here, "--folder", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert clients.stdin and clients.stdout
    try:
        worst = compare(port, files, loop)
        seconds: dict[str, list[float]] = {name: [] for name in ("loop", *requests_of([]))}
        for _ in range(args.rounds):
            for name, times in seconds.items():
                if name == "loop":
                    times.append(timed(lambda: [loop(file) for file in files]))
                    continue
                clients.stdin.write(f"{name}\n")
                clients.stdin.flush()
                times.append(float(clients.stdout.readline()))
    finally:
        clients.kill()
        server.terminate()
        server.wait(30)
    rate = {name: args.images / statistics.median(times) for name, times in seconds.items()}
    return {"largest_difference": worst, "pictures_a_second": rate, "seconds": seconds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(CLIENT, type=int, dest="port", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.port:
        run_clients(args.port, args.clients, args.folder)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args, Path(folder))
    rate = result["pictures_a_second"]
    ratios = {name: rate[name] / rate["loop"] for name in rate if name != "loop"}
    report = {
        "clients": args.clients,
        "images": args.images,
        **result,
        "ratio": ratios,
    }
    if report["largest_difference"] > 0.02:
        raise SystemExit("the server and the loop disagree")
    goals = [
        goal(f"server, {args.clients} clients, {name}: speed as a share of a bare loop's", r, GOAL)
        for name, r in ratios.items()
    ]
    return keep("serve", report, goals)


if __name__ == "__main__":
    sys.exit(main())
