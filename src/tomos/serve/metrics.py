"""Counters and histograms in Prometheus' text format (exposition format 0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What the server counts. Labels never hold anything that came with a patient's file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._help: dict[str, tuple[str, str]] = {}
        self._values: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}

    def describe(self, name: str, kind: str, text: str) -> None:
        """Declare a metric: `kind` is "counter", "gauge" or "histogram" (of seconds)."""
        self._help[name] = (kind, text)
        (self._histograms if kind == "histogram" else self._values)[name] = {}

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        with self._lock:
            series = self._values[name]
            key = tuple(labels.items())
            series[key] = series.get(key, 0.0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        with self._lock:
            self._values[name][tuple(labels.items())] = value

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """One duration into a histogram: a count per bucket, then how many, then their sum."""
        with self._lock:
            series = self._histograms[name]
            row = series.setdefault(tuple(labels.items()), [0.0] * (len(SECONDS) + 3))
            row[bisect_left(SECONDS, seconds)] += 1
            row[-2] += 1
            row[-1] += seconds

    def text(self) -> str:
        """Everything, as a scraper reads it."""
        with self._lock:
            return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        for name, (kind, text) in self._help.items():
            yield f"# HELP {name} {text}"
            yield f"# TYPE {name} {kind}"
            for labels, value in self._values.get(name, {}).items():
                yield f"{name}{_braces(labels)} {_number(value)}"
            for labels, row in self._histograms.get(name, {}).items():
                yield from _histogram(name, labels, row)


def server_metrics() -> Metrics:
    """The metrics of `tomos serve`."""
    metrics = Metrics()
    for name, kind, text in (
        ("tomos_requests_total", "counter", "Answered requests by route, method and status."),
        ("tomos_request_seconds", "histogram", "From the first byte to the answer, by route."),
        ("tomos_inference_seconds", "histogram", "Reading, preparing and running, by model."),
        ("tomos_requests_in_flight", "gauge", "Requests being answered now."),
        ("tomos_queue_waiting", "gauge", "Images waiting for a worker."),
        ("tomos_workers_busy", "gauge", "Workers reading or running a model now."),
        ("tomos_refusals_total", "counter", "Requests refused, by reason."),
        ("tomos_verdicts_total", "counter", "Images read, by model and verdict."),
        ("tomos_upload_bytes_total", "counter", "Bytes received in bodies."),
        ("tomos_results_bytes", "gauge", "Bytes of masks kept to be fetched."),
        ("tomos_model_info", "gauge", "1 for every model that is served."),
        ("tomos_start_time_seconds", "gauge", "Unix time at which the server started."),
    ):
        metrics.describe(name, kind, text)
    for name in ("tomos_requests_in_flight", "tomos_queue_waiting", "tomos_workers_busy"):
        metrics.set(name, 0)
    metrics.set("tomos_results_bytes", 0)
    metrics.add("tomos_upload_bytes_total", 0)
    return metrics


def _histogram(name: str, labels: Labels, row: list[float]) -> Iterator[str]:
    total = 0.0
    for edge, count in zip((*SECONDS, float("inf")), row, strict=False):
        total += count
        yield f"{name}_bucket{_braces((*labels, ('le', _number(edge))))} {_number(total)}"
    yield f"{name}_sum{_braces(labels)} {row[-1]:.6f}"
    yield f"{name}_count{_braces(labels)} {_number(row[-2])}"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escape(value)}"' for key, value in labels) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
