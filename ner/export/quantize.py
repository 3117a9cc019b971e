"""Quantization of an exported graph to int8."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

from ner.portable.offline import import_onnxruntime

OPERATORS = ["MatMul", "Gemm", "LSTM", "Gather"]


def quantize(graph: Path, reduce_range: bool = True, operators: list[str] | None = None) -> None:
    """Replace a graph by one whose weights are int8 per channel; activations are quantized while it runs.

    Args:
        graph: File of the graph.
        reduce_range: Use 7 bits. Processors without VNNI instructions saturate sums of two products of 8 bits.
        operators: Operators whose weights are quantized.
    """
    import_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, target = (graph.with_name(f".{graph.name}.{name}") for name in ("prepared", "int8"))
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the library logs its progress to the root logger
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
            _copy_shared_weights(prepared)
            quantize_dynamic(
                str(prepared),
                str(target),
                op_types_to_quantize=operators or OPERATORS,
                per_channel=True,
                reduce_range=reduce_range,
                weight_type=QuantType.QInt8,
            )
        os.replace(target, graph)
    finally:
        logger.setLevel(level)
        for path in (prepared, target):
            path.unlink(missing_ok=True)


def _copy_shared_weights(path: Path) -> None:
    """Copy weights that several LSTMs share.

    ``quantize_dynamic`` replaces the weights of the first LSTM, and then does not find those of the others.
    """
    import onnx

    model = onnx.load(str(path))
    initializers = {entry.name: entry for entry in model.graph.initializer}
    used: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "LSTM":
            continue
        for position in (1, 2):  # of the input and the recurrent weights
            name = node.input[position]
            if name in used:
                copy = model.graph.initializer.add()
                copy.CopyFrom(initializers[name])
                copy.name = node.input[position] = f"{name}_{node.name}"
            used.add(name)
    onnx.save(model, str(path))
