"""Makes `awkward.csv`: what each file of the awkward pile holds, found without Tomos.

    python tests/formats/make_awkward.py PILE [OUT.csv]

Headers come from DCMTK (`dcm2json`); pixels from DCMTK (`dcmconv`, `dcmdjpeg`, `dcmdjpls`,
`dcmdrle`) and from GDCM (python-gdcm); colour from DCMTK's `dcm2pnm`; other pictures from netpbm.
What is then done to stored values is arithmetic from the Standard, written out here once more:

- value = slope x stored + intercept (PS3.3 C.11.1.1.2); RT Dose: Dose Grid Scaling (C.8.8.3); a
  real world value mapping where there is no rescale (C.7.6.16.2.11); palettes (C.7.6.3.1.5)
- MONOCHROME1 without a physical unit is inverted within the bits stored: larger is brighter
- unit: Rescale Type, CT with a rescale is HU, RT Dose in GY is Gy, else "1"
- shape: (C, Y, X), with several frames (C, frames, Y, X)

Where the two libraries differ, DCMTK is taken and the other's answer is noted, but for these, where
the Standard says that DCMTK is wrong or it cannot say:

- JPEG 2000 is not decoded by this DCMTK: GDCM.
- Colour in JPEG is what Photometric Interpretation says (PS3.5 8.2.1; `+cp`, DCMTK's default). To
  guess from the codestream (`+cg`) turns the white of SC_jpeg_no_color_transform to magenta.
- 32-bit values in big endian (rtdose_expb): both swap the bytes of 16-bit words, as PS3.5 6.2 has
  it for OW, and so does Tomos, though the file's author seems to have swapped all four.
- An element without value representation in an explicit file (SC_rgb_jpeg): DCMTK ends, GDCM reads.
- Rows or Columns absent, or Pixel Data shorter than Rows x Columns x Samples x Bits: refused. GDCM
  fills what is missing with what happens to be there; PS3.5 8.1.1 has no such pixels.
"""

from __future__ import annotations

import base64
import csv
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

JPEG_LS, RLE, JPEG_2000 = "1.2.840.10008.1.2.4.8", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.9"
JPEG = ("1.2.840.10008.1.2.4.5", "1.2.840.10008.1.2.4.7")
LOSSY = ("4.50", "4.51", "4.91", "4.203")
COLUMNS = ("path", "expect", "shape", "unit", "min", "max", "tolerance", "by", "note")
PICTURES = {"png": ["pngtopnm"], "jpg": ["jpegtopnm"], "jpeg": ["jpegtopnm"]}


def run(*command: str) -> bytes | None:
    done = subprocess.run(command, capture_output=True, timeout=120)
    return done.stdout if done.returncode == 0 else None


class Header:
    """DCMTK's view of a header, as the DICOM JSON model (PS3.18 F)."""

    def __init__(self, data: dict):
        self.data = data

    def get(self, tag: str, default=None):
        values = self.data.get(tag, {}).get("Value")
        if not values and self.data.get(tag, {}).get("vr") == "UN" and self.raw(tag):
            values = [self.raw(tag).decode("latin-1").strip()]  # a number that is text, as DS is
        return values[0] if values else default

    def all(self, tag: str) -> list:
        return self.data.get(tag, {}).get("Value", [])

    def raw(self, tag: str) -> bytes | None:
        inline = self.data.get(tag, {}).get("InlineBinary")
        return None if inline is None else base64.b64decode(inline)

    def group(self, tag: str) -> Header | None:
        """First item of a sequence: per frame, shared, or of the data set itself."""
        for outer in ("52009230", "52009229"):
            item = Header(self.get(outer) or {}).get(tag)
            if item:
                return Header(item)
        item = self.get(tag)
        return Header(item) if isinstance(item, dict) else None


def header_of(path: Path, folder: Path) -> Header | None:
    """None when DCMTK does not read the file whole."""
    text = run("dcm2json", "-q", "+m", "-ee", str(path))
    pixels = {}
    if text is None:
        # A character set that dcm2json cannot convert, or compressed pixels that it does not write:
        # without them, the numbers are the same.
        copy = folder / "plain.dcm"
        copy.write_bytes(path.read_bytes())
        if b"PixelData" in (run("dcmdump", "-q", "+P", "7fe0,0010", str(path)) or b""):
            pixels = {"7FE00010": {"vr": "OB"}}
        change = ["-i", "(0008,0005)=ISO_IR 100", "-ea", "(7fe0,0010)"]
        if run("dcmodify", "-q", "-nb", "-ie", "-imt", *change, str(copy)) is None:
            return None
        text = run("dcm2json", "-q", "+m", "-ee", str(copy))
    try:
        return Header(json.loads((text or b"").decode("utf-8", "replace"), strict=False) | pixels)
    except ValueError:
        return None


