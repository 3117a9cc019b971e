"""The machine: device, seed, precision, log and progress bars."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import IO, Any

from ner.errors import InputError


def choose_device(name: str, number: int = 0) -> Any:
    """A torch device; ``auto`` takes a GPU if there is one, of several the one with a number.

    Raises:
        InputError: If there is no such device.
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
            torch.backends.cuda.enable_cudnn_sdp(False)  # it makes a plan for each shape, for up to a second
            if device.index is not None:
                torch.cuda.set_device(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"config.device: {name} cannot be used ({str(error).splitlines()[0]})") from None
    return device


def has_bf16(device: Any) -> bool:
    """Whether a device computes in bfloat16: of x86 processors those with AVX-512."""
    import torch

    if device.type != "cpu":
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # without it an LSTM ends in an error of oneDNN


def choose_precision(name: str, device: Any) -> Any:
    """The dtype of autocast, or None for float32; ``auto`` takes bfloat16 on a GPU that has it.

    Raises:
        InputError: If the device cannot compute in it.
    """
    import torch

    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else None
    if name == "fp16" and device.type == "cpu":
        raise InputError("config.training.precision: fp16 needs a GPU; choose bf16, float32 or auto")
    if name == "bf16" and not has_bf16(device):
        raise InputError("config.training.precision: this processor cannot compute in bf16; choose float32 or auto")
    return {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


class HostCopy:
    """Tensors on their way to the CPU. However many they are, a GPU is waited for once, and only when they are wanted.

    Args:
        tensors: By name.
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
        """The tensors on the CPU."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._copies


def describe(device: Any) -> dict[str, Any]:
    """What a figure depends on besides the code: versions, processor or GPU, threads."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    packages = ("ner-crf", "torch", "transformers", "tokenizers", "pytorch-crf", "numpy", "numba", "seqeval")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package).split("+")[0]
        except PackageNotFoundError:
            continue
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {"versions": versions, "device": name, "threads": torch.get_num_threads()}


def processor() -> str:
    """The name of the CPU."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def autocast(device: Any, dtype: Any) -> AbstractContextManager[Any]:
    """Mixed precision, or nothing where dtype is None."""
    import torch

    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


class Signals:
    """SIGTERM and SIGINT ask for an orderly end; the second one ends the process at once."""

    def __init__(self) -> None:
        self.received = 0

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Inside the block; only the main thread can."""
        names = (signal.SIGTERM, signal.SIGINT)
        try:
            before = {name: signal.signal(name, self._receive) for name in names}
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number


class Clock:
    """Where the time goes: each :meth:`mark` gives the time since the one before to a name.

    On a GPU the marks are events in its own stream; nothing waits for them before :meth:`totals`.
    """

    def __init__(self, device: Any) -> None:
        import torch

        self._cuda = torch.cuda if device.type == "cuda" else None
        self._marks: list[tuple[str, Any]] = []
        self.mark("")

    def mark(self, name: str) -> None:
        """The time since the last mark belongs to ``name``."""
        if self._cuda is None:
            now: Any = time.perf_counter()
        else:
            now = self._cuda.Event(enable_timing=True)
            now.record()
        self._marks.append((name, now))

    def totals(self) -> dict[str, float]:
        """Seconds by name since the last call; begins anew."""
        if self._cuda is not None:
            self._cuda.synchronize()
        found: dict[str, float] = {}
        for (_, before), (name, now) in pairwise(self._marks):
            seconds = now - before if self._cuda is None else before.elapsed_time(now) / 1000
            found[name] = found.get(name, 0.0) + seconds
        self._marks = self._marks[-1:]
        return found


def peak_memory(device: Any) -> int:
    """The most bytes in use so far: of the GPU, or of the process."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def set_seed(seed: int) -> None:
    """Of Python, NumPy and torch."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def make_deterministic() -> None:
    """Let GPUs compute in a fixed order from now on; call it before their first matrix product."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts; NVIDIA's documentation
    torch.use_deterministic_algorithms(True)


def set_up_log(stream: IO[str] | None = None, file: Path | None = None, speaks: bool = True) -> None:
    """Plain lines on a stream, above any progress bar, and lines with the time in a file, its folder made.

    Raises:
        InputError: If the file cannot be written.
    """
    from loguru import logger
    from tqdm import tqdm

    out = stream or sys.stdout
    logger.remove()
    _quieten_transformers()
    if not speaks:
        return
    logger.add(lambda text: tqdm.write(text, file=out, end=""), format=_console_format, level="INFO", colorize=False)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            form = "{time:YYYY-MM-DD HH:mm:ss} {level: <7} {message}"
            logger.add(_LogFile(file), format=form, level="DEBUG")
        except OSError as error:
            raise InputError(f"{file.parent}: cannot be written: {error.strerror}") from None
    warnings.showwarning = lambda message, category, *_: logger.warning("{}: {}", category.__name__, message)


class _LogFile:
    """A log that a full disk does not stop: it is said once, and the lines still stand on the screen."""

    def __init__(self, path: Path) -> None:
        self.path, self.fails = path, False
        self.file = open(path, "ab", buffering=0)  # noqa: SIM115  # closed by stop

    def write(self, text: str) -> None:
        try:
            self.file.write(text.encode(errors="backslashreplace"))
        except OSError as error:
            if not self.fails:
                sys.stderr.write(f"{self.path}: cannot be written: {error.strerror}; the log is on the screen only\n")
            self.fails = True

    def stop(self) -> None:
        with suppress(OSError):
            self.file.close()


def _console_format(record: Any) -> str:
    return "{message}\n" if record["level"].no < 30 else "{level}: {message}\n"


def _quieten_transformers() -> None:
    """Its bars and advice on stderr speak of loading, which our own log says in one line."""
    import logging

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_MININTERVAL", "0.2")
    logging.getLogger("transformers").setLevel(logging.ERROR)


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
    """A tqdm bar on stderr that vanishes when done; none when stderr is not a terminal."""
    from tqdm import tqdm

    return tqdm(iterable, leave=False, disable=not sys.stderr.isatty(), dynamic_ncols=True, file=sys.stderr, **options)
