"""Devices: selection, precision, random seeds, copies to the CPU, memory."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ner.errors import InputError

_started_in: int | None = None
"""Process in which torch has started threads."""


def check_threads() -> None:
    """Check that the threads of torch exist, before something is computed: a fork inherits their number only.

    Raises:
        InputError: If the process was forked after torch had started threads. It would wait for them forever.
    """
    import torch

    global _started_in
    if torch.get_num_threads() == 1:
        return
    if _started_in is None:
        _started_in = os.getpid()
    elif _started_in != os.getpid():
        raise InputError(
            f"this process was forked after torch had started {torch.get_num_threads()} threads, which a fork lacks; "
            "call torch.set_num_threads(1) first, or start processes by spawn"
        )


def resolve_device(name: str, number: int = 0) -> Any:
    """Return the torch device of a name; ``auto`` selects a GPU if there is one.

    Args:
        name: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or another name of torch.
        number: Index of the GPU to select, modulo the number of GPUs.

    Raises:
        InputError: If the device does not exist or cannot be used.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and torch.cuda.device_count() > 1:
        name = f"cuda:{number % torch.cuda.device_count()}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type == "cuda":
            torch.backends.cuda.enable_cudnn_sdp(False)  # it plans each new shape for up to a second
            if device.index is not None:
                torch.cuda.set_device(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"config.device: {name} cannot be used ({str(error).splitlines()[0]})") from None
    return device


def has_bf16(device: Any) -> bool:
    """Return whether a device computes in bfloat16; x86 processors need AVX-512."""
    import torch

    if device.type != "cpu":
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # an LSTM fails in oneDNN without it


def resolve_precision(name: str, device: Any, key: str = "config.training.precision") -> Any:
    """Return the dtype of autocast, or None for float32; ``auto`` selects bfloat16 on a GPU that supports it.

    Args:
        name: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: A ``torch.device``.
        key: Configuration key or argument of the name, for messages.

    Raises:
        InputError: If the name is unknown, or the device does not support the precision.
    """
    import torch

    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else None
    if name == "fp16" and device.type == "cpu":
        raise InputError(f"{key}: fp16 needs a GPU; choose bf16, fp32 or auto")
    if name == "bf16" and not has_bf16(device):
        raise InputError(f"{key}: this processor does not support bf16; choose fp32 or auto")
    types = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    if name not in types:
        raise InputError(f"{key}: expected auto, {', '.join(types)}, found {name!r}")
    return types[name]


class HostCopy:
    """Non-blocking copies of tensors to the CPU, with one synchronization for all of them.

    Args:
        tensors: Tensors by name.
    """

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._copies = {name: tensor.detach().to("cpu", non_blocking=True) for name, tensor in tensors.items()}
        self._copied = None
        for tensor in tensors.values():
            if tensor.device.type == "cuda":
                import torch

                self._copied = torch.cuda.Event()
                self._copied.record(torch.cuda.current_stream(tensor.device))
                break

    def get(self) -> dict[str, Any]:
        """Wait for the copies and return them by name."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._copies


def environment(device: Any) -> dict[str, Any]:
    """Return what results depend on besides the code: package versions, processor or GPU, number of threads."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    packages = ("ner-crf", "torch", "transformers", "tokenizers", "pytorch-crf", "numpy", "numba", "seqeval", "rjieba")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package).split("+")[0]
        except PackageNotFoundError:
            continue
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {"versions": versions, "device": name, "threads": torch.get_num_threads()}


def processor() -> str:
    """Return the name of the CPU."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def autocast(device: Any, dtype: Any) -> AbstractContextManager[Any]:
    """Return a context manager for mixed precision; it does nothing if ``dtype`` is None."""
    import torch

    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def peak_memory(device: Any) -> int:
    """Return the peak memory in bytes, of the GPU if ``device`` is one, otherwise of the process."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def set_seed(seed: int) -> None:
    """Seed the random generators of Python, NumPy and torch."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def make_deterministic() -> None:
    """Use deterministic algorithms on GPUs; call it before the first matrix product."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
    torch.use_deterministic_algorithms(True)
