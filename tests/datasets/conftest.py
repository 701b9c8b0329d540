"""Small worlds: folders of pictures, and data sets of rows."""

from pathlib import Path

import pytest
from small_pictures import picture, save

from tomos import datasets


@pytest.fixture(scope="session")
def classes(tmp_path_factory) -> Path:
    """A folder per class: 20 of "sick", 30 of "well"; never changed by a test."""
    root = tmp_path_factory.mktemp("source") / "scans"
    for k in range(50):
        save(root / ("sick" if k < 20 else "well") / f"scan{k:02d}.png", picture(k, side=70))
    return root


@pytest.fixture
def make(tmp_path):
    """`make(rows)`: a data set from rows of (name, pixels, label, split, patient)."""

    def build(rows, kind="class"):
        labels = sorted({row[2] for row in rows if row[2]})
        lines = ["case,patient,image,label,split"]
        for name, pixels, label, split, patient in rows:
            if pixels is not None:
                save(tmp_path / "images" / f"{name}.png", pixels)
            lines.append(f"{name},{patient},images/{name}.png,{label},{split}")
        (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        shown = ", ".join(f'"{label}"' for label in labels)
        (tmp_path / "dataset.toml").write_text(
            f'schema = 1\nname = "made"\nclasses = [{shown}]\n[targets.label]\nkind = "{kind}"\n',
            encoding="utf-8",
        )
        return datasets.open(tmp_path)

    return build
