"""What the report says of a plan."""

import pkgutil

import pytest

from tomos.transforms import augment, prepare
from tomos.workflows.background import STEPS_ZH

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("package", [prepare, augment])
def test_every_step_has_its_chinese(package):
    steps = {m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_"}
    assert steps <= STEPS_ZH.keys()
