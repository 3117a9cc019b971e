"""Trainings in several processes, forked so that a start takes no import: ``python tests/processes.py NAME``, JSON out.

Each function below is one experiment; ``tests/end_to_end/test_distributed.py`` says what must come of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import torch  # noqa: E402

from ner.commands import evaluate  # noqa: E402
from ner.model.kernels.chain import BadExampleError  # noqa: E402
from ner.runtime import distributed  # noqa: E402
from ner.runtime.device import set_seed  # noqa: E402
from ner.runtime.distributed import ProcessGroup  # noqa: E402
from ner.training import checkpoint, loader  # noqa: E402
from ner.training.loop import train  # noqa: E402
from tests.builders import ABOUT, documents, fresh, settings  # noqa: E402

torch.set_num_threads(1)
CPU = torch.device("cpu")


def together(size: int, work: Callable[[], Any]) -> list[tuple[int, Any, str]]:
    """The exit code, the result and the words on standard error of each of several processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(size):
        hear, speak = os.pipe()
        errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the process
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
                os.dup2(errors.fileno(), 2)
                os.dup2(errors.fileno(), 1)
                found = work()
                os.write(speak, json.dumps(found).encode())
                code = 0
            except SystemExit as error:
                code = int(error.code or 0)
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}")
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(speak)
        children.append((child, hear, errors))
    results = []
    for child, hear, errors in children:
        with open(hear, "rb") as pipe:
            data = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        results.append((code, json.loads(data) if data else None, errors.read()))
    return results


def plain(**options: Any) -> Any:
    """Settings without any chance in the forward pass."""
    still = {"encoder__dropout": 0.0, "encoder__word_dropout": 0.0, "context__dropout": 0.0}
    rates = {"training__optimizer": "sgd", "training__learning_rate": 0.5, "training__max_grad_norm": None}
    return settings(**{**still, **rates, **options})


def trained(sentences: int, at_once: int, shard: bool = False, epochs: int = 1, **options: Any) -> Callable[[], Any]:
    """The weights after an epoch, the loss of each step and the train scores."""

    def work() -> Any:
        process_group = distributed.ProcessGroup.from_environment()
        process_group.start(CPU, 60)
        config = plain(batch__micro_size=at_once, batch__size=7, training__epochs=epochs, **options)
        state, data = fresh(config, documents(sentences), process_group, shard)
        steps = list(train(state, data, documents(5), config.metrics, CPU, process_group))
        weights = {
            name: distributed.full_cpu_tensor(t).flatten().tolist() for name, t in state.model.state_dict().items()
        }
        row = steps[-1].epoch_record
        assert row is not None
        scores = {split: (found.loss, found.scores) for split, found in row.evaluations.items()}
        process_group.end()
        return {
            "weights": weights,
            "losses": [step.loss for step in steps if step.epoch_record is None],
            "scores": scores,
        }

    return work


def warm_up() -> None:
    """Train once in this process, so that its forks neither import nor compile."""
    config = settings(training__epochs=1)
    list(train(*fresh(config, documents(2)), documents(2), config.metrics, CPU))


def gradients() -> Any:
    """The largest difference of any weight to that of one process, by processes, sentences and accumulation."""
    warm_up()
    found = []
    for sentences, at_once, *sizes in ((1, 7, 3), (8, 2, 2), (13, 3, 3)):
        ((code, alone, said),) = together(1, trained(sentences, at_once))
        assert code == 0, said
        for size in sizes:
            for code, result, said in together(size, trained(sentences, at_once)):
                assert code == 0, said
                apart = max(
                    abs(left - right)
                    for name in alone["weights"]
                    for left, right in zip(alone["weights"][name], result["weights"][name], strict=True)
                )
                losses = max(abs(left - right) for left, right in zip(alone["losses"], result["losses"], strict=True))
                same = alone["scores"]["train"][1] == result["scores"]["train"][1]
                found.append({"size": size, "sentences": sentences, "weights": apart, "losses": losses, "same": same})
    return found


def sharded() -> Any:
    """The same for FSDP2 against a single process, two epochs."""
    warm_up()
    options = {"training__optimizer": "adamw", "training__learning_rate": 0.01, "training__max_grad_norm": 0.5}
    ((code, alone, said),) = together(1, trained(13, 2, epochs=2, **options))
    assert code == 0, said
    found = []
    for code, result, said in together(2, trained(13, 2, shard=True, epochs=2, **options)):
        assert code == 0, said
        found += [
            abs(left - right)
            for name in alone["weights"]
            for left, right in zip(alone["weights"][name], result["weights"][name], strict=True)
        ]
    return max(found)


