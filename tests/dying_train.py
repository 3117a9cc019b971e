"""``train.py`` whose process 1 is killed at the step in ``DIE_AT``, in the first attempt only."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from ner.commands import train  # noqa: E402
from ner.training import loop  # noqa: E402
from ner.training.step import StepContext  # noqa: E402

train_step = loop.train_step


def fatal_step(context: StepContext, *arguments: Any) -> float:
    """Make the step, or kill the process."""
    first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
    if first and os.environ["RANK"] == "1" and context.state.step == int(os.environ["DIE_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return train_step(context, *arguments)


loop.train_step = fatal_step
sys.exit(train.main())
