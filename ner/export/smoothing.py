"""Smoothing of a graph before quantization (SmoothQuant: Xiao et al., 2023).

Some channels of a transformer have activations ten times as large as the others. One scale for a whole tensor of
activations then leaves few levels for the other channels. Smoothing divides each channel by a factor and multiplies the
rows of the next weights by it, which does not change the results in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

STRENGTH = 0.4
"""Exponent of the largest activation of a channel; 0 leaves the graph as it is."""


def smooth(graph: Path, batches: Iterable[Mapping[str, np.ndarray]], strength: float = STRENGTH) -> None:
    """Smooth the inputs of all matrix products with constant weights.

    Args:
        graph: File of a graph in float32; replaced.
        batches: Inputs of the graph for sentences that are typical of its use.
        strength: See :data:`STRENGTH`.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(graph))
    nodes, initializers = model.graph.node, {entry.name: entry for entry in model.graph.initializer}
    products: dict[str, list[Any]] = {}  # nodes by the name of their activations
    for node in nodes:
        if node.op_type == "MatMul" and node.input[1] in initializers and len(initializers[node.input[1]].dims) == 2:
            products.setdefault(node.input[0], []).append(node)
    if not products:
        return
    largest = _largest_activations(model, list(products), batches)
    shared_peaks: dict[str, np.ndarray] = {}  # by weights: they may be applied to several activations
    for activations, consumers in products.items():
        for node in consumers:
            shared_peaks[node.input[1]] = np.maximum(shared_peaks.get(node.input[1], 0.0), largest[activations])
    names: dict[bytes, str] = {}  # by factors: products with the same weights and factors share their new weights
    scalings: dict[str, Any] = {}  # node that scales the activations, by the name of the first product
    for number, (activations, consumers) in enumerate(products.items()):
        peaks = np.max([shared_peaks[node.input[1]] for node in consumers], axis=0)
        factors = np.maximum(peaks, 1e-6) ** strength
        factors = (factors / np.exp(np.log(factors).mean())).astype(np.float32)  # (channels,)
        name = names.setdefault(factors.tobytes(), f"smoothing_{number}")
        initializers[name] = numpy_helper.from_array(1 / factors, name)
        output = f"smoothing_{number}_output"
        scalings[consumers[0].name] = helper.make_node("Mul", [activations, name], [output], name=output)
        for node in consumers:
            weights = numpy_helper.to_array(initializers[node.input[1]]) * factors[:, None]
            scaled = f"{name}_{node.input[1]}"
            initializers[scaled] = numpy_helper.from_array(weights, scaled)
            node.input[0], node.input[1] = output, scaled
    ordered = [entry for node in nodes for entry in (scalings.get(node.name), node) if entry is not None]
    used = {name for node in ordered for name in node.input}
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(ordered)
    model.graph.initializer.extend(entry for name, entry in initializers.items() if name in used)
    onnx.save(model, str(graph))


def _largest_activations(
    model: Any, names: list[str], batches: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the largest absolute value of each channel of some activations, ``(channels,)``."""
    import onnxruntime
    from onnx import helper

    observed = type(model)()
    observed.CopyFrom(model)
    observed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(observed.SerializeToString(), options, ["CPUExecutionProvider"])
    inputs = {entry.name for entry in session.get_inputs()}
    largest: dict[str, np.ndarray] = {}
    for batch in batches:
        outputs = session.run(names, {name: array for name, array in batch.items() if name in inputs})
        for name, values in zip(names, outputs, strict=True):
            peak = np.abs(values).reshape(-1, values.shape[-1]).max(0)
            largest[name] = np.maximum(largest.get(name, 0.0), peak)
    return largest
