"""Check data and settings of a configuration before training."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.commands import _plugins
from ner.errors import InputError, counted
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.config.schema import RunConfig
    from ner.data.checks import DataReport
    from ner.data.findings import Finding
    from ner.types import Document


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner check``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, see configs/")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if there is a warning")
    parser.add_argument("--json", metavar="FILE", help="write counts and findings to a file (- for standard output)")
    parser.add_argument("--probe", action="store_true", help="also train for 50 steps, and look for a collapse")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="override a key of the configuration")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        status.code = _check(arguments)
    return status.code


def _check(arguments: argparse.Namespace) -> int:
    with cli.paused_garbage_collection():
        from loguru import logger

        from ner.config.load import load_config
        from ner.data import checks, config_checks
        from ner.data.findings import sort_findings
        from ner.runs.directory import check_outputs, files_in_config
        from ner.runtime.log import set_up_log

        set_up_log(sys.stderr if arguments.json == "-" else sys.stdout)
        config, notes = load_config(arguments.config, arguments.overrides)
        for note in notes:
            logger.info(note)
        check_outputs({"--json": arguments.json}, [arguments.config, *files_in_config(config)])
        documents = _read(config)
        report = checks.check_documents(documents, one_word_per_line=config.data.format.name == "conll")
        sentences = report.splits["train"].sentences
        report.findings += config_checks.check_settings(config, sentences)
        report.findings += config_checks.check_warmup(config, sentences)
        encoders = (config.encoder, *config.encoder.members.values())
        if any(encoder.pretrained_model for encoder in encoders):
            from ner.model.tokenizer_checks import check_tokenizers

            vocabulary = sum((summary.vocabulary for summary in report.splits.values()), Counter[str]())
            report.findings += check_tokenizers(config, vocabulary, documents)
        if not _has_error(report):
            report.findings += _check_model(config, documents)
    if arguments.probe and not _has_error(report):
        report.findings += _probe(config)
    report.findings = sort_findings(report.findings)
    _show(report)
    if arguments.json:
        from ner.runtime.text_files import open_text

        with open_text(arguments.json) as file:
            file.write(json.dumps(_values(report), ensure_ascii=False, indent=2) + "\n")
    has_warning = any(finding.level == "warning" for finding in report.findings)
    return int(_has_error(report) or (arguments.strict and has_warning))


def _has_error(report: DataReport) -> bool:
    return any(finding.level == "error" for finding in report.findings)


def _read(config: RunConfig) -> dict[str, list[Document]]:
    from ner.config.parts import load_component
    from ner.types import SPLITS

    format_module = load_component("formats", config.data.format.name)
    paths = {split: path for split in SPLITS if (path := getattr(config.data, split))}
    return {
        split: list(format_module.read(path, config.data.format, config.data.word_rule))
        for split, path in paths.items()
    }


def _check_model(config: RunConfig, documents: dict[str, list[Document]]) -> list[Finding]:
    """Build the model, which shows what a training would refuse, such as missing vectors, weights and packages."""
    from ner.data import tasks
    from ner.data.findings import Finding
    from ner.training.new_model import new_model

    try:
        tasks.check_format(config.decoder.name, config.data.format.name)
        tasks.check_metrics(config.decoder.name, config.metrics)
        new_model(config, documents)
    except InputError as error:
        return [Finding("model", "error", str(error))]
    return []


def _probe(config: RunConfig) -> list[Finding]:
    """Train for some steps in a directory that is removed afterwards."""
    from ner.training.prepare import prepare, training_run
    from ner.training.probe import probe

    # no epoch is scored, so no score selects an epoch or ends the training
    training = {"keep_epoch": "last", "early_stopping": None, "plateau": None}
    config = config.model_copy(update={"training": config.training.model_copy(update=training)})
    with tempfile.TemporaryDirectory() as folder, training_run(config, lambda: Path(folder)) as run:
        prepare(run)
        return probe(run)


def _show(report: DataReport) -> None:
    """Log the counts, and the findings with their places, evidence and advice."""
    from loguru import logger

    for split, summary in report.splits.items():
        labels = summary.labels or summary.classes or summary.tags
        label_counts = ", ".join(f"{label} {count}" for label, count in sorted(labels.items())[:12])
        remainder = f", and {len(labels) - 12} more" if len(labels) > 12 else ""
        annotation_count = counted(summary.answers, "different answer")
        if not summary.answers:
            annotation_count = counted(summary.entities, "entity", "entities")
        logger.info(
            "{}: {}, {}, {}, {}{}",
            split,
            counted(summary.documents, "document"),
            counted(summary.sentences, "sentence"),
            counted(summary.words, "word"),
            annotation_count,
            f" ({label_counts}{remainder})" if labels else "",
        )
    for finding in report.findings:
        logger.info("{:7} {}: {}", finding.level, finding.name, finding.message)
        for number in range(max(len(finding.places), len(finding.evidence))):
            parts = [*finding.places[number : number + 1], *finding.evidence[number : number + 1]]
            logger.info("          {}", " ".join(parts))
        if finding.advice:
            logger.info("          {}", finding.advice)
    level_counts = Counter(finding.level for finding in report.findings)
    logger.info("{}, {}", counted(level_counts["error"], "error"), counted(level_counts["warning"], "warning"))


def _values(report: DataReport) -> dict[str, Any]:
    """Return the report as JSON values, without vocabulary and places of labels."""
    splits = {
        split: {
            name: dict(v) if isinstance(v, Counter) else v
            for name, v in vars(summary).items()
            if name not in ("vocabulary", "first_places")
        }
        for split, summary in report.splits.items()
    }
    return {"splits": splits, "findings": [asdict(finding) for finding in report.findings]}


if __name__ == "__main__":
    sys.exit(main())
