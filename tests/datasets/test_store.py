"""Prepared once, kept by content, bounded, and patient with damaged files."""

import os

import numpy as np
import pytest
from small_pictures import picture, save

from tomos import datasets, formats
from tomos.transforms.prepare import Chain
from tomos.types import DatasetError

CHAIN = [{"step": "channels", "to": 1}, {"step": "resize", "size": [16, 20]}]


def rows(n=6):
    return [(f"c{k}", picture(k, 40), "ab"[k % 2], "train", f"p{k // 2}") for k in range(n)]


def test_rows_equal_the_chain_on_each_image(make):
    data = make(rows())
    store = datasets.prepared(data, Chain(CHAIN))
    assert store.x.shape == (6, 1, 16, 20) and store.x.dtype == np.float32
    for case, pixels in zip(store.cases, store.x, strict=True):
        np.testing.assert_allclose(pixels, Chain(CHAIN)(formats.read(case.image)).pixels, atol=1e-4)
    assert store.names == tuple(f"c{k}" for k in range(6))
    assert store.groups.tolist() == [0, 0, 1, 1, 2, 2]
    assert store.targets("label") == tuple("ababab")
    with pytest.raises(ValueError, match="read-only"):
        store.x[0] = 0


def stores(folder):
    return sorted(p.name for p in (folder / ".cache" / "prepared").iterdir())


def test_the_same_is_found_again_and_a_change_is_seen(make, tmp_path, monkeypatch):
    data = make(rows())
    datasets.prepared(data, Chain(CHAIN))
    first = stores(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(formats, "read", None)
        assert len(datasets.prepared(data, Chain(CHAIN))) == 6
    assert stores(tmp_path) == first
    save(tmp_path / "images" / "c0.png", picture(50, 40))
    changed = datasets.prepared(data, Chain(CHAIN))
    assert len(stores(tmp_path)) == 2
    expected = Chain(CHAIN)(formats.read(data.cases[0].image)).pixels
    np.testing.assert_allclose(changed.x[0], expected, atol=1e-4)
    datasets.prepared(data, Chain(CHAIN[:1]))
    assert len(stores(tmp_path)) == 3, "another preparation is another store"


def test_a_damaged_image_is_left_out_with_its_reason(make, tmp_path):
    data = make(rows())
    (tmp_path / "images" / "c0.png").write_bytes(b"no image")
    (tmp_path / "images" / "c3.png").unlink()
    store = datasets.prepared(data, Chain(CHAIN))
    assert store.names == ("c1", "c2", "c4", "c5") and set(store.skipped) == {"c0", "c3"}
    assert "c0.png" in store.skipped["c0"]
    expected = Chain(CHAIN)(formats.read(data.cases[4].image)).pixels
    np.testing.assert_allclose(store.x[2], expected, atol=1e-4)


def test_nothing_readable_and_mixed_shapes_are_refused(make, tmp_path):
    data = make(rows())
    save(tmp_path / "images" / "c4.png", picture(4, 50))
    with pytest.raises(DatasetError, match=r"c4.png: prepared to \(1, 50, 50\)"):
        datasets.prepared(data, Chain(CHAIN[:1]))
    assert stores(tmp_path) == [], "nothing half made is left"
    for k in range(6):
        (tmp_path / "images" / f"c{k}.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="none of 6 images could be prepared"):
        datasets.prepared(data, Chain(CHAIN))


def test_the_oldest_store_goes_first(make, tmp_path):
    data = make(rows())
    size = 6 * 16 * 20 * 4
    for age, width in ((300, 20), (100, 21), (200, 22)):
        chain = Chain([CHAIN[0], {"step": "resize", "size": [16, width]}])
        datasets.prepared(data, chain)
        (newest,) = [p for p in (tmp_path / ".cache" / "prepared").iterdir()
                     if p.stat().st_mtime > 0 and not (p / "dated").exists()]  # fmt: skip
        (newest / "dated").touch()
        past = newest.stat().st_mtime - age
        os.utime(newest / "meta.json", (past, past))
    datasets.prepared(
        data, Chain([CHAIN[0], {"step": "resize", "size": [16, 23]}]), limit=3.5 * size
    )
    widths = sorted(
        datasets.store.json.loads((p / "meta.json").read_text())["shape"][-1]
        for p in (tmp_path / ".cache" / "prepared").iterdir()
    )
    assert widths == [21, 22, 23]
