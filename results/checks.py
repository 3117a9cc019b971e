"""Findings of ``ner check`` on public data: ``python results/checks.py --data DIR``.

DIR contains the folders of data/README.md. Writes ``results/scores/checks.json``, shown in ``docs/data.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CONLL = {"train": "train.txt", "valid": "valid.txt", "test": "test.txt"}
IOB1 = {"train": "eng.train", "valid": "eng.testa", "test": "eng.testb"}
DATA: dict[str, tuple[str, str, dict[str, str], tuple[str, ...]]] = {
    "CoNLL-2003, four columns, IOB1": ("conll2003/minilm_crf", "conll2003/four_column_iob1", IOB1, ()),
    "CoNLL-2003, four columns, IOB2": ("conll2003/minilm_crf", "conll2003/four_column_bio2", CONLL, ()),
    "CoNLL-2003, two columns, IOB2": ("conll2003/minilm_crf", "conll2003/two_column_bio2", CONLL, ()),
    "Weibo": (
        "weibo/bilstm_crf",
        "weibo",
        {"train": "weiboNER_2nd_conll.train", "valid": "weiboNER_2nd_conll.dev", "test": "weiboNER_2nd_conll.test"},
        ("data.format.strip_position_digit=true", "encoder.vectors=null"),
    ),
    "CLUENER": (
        "cluener/bilstm_crf",
        "cluener",
        {"train": "train.json", "test": "dev.json"},
        ("encoder.vectors=null",),
    ),
    "ATIS": ("atis/minilm_joint", "atis", {"train": "train", "valid": "dev", "test": "test"}, ()),
    "ChnSentiCorp": (
        "chnsenticorp/bilstm",
        "chnsenticorp",
        {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"},
        ("encoder.vectors=null",),
    ),
    "CMRC 2018": ("cmrc2018/minilm", "cmrc2018", {"train": "cmrc2018_trial.json", "test": "cmrc2018_dev.json"}, ()),
}
"""Title -> recipe, folder, files by split, further overrides."""


def sha256(path: Path) -> str:
    """Return the checksum of a file, or of the files of a folder one after another."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def main() -> int:
    """Check each data set and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for title, (recipe, folder, files, overrides) in DATA.items():
        paths = {split: arguments.data / folder / file for split, file in files.items()}
        command = [sys.executable, "-m", "ner", "check", "--config", f"configs/{recipe}.yaml", "--json", "-"]
        command += [*(f"data.{split}={path}" for split, path in paths.items()), *overrides]
        started = time.monotonic()
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if run.returncode > 1:
            raise SystemExit(run.stderr)
        report = json.loads(run.stdout)
        keys = ("documents", "sentences", "words", "entities", "answers")
        found[title] = {
            "recipe": recipe,
            "sha256": {split: sha256(path) for split, path in paths.items()},
            "exit_code": run.returncode,
            "seconds": round(time.monotonic() - started, 1),
            "splits": {split: {key: counts[key] for key in keys} for split, counts in report["splits"].items()},
            "findings": [
                {key: finding[key] for key in ("level", "name", "message", "count")} for finding in report["findings"]
            ],
        }
        print(f"{title}: {len(report['findings'])} findings in {found[title]['seconds']} s", flush=True)
    path = ROOT / "results" / "scores" / "checks.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
