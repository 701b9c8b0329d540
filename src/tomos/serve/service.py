"""What the routes share: the models, the desk, the counters, and the folder for received files."""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from tomos.config import Settings
from tomos.serve.body import Upload
from tomos.serve.desk import Desk, Limits, Ticket
from tomos.serve.masks import Drawn, drawn, mask_of
from tomos.serve.metrics import Metrics, server_metrics
from tomos.serve.pictures import heat_png, picture, values
from tomos.serve.reader import HeatMap, Reader, Shelf, Written
from tomos.serve.refusal import from_error, in_our_words
from tomos.serve.results import Results
from tomos.serve.several import arranged
from tomos.serve.unpack import unpack
from tomos.types import Image, Prediction, TomosError
from tomos.workflows.inputs import stems


class Wishes(Settings):
    """What `/api/read` is asked for, as its query parameters."""

    model: str = Field("", description="which model; the first when absent")
    picture: bool = Field(True, description="with the displayed picture as PNG")
    values: bool = Field(False, description="with exact grey values, where deeper than 8 bits")
    heat: bool = Field(True, description="with the heat map as PNG, or why there is none")
    member: int | None = Field(
        None, ge=0, description="which image of a file that holds several, or slice of a volume"
    )
    files: bool = Field(True, description="masks: with addresses to fetch the mask from")
    volume: bool = Field(False, description="masks of volumes: with the volume to show, as NIfTI")
    watch: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="a name of your own: /api/progress/NAME then says how far the reading is",
    )


@dataclass(slots=True)
class Service:
    """One server's shared things. `folder` is private to this process and goes with it."""

    shelf: Shelf
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=server_metrics)
    desk: Desk = field(init=False)
    results: Results = field(init=False)
    watched: dict[str, Ticket] = field(default_factory=dict)
    _folder: tempfile.TemporaryDirectory = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.limits, self.metrics)
        self.results = Results(self.limits.kept_bytes, self.limits.kept_seconds, self.metrics)
        self._folder = tempfile.TemporaryDirectory(prefix="tomos-serve-")
        self.metrics.set("tomos_start_time_seconds", time.time())
        for name in self.shelf.readers:
            self.metrics.set("tomos_model_info", 1, model=name)

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def close(self) -> None:
        self.desk.close()
        self.results.close()
        self._folder.cleanup()

    def predict(self, reader: Reader, image: Image, ticket: Ticket) -> Prediction:
        """One prediction, timed and counted."""
        started = time.perf_counter()
        prediction = reader.predict(image, lambda: ticket.abandoned, ticket)
        elapsed = time.perf_counter() - started
        self.metrics.observe("tomos_inference_seconds", elapsed, model=reader.name)
        self.metrics.add("tomos_verdicts_total", model=reader.name, verdict=prediction.verdict)
        return prediction

    def load(self, reader: Reader, upload: Upload, member: int | None = None) -> tuple[Image, int]:
        """The image of an upload; Refusal with the sender's name for the file, never our path."""
        try:
            if reader.several:
                return reader.load(Path(arranged(upload, reader.several, self.limits)), member)
            unpack(upload, self.limits)
            return reader.load(upload.path, member)
        except TomosError as error:
            raise from_error(error, upload.path, upload.name, upload.names) from None

    def read_upload(self, ticket: Ticket, reader: Reader, upload: Upload, wishes: Wishes) -> dict:
        """The whole answer of `/api/read`; runs in a worker."""
        ticket.check()
        started = time.perf_counter()
        image, members = self.load(reader, upload, wishes.member)
        read = time.perf_counter()
        try:
            prediction = self.predict(reader, image, ticket)
            ticket.check()
            heat = reader.explain(image, prediction) if wishes.heat else ""
        except TomosError as error:
            raise from_error(error, upload.path, upload.name, upload.names) from None
        predicted = time.perf_counter()
        answer: dict[str, Any] = {
            "schema": 1,
            "model": reader.name,
            "prediction": {**prediction.to_json(), "input": upload.name},
            "image": {**facts(image), "members": members, "member": wishes.member or 0},
            "maps": [] if isinstance(heat, str) else [_map(heat)],
            **({"no_map": heat} if heat and isinstance(heat, str) else {}),
            "seconds": {"read": round(read - started, 4), "model": round(predicted - read, 4)},
        }
        if upload.roles:
            answer["image"]["roles"] = dict(upload.roles)
        shown = image
        if mask_of(prediction) is not None:
            found = self._drawn(reader, upload, image, prediction, wishes)
            addresses = self.results.keep(found.products)
            answer["mask"] = found.told(addresses, self.limits.kept_seconds)
            answer["prediction"] |= {"files": found.files(addresses)}
            shown = found.cut.image
        if wishes.picture:
            answer |= _pictures(shown, wishes)
        return answer

    def _drawn(
        self, reader: Reader, upload: Upload, image: Image, prediction: Prediction, wishes: Wishes
    ) -> Drawn:
        """What there is to show and to fetch of a mask; its files go through a folder of ours."""
        mask, stem = mask_of(prediction), stems([upload.name])[0]
        assert mask is not None
        with tempfile.TemporaryDirectory(prefix="mask-", dir=self.folder) as place:
            written = Written({}, {})
            if wishes.files:
                written = reader.write(image, prediction, Path(place), stem)
            left_out = {
                form: in_our_words(reason.replace(f"{place}/", ""), upload.path, upload.name)
                for form, reason in written.left_out.items()
            }
            written = Written(written.files, left_out)
            return drawn(image, mask, written, Path(place), stem, wishes.volume)


def build(readers: Iterable[Reader], limits: Limits | None = None) -> Service:
    """A service over `readers`, in the order in which they are listed."""
    return Service(Shelf(readers), limits or Limits())


def facts(image: Image) -> dict[str, Any]:
    """What the file says of the image that helps to read it, and nothing of the patient."""
    return {
        "size": list(image.size),
        "channels": image.channels,
        "type": str(image.pixels.dtype),
        "unit": image.unit,
        "modality": image.modality,
        "body_part": image.origin.body_part,
        "view": image.origin.view,
        "format": image.origin.format,
        "spacing": spacing_of(image),
        "frame": image.frame,
        "value_range": list(image.value_range) if image.value_range else None,
        "warnings": list(image.warnings),
    }


def spacing_of(image: Image) -> list[float] | None:
    """Of its axes in array order, in mm; None where it is not known."""
    return [round(step, 4) for step in image.spacing] if image.frame != "pixel" else None


def _pictures(image: Image, wishes: Wishes) -> dict[str, Any]:
    shown = picture(image)
    answer: dict[str, Any] = {
        "picture": {
            "png": _text(shown.png),
            "width": shown.width,
            "height": shown.height,
            "low": shown.low,
            "high": shown.high,
            "step": shown.step,
            "spacing": spacing_of(image),
        }
    }
    exact = values(image) if wishes.values else None
    if exact is not None:
        answer["values"] = {
            "png": _text(exact.png),
            "slope": exact.slope,
            "intercept": exact.intercept,
        }
    return answer


def _map(heat: HeatMap) -> dict[str, Any]:
    png, width, height = heat_png(heat.image)
    return {
        "method": heat.method,
        "label": heat.label,
        "png": _text(png),
        "width": width,
        "height": height,
    }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
