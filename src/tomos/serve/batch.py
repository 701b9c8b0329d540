"""Several images in one request of the two model protocols, one prediction each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tomos.serve.body import store_bytes
from tomos.serve.desk import Ticket
from tomos.serve.masks import mask_of
from tomos.serve.reader import Reader, scores_vector
from tomos.serve.refusal import Refusal, from_error
from tomos.serve.service import Service
from tomos.serve.tensors import to_image
from tomos.types import Image, Prediction, TomosError


@dataclass(frozen=True, slots=True)
class Asks:
    """How a protocol asks.

    channels_last  where the channels of a picture stand
    most           voxels of all masks together that an answer may hold
    too_many       what is said beyond that
    """

    channels_last: bool
    most: int
    too_many: str


def predict_all(
    service: Service,
    ticket: Ticket,
    reader: Reader,
    instances: Sequence[bytes | np.ndarray],
    asks: Asks,
) -> list[Prediction]:
    """A prediction for each instance: an encoded file or the pixels of a picture.

    Runs in a worker. Refusal names the first instance that was refused; nothing is half answered.
    """
    if len(instances) > service.limits.instances:
        raise Refusal(413, "instances", f"at most {service.limits.instances} images a request, "
                      f"got {len(instances)}")  # fmt: skip
    predictions = []
    voxels = 0
    for number, instance in enumerate(instances):
        ticket.check()
        try:
            image = _image(service, reader, instance, asks.channels_last)
            voxels += prod(image.size)
            if reader.draws and voxels > asks.most:
                raise Refusal(413, "mask", asks.too_many.format(voxels=voxels, most=asks.most))
            predictions.append(service.predict(reader, image, ticket))
        except TomosError as error:
            raise _at(number, from_error(error)) from None
        except Refusal as refusal:
            raise _at(number, refusal) from None
    return predictions


def outputs_of(reader: Reader) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> type, as the Open Inference Protocol calls it, and shape of what `as_outputs` gives;
    -1 where a length is free.
    """
    classes = len(reader.classes)
    texts = ("label", "verdict", "reason")
    if not reader.draws:
        return {"scores": ("FP32", (-1, classes)), **dict.fromkeys(texts, ("BYTES", (-1,)))}
    return {
        "mask": ("UINT8" if classes < 255 else "UINT16", (-1,) * (1 + reader.axes)),
        "outlined": ("FP32", (-1, classes)),
        "expected": ("FP32", (-1, classes)),
        **dict.fromkeys(("unit", *texts), ("BYTES", (-1,))),
    }


def as_outputs(reader: Reader, predictions: Sequence[Prediction]) -> dict[str, np.ndarray]:
    """Named output tensors over the batch: scores (N, K), label, verdict, reason (N,) of text; of a
    model of masks those of `_masks` instead of scores.
    """
    labels = [next(iter(each.targets.values())).label for each in predictions]
    first = _masks(reader, predictions) if reader.draws else {
        "scores": np.stack([scores_vector(reader, each) for each in predictions])
    }  # fmt: skip
    return {
        **first,
        "label": np.array(labels, dtype=object),
        "verdict": np.array([each.verdict for each in predictions], dtype=object),
        "reason": np.array([each.reason for each in predictions], dtype=object),
    }


def _masks(reader: Reader, predictions: Sequence[Prediction]) -> dict[str, np.ndarray]:
    """mask (N, [Z,] Y, X) of labels, 0 = none; outlined and expected (N, K) in `unit` (N,)."""
    masks = [mask for mask in map(mask_of, predictions) if mask is not None]
    sizes = {mask.size for mask in masks}
    if len(sizes) > 1:
        raise Refusal(400, "tensor", f"the masks of one request make one tensor, and these images "
                      f"have several sizes: {sorted(sizes)[:3]}; send them one by one")  # fmt: skip
    amounts = [next(iter(each.targets.values())).amounts for each in predictions]
    units = [mask.unit for mask in masks]

    def column(keys: Sequence[str]) -> np.ndarray:
        rows = [[row[name][key] for name in reader.classes]
                for row, key in zip(amounts, keys, strict=True)]  # fmt: skip
        return np.array(rows, np.float32)

    return {
        "mask": np.stack([mask.labels for mask in masks]),
        "outlined": column(units),
        "expected": column(["expected"] * len(units)),
        "unit": np.array(units, dtype=object),
    }


def _image(
    service: Service, reader: Reader, instance: bytes | np.ndarray, channels_last: bool
) -> Image:
    if isinstance(instance, np.ndarray):
        return to_image(instance, reader.channels, channels_last)
    upload = store_bytes(instance, service.folder)
    try:
        return service.load(reader, upload)[0]
    finally:
        upload.discard()


def _at(number: int, refusal: Refusal) -> Refusal:
    if refusal.kind == "timeout":
        return refusal
    return Refusal(refusal.status, refusal.kind, f"instance {number}: {refusal.message}")
