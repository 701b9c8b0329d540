"""Surfaces of labels: closed, outward, in millimetres; and the files they are written to."""

import json
import struct

import numpy as np
import pytest

from tomos import formats
from tomos.formats import Mesh
from tomos.types import FormatError, GeometryError, Mask, SettingsError

pytestmark = pytest.mark.fast

OBLIQUE = np.array([[0, 0.1, -0.7, 10], [0.2, 0.8, 0, -20], [2.5, 0.1, 0.3, 5], [0, 0, 0, 1]])


def ball(radius: float, affine=None) -> Mask:
    """Voxels whose centre is nearer than `radius` voxels to the middle."""
    side = int(2 * radius) + 6
    grid = np.indices((side, side, side), sparse=True)
    inside = sum((grid[k] - (side - 1) / 2) ** 2 for k in range(3)) < radius**2
    return Mask(inside.astype(np.uint8), ("ball",), np.eye(4) if affine is None else affine,
                "patient")  # fmt: skip


@pytest.mark.parametrize("smooth", [0, 20])
def test_a_ball_has_the_volume_of_a_ball(smooth):
    mesh = formats.surface(ball(20), "ball", smooth)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.01)
    assert mesh.is_closed
    assert len(mesh.vertices) - len(mesh.faces) // 2 == 2, "Euler: a sphere without handles"
    out = mesh.vertices - mesh.vertices.mean(axis=0)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    assert (out * mesh.normals()).sum(axis=1).min() > (0.5 if smooth == 0 else 0.9)


def test_smoothing_takes_the_steps_away_and_does_not_shrink():
    rough, smooth = (formats.surface(ball(10), "ball", passes) for passes in (0, 40))
    spread = [
        np.linalg.norm(mesh.vertices - mesh.vertices.mean(axis=0), axis=1).std()
        for mesh in (rough, smooth)
    ]
    assert spread[1] < 0.6 * spread[0]
    assert smooth.volume == pytest.approx(rough.volume, rel=0.02)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_any_mask_has_a_closed_surface(share):
    """Noise: voxels that touch at an edge or a corner only, holes, and the border of the image."""
    for seed in range(4):
        noise = np.random.default_rng(seed).random((9, 8, 7)) < share
        mesh = formats.surface(Mask(noise.astype(np.uint8), ("x",), OBLIQUE, "patient"), "x", 0)
        assert mesh.is_closed and mesh.volume > 0


def test_each_of_256_ways_in_which_eight_voxels_can_be_has_a_closed_surface():
    for code in range(1, 256):
        cell = np.array([code >> k & 1 for k in range(8)], np.uint8).reshape(2, 2, 2)
        mesh = formats.surface(Mask(cell, ("x",), np.eye(4), "patient"), "x", 0)
        assert mesh.is_closed and mesh.volume > 0


def test_a_voxel_is_an_octahedron_about_its_place():
    """By hand: six points half way to the neighbours; 4/3 of the product of the half axes."""
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[2, 3, 0] = 1  # in a corner of the image: it is closed there too
    mesh = formats.surface(Mask(labels, ("x",), OBLIQUE, "patient"), "x", smooth=0)
    place = OBLIQUE[:3, :3] @ [2, 3, 0] + OBLIQUE[:3, 3]
    halves = OBLIQUE[:3, :3].T / 2
    wanted = np.concatenate([place + halves, place - halves])
    order = np.lexsort(mesh.vertices.round(6).T)
    assert mesh.vertices[order] == pytest.approx(wanted[np.lexsort(wanted.round(6).T)])
    assert len(mesh.faces) == 8
    assert mesh.volume == pytest.approx(abs(np.linalg.det(OBLIQUE[:3, :3])) / 6)


@pytest.mark.parametrize("mirror", [1, -1])
def test_oblique_anisotropic_and_mirrored_affines(mirror):
    affine = OBLIQUE @ np.diag([1, mirror, 1, 1.0])
    mask = ball(12, affine)
    mesh = formats.surface(mask, "ball")
    voxel = abs(np.linalg.det(affine[:3, :3]))
    assert mesh.volume == pytest.approx(mask.labels.sum() * voxel, rel=0.01), "outward: positive"
    centre = np.argwhere(mask.labels).mean(axis=0) @ affine[:3, :3].T + affine[:3, 3]
    assert mesh.vertices.mean(axis=0) == pytest.approx(centre, abs=0.05)


def test_a_surface_that_cannot_be_is_refused():
    mask = ball(3)
    with pytest.raises(SettingsError, match="'heart' is no label of the mask; it has ball"):
        formats.surface(mask, "heart")
    with pytest.raises(GeometryError, match="no voxel is ball"):
        formats.surface(mask.with_labels(mask.labels * 0), "ball")
    with pytest.raises(GeometryError, match="voxels have a size"):
        formats.surface(Mask(mask.labels, ("ball",)), "ball")
    with pytest.raises(GeometryError, match="made of a volume"):
        formats.surface(Mask(mask.labels[3], ("ball",), frame="patient"), "ball")