def evaluation(run: str) -> Any:
    """Scores and predictions of one model in one to three processes."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert evaluate.main(["--run", run]) == 0  # imports and compiles for all forks
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (1, 2, 3):
            scores, predictions = f"{folder}/{size}.json", f"{folder}/{size}.conll"
            options = ["--run", run, "--json", scores, "--predictions", predictions]

            def work(options: list[str] = options) -> Any:
                return evaluate.main(options)

            for code, result, said in together(size, work):
                assert (code, result) == (0, 0), said
            report = json.loads(Path(scores).read_bytes())
            report.pop("seconds")
            found.append([report, Path(predictions).read_text(encoding="utf-8")])
    return found


def order() -> Any:
    """Sentences in the order in which they are learned: of one process, and of two that one takes over from."""
    warm_up()

    def lines(step_batch: loader.StepBatch) -> list[int]:
        return [example.line for part in step_batch.micro_batches if not part.sync_only for example in part.gold]

    config = settings(training__epochs=2)
    with tempfile.TemporaryDirectory() as folder:

        def first() -> Any:
            process_group = distributed.ProcessGroup.from_environment()
            process_group.start(CPU, 60)
            state, data = fresh(config, documents(), process_group)
            seen = []
            steps = data.steps
            data.steps = lambda *arguments: (seen.append(lines(made)) or made for made in steps(*arguments))  # type: ignore[method-assign,func-returns-value]
            loop = train(state, data, documents(8), config.metrics, CPU, process_group)
            for _ in range(11):
                next(loop)
            checkpoint.save(state, Path(folder), ABOUT, process_group)
            every = process_group.all_gather_object(seen[:10])
            process_group.end()
            return [sorted(line for rank in every for line in rank[step]) for step in range(10)]

        both = together(2, first)
        assert [code for code, _, _ in both] == [0, 0], both
        state, data = fresh(config)
        path, _ = checkpoint.find(Path(folder))
        assert path is not None
        differences = checkpoint.load(path, state, ABOUT, config.metrics, ProcessGroup())
        seen: list[list[int]] = []
        steps = data.steps
        data.steps = lambda *arguments: (seen.append(sorted(lines(made))) or made for made in steps(*arguments))  # type: ignore[method-assign,func-returns-value]
        list(train(state, data, documents(8), config.metrics, CPU))
        state, data = fresh(config)
        whole: list[list[int]] = []
        for epoch in range(2):
            batches = data.epoch(epoch, config.batch)
            whole += [sorted(lines(made)) for made in data.steps(batches, epoch, config.batch, CPU)]
        return {"two": both[0][1], "one": seen, "whole": whole, "differences": differences}


def silence(kind: str) -> Any:
    """Seconds until a process notices that another one hangs, is stopped or died; and what it says."""
    timeout = 2.0

    def work() -> Any:
        process_group = distributed.ProcessGroup.from_environment()
        process_group.start(CPU, timeout)
        for step in range(1, 100):
            process_group.heartbeat(step)
            if process_group.rank == 1 and step == 5:
                if kind == "hang":
                    time.sleep(30)
                if kind == "die":
                    os._exit(1)
                if kind == "busy":
                    with process_group.keep_alive():
                        time.sleep(3 * timeout)
            if step == 10 and kind == "busy":
                break
            process_group.all_reduce_sum([1.0])
        process_group.end()
        return "done"

    started = time.monotonic()
    children = together_until_first(2, work)
    return [time.monotonic() - started, *children]


def together_until_first(size: int, work: Callable[[], Any]) -> Any:
    """Like :func:`together`, with an alarm in each process so that one that hangs ends, too."""

    def with_alarm() -> Any:
        import signal

        signal.alarm(10)
        return work()

    return together(size, with_alarm)


def spoiled(policy: str) -> Any:
    """Two processes of which the second cannot compute a step: exit codes, words, and the weights if they went on."""
    warm_up()

    def work() -> Any:
        process_group = distributed.ProcessGroup.from_environment()
        process_group.start(CPU, 60)
        config = plain(training__on_nonfinite=policy, training__epochs=1)
        state, data = fresh(config, documents(32), process_group)
        forward, count = state.model.forward, [0]

        def failing(batch: Any) -> Any:
            count[0] += 1
            if process_group.rank == 1 and count[0] == 3:
                raise BadExampleError("emissions of example {} are not finite", 1)
            return forward(batch)

        state.model.forward = failing  # type: ignore[method-assign]
        list(train(state, data, documents(5), config.metrics, CPU, process_group))
        process_group.end()
        finite = all(bool(torch.isfinite(tensor).all()) for tensor in state.model.state_dict().values())
        return {"skipped": state.skipped, "finite": finite, "steps": state.step}

    return together(2, work)


def main() -> None:
    """Run one of them and print what it found."""
    name, *arguments = sys.argv[1:]
    set_seed(1)
    out = sys.stdout
    print(json.dumps(globals()[name](*arguments)), file=out)


if __name__ == "__main__":
    main()
