"""From archive or folder to cases: import, check, split by patient, annotate, sample, load.

open(folder) -> Dataset               a folder with dataset.toml and cases.csv
import_folder(source, folder, ...)    makes one of a source, whatever its layout
check(dataset) -> Findings            what is wrong with it
learnable(dataset) -> Learnable       train and val under the leak rule
prepared(dataset, chain) -> Store     images as one memory-mapped array
shelved(dataset, chain) -> Shelf      cases of their own sizes with their masks
fold(dataset, 2, 5) -> Dataset        split for the second of five rounds of cross-validation
folds(cases, target, k)               which fold each case is in, by patient
"""

from tomos.datasets.cases import FOLD
from tomos.datasets.checking import check
from tomos.datasets.dataset import Dataset, DatasetInfo, TargetInfo, create, open
from tomos.datasets.findings import CLUES_ZH, Findings, Problem
from tomos.datasets.importing import Imported, import_folder
from tomos.datasets.leak import DROPPED_ZH, Dropped, Learnable, Note, fold, learnable
from tomos.datasets.looks import look, looks
from tomos.datasets.shelf import Shelf, prepare_case, region, shelved, true_mask
from tomos.datasets.shortcuts import Shortcut, clues, shortcuts
from tomos.datasets.split import folds, split
from tomos.datasets.store import Store, prepared

__all__ = [
    "CLUES_ZH",
    "DROPPED_ZH",
    "FOLD",
    "Dataset",
    "DatasetInfo",
    "Dropped",
    "Findings",
    "Imported",
    "Learnable",
    "Note",
    "Problem",
    "Shelf",
    "Shortcut",
    "Store",
    "TargetInfo",
    "check",
    "clues",
    "create",
    "fold",
    "folds",
    "import_folder",
    "learnable",
    "look",
    "looks",
    "open",
    "prepare_case",
    "prepared",
    "region",
    "shelved",
    "shortcuts",
    "split",
    "true_mask",
]
