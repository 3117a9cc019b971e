"""Write a configuration for your own files, with the recipe that suits them."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.errors import InputError, counted
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.data.inspection import Facts

MANY = 5_000
"""Sentences from which the recipes for larger corpora are chosen."""
MIN_STEPS = 300
"""Steps of a training that a written configuration has at least, if the file is not too small for that."""
MIN_BATCH, MAX_EPOCHS = 4, 50
"""Smallest batch size and largest number of epochs that are written for a small file."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner init``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True, metavar="FILE", help="training file")
    parser.add_argument("--valid", metavar="FILE", help="validation file; without one, the last epoch is kept")
    parser.add_argument("--test", metavar="FILE", help="test file")
    formats = sorted(path.stem for path in Path(__file__).parents[1].glob("data/formats/[a-z]*.py"))
    help = f"format of the files: {', '.join(formats)} (default: detected)"
    parser.add_argument("--format", choices=["auto", *formats], default="auto", metavar="NAME", help=help)
    help = "character encoding of the files, such as gb18030 (default: utf-8)"
    parser.add_argument("--encoding", metavar="NAME", help=help)
    parser.add_argument("--output", metavar="FILE", help="configuration to write (default: standard output)")
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.runtime import text_files

        if arguments.output and Path(arguments.output).exists():
            raise InputError(f"--output {arguments.output}: already exists; choose another name, or remove it")
        files = {split: getattr(arguments, split) for split in ("train", "valid", "test")}
        options = {"encoding": arguments.encoding} if arguments.encoding else {}
        text = _configuration({split: path for split, path in files.items() if path}, arguments.format, options)
        with text_files.open_text(arguments.output or "-") as file:
            file.write(text)
        if arguments.output:
            commands = "".join(f"  ner {command} --config {arguments.output}\n" for command in ("check", "train"))
            sys.stdout.write(f"written: {arguments.output}\nnext:\n{commands}")
    return status.code


