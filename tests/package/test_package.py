"""A model file is written the same each time, read whole, and refused when it is anything else."""

import json
import random
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import onnx
import pytest
import toy
from onnx import TensorProto, helper

from tomos import package
from tomos.package import container
from tomos.types import PackageError

pytestmark = pytest.mark.fast


@pytest.fixture
def model(tmp_path):
    arrays = {"envelope/mean.npy": np.arange(6, dtype=np.float32).reshape(2, 3)}
    return toy.model(tmp_path / "model.tomos", {"card.md": "# Toy\n", **arrays})


def test_what_was_written_is_read(model):
    read = package.read(model)
    assert read.manifest.class_names == ("dark", "bright")
    assert read.graph(0) == toy.bright()
    assert read.text("card.md") == "# Toy\n"
    assert read.envelope_arrays()["mean"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read.manifest.checksums.keys() == {"graphs/0.onnx", "card.md", "envelope/mean.npy"}


def test_equal_content_gives_equal_bytes_and_an_ordinary_zip(model, tmp_path):
    extras = {"card.md": "# Toy\n", "envelope/mean.npy": np.arange(6.0).reshape(2, 3)}
    again = toy.model(tmp_path / "again.tomos", extras)
    assert again.read_bytes() == model.read_bytes()
    with zipfile.ZipFile(model) as ordinary:
        assert ordinary.testzip() is None
        assert json.loads(ordinary.read("manifest.json"))["schema"] == 1


def test_a_file_packed_again_by_an_ordinary_archiver_is_read(model, tmp_path):
    again = tmp_path / "again.tomos"
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert package.read(again).graph(0) == toy.bright()


def test_every_truncation_is_refused(model, tmp_path):
    data = model.read_bytes()
    short = tmp_path / "short.tomos"
    for end in [0, 1, 4, 30, *range(40, len(data), len(data) // 60), len(data) - 1]:
        short.write_bytes(data[:end])
        with pytest.raises(PackageError):
            package.read(short)


def test_a_flipped_bit_is_refused_or_changes_nothing(model, tmp_path):
    data = model.read_bytes()
    whole = container.unpack(data, "whole")
    flipped = tmp_path / "flipped.tomos"
    rng = random.Random(0)
    refused = 0
    for _ in range(200):
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        flipped.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
        try:
            package.read(flipped)
        except PackageError:
            refused += 1
        else:
            # Dates and versions in the headers carry nothing; the content is the same.
            assert container.unpack(flipped.read_bytes(), "flipped") == whole
    assert refused > 150


def _zip(path, members: dict[str, bytes], **info) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            for key, value in info.items():
                setattr(entry, key, value)
            file.writestr(entry, content)


@pytest.mark.parametrize(
    "name", ["../x.onnx", "/etc/passwd", "graphs/../0.onnx", "C:\\x", "a.py", "graphs/0.onnx\0.txt"]
)
def test_names_that_climb_or_are_unknown_are_refused(tmp_path, name):
    # zipfile cleans names on writing, so a harmless one of the same length is replaced.
    path, harmless = tmp_path / "m.tomos", "x" * len(name)
    _zip(path, {harmless: b"1"})
    path.write_bytes(path.read_bytes().replace(harmless.encode(), name.encode()))
    with pytest.raises(PackageError, match="holds a member named"):
        package.read(path)


def test_links_are_refused(tmp_path):
    path = tmp_path / "m.tomos"
    _zip(path, {"card.md": b"/etc/passwd"}, external_attr=0o120777 << 16, create_system=3)
    with pytest.raises(PackageError, match="link"):
        package.read(path)


def test_a_bomb_is_refused_by_what_it_declares(tmp_path):
    path = tmp_path / "m.tomos"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("card.md", b"\0" * 30_000_000)
    with pytest.raises(PackageError, match="declares 30000000 bytes"):
        package.read(path)


def test_a_member_that_unfolds_to_more_than_it_declares_is_refused(tmp_path):
    path = tmp_path / "m.tomos"
    content = b"a" * 50_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("card.md", content)
    lie = path.read_bytes().replace(struct.pack("<I", 50_000), struct.pack("<I", 500))
    path.write_bytes(lie.replace(struct.pack("<I", zlib.crc32(content)), struct.pack("<I", 0)))
    with pytest.raises(PackageError, match="does not unfold"):
        package.read(path)


def test_overlapping_members_are_refused(model, tmp_path):
    """Two entries of the table of contents that point to the same bytes (as in a zip bomb)."""
    data = container.pack({"card.md": b"same", "plan.toml": b"same"})
    at = data.rindex(b"PK\x01\x02") + 42
    path = tmp_path / "m.tomos"
    path.write_bytes(data[:at] + struct.pack("<I", 0) + data[at + 4 :])
    with pytest.raises(PackageError, match=r"overlap|contradicts"):
        package.read(path)


def test_hidden_bytes_are_refused(model):
    for data in (b"#!/bin/sh\n" + model.read_bytes(), model.read_bytes() + b"tail"):
        model.write_bytes(data)
        with pytest.raises(PackageError):
            package.read(model)


def _repack(path, change) -> None:
    """Change the members, checksums and all, as someone with malice and this source would."""
    members = container.unpack(path.read_bytes(), "test")
    change(members)
    path.write_bytes(container.pack(members))


def _edit(path, change) -> None:
    def on_manifest(members):
        data = json.loads(members["manifest.json"])
        change(data)
        members["manifest.json"] = json.dumps(data).encode()

    _repack(path, on_manifest)


def test_another_graph_than_the_one_packed_is_refused(model):
    _repack(model, lambda members: members.update({"graphs/0.onnx": toy.bright(seed=1)}))
    with pytest.raises(PackageError, match="SHA-256 differs"):
        package.read(model)


def test_an_unlisted_member_is_refused(model):
    _repack(model, lambda members: members.update({"licence.txt": b"mine"}))
    with pytest.raises(PackageError, match=r"disagree about licence\.txt"):
        package.read(model)


def test_a_newer_schema_says_what_to_do(model):
    _edit(model, lambda data: data.update(schema=2, something_new=True))
    with pytest.raises(PackageError, match=r"newer Tomos .schema 2.*update with"):
        package.read(model)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update(classes=[{"name": "a"}, {"name": "a"}]), "different names"),
        (lambda d: d["input"].update(channels=3), "image should be"),
        (lambda d: d["input"].update(size=[8, 9999999]), "4096"),
        (lambda d: d["graphs"][0].update(file="../0.onnx"), "graphs.0.file"),
        (lambda d: d["graphs"][0].update(outputs=["logits"]), "cam"),
        (lambda d: d["classes"].append({"name": "third"}), "logits should be"),
        (lambda d: d.update(sneaky=1), "unknown setting 'sneaky'"),
        (lambda d: d["operating_point"]["thresholds"].update(nobody=0.5), "no class of the model"),
    ],
)
def test_a_manifest_that_contradicts_itself_or_the_graph_is_refused(model, change, match):
    _edit(model, change)
    with pytest.raises(PackageError, match=match):
        package.read(model)


