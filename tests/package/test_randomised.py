"""Random numbers in place of weights: the graph stays a graph, and nothing but weights changes."""

import numpy as np
import onnx
import pytest
import toy
from onnx import TensorProto, helper, numpy_helper

from tomos.package import graph
from tomos.package.randomised import randomised
from tomos.types import PackageError

pytestmark = pytest.mark.fast


def weights(model: bytes) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t)
            for t in onnx.load_from_string(model).graph.initializer}  # fmt: skip


def net(seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    return toy.graph(
        rng.normal(0.3, 0.2, (64, 1, 3, 3)), rng.normal(0, 4, (5, 64)), np.arange(5.0), (8, 8)
    )


def test_weights_are_drawn_with_the_same_mean_square():
    old, new = weights(net()), weights(randomised(net(), 1))
    assert new.keys() == old.keys()
    for name in ("filters", "linear"):
        assert new[name].shape == old[name].shape
        assert abs(np.corrcoef(old[name].ravel(), new[name].ravel())[0, 1]) < 0.2
        assert np.square(new[name]).mean() == pytest.approx(np.square(old[name]).mean(), rel=0.2)
    assert new["filters"].mean() == pytest.approx(0, abs=0.1)
    # The last layer stands in the graph twice, for the logits and for the map.
    assert np.array_equal(new["linear"].ravel(), new["linear4"].ravel())
    assert np.array_equal(new["bias"], old["bias"]), "five numbers are no weights"


def test_the_graph_is_still_one_and_a_seed_repeats():
    changed = randomised(net(), 3)
    assert len(changed) == len(net())
    onnx.checker.check_model(onnx.load_from_string(changed))
    graph.check(changed, "here", (1, 8, 8), ("logits", "features", "cam"), (5, 0))
    assert changed == randomised(net(), 3)
    assert changed != randomised(net(), 4)


def one_tensor(array: np.ndarray, element: int, constant: bool = False) -> bytes:
    tensor = helper.make_tensor("w", element, array.shape, array.tobytes(), raw=True)
    node = helper.make_node("Constant", [], ["w"], value=tensor)
    body = helper.make_graph(
        [node] if constant else [helper.make_node("Identity", ["w"], ["y"])],
        "g",
        [],
        [helper.make_tensor_value_info("w" if constant else "y", element, array.shape)],
        [] if constant else [tensor],
    )
    return helper.make_model(body).SerializeToString()


@pytest.mark.parametrize("element", [TensorProto.INT8, TensorProto.UINT8])
def test_quantised_weights_and_rows_change_their_order(element):
    array = np.arange(60, dtype=np.uint8 if element == TensorProto.UINT8 else np.int8)
    (new,) = weights(randomised(one_tensor(array.reshape(6, 10), element))).values()
    assert sorted(new.ravel()) == list(range(60))
    assert not np.array_equal(new.ravel(), array)
    row = np.arange(20, dtype=np.float32)
    (new,) = weights(randomised(one_tensor(row, TensorProto.FLOAT))).values()
    assert sorted(new) == list(row) and not np.array_equal(new, row)


def test_half_precision_and_constants_are_weights_too():
    half = np.random.default_rng(0).normal(size=(30, 30)).astype(np.float16)
    (new,) = weights(randomised(one_tensor(half, TensorProto.FLOAT16))).values()
    assert new.dtype == np.float16 and not np.array_equal(new, half)
    changed = randomised(one_tensor(half, TensorProto.FLOAT16, constant=True))
    (node,) = onnx.load_from_string(changed).graph.node
    assert not np.array_equal(numpy_helper.to_array(node.attribute[0].t), half)


def test_a_graph_without_weights_says_so():
    shape = one_tensor(np.array([1, 2, 3], np.int64), TensorProto.INT64)
    with pytest.raises(PackageError, match="holds no weights"):
        randomised(shape)
