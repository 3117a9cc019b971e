"""Train a model from a configuration and score it on train, valid and test."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.errors import InputError
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.config.schema import RunConfig
    from ner.runtime.distributed import ProcessGroup


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner train`` or ``python train.py``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, see configs/")
    help = "run directory (default: runs/<config>/<time>); use --run-dir under torchrun, which has a --run of its own"
    parser.add_argument("--run", "--run-dir", metavar="DIR", help=help)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--init", metavar="RUN", help="start a new run from the weights of another run")
    help = "continue the run (--run, or the newest run of this configuration)"
    start.add_argument("--resume", action="store_true", help=help)
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="override a key of the configuration")
    return cli.run(parser, _train, argv)


def _train(arguments: argparse.Namespace) -> int:
    from ner.config.load import load_config

    config, notes = load_config(arguments.config, arguments.overrides)

    from loguru import logger

    from ner.runtime import distributed
    from ner.runtime.device import resolve_device
    from ner.runtime.log import set_up_log

    process_group = distributed.ProcessGroup.from_environment()
    device = resolve_device(config.device, process_group.local_rank)
    process_group.start(device, config.processes.heartbeat_timeout)
    directory = None
    try:
        directory = Path(process_group.broadcast(str(_directory(arguments)) if process_group.is_main else None))
        set_up_log(sys.stdout, directory / "train.log", enabled=process_group.is_main)
        for note in notes:
            logger.info(note)
        return _run(arguments, config, directory, device, process_group)
    except InputError:
        logger.remove()
        if process_group.is_main and directory and [path.name for path in directory.glob("*")] == ["train.log"]:
            shutil.rmtree(directory, ignore_errors=True)  # the run has not started
        raise
    finally:
        process_group.end()


def _directory(arguments: argparse.Namespace) -> Path:
    """Return the directory of the run.

    Raises:
        InputError: If a new run would overwrite another run.
    """
    if arguments.resume:
        if arguments.run:
            return Path(arguments.run)
        started = sorted(_folder(arguments.config).glob("*/config.yaml"), key=lambda path: path.stat().st_mtime_ns)
        return started[-1].parent if started else _new_directory(arguments.config)
    directory = Path(arguments.run) if arguments.run else _new_directory(arguments.config)
    for name, content in (("manifest.json", "a trained model"), ("checkpoints", "checkpoints")):
        if (directory / name).exists():
            raise InputError(
                f"{directory}: already contains {content}; continue with --resume, choose another --run, or remove it"
            )
    return directory


def _run(
    arguments: argparse.Namespace, config: RunConfig, directory: Path, device: Any, process_group: ProcessGroup
) -> int:
    """Train in a run directory and return the exit code."""
    from loguru import logger

    from ner.commands._describe import example_input, prepare
    from ner.commands._display import Display
    from ner.runs.directory import CONFIG
    from ner.runtime import atomic
    from ner.training import resume
    from ner.training.run import TrainingRun

    logger.info("run directory: {}", directory)
    started = time.monotonic()
    changes: list[str] = []
    resumed = process_group.broadcast(arguments.resume and (directory / CONFIG).exists())
    if resumed:
        config, changes = resume.resumed_config(directory, config, arguments.overrides)
    run = TrainingRun(config, directory, device, process_group, logger.info, logger.warning)
    init = Path(arguments.init) if arguments.init else None
    notable = prepare(run, resume.initial_run(directory, process_group) if resumed else init)
    if resumed:
        resume.resume(run, changes)
    else:
        run.start()
    with Display(run) as display:
        for progress in run.train(watch=display.watch):
            display.show(progress)
    if run.stopped:
        return run.exit_code
    scores = run.finish()
    scores |= {split: {**scores[split], **counts} for split, counts in notable.items() if split in scores}
    report = {
        **scores,
        **{"seconds": time.monotonic() - started, "command": _command(arguments), "seed": config.seed},
        **{key: run.provenance[key] for key in ("data", "versions", "device", "threads", "processes")},
        "kernel": run.backend,
    }
    if process_group.is_main:
        atomic.write_bytes(directory / "metrics.json", json.dumps(report, indent=2, ensure_ascii=False).encode())
    logger.info("done in {:.0f} s", report["seconds"])
    split = next(split for split in ("test", "valid", "train") if run.documents[split])
    quoted, (text, form) = shlex.quote(str(directory)), example_input(run.documents)
    logger.info("next:")
    logger.info("  python evaluate.py --run {} --split {}", quoted, split)
    logger.info("  echo '{}' | ner predict --run {} --format {}", text, quoted, form)
    return 0


def _folder(config: str) -> Path:
    """Return ``runs/<path of the configuration below configs/>``."""
    path = Path(config).with_suffix("")
    parts = path.parts
    below = parts[len(parts) - parts[::-1].index("configs") :] if "configs" in parts[:-1] else parts[-1:]
    return Path("runs", *below)


def _new_directory(config: str) -> Path:
    """Return ``<folder>/<time>`` with a number if that directory exists."""
    now = time.strftime("%Y-%m-%dT%H-%M-%S")
    directory = _folder(config) / now
    number = 1
    while directory.exists():
        number += 1
        directory = directory.with_name(f"{now}-{number}")
    return directory


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line without the run directory."""
    start = ["--resume"] if arguments.resume else ["--init", arguments.init] if arguments.init else []
    return shlex.join(["python", "train.py", "--config", arguments.config, *start, *arguments.overrides])


if __name__ == "__main__":
    sys.exit(main())
