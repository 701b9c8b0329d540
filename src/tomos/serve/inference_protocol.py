"""`/v2`: the Open Inference Protocol (KServe version 2), with tensors as JSON or as bytes.

Source: the protocol's "Predict Protocol, version 2" and its binary tensor data extension: a
JSON head of `Inference-Header-Content-Length` bytes, then the raw tensors, little-endian.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from tomos import __version__
from tomos.serve.batch import Asks, as_outputs, outputs_of, predict_all
from tomos.serve.body import receive_bytes
from tomos.serve.desk import Ticket
from tomos.serve.reader import Reader
from tomos.serve.refusal import Refusal
from tomos.serve.schemas import REFUSALS
from tomos.serve.service import Service
from tomos.serve.wire import HEADER, Message, encode, parse, wanted

VERSION = "1"
TEXT, RAW = 1 << 20, 1 << 28  # voxels of the masks of one answer, as numbers in JSON and as bytes
INPUTS = {"image": "a picture's pixels", "file": "an encoded file"}
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "inputs": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["name", "shape", "datatype"],
                            "properties": {
                                "name": {"enum": list(INPUTS)},
                                "shape": {"type": "array", "items": {"type": "integer"}},
                                "datatype": {"type": "string"},
                                "data": {},
                            },
                        },
                    },
                    "outputs": {"type": "array"},
                },
            }
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}

routes = APIRouter(prefix="/v2", tags=["open inference"])


def service_of(request: Request) -> Service:
    return request.app.state.service


@routes.get("", summary="The server")
async def server() -> JSONResponse:
    return JSONResponse(
        {"name": "tomos", "version": __version__, "extensions": ["binary_tensor_data"]}
    )


@routes.get("/health/live", summary="Is the server alive?")
async def live() -> JSONResponse:
    return JSONResponse({"live": True})


@routes.get("/health/ready", summary="Are the models ready?")
async def ready() -> JSONResponse:
    return JSONResponse({"ready": True})


@routes.get("/models/{name}", summary="Inputs and outputs", responses=REFUSALS)
@routes.get("/models/{name}/versions/{version}", include_in_schema=False)
async def metadata(request: Request, name: str, version: str = VERSION) -> JSONResponse:
    reader = _find(service_of(request), name, version)
    image = {"name": "image", "datatype": "FP32", "shape": [-1, reader.channels, -1, -1]}
    file = {"name": "file", "datatype": "BYTES", "shape": [-1]}
    return JSONResponse(
        {
            "name": reader.name,
            "versions": [VERSION],
            "platform": "tomos_onnx",
            "inputs": [*([image] if reader.axes == 2 else []), file],
            "outputs": [
                {"name": output, "datatype": kind, "shape": list(shape)}
                for output, (kind, shape) in outputs_of(reader).items()
            ],
            "parameters": {"classes": list(reader.classes)},
        }
    )


@routes.get("/models/{name}/ready", summary="Is the model ready?", responses=REFUSALS)
@routes.get("/models/{name}/versions/{version}/ready", include_in_schema=False)
async def model_ready(request: Request, name: str, version: str = VERSION) -> JSONResponse:
    reader = _find(service_of(request), name, version)
    return JSONResponse({"name": reader.name, "ready": True})


@routes.post("/models/{name}/infer", summary="Read pictures", responses=REFUSALS,
             openapi_extra={"requestBody": BODY})  # fmt: skip
@routes.post("/models/{name}/versions/{version}/infer", include_in_schema=False)
async def infer(request: Request, name: str, version: str = VERSION) -> Response:
    """One input, either `image` (N, C, Y, X) of any numeric type, pixels as they lie in a file, or
    `file` (N,) BYTES, encoded files (base64 in JSON, raw in binary). A volume is a file.
    """
    service = service_of(request)
    reader = _find(service, name, version)
    head = request.headers.get(HEADER.lower())
    limits = service.limits
    limit = limits.upload_bytes if head else min(limits.json_bytes, limits.upload_bytes)
    async with service.desk.admit(reader.draws) as ticket:
        body = await receive_bytes(request, limit, limits)
        answer, length = await service.desk.run(
            ticket, _answer, service, ticket, reader, body, head, after=_nothing
        )
    if length is None:
        return Response(answer, media_type="application/json")
    return Response(answer, media_type="application/octet-stream", headers={HEADER: str(length)})


def _answer(
    service: Service, ticket: Ticket, reader: Reader, body: bytes, head: str | None
) -> tuple[bytes, int | None]:
    """The encoded answer, and the length of its JSON head when tensors follow; in a worker."""
    message = parse(body, head)
    instances = _instances(message)
    names = wanted(message, list(outputs_of(reader)))
    predictions = predict_all(service, ticket, reader, instances, _asks(names))
    outputs = as_outputs(reader, predictions)
    about = {"model_name": reader.name, "model_version": VERSION}
    if message.id:
        about["id"] = message.id
    return encode(about, {name: outputs[name] for name in names}, names)


def _asks(names: Mapping[str, bool]) -> Asks:
    """Masks as numbers in text are small, as bytes large; where none is asked for, any will do."""
    if "mask" not in names:
        return Asks(False, sys.maxsize, "")
    if names["mask"]:
        return Asks(False, RAW, "masks of {voxels} numbers together, at most {most} a request")
    return Asks(
        False,
        TEXT,
        "a mask of {voxels} numbers does not go into JSON, of which at most {most} are written "
        "here; ask for raw bytes: binary_data_output",
    )


def _instances(message: Message) -> list:
    if len(message.inputs) != 1 or next(iter(message.inputs)) not in INPUTS:
        raise Refusal(400, "tensor", 'expected one input, named "image" or "file", '
                      f"got {list(message.inputs)[:5]}")  # fmt: skip
    name, tensor = next(iter(message.inputs.items()))
    if (tensor.dtype == object) != (name == "file"):
        kinds = "BYTES" if name == "file" else "a numeric type"
        raise Refusal(400, "tensor", f"input {name!r} must be of {kinds}")
    if name == "file":
        return [bytes(each) for each in tensor.ravel()]
    if tensor.ndim not in (3, 4):
        found = f"expected image (N, C, Y, X), got shape {list(tensor.shape)}"
        raise Refusal(400, "tensor", f"{found}; a volume is sent as a file, which says its spacing")
    return list(tensor)


def _find(service: Service, name: str, version: str) -> Reader:
    if version != VERSION:
        raise Refusal(404, "unknown_model", f"there is only version {VERSION} of {name[:80]!r}")
    return service.shelf.get(name)


def _nothing() -> None:
    """No file to remove: this body was held in memory."""
