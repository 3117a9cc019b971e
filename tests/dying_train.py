"""``train.py`` whose process 1 is killed at the step in ``DIE_AT``, in the first attempt only."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from ner.commands import train  # noqa: E402
from ner.training.step import Learner  # noqa: E402

step = Learner.step


def fatal_step(self: Learner, *arguments: Any) -> float:
    """The step, or the end."""
    first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
    if first and os.environ["RANK"] == "1" and self.state.step == int(os.environ["DIE_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *arguments)


Learner.step = fatal_step  # type: ignore[method-assign]
sys.exit(train.main())
