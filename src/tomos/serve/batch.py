"""Several images in one request of the two model protocols, one prediction each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tomos.serve.body import store_bytes
from tomos.serve.desk import Ticket
from tomos.serve.reader import Reader, scores_vector
from tomos.serve.refusal import Refusal, from_error
from tomos.serve.service import Service
from tomos.serve.tensors import to_image
from tomos.types import Image, Prediction, TomosError


def predict_all(
    service: Service,
    ticket: Ticket,
    reader: Reader,
    instances: Sequence[bytes | np.ndarray],
    channels_last: bool,
) -> list[Prediction]:
    """A prediction for each instance: an encoded file or the pixels of a picture.

    Runs in a worker. Refusal names the first instance that was refused; nothing is half answered.
    """
    if len(instances) > service.limits.instances:
        raise Refusal(413, "instances", f"at most {service.limits.instances} images a request, "
                      f"got {len(instances)}")  # fmt: skip
    predictions = []
    for number, instance in enumerate(instances):
        ticket.check()
        try:
            image = _image(service, reader, instance, channels_last)
            predictions.append(service.predict(reader, image))
        except TomosError as error:
            raise _at(number, from_error(error)) from None
        except Refusal as refusal:
            raise _at(number, refusal) from None
    return predictions


def as_outputs(reader: Reader, predictions: Sequence[Prediction]) -> dict[str, np.ndarray]:
    """Named output tensors over the batch: scores (N, K), label, verdict, reason (N,) of text."""
    return {
        "scores": np.stack([scores_vector(reader, each) for each in predictions]),
        "label": np.array(
            [next(iter(each.targets.values())).label for each in predictions], dtype=object
        ),
        "verdict": np.array([each.verdict for each in predictions], dtype=object),
        "reason": np.array([each.reason for each in predictions], dtype=object),
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
