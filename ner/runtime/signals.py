"""Signals that ask a training to stop."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Any


class Signals:
    """Context manager that records SIGTERM, SIGINT and SIGHUP, so that training can stop between two steps.

    A second signal exits at once. An ignored SIGHUP, as under nohup, stays ignored. Signals can only be caught in the
    main thread.

    Attributes:
        received: Number of the signal, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        with suppress(ValueError):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
