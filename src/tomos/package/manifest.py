"""What `model.tomos` says of itself: everything but the weights, as plain data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tomos.config import Settings
from tomos.types.words import counted

SCHEMA = 1
Side = Annotated[int, Field(ge=1, le=4096)]
SHA256 = r"^[0-9a-f]{64}$"


class Code(Settings):
    """A class's meaning in a terminology: its `code` there, and the same in words."""

    system: Literal["SNOMED-CT", "RadLex"]
    code: str
    meaning: str = ""


class Class(Settings):
    """One class. `finding`: whether naming it means that something was found; None: by its name."""

    name: str
    codes: tuple[Code, ...] = ()
    finding: bool | None = None


class InputPart(Settings):
    """What the network takes after `prepare`: channels and size (Y, X), in pixels; for masks the
    size of a tile, (Z, Y, X) or (Y, X).

    roles    of a model that reads several images of a case together, what these are called, in the
             order of their channels; the first says on which grid the answer lies. none: one image
    files    of images that are files x_0000, x_0001, ... or volumes of a file the number of each
             role; none: in their order
    volumes  whether a network of pictures was made for volumes, gone through slice by slice
    context  slices on each side that it sees of each slice, as further channels, all slices of a
             channel after another; beyond the first and the last slice they repeat
    """

    channels: int = Field(ge=1, le=64)
    size: tuple[int, ...] = Field(min_length=2, max_length=3)
    roles: tuple[str, ...] = Field(default=(), max_length=64)
    files: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(), max_length=64)
    volumes: bool = False
    context: int = Field(default=0, ge=0, le=16)

    @property
    def axes(self) -> int:
        """Of the images that the model was made for: 2 of pictures, 3 of volumes."""
        return 3 if self.volumes or self.context else len(self.size)

    @property
    def taken(self) -> int:
        """Channels that the graph takes."""
        return self.channels * (2 * self.context + 1)

    @model_validator(mode="after")
    def _bounded(self) -> InputPart:
        if not all(1 <= length <= 4096 for length in self.size):
            raise ValueError("expected lengths from 1 to 4096 pixels")
        if self.roles and not 2 <= len(set(self.roles)) == len(self.roles) <= self.channels:
            raise ValueError(
                "expected two or more roles with different names, at least one channel each, got "
                f"{', '.join(self.roles)} and {counted(self.channels, 'channel')}"
            )
        if self.files and not len(set(self.files)) == len(self.files) == len(self.roles):
            raise ValueError(f"expected a number of files for each role, got {self.files}")
        if self.context and len(self.size) == 3:
            raise ValueError(f"expected tiles (Y, X) beside a context of {self.context} slices")
        return self


class Network(Settings):
    """Which architecture of `tomos.models` was trained; only training and gradients need it."""

    name: str = ""
    options: dict[str, Any] = Field(default_factory=dict)


class GraphPart(Settings):
    """One ONNX graph: its member, what it gives, and its number format.

    input, network  its own, where it is of another kind than the manifest says; for masks
    """

    file: str = Field(pattern=r"^graphs/[0-9]{1,2}\.onnx$")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    outputs: tuple[str, ...] = ("logits",)
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    input: InputPart | None = None
    network: Network | None = None


class OperatingPoint(Settings):
    """Where a probability becomes a call, and how that was chosen.

    thresholds  class -> lowest probability that calls it, as `tomos.tasks.classify.decode` reads
                it: two classes have one entry, that of the positive class
    refer       class -> (low, high): a probability in between, too near to the threshold for the
                model to decide, is referred to a reader
    rule, reason, split, figures  how the thresholds were chosen, on which part, and what they gave
    """

    thresholds: dict[str, float] = Field(default_factory=dict)
    refer: dict[str, tuple[float, float]] = Field(default_factory=dict)
    rule: str = ""
    reason: str = ""
    split: str = ""
    figures: dict[str, Any] = Field(default_factory=dict)


class Example(Settings):
    """A synthetic input, made from `seed` and never from a patient, and the answer to it.

    size       ([Z,] Y, X) of the picture before `prepare`, and how many channels it has
    spacing    mm between its voxels, of each axis; none: its size is not known
    digest     SHA-256 of its pixels
    logits     (G, K) of each graph, before views and calibration; for masks (G, 2 K), mean and
               spread of each output over the picture
    tolerance  precision -> allowed difference: of logits relative to their largest ("fp32",
               "fp16"), of probability ("int8")
    """

    seed: int = Field(ge=0)
    size: tuple[Side, ...] = Field(min_length=2, max_length=3)
    spacing: tuple[float, ...] = Field(default=(), max_length=3)
    channels: int = Field(default=1, ge=1, le=64)
    digest: str = Field(pattern=SHA256)
    logits: tuple[tuple[float, ...], ...]
    tolerance: dict[str, float] = Field(
        default_factory=lambda: {"fp32": 1e-3, "fp16": 1e-2, "int8": 0.02}
    )


