"""Files and networks <-> types: DICOM, NIfTI, NRRD, MetaImage, PNG/JPEG/TIFF/BMP/GIF, npz; the only
place that knows them.

One format, one file: `SUFFIXES`, `sniff(head) -> bool`, `read(path, member, limits) -> Image`, and,
where a file holds several images, `members(path, limits) -> list[str]`. A file is recognised by its
first bytes, never by its name. Files whose name begins with an underscore are no formats.

Masks are laid on their image's grid (`read_mask`) and written as NIfTI, PNG or DICOM segmentation;
surfaces of them as STL, OBJ or GLB.

What comes from outside is read under `Limits`: lengths, depth and dimensions are checked before any
parser sees them, and compressed DICOM pixels are decoded in a limited child process. A refusal is a
`FormatError` with the reason, never anything else.
"""

from tomos.formats._colours import colour_of
from tomos.formats._facts import Code, SegmentationFacts
from tomos.formats._grid import slant
from tomos.formats._inspect import inspect
from tomos.formats._limits import LIMITS, Limits
from tomos.formats._masks import mask_values, read_mask, write_mask, write_seg
from tomos.formats._mesh import Mesh
from tomos.formats._mesh_write import write_mesh
from tomos.formats._nifti_write import write_nifti
from tomos.formats._png import png_bytes, write_png
from tomos.formats._reading import (
    is_image,
    joined,
    members,
    read,
    read_many,
    series,
    split_joined,
)
from tomos.formats._series import Series
from tomos.formats._surface import surface, surfaces

__all__ = [
    "LIMITS",
    "Code",
    "Limits",
    "Mesh",
    "SegmentationFacts",
    "Series",
    "colour_of",
    "inspect",
    "is_image",
    "joined",
    "mask_values",
    "members",
    "png_bytes",
    "read",
    "read_many",
    "read_mask",
    "series",
    "slant",
    "split_joined",
    "surface",
    "surfaces",
    "write_mask",
    "write_mesh",
    "write_nifti",
    "write_png",
    "write_seg",
]
