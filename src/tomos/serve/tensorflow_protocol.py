"""`/v1`: the REST interface of TensorFlow Serving, so that its clients need no change.

Source: the "RESTful API" page of TensorFlow Serving: row format (`instances` -> `predictions`) and
column format (`inputs` -> `outputs`); binary values are `{"b64": "..."}`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from tomos.serve.batch import Asks, as_outputs, outputs_of, predict_all
from tomos.serve.body import receive_bytes
from tomos.serve.desk import Ticket
from tomos.serve.reader import Reader
from tomos.serve.refusal import Refusal
from tomos.serve.schemas import REFUSALS
from tomos.serve.service import Service
from tomos.serve.tensors import from_lists, from_text

VERSION = "1"
SIGNATURE = "serving_default"
KINDS = {"FP32": "DT_FLOAT", "BYTES": "DT_STRING", "UINT8": "DT_UINT8", "UINT16": "DT_UINT16"}
ASKS = Asks(
    channels_last=True,
    most=1 << 20,
    too_many="a mask of {voxels} numbers does not go into JSON, of which at most {most} are "
    "written here; use /v2 with binary_data_output, or /api/read",
)
BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "signature_name": {"const": SIGNATURE},
                    "instances": {
                        "type": "array",
                        "items": {},
                        "description": "pictures as nested lists (Y, X) or (Y, X, C), or "
                        '{"b64": "an encoded file"}; also under the name "image"',
                    },
                    "inputs": {"description": "the same as one column"},
                },
            }
        }
    },
}

routes = APIRouter(prefix="/v1/models", tags=["tensorflow"])


def service_of(request: Request) -> Service:
    return request.app.state.service


@routes.get("/{name}", summary="Is the model there?", responses=REFUSALS)
@routes.get("/{name}/versions/{version}", include_in_schema=False)
async def status(request: Request, name: str, version: str = VERSION) -> JSONResponse:
    _find(service_of(request), name, version)
    state = {"version": VERSION, "state": "AVAILABLE",
             "status": {"error_code": "OK", "error_message": ""}}  # fmt: skip
    return JSONResponse({"model_version_status": [state]})


@routes.get("/{name}/metadata", summary="Inputs and outputs", responses=REFUSALS)
@routes.get("/{name}/versions/{version}/metadata", include_in_schema=False)
async def metadata(request: Request, name: str, version: str = VERSION) -> JSONResponse:
    reader = _find(service_of(request), name, version)
    image = _tensor("image", "DT_FLOAT", (-1, -1, -1, reader.channels))
    if reader.axes == 3:  # a volume comes as a file
        image = _tensor("image", "DT_STRING", (-1,))
    signature = {
        "inputs": {"image": image},
        "outputs": {
            output: _tensor(output, KINDS[kind], shape)
            for output, (kind, shape) in outputs_of(reader).items()
        },
        "method_name": "tensorflow/serving/predict",
    }
    return JSONResponse(
        {
            "model_spec": {"name": reader.name, "signature_name": "", "version": VERSION},
            "metadata": {
                "signature_def": {"signature_def": {SIGNATURE: signature}},
                "classes": list(reader.classes),
            },
        }
    )


@routes.post("/{name}:predict", summary="Read pictures", responses=REFUSALS,
             openapi_extra={"requestBody": BODY})  # fmt: skip
@routes.post("/{name}/versions/{version}:predict", include_in_schema=False)
async def predict(request: Request, name: str, version: str = VERSION) -> JSONResponse:
    """Scores (calibrated probabilities, in the order of the classes), label, verdict and reason; of
    a model of masks, instead of scores, the mask and how much of every class was outlined and is
    expected.
    """
    service = service_of(request)
    reader = _find(service, name, version)
    async with service.desk.admit(reader.draws) as ticket:
        limit = min(service.limits.json_bytes, service.limits.upload_bytes)
        body = await receive_bytes(request, limit, service.limits)
        answer = await service.desk.run(
            ticket, _answer, service, ticket, reader, body, after=_nothing
        )
    return JSONResponse(answer)


def _answer(service: Service, ticket: Ticket, reader: Reader, body: bytes) -> dict[str, Any]:
    """The answer to one body, in the format in which it asked; runs in a worker."""
    instances, rows = parse(body)
    outputs = as_outputs(reader, predict_all(service, ticket, reader, instances, ASKS))
    columns = {name: _plain(values) for name, values in outputs.items()}
    if not rows:
        return {"outputs": columns}
    table = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in table]}


def parse(body: bytes) -> tuple[list[bytes | np.ndarray], bool]:
    """The instances of a request, and whether they came as rows. Refusal 400."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "json", "the body is not JSON") from None
    if not isinstance(request, dict) or ("instances" in request) == ("inputs" in request):
        raise Refusal(400, "json", 'expected an object with either "instances" or "inputs"')
    if request.get("signature_name", SIGNATURE) not in (SIGNATURE, ""):
        raise Refusal(400, "json", f"the only signature is {SIGNATURE!r}")
    rows = "instances" in request
    values = request["instances"] if rows else request["inputs"]
    if isinstance(values, dict) and set(values) == {"image"}:
        values = values["image"]
    if isinstance(values, dict):
        values = [values]
    if not isinstance(values, list) or not values:
        raise Refusal(400, "json", "expected a list of at least one instance")
    return [_instance(each) for each in values], rows


def _instance(value: Any) -> bytes | np.ndarray:
    if isinstance(value, dict) and set(value) == {"image"}:
        value = value["image"]
    if isinstance(value, dict):
        if set(value) != {"b64"}:
            raise Refusal(400, "json", 'an instance is nested lists of numbers or {"b64": "..."}, '
                          f"got an object with {sorted(map(str, value))[:5]}")  # fmt: skip
        return from_text(value["b64"])
    return from_lists(value)


def _plain(values: np.ndarray) -> list:
    if values.dtype.kind != "f":
        return values.tolist()
    return [[round(float(score), 6) for score in row] for row in values]


def _tensor(name: str, dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    sizes = [{"size": str(length), "name": ""} for length in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": name}


def _find(service: Service, name: str, version: str) -> Reader:
    if version != VERSION:
        raise Refusal(404, "unknown_model", f"there is only version {VERSION} of {name[:80]!r}")
    return service.shelf.get(name)


def _nothing() -> None:
    """No file to remove: this body was held in memory."""
