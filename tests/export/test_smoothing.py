from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ner.export.smoothing import STRENGTH, smooth  # noqa: E402
from ner.portable.offline import import_onnxruntime  # noqa: E402


def products(path: Path) -> None:
    """Write a graph in which two matrix products read the same activations, and a third one the result of the first."""
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(size=(4, 4)).astype(np.float32) for name in "abc"}
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "a"], ["left"], name="left"),
        onnx.helper.make_node("MatMul", ["x", "b"], ["right"], name="right"),
        onnx.helper.make_node("MatMul", ["left", "c"], ["deep"], name="deep"),
        onnx.helper.make_node("Add", ["deep", "right"], ["y"], name="sum"),
    ]
    values = {
        name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", "words", 4]) for name in "xy"
    }
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = onnx.helper.make_graph(nodes, "products", [values["x"]], [values["y"]], tensors)
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def run(path: Path, activations: np.ndarray, output: str | None = None) -> np.ndarray:
    model = onnx.load(str(path))
    if output is not None:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(output))
    session = import_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run([output or "y"], {"x": activations})[0]
    return result


@pytest.mark.parametrize("strength", [0.3, STRENGTH])
def test_results_stay_and_channels_become_alike(tmp_path: Path, strength: float) -> None:
    path = tmp_path / "model.onnx"
    products(path)
    activations = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32) * [1, 1, 1, 100]
    activations = activations.astype(np.float32)
    before = run(path, activations)
    smooth(path, [{"x": activations, "unused": activations}], strength)
    np.testing.assert_allclose(run(path, activations), before, rtol=1e-4, atol=1e-4)
    names = {node.op_type: node for node in onnx.load(str(path)).graph.node}
    assert {*names} == {"Mul", "MatMul", "Add"}
    peaks = np.abs(run(path, activations, "smoothing_0_output")).max((0, 1))
    original = np.abs(activations).max((0, 1))
    assert peaks.max() / peaks.min() == pytest.approx((original.max() / original.min()) ** (1 - strength), rel=1e-4)


def test_products_with_the_same_weights_are_smoothed_alike(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    products(path)
    model = onnx.load(str(path))
    model.graph.node[2].input[1] = "a"  # "deep" and "left" share their weights
    onnx.save(model, str(path))
    activations = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    before = run(path, activations)
    smooth(path, [{"x": activations}])
    np.testing.assert_allclose(run(path, activations), before, rtol=1e-4, atol=1e-4)
    assert len(onnx.load(str(path)).graph.initializer) == 3  # two weights, and the scaling of both activations


def test_a_graph_without_matrix_products_stays(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", 4]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "none", value[:1], value[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), str(path))
    activations = np.ones((2, 4), np.float32)
    smooth(path, [{"x": activations}])
    assert run(path, activations).tolist() == (-activations).tolist()
