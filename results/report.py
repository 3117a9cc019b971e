"""Size of a report and the time until Chromium has loaded it.

``python results/report.py REPORT.html --description TEXT`` writes ``report.json`` in ``results/scores``. The time is
``loadEventEnd`` of the Navigation Timing API, after the script of the page has drawn the first rows; the start of
Chromium is not included.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

TARGET = Path(__file__).parent / "scores" / "report.json"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic")
TIMER = """<script>addEventListener("load", () => setTimeout(() => {
  document.documentElement.dataset.load = performance.getEntriesByType("navigation")[0].loadEventEnd;
}));</script></body>"""


def load_seconds(page: Path) -> float:
    """Return the seconds until a page is loaded, in a new profile."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        text = page.read_text(encoding="utf-8")
        copy.write_text(re.sub("<meta http-equiv[^>]*>", "", text).replace("</body>", TIMER), encoding="utf-8")
        profile = f"--user-data-dir={folder}/profile"
        command = [
            shutil.which("chromium") or "chromium",
            *FLAGS,
            profile,
            "--timeout=5000",
            "--dump-dom",
            copy.as_uri(),
        ]
        shown = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()
    match = re.search('data-load="([0-9.]+)"', shown)
    assert match, shown[:500]
    return float(match[1]) / 1000


def main() -> None:
    """Measure a page five times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--description", required=True)
    arguments = parser.parse_args()
    seconds = [load_seconds(arguments.page) for _ in range(5)]
    figures = {
        "experiment": "python results/report.py REPORT.html --description TEXT",
        "description": arguments.description,
        "bytes": arguments.page.stat().st_size,
        "load_seconds": [round(value, 3) for value in seconds],
        "median_load_seconds": round(statistics.median(seconds), 3),
    }
    TARGET.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
