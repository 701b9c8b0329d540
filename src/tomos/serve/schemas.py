"""What the OpenAPI description says of bodies and answers that the framework cannot see."""

from __future__ import annotations

from typing import Any

FILE = {"type": "string", "format": "binary"}
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": FILE}, "required": ["file"]}
        },
        "application/octet-stream": {"schema": FILE},
        "application/dicom": {"schema": FILE},
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
    404: _error("No such model"),
    408: _error("The upload stalled"),
    413: _error("Larger than the server accepts"),
    421: _error("Not a host name that this server answers to"),
    422: _error("The file was refused, with the reason"),
    503: _error("Busy; see Retry-After"),
    504: _error("Not answered in time"),
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
                },
            },
        },
        "verdict": {"enum": ["finding", "no finding", "refer"]},
        "reason": {"type": "string"},
        "warnings": {"type": "array", "items": {"type": "string"}},
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
                    "seconds": {"type": "object"},
                },
                "required": ["schema", "model", "prediction", "image", "maps"],
            }
        }
    },
}

READ_RESPONSES: dict[int | str, dict[str, Any]] = {200: READ_ANSWER, **REFUSALS}
