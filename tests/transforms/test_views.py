"""Test-time views: exact, undone exactly, in numpy without torch."""

import numpy as np
import pytest

from tomos.transforms import views
from tomos.types import SettingsError

X = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)


@pytest.mark.fast
@pytest.mark.parametrize("name", views.NAMES)
def test_a_view_is_undone_exactly_and_is_unlike_the_others(name):
    assert np.array_equal(views.undo(views.view(X, name), name), X)
    square = X[..., :3]
    seen = [views.view(square, other) for other in views.NAMES]
    assert sum(np.array_equal(views.view(square, name), other) for other in seen) == 1


@pytest.mark.fast
def test_the_names_say_what_is_done():
    assert np.array_equal(views.view(X, "flip_x"), X[..., ::-1])
    assert np.array_equal(views.view(X, "flip_y"), X[..., ::-1, :])
    for k, name in enumerate(("rotate_90", "rotate_180", "rotate_270"), 1):
        assert np.array_equal(views.view(X, name), np.rot90(X, k, axes=(-2, -1)))
    with pytest.raises(SettingsError, match="did you mean 'flip_x'"):
        views.view(X, "flipx")


def test_tensors_take_the_same_views():
    import torch

    for name in views.NAMES:
        assert np.array_equal(views.view(torch.from_numpy(X), name).numpy(), views.view(X, name))