def _configuration(files: dict[str, str], name: str, options: dict[str, Any]) -> str:
    """Return a configuration with comments; ``name`` and ``options`` are those of the format.

    Raises:
        InputError: If a file cannot be read, or the files differ in their format.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    from ner.config.load import read_raw
    from ner.config.parts import validate
    from ner.config.schema import RunConfig
    from ner.data.detect import finest_rule
    from ner.data.inspection import inspect
    from ner.runtime.device import resolve_device

    facts_by_split = {split: inspect(path, name, options) for split, path in files.items()}
    facts = facts_by_split["train"]
    for path, split_facts in zip(files.values(), facts_by_split.values(), strict=True):
        if split_facts.detected.format.name != facts.detected.format.name:
            raise InputError(
                f"{path}: expected the format {facts.detected.format.name} as in {files['train']}, "
                f"found {split_facts.detected.format.name}"
            )
    recipe, reason = _choose(facts)
    raw = read_raw(recipe)
    raw["data"] = {**files, "format": _options(facts)}
    if word_split := finest_rule(each.detected.word_split for each in facts_by_split.values()):
        raw["data"]["word_split"] = word_split
    elif facts.single_characters:
        raw["data"]["word_split"] = "characters"
    raw.pop("score_by", None)
    if facts.scheme == "none" and "tags" in facts.outputs:
        raw["metrics"] = ["tag"]
        raw["training"]["monitor"] = "tag.accuracy"
        raw["decoder"].pop("scheme", None)
    if facts.several_labels and raw["decoder"]["name"] == "classifier":
        raw["decoder"]["multi_label"] = True
    if "valid" not in files:
        raw["training"]["keep_epoch"] = "last"
        raw["training"].pop("monitor", None)
    fitted = _fit_steps(raw, facts.sentences)
    validate(RunConfig, raw)
    yaml = YAML()
    yaml.width = 120
    document = CommentedMap(raw)
    for key in raw:
        description = RunConfig.model_fields[key].description or ""
        document.yaml_set_comment_before_after_key(key, before=description.replace("\n", " "))
    stream = io.StringIO()
    yaml.dump(document, stream)
    label_counts = ", ".join(f"{label} {count}" for label, count in facts.labels.most_common(12))
    remainder = f", {len(facts.labels) - 12} more" if len(facts.labels) > 12 else ""
    kinds = {"tags": f"tags ({facts.scheme})", "labels": "labels of texts", "answers": "answers"}
    script = "Chinese characters" if facts.script == "CJK" else f"script {facts.script.capitalize()}"
    header_lines = [
        f"{files['train']}: format {facts.detected.format.name}, {counted(facts.sentences, 'sentence')}, "
        f"{counted(facts.words, 'word')}, longest {counted(facts.longest, 'word')}, {script}",
        f"{' and '.join(kinds[kind] for kind in sorted(facts.outputs))}: {label_counts}{remainder}",
        f"Recipe {recipe} on {resolve_device('auto')}: {reason}",
        *([fitted] if fitted else []),
        "All keys with their meaning: ner schema --markdown",
    ]
    return "".join(f"# {line}\n" for line in header_lines) + stream.getvalue()


def _fit_steps(raw: dict[str, Any], sentences: int) -> str:
    """Reduce the batch size and raise the epochs for a small file, and return a line about it; empty if they stay."""
    batch, training = raw.get("batch", {}), raw.get("training", {})
    size, epochs = batch.get("size"), training.get("epochs")
    if not isinstance(size, int) or not isinstance(epochs, int) or batch.get("measure", "sentences") != "sentences":
        return ""
    new_size = size
    while new_size > MIN_BATCH and -(-sentences // new_size) * epochs < MIN_STEPS:
        new_size = max(MIN_BATCH, new_size // 2)
    new_epochs = min(MAX_EPOCHS, max(epochs, -(-MIN_STEPS // -(-max(1, sentences) // new_size))))
    if (new_size, new_epochs) == (size, epochs):
        return ""
    batch["size"], training["epochs"] = new_size, new_epochs
    return (
        f"batch.size={new_size} and training.epochs={new_epochs} instead of {size} and {epochs}, because models rarely "
        f"learn in fewer than {MIN_STEPS} steps"
    )


def _options(facts: Facts) -> dict[str, Any]:
    """Return the format with the options that differ from their defaults."""
    options: dict[str, Any] = facts.detected.format.model_dump(exclude_defaults=True)
    return {"name": facts.detected.format.name, **options}


def _choose(facts: Facts) -> tuple[str, str]:
    """Return the name of a recipe and a sentence about the reason.

    Raises:
        InputError: If the file contains no gold annotations.
    """
    from ner.model.pretrained import is_installed

    pretrained = is_installed("all-MiniLM-L6-v2") and facts.english
    reason = (
        "the bundled encoder was trained on English text"
        if pretrained
        else "no installed pretrained encoder fits the language, so embeddings are learned from your file"
    )
    if facts.outputs == {"answers"}:
        return "convqa/minilm", "questions need a pretrained encoder; choose one of your language as encoder.model"
    if facts.outputs == {"tags", "labels"}:
        return ("atis/minilm_joint" if pretrained else "atis/bilstm_joint"), f"tags and labels; {reason}"
    if facts.outputs == {"labels"}:
        return "classifier", "labels of whole texts"
    if facts.outputs != {"tags"}:
        raise InputError("--train: expected tags, labels or answers to learn from, found none; see data.format")
    if facts.single_characters:
        return "chinese", (
            "most words are single characters; if you have a BERT of your language, use it by encoder.name=transformer "
            "encoder.model=DIRECTORY training.learning_rate='{encoder: 5e-5, context: 1e-3, decoder: 1e-3}'"
        )
    if facts.sentences >= MANY:
        return ("conll2003/minilm_crf" if pretrained else "conll2003/bilstm_crf"), reason
    return ("bert_crf" if pretrained else "bilstm_crf"), reason
