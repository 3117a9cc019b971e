"""Figures of a training for TensorBoard, an optional extra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ner.errors import InputError


class Board:
    """Writes event files that ``tensorboard --logdir DIR`` shows.

    Raises:
        InputError: If the package ``tensorboard`` is not installed.
    """

    def __init__(self, directory: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError("TensorBoard is not installed; pip install 'ner-crf[tensorboard]'") from None
        self._writer = SummaryWriter(str(directory))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Figures by name, all of one step."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
