"""MedMNIST: one .npz with `train_images`, `train_labels`, `val_...`, `test_...`.

Class names: MedMNIST v2 (Yang et al., Scientific Data 10:41, 2023), by the file's name.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tomos.datasets.cases import SPLITS
from tomos.datasets.layouts import Draft, Request
from tomos.types import Case, DatasetError, Progress

RANK = 10
LICENCE = "CC BY 4.0"
ORGANS = (
    "bladder|femur-left|femur-right|heart|kidney-left|kidney-right|liver|lung-left|lung-right|"
    "pancreas|spleen"
)
CLASSES = {
    "pathmnist": "adipose|background|debris|lymphocytes|mucus|smooth muscle|normal colon mucosa|"
    "cancer-associated stroma|colorectal adenocarcinoma epithelium",
    "chestmnist": "atelectasis|cardiomegaly|effusion|infiltration|mass|nodule|pneumonia|"
    "pneumothorax|consolidation|edema|emphysema|fibrosis|pleural|hernia",
    "dermamnist": "actinic keratoses and intraepithelial carcinoma|basal cell carcinoma|"
    "benign keratosis-like lesions|dermatofibroma|melanoma|melanocytic nevi|vascular lesions",
    "octmnist": "choroidal neovascularization|diabetic macular edema|drusen|normal",
    "pneumoniamnist": "normal|pneumonia",
    "retinamnist": "0|1|2|3|4",
    "breastmnist": "malignant|normal, benign",
    "bloodmnist": "basophil|eosinophil|erythroblast|immature granulocytes|lymphocyte|monocyte|"
    "neutrophil|platelet",
    "tissuemnist": "collecting duct, connecting tubule|distal convoluted tubule|"
    "glomerular endothelial cells|interstitial endothelial cells|leukocytes|podocytes|"
    "proximal tubule segments|thick ascending limb",
    "organamnist": ORGANS,
    "organcmnist": ORGANS,
    "organsmnist": ORGANS,
    "organmnist3d": "liver|kidney-right|kidney-left|femur-right|femur-left|bladder|heart|"
    "lung-right|lung-left|spleen|pancreas",
    "nodulemnist3d": "benign|malignant",
    "adrenalmnist3d": "normal|hyperplasia",
    "fracturemnist3d": "buckle rib fracture|nondisplaced rib fracture|displaced rib fracture",
    "vesselmnist3d": "vessel|aneurysm",
    "synapsemnist3d": "inhibitory synapse|excitatory synapse",
}
ORDINAL = {"retinamnist"}
# Only what the set's publication states for every image.
MODALITIES = {
    "pneumoniamnist": "CR",
    "chestmnist": "CR",
    "breastmnist": "US",
    "organamnist": "CT",
    "organcmnist": "CT",
    "organsmnist": "CT",
    "octmnist": "OPT",
    "retinamnist": "OP",
}


def detect(request: Request) -> bool:
    """A .npz file, whatever it holds: `draft` says what is missing."""
    return request.source.is_file() and request.source.suffix.lower() == ".npz"


def draft(request: Request, progress: Progress) -> Draft:
    """Every row of the splits there are. Raises DatasetError, FormatError for a damaged file."""
    path = request.source.absolute()
    known = re.sub(r"_\d+$", "", path.stem.lower())  # pneumoniamnist_224.npz
    titles = CLASSES[known].split("|") if known in CLASSES else []
    labels = _labels(path)
    several = any(array.ndim == 2 and array.shape[1] > 1 for array in labels.values())
    classes = _classes(path, labels, titles, several)
    cases = tuple(
        Case(f"{split}/{row}", {"image": f"{path}#{split}/{row}"}, {"label": cell}, split=split)
        for split, array in labels.items()
        for row, cell in enumerate(_cells(array, classes, several))
    )
    kind = "multilabel" if several else "ordinal" if known in ORDINAL else "class"
    return Draft(
        layout="medmnist",
        name=path.stem,
        cases=cases,
        kinds={"label": kind},
        classes={"label": classes},
        official=True,
        patient="not in the file; each image counts as its own patient",
        licence=LICENCE if titles else "",
        modalities=(MODALITIES[known],) if known in MODALITIES else (),
        notes=() if titles else ("the file's name is unknown, so classes are called 0, 1, ...",),
    )


def _labels(path: Path) -> dict[str, np.ndarray]:
    from tomos.formats import LIMITS, npz

    names = npz.names(path, LIMITS)
    missing = [f"{s}_{what}" for s in ("train",) for what in ("images", "labels")]
    missing = [name for name in missing if name not in names]
    if missing:
        raise DatasetError(
            f"{path}: expected the arrays of a MedMNIST file, {' and '.join(missing)} not found; "
            f"it holds {', '.join(names) or 'nothing'}"
        )
    labels = {}
    for split in SPLITS:
        if f"{split}_images" in names and f"{split}_labels" in names:
            labels[split] = npz.array(path, f"{split}_labels", LIMITS)
            count = len(npz.array(path, f"{split}_images", LIMITS))
            if len(labels[split]) != count or labels[split].dtype.kind not in "iub":
                raise DatasetError(
                    f"{path}: expected {count} whole numbers in {split}_labels, got "
                    f"{labels[split].dtype} {labels[split].shape}"
                )
    return labels


def _classes(path: Path, labels: dict, titles: list[str], several: bool) -> tuple[str, ...]:
    arrays = list(labels.values())
    if several:
        count = arrays[0].shape[1]
    else:
        low = min(int(array.min(initial=0)) for array in arrays)
        count = max(int(array.max(initial=0)) for array in arrays) + 1
        if low < 0 or count > 1000:
            raise DatasetError(f"{path}: expected labels from 0 to 999, got {low} to {count - 1}")
    return tuple(titles) if count <= len(titles) else tuple(str(k) for k in range(count))


def _cells(array: np.ndarray, classes: tuple[str, ...], several: bool) -> list[str]:
    if several:
        return ["|".join(np.array(classes)[row != 0]) or "-" for row in array]
    return [classes[int(label)] for label in array.ravel()]