def test_a_manifest_nested_without_end_or_not_finite_is_refused(model):
    for text in (b"[" * 3000, b'{"schema": NaN}', b"\xff\xfe", b"[]", b"null"):
        _repack(model, lambda members, text=text: members.update({"manifest.json": text}))
        with pytest.raises(PackageError):
            package.read(model)


def _with_graph(path, content: bytes) -> None:
    package.write(path, toy.manifest(), [content])


def _changed(change) -> bytes:
    model = onnx.load_from_string(toy.bright())
    change(model)
    return model.SerializeToString()


def _external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _external_in_attribute(model):
    tensor = TensorProto(name="t", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))


def _branch(model):
    inner = helper.make_graph(
        [helper.make_node("Evil", [], ["e"], domain="evil.example")], "inner", [], []
    )
    model.graph.node.append(
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    )


def _function(model):
    model.functions.add(name="f", domain="mine")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_external, "refers to another file"),
        (_external_in_attribute, "refers to another file"),
        (_branch, "evil.example:Evil"),
        (_function, "functions of its own"),
        (lambda m: setattr(m.graph.node[0], "domain", "com.example"), "com.example:Conv"),
        (lambda m: setattr(m.graph.node[0], "op_type", "Loop"), "operator Loop"),
        (lambda m: setattr(m.graph.input[0], "name", "picture"), "named 'image'"),
        (lambda m: m.graph.output.pop(), "the manifest says outputs"),
        (lambda m: m.ClearField("graph"), "got none"),
    ],
)
def test_a_graph_that_is_not_inert_or_not_as_said_is_refused(tmp_path, change, match):
    with pytest.raises(PackageError, match=match):
        _with_graph(tmp_path / "m.tomos", _changed(change))


