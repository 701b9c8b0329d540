"""Weight files: what fits is taken, what does not is said, what is hostile is never run."""

import io
import os
import pickle
import struct
import time
import zipfile
from collections import OrderedDict

import pytest
import torch

from tomos import models
from tomos.models import _torch_file
from tomos.types import FormatError, LimitError, PackageError, TomosError


def net(channels=3, classes=10, seed=0):
    torch.manual_seed(seed)
    return models.build("resnet_small", channels, classes, width=4, blocks=(1, 1)).eval()


@pytest.fixture
def state():
    return net().state_dict()


def saved(tmp_path, value, new=True, name="w.pth"):
    path = tmp_path / name
    torch.save(value, path, _use_new_zipfile_serialization=new)
    return path


@pytest.mark.parametrize("new", [True, False], ids=["zip", "stream"])
def test_both_forms_of_torch_save_give_the_same_net(tmp_path, state, new):
    other = net(seed=1)
    fit = models.load_weights(other, saved(tmp_path, state, new))
    assert not fit.fresh and not fit.adapted and not fit.unused
    assert all(torch.equal(state[name], value) for name, value in other.state_dict().items())


@pytest.mark.parametrize("new", [True, False], ids=["zip", "stream"])
def test_every_plain_type_and_view_reads_as_torch_reads_it(tmp_path, new):
    grid = torch.arange(12.0).view(3, 4)
    value = {
        "views": [grid, grid.T, grid[1:, ::2]],
        "types": [
            torch.tensor([1, 0, 3]).to(dtype)
            for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
                          torch.int16, torch.int8, torch.uint8, torch.bool)
        ],
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "plain": (1, -5, 2**70, 0.5, "text", None, True, [1, (2, 3)], {"a": {}}),
        "size": torch.Size([2, 3]),
        "ordered": OrderedDict(a=1),
    }  # fmt: skip
    path = saved(tmp_path, value, new)
    ours, theirs = _torch_file.read(path), torch.load(path, weights_only=False)
    for name in ("views", "types"):
        for a, b in zip(ours[name], theirs[name], strict=True):
            assert a.dtype == b.dtype and torch.equal(a, b)
    for name in ("empty", "scalar", "parameter"):
        assert torch.equal(ours[name], theirs[name].detach())
    assert ours["plain"] == theirs["plain"] and ours["size"] == (2, 3)
    assert ours["ordered"] == {"a": 1}


def test_the_net_is_found_inside_a_checkpoint_of_a_wrapped_net(tmp_path, state):
    optimiser = torch.optim.Adam(net().parameters())
    checkpoint = {
        "epoch": 3,
        "state_dict": {f"module.{name}": value for name, value in state.items()},
        "optimizer": optimiser.state_dict(),
    }
    fit = models.load_weights(net(seed=1), saved(tmp_path, checkpoint))
    assert not fit.fresh


def test_a_head_for_other_classes_stays_fresh_and_this_is_said(tmp_path, state):
    other = net(classes=2, seed=1)
    before = other.fc.weight.clone()
    fit = models.load_weights(other, saved(tmp_path, state))
    assert set(fit.fresh) == {"fc.weight", "fc.bias"}
    assert torch.equal(other.fc.weight, before)
    assert torch.equal(other.layer2[0].conv1.weight, state["layer2.0.conv1.weight"])
    assert "left fresh: fc.weight: expected shape (2, 8), the file has (10, 8)" in str(fit)


def test_the_first_convolution_is_averaged_for_grey_pictures(tmp_path, state):
    colour, grey = net(), net(channels=1, seed=1)
    colour.load_state_dict(state)
    fit = models.load_weights(grey, saved(tmp_path, state))
    assert "averaged over its 3 input channels" in fit.adapted["conv1.weight"]
    assert "adapted: conv1.weight" in str(fit)
    x = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)))


