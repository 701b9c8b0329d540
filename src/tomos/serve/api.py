"""Files in, findings out: `/api`, and what an operator watches."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tomos.serve.body import receive_file
from tomos.serve.refusal import Refusal
from tomos.serve.schemas import BODY, READ_RESPONSES, REFUSALS
from tomos.serve.service import Service, Wishes

routes = APIRouter()


def service_of(request: Request) -> Service:
    return request.app.state.service


@routes.get("/health", tags=["operation"], summary="Is the process alive?")
async def health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@routes.get("/ready", tags=["operation"], summary="Are the models loaded and proved?")
async def ready(request: Request) -> JSONResponse:
    """Every model was loaded and gave its synthetic example's answer before the server listened."""
    return JSONResponse({"status": "ready", "models": list(service_of(request).shelf.readers)})


@routes.get("/metrics", tags=["operation"], summary="Counters and histograms for Prometheus",
            response_class=PlainTextResponse)  # fmt: skip
async def metrics(request: Request) -> Response:
    text = service_of(request).metrics.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@routes.get("/api/models", tags=["reading"], summary="The models that are served")
async def models(request: Request) -> JSONResponse:
    service = service_of(request)
    return JSONResponse(
        {
            "models": [reader.describe() for reader in service.shelf.readers.values()],
            "upload_bytes": service.limits.upload_bytes,
        }
    )


@routes.get("/api/models/{name}", tags=["reading"], responses=REFUSALS,
            summary="One model: classes, operating point, figures, envelope, card")  # fmt: skip
async def model(request: Request, name: str) -> JSONResponse:
    return JSONResponse(service_of(request).shelf.get(name).describe())


@routes.get("/api/models/{name}/example", tags=["reading"], responses=REFUSALS,
            summary="A synthetic image to try the model on", response_class=Response)  # fmt: skip
def example(request: Request, name: str) -> Response:
    """Drawn on the spot; never made from a patient."""
    sample = service_of(request).shelf.get(name).example()
    if sample is None:
        raise Refusal(404, "no_example", "this model file carries no example")
    headers = {"content-disposition": f'attachment; filename="{sample.name}"'}
    return Response(sample.content, media_type=sample.media, headers=headers)


@routes.post("/api/read", tags=["reading"], summary="Read one image", responses=READ_RESPONSES,
             openapi_extra={"requestBody": BODY})  # fmt: skip
async def read(request: Request, wishes: Annotated[Wishes, Query()]) -> JSONResponse:
    """Send the file as the raw body or as a file of a multipart form. The kind of file is told from
    its content: DICOM, PNG, JPEG, TIFF, BMP, GIF, NIfTI, NRRD, MetaImage, npz. A DICOM series is
    several files of a form, or a zip of them.

    A model that reads several images a case (`input.roles` of the model) takes a form with a file
    for each: in fields called as the roles, of which each may hold the files of a DICOM series or a
    zip of them; else by the numbers in the files' names (x_0000, x_0001), else in the order of the
    roles. `image.roles` of the answer says which file was taken for which.

    Of a model of masks the answer holds how much there is of every label, outlined and expected,
    and in `prediction.files` the addresses of the mask, of its entropy and, of DICOM, of a
    segmentation: kept in memory for a few minutes.
    """
    service = service_of(request)
    reader = service.shelf.get(wishes.model)
    async with service.desk.admit(reader.draws) as ticket:
        upload = await receive_file(request, service.folder, service.limits)
        service.watched[wishes.watch] = ticket
        try:
            async with ticket.while_awaited(request.is_disconnected):
                answer = await service.desk.run(
                    ticket, service.read_upload, ticket, reader, upload, wishes,
                    after=upload.discard,
                )  # fmt: skip
        finally:
            service.watched.pop(wishes.watch, None)
    return JSONResponse(answer)


@routes.get("/api/progress/{name}", tags=["reading"], summary="How far a reading is")
async def progress(request: Request, name: str) -> JSONResponse:
    """Steps done and in all, 0 and 0 before they are known; of the request that was sent with
    `watch=NAME`.
    """
    ticket = service_of(request).watched.get(name)
    done, total = (ticket.done, ticket.total) if ticket else (0, 0)
    return JSONResponse({"done": done, "total": total})


@routes.get("/api/results/{key}/{name}", tags=["reading"], responses=REFUSALS,
            summary="A file of an answer, while it is kept", response_class=Response)  # fmt: skip
async def result(request: Request, key: str, name: str) -> Response:
    """The mask, its entropy or a DICOM segmentation; the address stands in the answer."""
    product = service_of(request).results.get(key, name)
    headers = {"content-disposition": product.disposition}
    return Response(product.content, media_type=product.media, headers=headers)


@routes.delete("/api/results/{key}", tags=["reading"], status_code=204, response_class=Response,
               summary="Let the files of an answer go at once")  # fmt: skip
async def forget(request: Request, key: str) -> Response:
    service_of(request).results.forget(key)
    return Response(status_code=204)
