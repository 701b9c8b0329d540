"""Random changes to batches of pictures and volumes. Chance is apart from effect.

An augmentation is plain data, a list of `{"step": NAME, ...settings}`; NAME is a file of this
folder, which holds one class `Step`. `Chain.draw` gives one row of plain numbers a case, a function
of seed and epoch alone; `Chain.apply` carries them out and can be run again for the same result.
`PatchChain` does so for patches that are cut out of larger pictures or volumes, with their labels.
"""

from tomos.transforms.augment._chain import Chain
from tomos.transforms.augment._patches import PatchChain, Way
from tomos.transforms.augment._step import GeometryStep, IntensityStep

__all__ = ["Chain", "GeometryStep", "IntensityStep", "PatchChain", "Way"]