def by_dcmtk(path: Path, syntax: str, folder: Path) -> tuple[np.ndarray, Header] | None:
    """Flat stored values, undone by DCMTK, with the header they then have."""
    tool = ["dcmconv", "+te"]
    if syntax.startswith(JPEG):
        tool = ["dcmdjpeg", "+te", "+cn"]
    elif syntax.startswith(JPEG_LS):
        tool = ["dcmdjpls", "+te"]
    elif syntax == RLE:
        tool = ["dcmdrle", "+te"]
    elif syntax.startswith(JPEG_2000):
        return None
    plain = folder / "dcmtk.dcm"
    plain.unlink(missing_ok=True)
    if run(*tool, "-q", str(path), str(plain)) is None:
        return None
    header = header_of(plain, folder)
    if header is None:
        return None
    for tag, kind in (("7FE00008", "<f4"), ("7FE00009", "<f8")):
        raw = header.raw(tag)
        if raw is not None:
            return np.frombuffer(raw, kind), header
    raw = header.raw("7FE00010")
    return None if raw is None else (numbers(raw, header), header)


def numbers(raw: bytes, header: Header) -> np.ndarray:
    allocated = header.get("00280100", 8)
    if allocated == 1:
        return np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    size = allocated // 8
    values = np.frombuffer(raw[: len(raw) // size * size], f"<u{size}").astype(np.int64)
    stored = header.get("00280101", allocated)
    values = values >> (header.get("00280102", stored - 1) + 1 - stored) & (2**stored - 1)
    if header.get("00280103", 0) == 1:
        values = np.where(values >= 2 ** (stored - 1), values - 2**stored, values)
    return values


def by_gdcm(path: Path) -> tuple[np.ndarray, Header] | None:
    """Flat stored values from GDCM and what it says of them; run apart: it may crash."""
    code = (
        "import sys, gdcm\n"
        "reader = gdcm.ImageReader(); reader.SetFileName(sys.argv[1])\n"
        "assert reader.Read()\n"
        "image = reader.GetImage(); form = image.GetPixelFormat(); size = image.GetDimensions()\n"
        "raw = image.GetBuffer().encode('utf-8', 'surrogateescape')\n"
        "head = [form.GetBitsAllocated(), form.GetBitsStored(), form.GetHighBit(),\n"
        "        form.GetPixelRepresentation(), form.GetSamplesPerPixel(), size[1], size[0],\n"
        "        size[2] if len(size) > 2 else 1, image.GetSlope(), image.GetIntercept(),\n"
        "        str(image.GetPhotometricInterpretation()).strip()]\n"
        "sys.stdout.buffer.write(';'.join(map(str, head)).encode() + b'|' + raw)"
    )
    text = run(sys.executable, "-c", code, str(path))
    if text is None or b"|" not in text:
        return None
    head, _, raw = text.partition(b"|")
    words = head.decode().split(";")
    tags = ("00280100", "00280101", "00280102", "00280103", "00280002", "00280010", "00280011",
            "00280008", "00281053", "00281052", "00280004")  # fmt: skip
    facts = [int(word) for word in words[:8]] + [float(word) for word in words[8:10]] + words[10:]
    header = Header({tag: {"Value": [fact]} for tag, fact in zip(tags, facts, strict=True)})
    return numbers(raw, header), header


def rgb_by_dcmtk(path: Path, frames: int, folder: Path) -> np.ndarray | None:
    """All frames as RGB of 8 bit by dcm2pnm (dcmj2pnm, dcml2pnm for JPEG), flat."""
    pictures = []
    for frame in range(frames):
        target = folder / "frame.ppm"
        target.unlink(missing_ok=True)
        for tool in ("dcm2pnm", "dcmj2pnm", "dcml2pnm"):
            run(tool, "-q", "+F", str(frame + 1), "+op", str(path), str(target))
            if target.exists():
                break
        if not target.exists():
            return None
        pictures.append(pnm(target.read_bytes()))
    return np.concatenate([picture.ravel() for picture in pictures])


def pnm(data: bytes) -> np.ndarray:
    """A binary PGM, PPM or PAM-free netpbm file -> (Y, X, C)."""
    words, position = [], 0
    while len(words) < 4:
        end = position
        while data[end : end + 1] not in b" \n\t\r":
            end += 1
        word = data[position:end]
        if word.startswith(b"#"):
            end = data.index(b"\n", position)
        elif word:
            words.append(word)
        position = end + 1
        if len(words) == 3 and words[0] == b"P4":
            break
    wide, high, top = int(words[1]), int(words[2]), int(words[3])
    kind = ">u2" if top > 255 else "u1"
    channels = 3 if words[0] == b"P6" else 1
    count = wide * high * channels
    return np.frombuffer(data, kind, count, position).reshape(high, wide, channels)


def scale_of(header: Header, modality: str) -> tuple[float, float, str]:
    if header.get("3004000E") is not None:
        unit = "Gy" if header.get("30040002", "").upper() == "GY" else "1"
        return float(header.get("3004000E")), 0.0, unit
    source = header.group("00289145") or header
    slope, intercept = source.get("00281053"), source.get("00281052")
    given = slope is not None or intercept is not None
    slope, intercept = float(1 if slope is None else slope), float(intercept or 0)
    if (slope, intercept) == (1.0, 0.0):
        real = header.group("00409096")
        if real is not None and real.get("00409225") is not None:
            code = Header(real.get("004008EA") or {}).get("00080100", "")
            unit = {"[hnsf'U]": "HU", "no units": "1", "": "1"}.get(code, code)
            return float(real.get("00409225")), float(real.get("00409224") or 0), unit
    kind = (source.get("00281054") or "").upper()
    if modality == "PT" and header.get("00541001"):
        units = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "SUV", "PROPCNTS": "1"}
        return slope, intercept, units.get(header.get("00541001"), header.get("00541001"))
    unit = kind if kind == "HU" else "HU" if modality == "CT" and given and not kind else "1"
    return slope, intercept, unit


def palette(header: Header, indices: np.ndarray) -> np.ndarray | None:
    out = []
    for colour in "123":
        count, first, bits = header.all(f"0028110{colour}")
        raw = header.raw(f"0028120{colour}")
        if raw is None:
            return None
        wide = len(raw) >= 2 * (count or 65536)
        table = np.frombuffer(raw, "<u2" if wide else "u1")
        if bits == 8 and wide and table.max() > 255:
            table = table >> 8
        out.append(table[np.clip(indices - first, 0, len(table) - 1)])
    return np.stack(out)


def refused(path: str, why: str, by: str = "DCMTK, GDCM") -> dict:
    return {"path": path, "expect": "refused", "by": by, "note": why}


def dicom_row(path: Path, name: str, folder: Path) -> dict:
    header, gdcm = header_of(path, folder), by_gdcm(path)
    if header is None:
        errors = subprocess.run(["dcmdump", str(path)], capture_output=True).stderr
        if gdcm is None or b"(7fe0,0010) larger" in errors:
            return refused(name, "not a whole data set")
        header = Header(gdcm[1].data | {"7FE00010": {"vr": "OB"}})
    data_tags = [tag for tag in ("7FE00010", "7FE00008", "7FE00009") if tag in header.data]
    if not data_tags:
        return refused(name, "no pixel data")
    rows, columns = header.get("00280010", 0), header.get("00280011", 0)
    if not rows or not columns:
        return refused(name, "pixel data without rows and columns")
    # One file says "1A": the digits count, as DCMTK's own conversion has it.
    frames = int(re.match(r"\d*", str(header.get("00280008") or 1))[0] or 1)
    samples = int(header.get("00280002") or 1)
    kind = (header.get("00280004") or "MONOCHROME2").strip()
    syntax = header.get("00020010") or ""
    dcmtk = by_dcmtk(path, syntax, folder)
    needed = frames * rows * columns * (2 if kind == "YBR_FULL_422" else samples)
    stored = dcmtk[0] if dcmtk else gdcm[0] if gdcm else None
    if stored is None:
        return refused(name, "neither decodes its pixels")
    if len(stored) < needed and not (kind == "YBR_FULL_422" and dcmtk is None):
        return refused(name, f"{len(stored)} of {needed} values are there")
    used = "DCMTK" if dcmtk else "GDCM"
    row = {"path": name, "expect": "image", "by": used, "tolerance": 0, "note": ""}
    lossy = any(syntax.endswith(tail) for tail in LOSSY)
    prefix = [frames] if frames > 1 else []
    if samples == 3 or kind == "PALETTE COLOR":
        return colour_row(row, path, header, stored[:needed], kind, prefix, lossy, folder)
    stored = stored[: frames * rows * columns]
    if dcmtk and gdcm is not None and not lossy and data_tags[0] == "7FE00010":
        both = [(int(v.min()), int(v.max())) for v in (stored, gdcm[0][: len(stored)])]
        if both[0] != both[1]:
            row["note"] = f"GDCM gives {both[1][0]} to {both[1][1]} stored"
    slope, intercept, unit = scale_of(header, header.get("00080060", ""))
    ends = np.array([stored.min(), stored.max()]) * slope + intercept
    if kind == "MONOCHROME1" and unit == "1":
        bits = (dcmtk[1] if dcmtk else header).get("00280101")
        signed = header.get("00280103", 0) == 1
        held = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        ends = slope * sum(held) + 2 * intercept - ends
    row |= {"shape": shape([1, *prefix, rows, columns]), "unit": unit}
    row |= {"min": f"{ends.min():.9g}", "max": f"{ends.max():.9g}", "tolerance": 2 * lossy}
    return row


def colour_row(
    row: dict,
    path: Path,
    header: Header,
    stored: np.ndarray,
    kind: str,
    prefix: list,
    lossy: bool,
    folder: Path,
) -> dict:
    rows, columns = header.get("00280010"), header.get("00280011")
    wide = header.get("00280100") > 8
    if kind == "PALETTE COLOR":
        values = palette(header, stored)
        row["by"] += ", the palette by hand"
    elif kind == "RGB" and (wide or not lossy):
        values = stored
    else:
        values = rgb_by_dcmtk(path, prefix[0] if prefix else 1, folder)
        row["by"] = "dcm2pnm"
        if values is None and kind in ("YBR_RCT", "YBR_ICT", "RGB"):
            values, row["by"] = stored, "GDCM (undoes the colour transform of JPEG 2000 itself)"
        elif values is None:
            return refused(row["path"], f"{kind} that neither shows as RGB")
    if values is None:
        return refused(row["path"], "no colours")
    row |= {"shape": shape([3, *prefix, rows, columns]), "unit": "1"}
    # dcm2pnm and other decoders round the inverse transforms differently.
    return row | {
        "min": f"{values.min()}",
        "max": f"{values.max()}",
        "tolerance": 6 if lossy else 1 if kind.startswith("YBR") else 0,
    }


def shape(lengths: list) -> str:
    return "x".join(str(int(length)) for length in lengths)


def picture_row(path: Path, name: str) -> dict:
    text = run(*PICTURES[path.suffix[1:].lower()], str(path))
    if text is None:
        return refused(name, "netpbm does not read it", "netpbm")
    values = pnm(text)
    row = {"path": name, "expect": "image", "unit": "1", "by": "netpbm", "note": ""}
    row["shape"] = shape([values.shape[2], *values.shape[:2]])
    tolerance = 3 if path.suffix.lower().startswith(".jp") else 0
    return row | {"min": int(values.min()), "max": int(values.max()), "tolerance": tolerance}


def nrrd_row(path: Path, name: str) -> dict:
    """NRRD is text and gzip: read with the standard library."""
    import gzip

    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(
        line.split(": ", 1) for line in head.decode("latin-1").splitlines() if ": " in line
    )
    kind = {"short": "<i2", "float": "<f4", "unsigned char": "u1"}[fields["type"]]
    raw = gzip.decompress(body) if fields["encoding"].startswith("gz") else body
    sizes = [int(word) for word in fields["sizes"].split()]
    values = np.frombuffer(raw, kind)
    assert values.size == np.prod(sizes), name
    row = {"path": name, "expect": "image", "unit": "1", "by": "standard library", "note": ""}
    row |= {"shape": shape([1, *sizes[::-1]]), "tolerance": 0}
    return row | {"min": f"{values.min():.9g}", "max": f"{values.max():.9g}"}


def main(pile: Path, out: Path) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(p for p in pile.rglob("*") if p.is_file()):
            name = path.relative_to(pile).as_posix()
            kind = path.suffix[1:].lower()
            if kind in PICTURES:
                rows.append(picture_row(path, name))
            elif kind == "nrrd":
                rows.append(nrrd_row(path, name))
            elif kind in ("zip", "gz", "json", "icc") or path.name == "README":
                rows.append(refused(name, "no image format, or an archive", "its name"))
            else:
                rows.append(dicom_row(path, name, Path(folder)))
            print(rows[-1], file=sys.stderr)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    here = Path(__file__).with_name("awkward.csv")
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here)
