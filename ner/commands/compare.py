"""Compare runs on the same file: paired tests, spread over seeds, and the sentences on which they differ most."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ner.commands import _plugins
from ner.runtime import cli
from ner.types import SPLITS

if TYPE_CHECKING:
    from ner.evaluation.comparison import Comparison


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner compare``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directories; those with equal settings are a group")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--split", choices=SPLITS, default="test", help="split of the first run; default test")
    source.add_argument("--data", metavar="FILE", help="another file in the format of the first run")
    parser.add_argument("--score", metavar="PATH", help="default: the monitored score of the first run")
    parser.add_argument("--json", metavar="FILE", help="file for all results")
    parser.add_argument("--markdown", metavar="FILE", default="-", help="file for the tables; default standard output")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _compare(arguments)
    return status.code


def _compare(arguments: argparse.Namespace) -> None:
    from dataclasses import asdict

    from ner.config.parts import load_component
    from ner.config.schema import RunConfig
    from ner.errors import InputError
    from ner.evaluation.comparison import Candidate, compare
    from ner.evaluation.scorer import Scorer
    from ner.inference.tagger import Tagger
    from ner.runs.directory import check_outputs, files_in_config, read_config, resolve_run
    from ner.runtime import text_files
    from ner.runtime.log import progress, set_up_log

    set_up_log(sys.stderr)
    directories = [resolve_run(name) for name in arguments.runs]
    if len(directories) < 2:
        raise InputError(f"expected at least two runs to compare, found {len(directories)}")
    names = [_name(directory, directories) for directory in directories]
    if len({*names}) < len(names):
        raise InputError(f"expected different runs, found {max(names, key=names.count)} twice")
    config: RunConfig = read_config(directories[0])
    path = arguments.data or getattr(config.data, arguments.split)
    if path is None:
        raise InputError(f"config.data.{arguments.split}: the run {directories[0]} has no such file; use --data FILE")
    check_outputs({"--json": arguments.json, "--markdown": arguments.markdown}, [path, *files_in_config(config)])
    monitor = config.training.monitor
    score = arguments.score or (f"{config.metrics[-1]}.micro.f1" if monitor == "loss" else monitor)
    metric = score.partition(".")[0]
    format_module = load_component("formats", config.data.format.name)
    gold = list(format_module.read(path, config.data.format, config.data.word_rule))
    candidates = []
    for name, directory in zip(names, directories, strict=True):
        tagger, scorer, predicted = Tagger.load(directory), Scorer([metric], keep_units=True), []
        with progress(unit="sentence", desc=name) as bar:
            for chunk in tagger.annotate(gold):
                scorer.add_chunk(chunk)
                predicted += chunk.predicted
                bar.update(sum(len(document.examples) for document in chunk.gold))
        settings = tagger.config.model_dump(mode="json", exclude={"seed", "device"})
        candidates.append(Candidate(name, settings, tagger.config.seed, scorer, predicted))
    result = compare(gold, candidates, score)
    if arguments.json:
        with text_files.open_text(arguments.json) as file:
            file.write(json.dumps({"data": str(path), **asdict(result)}, indent=2, ensure_ascii=False) + "\n")
    with text_files.open_text(arguments.markdown) as file:
        file.write("\n".join(markdown(result)) + "\n")


def _name(directory: Path, directories: Sequence[Path]) -> str:
    """Return the name of a run directory, with that of its parent if another one has the same."""
    resolved = directory.resolve()
    namesakes = [other for other in directories if other.resolve().name == resolved.name]
    return "/".join(resolved.parts[-2:]) if len(namesakes) > 1 else resolved.name


def markdown(result: Comparison) -> list[str]:
    """Return the lines of the tables."""
    lines = [f"{result.score}, {result.resamples:,} resamples of {result.units:,} {result.unit}s", ""]
    lines += ["| run | seed | score | 95 % interval |", "|---|---|---|---|"]
    lines += [f"| {r.run} | {r.seed} | {r.score:.4f} | {_range(r.interval)} |" for r in result.runs]
    if any(len(group.runs) > 1 for group in result.groups):
        lines += ["", "| runs that differ in their seed | mean | standard deviation |", "|---|---|---|"]
        lines += [f"| {', '.join(g.runs)} | {g.mean:.4f} | {g.deviation:.4f} |" for g in result.groups]
    lines += ["", "| first | second | difference | 95 % interval | p |", "|---|---|---|---|---|"]
    lines += [
        f"| {d.first} | {d.second} | {d.difference:+.4f} | {_range(d.interval)} | {d.p_value:.3f} |"
        for d in result.differences
    ]
    if result.sentences:
        runs = [run.run for run in result.runs]
        lines += [
            "",
            f"| sentence | {' | '.join(f'errors {run}' for run in runs)} | text |",
            "|---" * (len(runs) + 2) + "|",
        ]
        for sentence in result.sentences:
            errors = " | ".join(str(sentence.errors[run]) for run in runs)
            text = sentence.text.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {sentence.location} | {errors} | {text} |")
    return lines


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}"


if __name__ == "__main__":
    sys.exit(main())
