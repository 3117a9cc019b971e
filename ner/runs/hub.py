"""Download of trained models from the Hugging Face Hub."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from ner.errors import InputError
from ner.runs.directory import CONFIG, HISTORY, LABELS, METRICS, WEIGHTS, WORDS
from ner.runs.directory import TRAINED_ON as SENTENCES
from ner.runtime import atomic, manifest

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
"""Names of repositories: a user or an organisation, and a model."""
FILES = (manifest.MANIFEST, CONFIG, LABELS, WORDS, WEIGHTS, SENTENCES, METRICS, HISTORY, "encoder/*", "unit/*")
"""Files that are downloaded; everything else in a repository is ignored."""


def find(name: str | Path) -> Path:
    """Return the directory of a run, downloaded from the hub if ``name`` cannot be a local directory.

    A name below an existing directory, or below ``runs``, is a local one: a mistyped run is not searched on the hub.

    Raises:
        InputError: If the name is neither a directory nor a repository that can be downloaded.
    """
    path = Path(name)
    if path.exists() or not REPOSITORY.fullmatch(str(name)) or path.parts[0] == "runs" or path.parent.is_dir():
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    problem = f"{name}: no such directory, and no model that can be downloaded from the hub"
    try:
        cached = Path(snapshot_download(str(name), allow_patterns=list(FILES)))
    except (OfflineModeIsEnabled, LocalEntryNotFoundError):
        raise InputError(f"{problem}: the hub cannot be reached (see HF_HUB_OFFLINE)") from None
    except HfHubHTTPError as error:
        raise InputError(f"{problem}: {error.response.status_code} {error.server_message or ''}".rstrip()) from None
    except (HTTPError, ValueError, OSError) as error:
        raise InputError(f"{problem}: {' '.join(str(error).split())}") from None
    return _copied(cached, str(name))


def _copied(snapshot: Path, name: str) -> Path:
    """Return a copy of a snapshot without symbolic links, which a run directory may not contain."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ner-crf", "hub")
    directory = root / name.replace("/", "--") / snapshot.name
    if not directory.is_dir():
        with atomic.new_directory(directory) as folder:
            for file in sorted(path for path in snapshot.rglob("*") if path.is_file()):
                copy = folder / file.relative_to(snapshot)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
    return directory