def test_densenet_files_with_their_old_names_fit(tmp_path):
    options = {"growth": 4, "blocks": (1, 1), "width": 8}
    dense = models.build("densenet121", 1, 2, **options)
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for name, value in dense.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    fit = models.load_weights(models.build("densenet121", 1, 2, **options), saved(tmp_path, old))
    assert not fit.fresh and not fit.unused


def test_a_file_of_another_net_changes_nothing(tmp_path, state):
    other = models.build("small_cnn", 1, 2)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    path = saved(tmp_path, {f"encoder.{k}": v for k, v in state.items()})
    with pytest.raises(PackageError, match=r"none of its .* tensors fits model small_cnn"):
        models.load_weights(other, path)
    assert all(torch.equal(before[k], v) for k, v in other.state_dict().items())


def test_weights_that_are_no_numbers_are_refused(tmp_path, state):
    state = {name: value.clone() for name, value in state.items()}
    state["fc.weight"][0, 0] = float("nan")
    with pytest.raises(PackageError, match=r"fc.weight holds infinities or NaN"):
        models.load_weights(net(), saved(tmp_path, state))


class Hostile:
    """What a pickle can do: run a command when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f"touch {self.mark}",))


@pytest.mark.parametrize("form", ["zip", "stream", "pickle"])
def test_a_hostile_pickle_is_named_and_never_run(tmp_path, state, form):
    mark, path = tmp_path / "ran", tmp_path / "w.pth"
    value = {**state, "x": Hostile(mark)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(Hostile(mark)))
    else:
        saved(tmp_path, value, form == "zip")
    with pytest.raises(PackageError, match=rf"the global '{os.system.__module__}.system'"):
        models.load_weights(net(), path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR.", "the global 'builtins.eval'"),
        (b"\x80\x02(X\x01\x00\x00\x001ios\nsystem\n.", "the instruction INST"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "the global 'os.system'"),
        # an attribute of an allowed thing is not allowed
        (b"\x80\x04\x8c\x05torch\x8c\x0dSize.__init__\x93.", "the global 'torch.Size.__init__'"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "a call of 'torch.FloatStorage'"),
        (b"\x80\x02ctorch\nSize\n}b.", "attributes of 'torch.Size'"),
        (b"\x80\x02}}X\x01\x00\x00\x00a\x86s.", "damaged"),
        (b"\x80\x02].", "a pickle that torch.save did not write"),
        (b"\x80\x02\x81.", "the instruction NEWOBJ"),
        (b"\x80\x02", "damaged"),
        (b"\x80\x020.", "damaged"),
        (b"\x80\x02h\x07.", "damaged"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", "damaged"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7fx.", "damaged|BYTEARRAY8"),
        (b"\x80\x02" + b"](" * 400_000 + b"t." * 1, "did not write|more than"),
        # tuples of one tuple, doubled 60 times: 2^60 values to walk, to hash, to write out
        (b"\x80\x02)" + b"2\x86" * 60 + b".", "more than 500000 instructions and values"),
        (b"\x80\x02})" + b"2\x86" * 60 + b"Ns.", "a dictionary key that is a tuple"),
        (b"\x80\x02)" + b"2\x86" * 60 + b"Q.", "a persistent record that is a tuple"),
        # a list in itself
        (b"\x80\x02]q\x00h\x00a.", "nested more than"),
    ],
)
def test_programs_that_are_no_weights_are_refused_at_once(tmp_path, program, reason):
    path = tmp_path / "w.pth"
    path.write_bytes(program)
    started = time.perf_counter()
    with pytest.raises(TomosError, match=reason):
        models.load_weights(net(), path)
    assert time.perf_counter() - started < 10


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    # torch writes an expanded tensor as one value with strides of zero
    path = saved(tmp_path, {"w": torch.zeros(1).expand(10**12)})
    with pytest.raises(PackageError, match=r"a tensor of size .* in 1 values"):
        models.load_weights(net(), path)


def rewritten(path, change):
    """The zip at `path`, member by member through `change(name, data) -> data`."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, change(name, data))
    return path