@pytest.fixture
def two() -> list[Mesh]:
    """Two labels of one volume, and a third that no voxel has."""
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2:6, 2:9, 2:9], labels[7:10, 3:9, 3:9] = 1, 3
    return formats.surfaces(Mask(labels, ("left lung", "nothing", "心"), OBLIQUE, "patient"))


def test_every_label_that_is_there_has_a_surface_of_its_colour(two):
    assert [mesh.name for mesh in two] == ["left lung", "心"]
    assert two[0].colour != two[1].colour and all(mesh.is_closed for mesh in two)


def test_stl_is_read_as_it_is_defined(tmp_path, two):
    formats.write_mesh(two[0], tmp_path / "a.stl")
    raw = (tmp_path / "a.stl").read_bytes()
    count = struct.unpack_from("<I", raw, 80)[0]
    assert len(raw) == 84 + 50 * count and count == len(two[0].faces)
    assert not raw.startswith(b"solid") and b"SPACE=RAS" in raw[:80]
    for k in (0, count - 1):
        values = np.array(struct.unpack_from("<12f", raw, 84 + 50 * k)).reshape(4, 3)
        corners = two[0].vertices[two[0].faces[k]]
        assert values[1:] == pytest.approx(corners, abs=1e-4)
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        assert values[0] == pytest.approx(normal / np.linalg.norm(normal), abs=1e-5)
    with pytest.raises(FormatError, match="an STL holds one surface, got left lung, 心"):
        formats.write_mesh(two, tmp_path / "b.stl")


def test_obj_has_a_group_a_label(tmp_path, two):
    formats.write_mesh(two, tmp_path / "a.obj")
    groups: dict[str, list[list[int]]] = {}
    vertices = []
    for line in (tmp_path / "a.obj").read_text("utf-8").splitlines():
        kind, *values = line.split()
        if kind == "g":
            (name,) = values
            groups[name] = []
        elif kind == "v":
            vertices.append([float(value) for value in values])
        elif kind == "f":
            groups[name].append([int(value) for value in values])
    assert list(groups) == ["left_lung", "心"]
    for mesh, faces in zip(two, groups.values(), strict=True):
        corners = np.array(vertices)[np.array(faces) - 1]
        assert corners == pytest.approx(mesh.vertices[mesh.faces], abs=1e-4)


def test_glb_is_gltf_in_metres_with_y_up(tmp_path, two):
    formats.write_mesh(two, tmp_path / "a.glb")
    raw = (tmp_path / "a.glb").read_bytes()
    magic, version, length = struct.unpack_from("<4sII", raw)
    assert (magic, version, length) == (b"glTF", 2, len(raw))
    size, kind = struct.unpack_from("<I4s", raw, 12)
    assert kind == b"JSON" and size % 4 == 0
    told = json.loads(raw[20 : 20 + size])
    blob_size, kind = struct.unpack_from("<I4s", raw, 20 + size)
    blob = raw[28 + size :]
    assert kind == b"BIN\0" and len(blob) == blob_size == told["buffers"][0]["byteLength"]

    def values(accessor, code, width):
        view = told["bufferViews"][accessor["bufferView"]]
        start, end = view["byteOffset"], view["byteOffset"] + view["byteLength"]
        found = np.frombuffer(blob[start:end], code).reshape(-1, width)
        assert len(found) == accessor["count"]
        return found

    assert [node["name"] for node in told["nodes"]] == ["left lung", "心"]
    for mesh, node in zip(two, told["nodes"], strict=True):
        primitive = told["meshes"][node["mesh"]]["primitives"][0]
        accessor = told["accessors"][primitive["attributes"]["POSITION"]]
        places = values(accessor, "<f4", 3)
        # By hand: -x is right, y head, z front; a patient's right, front, head are x, y, z.
        right, front, head = mesh.vertices.T / 1000
        assert places == pytest.approx(np.stack([-right, head, front], axis=1), abs=1e-6)
        assert accessor["min"] == places.min(axis=0).tolist()
        faces = values(told["accessors"][primitive["indices"]], "<u4", 1).reshape(-1, 3)
        assert np.array_equal(faces, mesh.faces)
        assert Mesh("", places.astype(float), faces).volume > 0, "not turned inside out"
        normals = values(told["accessors"][primitive["attributes"]["NORMAL"]], "<f4", 3)
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-5)
        colour = told["materials"][primitive["material"]]["pbrMetallicRoughness"]
        assert all(0 <= part <= 1 for part in colour["baseColorFactor"])
    assert told["asset"]["extras"]["unit"] == "metre"


def test_other_endings_and_nothing_are_refused(tmp_path, two):
    with pytest.raises(FormatError, match=r"\.stl, \.obj, \.glb"):
        formats.write_mesh(two, tmp_path / "a.ply")
    with pytest.raises(FormatError, match="no surface to write"):
        formats.write_mesh([], tmp_path / "a.glb")
