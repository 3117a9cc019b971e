"""A job of bulk tagging: its inputs, options and output directory, as plain values that every engine can send."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ner
from ner.bulk.output import Output
from ner.bulk.shards import FORMATS, Shard, cut
from ner.config import plugins
from ner.config.base import ComponentConfig
from ner.config.data import DataConfig
from ner.config.parts import load_component, validate
from ner.data.batching import CHUNK
from ner.data.formats import arrow, conll
from ner.errors import InputError
from ner.inference.rewriting import format_options
from ner.portable.description import is_export, read_description
from ner.runs.directory import check_outputs, read_config, read_raw_config, resolve_run
from ner.runtime import manifest, text_files

SHARD_SIZE = 10 * CHUNK
"""Records in a shard."""


@dataclass(frozen=True)
class Job:
    """A job; paths are absolute, so that workers may run in other directories.

    Attributes:
        run: Run directory or export.
        inputs: Files to read.
        output: Directory of the results.
        format: Name of the format of the inputs.
        overrides: Options of the format, ``data.format.key=value``.
        parquet: Write Parquet files instead of files in the format of the input.
        scores: Write probabilities.
        precision: Precision of the model.
        shard_size: Records in a shard.
        plugins: Python files of plug-ins.
    """

    run: str
    inputs: tuple[str, ...]
    output: str
    format: str
    overrides: tuple[str, ...] = ()
    parquet: bool = False
    scores: bool = False
    precision: str = "run"
    shard_size: int = SHARD_SIZE
    plugins: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """Values that do not change while a job continues; another job needs another directory."""
        return {"inputs": list(self.inputs), "format": self.format, "parquet": self.parquet, "size": self.shard_size}

    @property
    def options(self) -> dict[str, Any]:
        """Values on which the bytes of a shard depend, besides its input: model, options and versions."""
        libraries = ("onnxruntime",) if is_export(self.run) else ("torch",)
        versions = {name: metadata.version(name) for name in (*libraries, *(["pyarrow"] if self.parquet else []))}
        model = hashlib.sha256((Path(self.run) / manifest.MANIFEST).read_bytes()).hexdigest()
        plugin_checksums = {name: manifest.sha256(Path(name)) for name in self.plugins}
        option_values = {"overrides": list(self.overrides), "scores": self.scores, "precision": self.precision}
        return {
            "model": model,
            **option_values,
            "plugins": plugin_checksums,
            "versions": {"ner": ner.__version__, **versions},
        }

    def format_config(self) -> ComponentConfig:
        """Return the options of the format of the inputs."""
        return format_options(_data_config(Path(self.run)).format, self.format, self.overrides)

    def shards(self) -> Iterator[Shard]:
        """Yield the shards of all inputs."""
        config = self.format_config()
        if isinstance(config, conll.Config):  # gold tags are not read
            config = config.model_copy(update={"tag": None, "scheme": "bio"})
        return cut(self.inputs, config, self.shard_size)

    def output_directory(self) -> Output:
        """Return the output directory."""
        format_module = load_component("formats", "arrow" if self.parquet else self.format)
        return Output(Path(self.output), format_module.output_extension)

    def to_json(self) -> str:
        """Return the job as JSON, for :func:`from_json`."""
        return json.dumps(asdict(self))


def from_json(text: str) -> Job:
    """Return a job from its JSON."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(text).items()
    }
    return Job(**values)


def create(
    run: str | None, inputs: Sequence[str], directory: str, name: str | None = None, to: str = "same", **options: Any
) -> Job:
    """Return a checked job.

    Args:
        run: Run directory or export; the newest run by default.
        inputs: Files, and directories whose files are read in the order of their names.
        directory: Directory of the results.
        name: Format of the inputs; that of the training data by default.
        to: ``same`` or ``parquet``.
        options: Further fields of :class:`Job`.

    Raises:
        InputError: If an input does not exist, or an option is invalid.
    """
    model = resolve_run(run)
    manifest.verify(model)
    files = [file for path in inputs for file in _files(Path(path))]
    check_outputs({"--output": directory}, files)
    for file in files:
        if Path(directory).resolve() in file.resolve().parents:
            raise InputError(f"--output {directory}: contains the input {file}; choose another directory")
    format_name = name or _data_config(model).format.name
    if format_name not in FORMATS:
        raise InputError(
            f"--format: files of the format {format_name} cannot be cut; choose one of {', '.join(FORMATS)}"
        )
    size = options.get("shard_size", SHARD_SIZE)
    if size < CHUNK or size % CHUNK:
        raise InputError(f"--shard-size {size}: expected a multiple of {CHUNK}, the records that are tagged together")
    paths = tuple(str(file.absolute()) for file in files)
    parquet = to == "parquet" or format_name == "arrow"
    if parquet:
        arrow.import_pyarrow()
    return Job(str(model.absolute()), paths, str(Path(directory).absolute()), format_name, parquet=parquet, **options)


def _files(path: Path) -> list[Path]:
    """Return a file, or the files in a directory whose names do not start with a dot or an underscore."""
    if not path.is_dir():
        if text_files.is_pipe(str(path)):
            raise InputError(f"--input {path}: a pipe cannot be cut into shards; give a file, or use ner predict")
        text_files.open_bytes(str(path)).close()
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
    if not files:
        raise InputError(f"{path}: expected files, found none")
    return files


def _data_config(directory: Path) -> DataConfig:
    """Return the section ``data`` of a run or an export, without torch, which the model sections would import."""
    raw: Any
    if is_export(directory):
        raw = read_description(directory).data
    elif (directory / plugins.FILE).is_file():  # the format may be a plug-in
        return read_config(directory).data
    else:
        raw = read_raw_config(directory)
        raw = raw.get("data") if isinstance(raw, dict) else raw
    try:
        config: DataConfig = validate(DataConfig, raw)
    except InputError as error:
        raise InputError(f"{directory}: data: {error}") from None
    return config
