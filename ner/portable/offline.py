"""onnxruntime without its telemetry, which writes a device id below the home directory and reports to its maker."""

from __future__ import annotations

import os
from typing import Any


def import_onnxruntime() -> Any:
    """Import onnxruntime after turning its telemetry off, and return the module.

    The variable is read at the import. A value that is already set stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