class MaskPart(Settings):
    """How a mask is made of tiles.

    tile       (Y, X) of the tiles of pictures; none: those of `input.size`. A larger one is for
               networks that answer for a place alike in tiles of every size
    overlap    of neighbouring tiles, as a share of their length
    largest    classes of which only the largest connected part is kept
    air        the value of what surrounds the body after `prepare`; tiles of nothing else are not
               run. None: every tile is run
    doubt      (low, high) of the ratio of what a class's probabilities sum up to and its volume;
               beyond it a reader must look. As seen on validation
    """

    tile: tuple[Side, ...] = Field(default=(), max_length=2)
    overlap: float = Field(default=0.5, ge=0, lt=1)
    largest: tuple[str, ...] = ()
    air: float | None = None
    doubt: dict[str, tuple[float, float]] = Field(default_factory=dict)


class Manifest(Settings):
    """`manifest.json`.

    kind         "class" (one of K), "multilabel" (any of K), "ordinal" (steps in order), or "mask"
                 (one of K, or none, for every pixel or voxel; the graph's first output is "none")
    prepare      the steps of `tomos.transforms.prepare.Chain`
    views        pictures of one image whose logits are averaged, as in `Plan.predict.views`
    calibration  what `tomos.tasks` applies to averaged logits, such as {"temperature": 1.3}
    envelope     what the model was made for, as `tomos.inference.envelope` fits and judges it;
                 its arrays lie in `envelope/NAME.npy`
    map_method   the heat map that needs no torch
    dataset      a summary that names no patient
    checksums    member -> SHA-256 of every member but the manifest and the signature
    """

    schema_number: Literal[1] = Field(default=1, alias="schema")
    name: str = Field(min_length=1, max_length=200)
    created: str = ""
    task: Literal["classify", "segment"] = "classify"
    target: str = "label"
    kind: Literal["class", "multilabel", "ordinal", "mask"] = "class"
    classes: tuple[Class, ...] = Field(min_length=1)
    input: InputPart
    prepare: tuple[dict[str, Any], ...] = ()
    network: Network = Network()
    graphs: tuple[GraphPart, ...] = Field(default=(), max_length=64)
    views: tuple[str, ...] = ("identity",)
    calibration: dict[str, Any] = Field(default_factory=dict)
    operating_point: OperatingPoint = OperatingPoint()
    envelope: dict[str, Any] = Field(default_factory=dict)
    mask: MaskPart = MaskPart()
    map_method: Literal["cam", "occlusion", "none"] = "occlusion"
    features: bool = False
    metrics: dict[str, Any] = Field(default_factory=dict)
    card: str = ""
    card_zh: str = ""
    licence: str = ""
    dataset: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    example: Example | None = None
    checksums: dict[str, str] = Field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.classes)

    @property
    def outputs(self) -> int:
        """How many logits the graphs give: one a class, and for masks one for none before them."""
        return len(self.classes) + (self.kind == "mask")

    def input_of(self, graph: GraphPart) -> InputPart:
        return graph.input or self.input

    def network_of(self, graph: GraphPart) -> Network:
        return graph.network or self.network

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Manifest:
        names = self.class_names
        if len(set(names)) != len(names):
            raise ValueError(f"expected classes with different names, got {list(names)}")
        point = self.operating_point
        named = {*point.thresholds, *point.refer, *self.mask.largest, *self.mask.doubt}
        if strangers := named - set(names):
            raise ValueError(f"the operating point names no class of the model: {strangers}")
        if (self.task == "segment") != (self.kind == "mask"):
            raise ValueError(f"a model that is to {self.task} cannot have a target {self.kind!r}")
        if self.map_method == "cam" and any("cam" not in g.outputs for g in self.graphs):
            raise ValueError("map_method is 'cam', but a graph has no output 'cam'")
        if self.features and any("features" not in g.outputs for g in self.graphs):
            raise ValueError("features are promised, but a graph has no output 'features'")
        own = [graph.input for graph in self.graphs if graph.input is not None]
        if own and self.kind != "mask":
            raise ValueError("graphs of several kinds (input) are for masks")
        if any(part.channels != self.input.channels for part in own):
            wanted = counted(self.input.channels, "channel")
            raise ValueError(f"expected {wanted} of every graph's input")
        if any(part.roles != self.input.roles for part in own):
            raise ValueError("expected the same roles in every graph's input")
        if self.kind != "mask" and (self.input.context or self.input.roles):
            raise ValueError("a context of slices and several images (roles) are for masks")
        each = 2 * self.outputs if self.kind == "mask" else self.outputs
        if self.example and any(len(row) != each for row in self.example.logits):
            raise ValueError(f"the example needs {each} logits a graph")
        return self
