"""PNG, JPEG, TIFF, BMP, GIF: bits, colours, palettes, opacity and orientation are kept or said."""

import struct
import zlib

import numpy as np
import pytest

from tomos import formats
from tomos.types import FormatError, Image, LimitError

PIL = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.fast
GREY8 = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
GREY16 = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5001
COLOUR8 = np.arange(36, dtype=np.uint8).reshape(3, 3, 4) * 7
COLOUR16 = np.arange(36, dtype=np.uint16).reshape(3, 3, 4) * 1801 + 3


@pytest.mark.parametrize("pixels", [GREY8, GREY16, COLOUR8, COLOUR16], ids=lambda p: str(p.shape))
def test_what_is_written_as_png_is_read(tmp_path, pixels):
    path = tmp_path / "x.dat"
    path.write_bytes(formats.png_bytes(pixels))
    image = formats.read(path)
    assert np.array_equal(image.pixels, pixels if pixels.ndim == 3 else pixels[None])
    assert image.pixels.dtype == pixels.dtype
    assert image.value_range == (0, np.iinfo(pixels.dtype).max)
    assert image.frame == "pixel"
    assert image.origin.format == "png"


@pytest.mark.parametrize("pixels", [GREY8, GREY16, COLOUR8])
def test_pillow_reads_our_png(tmp_path, pixels):
    path = tmp_path / "x.png"
    formats.write_png(Image(pixels if pixels.ndim == 3 else pixels[None]), path)
    seen = np.asarray(PIL.open(path))
    assert np.array_equal(seen, np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels)


def test_floating_point_is_written_through_its_range(tmp_path):
    formats.write_png(Image(np.array([[[-1.0, 0.0, 1.0, np.nan]]])), tmp_path / "x.png")
    assert formats.read(tmp_path / "x.png").pixels.tolist() == [[[0, 128, 255, 0]]]


def test_png_refuses_volumes_and_floats(tmp_path):
    with pytest.raises(FormatError, match="choose a slice"):
        formats.write_png(Image(np.zeros((1, 2, 3, 4), np.uint8)), tmp_path / "x.png")
    with pytest.raises(FormatError, match="scale the values first"):
        formats.png_bytes(np.zeros((3, 4)))


@pytest.mark.parametrize("kind", ["tiff", "bmp", "gif", "png"])
def test_grey_of_every_kind(tmp_path, kind):
    PIL.fromarray(GREY8).save(tmp_path / "x", format=kind)
    image = formats.read(tmp_path / "x")
    assert np.array_equal(image.pixels, GREY8[None])
    assert image.origin.format == kind


def test_jpeg_is_near(tmp_path):
    ramp = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 3
    PIL.fromarray(ramp).save(tmp_path / "x.png", format="jpeg", quality=95)
    image = formats.read(tmp_path / "x.png")
    assert image.origin.format == "jpeg", "recognised by content, not by name"
    assert np.abs(image.pixels[0].astype(int) - ramp).max() < 8


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_sixteen_bit_tiff(tmp_path, order, kind):
    pixels = np.moveaxis(COLOUR16, 0, -1) if kind == "colour" else GREY16[:, :, None]
    (tmp_path / "x.tif").write_bytes(tiff(pixels, order))
    assert np.array_equal(formats.read(tmp_path / "x.tif").pixels, np.moveaxis(pixels, -1, 0))


def tiff(pixels: np.ndarray, order: str) -> bytes:
    """A strip of uncompressed samples, TIFF 6.0."""
    high, wide, channels = pixels.shape
    raw = pixels.astype(f"{order}u2").tobytes()
    bits_at = 8 + len(raw)
    tags = [(256, 3, 1, wide), (257, 3, 1, high), (258, 3, channels, 16), (259, 3, 1, 1),
            (262, 3, 1, 2 if channels == 3 else 1), (273, 4, 1, 8), (277, 3, 1, channels),
            (278, 3, 1, high), (279, 4, 1, len(raw))]  # fmt: skip
    body = struct.pack(f"{order}3H", 16, 16, 16)
    entries = b""
    for tag, kind, count, value in tags:
        if tag == 258 and count > 1:
            entries += struct.pack(f"{order}HHII", tag, kind, count, bits_at)
        elif kind == 3:
            entries += struct.pack(f"{order}HHIHH", tag, kind, count, value, 0)
        else:
            entries += struct.pack(f"{order}HHII", tag, kind, count, value)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return (mark + struct.pack(f"{order}I", bits_at + 6) + raw + body
            + struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0")  # fmt: skip


def test_palette_becomes_its_colours(tmp_path):
    picture = PIL.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "x.png")
    assert formats.read(tmp_path / "x.png").pixels[:, 0].tolist() == [[255, 0], [0, 0], [0, 255]]


def test_opacity_is_laid_on_black_and_said(tmp_path):
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0]]], np.uint8)
    PIL.fromarray(pixels).save(tmp_path / "x.png")
    image = formats.read(tmp_path / "x.png")
    assert image.pixels[:, 0].tolist() == [[200, 0], [100, 0], [50, 0]]
    assert any("black" in warning for warning in image.warnings)


def test_full_opacity_is_nothing(tmp_path):
    PIL.fromarray(np.full((2, 2, 4), 255, np.uint8)).save(tmp_path / "x.png")
    image = formats.read(tmp_path / "x.png")
    assert image.pixels.shape == (3, 2, 2) and not image.warnings


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_carried_out(tmp_path, turn):
    from PIL import ImageOps

    pixels = np.zeros((16, 24), np.uint8)
    pixels[:8, :8] = 255  # one bright corner
    picture = PIL.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = turn
    picture.save(tmp_path / "x.jpg", exif=exif, quality=100)
    expected = np.asarray(ImageOps.exif_transpose(PIL.open(tmp_path / "x.jpg")))
    assert np.array_equal(formats.read(tmp_path / "x.jpg").pixels[0], expected)


def test_pages_of_a_tiff(tmp_path):
    pages = [PIL.fromarray(GREY8 + page) for page in range(3)]
    path = tmp_path / "x.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert formats.members(path) == [f"{path}#{page}" for page in range(3)]
    assert np.array_equal(formats.read(f"{path}#2").pixels, GREY8[None] + 2)
    assert formats.read(path).pixels.shape == (1, 3, 3, 4)
    with pytest.raises(FormatError, match="the last #2"):
        formats.read(f"{path}#3")


def test_a_png_that_declares_too_much_is_refused(tmp_path):
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 10**6)), (b"IEND", b"")):
        bomb += struct.pack(">I", len(body)) + kind + body
        bomb += struct.pack(">I", zlib.crc32(kind + body))
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(LimitError, match=r"bomb\.png"):
        formats.read(tmp_path / "bomb.png")


def test_a_cut_picture_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(formats.png_bytes(GREY8)[:-30])
    with pytest.raises(FormatError, match="copy it again"):
        formats.read(tmp_path / "x.png")