def test_zips_that_torch_never_writes_are_refused(tmp_path, state):
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**7))
    with pytest.raises(PackageError, match=r"'x/data\.pkl' is compressed"):
        models.load_weights(net(), bomb)
    short = rewritten(saved(tmp_path, state), lambda n, d: d[:-4] if n.endswith("data/0") else d)
    with pytest.raises(PackageError, match="storage '0': expected 108 values of float32"):
        models.load_weights(net(), short)
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FormatError, match=r"expected one member \*/data.pkl"):
        models.load_weights(net(), tmp_path / "other.pth")


def test_members_that_overlap_are_refused(tmp_path, state):
    path = saved(tmp_path, state)
    data = bytearray(path.read_bytes())
    entries = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"]
    first = struct.unpack_from("<I", data, entries[0] + 42)[0]
    struct.pack_into("<I", data, entries[1] + 42, first)
    path.write_bytes(data)
    with pytest.raises(PackageError, match="overlaps another member"):
        models.load_weights(net(), path)


def test_a_directory_of_millions_is_refused_before_it_is_read(tmp_path, state):
    path = saved(tmp_path, state)
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", data, end + 8, 65_000, 65_000)
    # torch writes the 64-bit record too, which counts
    at = data.rfind(b"PK\x06\x06")
    if at >= 0:
        struct.pack_into("<QQ", data, at + 24, 10**9, 10**9)
    path.write_bytes(data)
    with pytest.raises(LimitError, match="members"):
        models.load_weights(net(), path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "stream"])
def test_damaged_files_are_refused_in_words(tmp_path, state, new):
    """Every cut, and bytes changed by chance: a reason or the net, never anything else."""
    path = saved(tmp_path, state, new)
    whole = path.read_bytes()
    numbers = torch.Generator().manual_seed(0)
    for trial in range(24):
        data = bytearray(whole)
        if trial % 2:
            data = data[: int(torch.randint(len(data), (1,), generator=numbers))]
        else:
            for at in torch.randint(len(data), (20,), generator=numbers).tolist():
                data[at] ^= 1 << trial % 8
        path.write_bytes(data)
        try:
            models.load_weights(net(), path)
        except TomosError as error:
            assert str(path) in str(error)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FormatError, match="there is none"):
        models.load_weights(net(), tmp_path / "missing.pth")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(FormatError, match="an empty one"):
        models.load_weights(net(), tmp_path / "empty")
    (tmp_path / "text").write_bytes(b"hello there, no weights here")
    with pytest.raises(FormatError, match="safetensors, got neither"):
        models.load_weights(net(), tmp_path / "text")
    (tmp_path / "bad.safetensors").write_bytes(struct.pack("<Q", 10) + b"{" + bytes(20))
    with pytest.raises(PackageError, match="damaged safetensors"):
        models.load_weights(net(), tmp_path / "bad.safetensors")
    saved(tmp_path, [1, 2, 3], name="list.pth")
    with pytest.raises(PackageError, match=r"a state_dict.*got list"):
        models.load_weights(net(), tmp_path / "list.pth")


def test_big_endian_files_read_right(tmp_path):
    path = saved(tmp_path, {"w": torch.tensor([1.0, -2.0])})

    def swap(name, data):
        if name.endswith("byteorder"):
            return b"big"
        return data[3::-1] + data[:3:-1] if name.endswith("data/0") else data

    assert _torch_file.read(rewritten(path, swap))["w"].tolist() == [1.0, -2.0]


def test_a_whole_module_is_refused_with_its_name(tmp_path):
    buffer = io.BytesIO()
    torch.save(net(), buffer)
    path = tmp_path / "w.pth"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(PackageError, match=r"the global 'tomos.models.resnet.ResNet'.*state_dict"):
        models.load_weights(net(), path)
