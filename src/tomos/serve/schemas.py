"""What the OpenAPI description says of bodies and answers that the framework cannot see."""

from __future__ import annotations

from typing import Any

FILE = {"type": "string", "format": "binary"}
FILES = {
    "type": "array",
    "items": FILE,
    "minItems": 1,
    "description": "one file, the files of one DICOM series or, for a model that reads several "
    "images a case, one for each; these may come in fields called as the roles of the model",
}
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": FILES}, "required": ["file"]}
        },
        "application/octet-stream": {"schema": FILE},
        "application/dicom": {"schema": FILE},
        "application/gzip": {"schema": FILE},
        "application/zip": {"schema": FILE},
        "image/png": {"schema": FILE},
        "image/jpeg": {"schema": FILE},
    },
}

ERROR = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"error": {"type": "string"}},
                "required": ["error"],
            }
        }
    }
}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, **ERROR}


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: _error("The request is not what this address takes"),
    403: _error("Sent by a page of another site"),
    404: _error("No such model, or a result that is not kept any more"),
    408: _error("The upload stalled"),
    413: _error("Larger than the server accepts"),
    421: _error("Not a host name that this server answers to"),
    422: _error("The file was refused, with the reason"),
    503: _error("Busy; see Retry-After"),
    504: _error("Not answered in time"),
    507: _error("Too large for the memory or the disk of the server"),
}

PICTURE = {
    "type": "object",
    "properties": {
        "png": {"type": "string", "format": "byte"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "low": {"type": "number", "description": "value shown black"},
        "high": {"type": "number", "description": "value shown white"},
        "step": {"type": "integer", "description": "image pixels per picture pixel"},
        "spacing": {
            "type": ["array", "null"],
            "items": {"type": "number"},
            "description": "mm between pixels, (Y, X)",
        },
    },
}
AMOUNTS = {
    "type": "object",
    "properties": {
        "voxels": {"type": "integer", "description": "that were outlined"},
        "ml": {"type": "number", "description": "outlined, of a volume"},
        "mm2": {"type": "number", "description": "outlined, of a picture whose size is known"},
        "expected": {
            "type": "number",
            "description": "what the probabilities sum up to, in the same unit; where it is far "
            "from what was outlined, the network is unsure",
        },
    },
}
PREDICTION = {
    "type": "object",
    "properties": {
        "input": {"type": "string"},
        "targets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "scores": {"type": "object", "additionalProperties": {"type": "number"}},
                    "label": {"type": "string"},
                    "mask": {"type": "object", "additionalProperties": AMOUNTS},
                },
            },
        },
        "verdict": {"enum": ["finding", "no finding", "refer"]},
        "reason": {"type": "string"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "files": {
            "type": "object",
            "description": "masks: where to fetch them: mask (NIfTI, of a picture PNG), doubt "
            "(entropy of every voxel, NIfTI), dicom-seg (of what came as DICOM)",
            "additionalProperties": {"type": "string"},
        },
    },
}
MASK = {
    "type": "object",
    "properties": {
        "unit": {"enum": ["ml", "mm2", "voxels"]},
        "labels": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "name": {"type": "string"},
                    "colour": {"type": "string"},
                },
            },
        },
        "picture": {
            "type": "object",
            "description": "labels on the grid of `picture`: 256 * red + green. Of a volume that "
            "is the axial slice with most of the mask",
            "properties": {"png": {"type": "string", "format": "byte"}},
        },
        "volume": {
            "type": "object",
            "description": "where to fetch the volume and its labels to show them, thinned by "
            "`steps` along (Z, Y, X)",
        },
        "left_out": {"type": "object", "description": "form -> why there is no such file"},
        "kept_seconds": {"type": "number"},
    },
}
READ_ANSWER: dict[str, Any] = {
    "description": "What the model says, and the pictures that were asked for",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "schema": {"const": 1},
                    "model": {"type": "string"},
                    "prediction": PREDICTION,
                    "image": {"type": "object"},
                    "picture": PICTURE,
                    "values": {
                        "type": "object",
                        "description": "value = intercept + slope * (256 * red + green)",
                        "properties": {
                            "png": {"type": "string", "format": "byte"},
                            "slope": {"type": "number"},
                            "intercept": {"type": "number"},
                        },
                    },
                    "maps": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "method": {"type": "string"},
                                "label": {"type": "string"},
                                "png": {"type": "string", "format": "byte"},
                            },
                        },
                    },
                    "no_map": {
                        "type": "string",
                        "description": "why there is no heat map, where one was asked for: of "
                        "masks there is none",
                    },
                    "mask": MASK,
                    "seconds": {"type": "object"},
                },
                "required": ["schema", "model", "prediction", "image", "maps"],
            }
        }
    },
}

READ_RESPONSES: dict[int | str, dict[str, Any]] = {200: READ_ANSWER, **REFUSALS}