def test_a_quantised_graph_is_accepted(tmp_path):
    def quantised(model):
        model.graph.node[1].domain, model.graph.node[1].op_type = "com.microsoft", "Gelu"

    _with_graph(tmp_path / "m.tomos", _changed(quantised))
    assert package.read(tmp_path / "m.tomos")


def test_random_bytes_instead_of_a_graph_are_refused(tmp_path):
    rng = random.Random(1)
    for length in (0, 1, 10, 1000, 100_000):
        with pytest.raises(PackageError):
            _with_graph(tmp_path / "m.tomos", rng.randbytes(length))


def test_arrays_come_back_whatever_their_order_in_memory(tmp_path):
    array = np.linspace(0, 1e6, 12).reshape(3, 4)
    path = toy.model(tmp_path / "m.tomos", {"envelope/a.npy": array.T, "envelope/b.npy": array})
    arrays = package.read(path).envelope_arrays()
    assert arrays["a"] == pytest.approx(array.T, rel=1e-3)
    assert arrays["b"] == pytest.approx(array, rel=1e-3)


def test_arrays_are_plain_floats(model):
    objects = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    with pytest.raises(PackageError, match="not a plain array"):
        toy.model(model, {"envelope/bad.npy": objects.ljust(128) + b"cos\nsystem\n"})


def test_a_signature_is_asked_for_only_with_trust(tmp_path):
    pytest.importorskip("cryptography")
    mine, other = _key(tmp_path / "mine"), _key(tmp_path / "other")
    path = tmp_path / "m.tomos"
    package.write(path, toy.manifest(), [toy.bright()], key=mine)
    assert len(package.read(path, trust=mine.with_suffix(".pub")).signed_by) == 64
    assert package.read(path).signed_by == ""
    with pytest.raises(PackageError, match="not among the keys"):
        package.read(path, trust=other.with_suffix(".pub"))
    _edit(path, lambda data: data.update(name="another"))
    with pytest.raises(PackageError, match="changed after it was signed"):
        package.read(path, trust=mine.with_suffix(".pub"))
    with pytest.raises(PackageError, match="not signed"):
        package.read(toy.model(tmp_path / "u.tomos"), trust=mine.with_suffix(".pub"))


def _key(path):
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    path.with_suffix(".pem").write_bytes(private)
    public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub").write_bytes(public)
    return path.with_suffix(".pem")


def test_reading_opens_no_other_file_and_starts_nothing(model):
    """Loading a package is only reading it: no import, no process, no network."""
    code = (
        "import sys\nfrom tomos import package\nimport cmath\n"
        "seen = []\nsys.addaudithook(lambda e, a: seen.append((e, str(a))) if e in "
        "('open', 'import', 'exec', 'subprocess.Popen', 'socket.connect') else None)\n"
        f"package.read({str(model)!r})\n"
        f"odd = [s for s in seen if {model.name!r} not in s[1]]\n"
        "assert not odd, odd"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
