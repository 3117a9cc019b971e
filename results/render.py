"""Tables of ``docs/results.md``, ``docs/notes.md`` and ``docs/training.md`` from the JSON files of this folder.

With ``--check`` nothing is written; the exit code is 1 if a document is out of date.
"""

from __future__ import annotations

import json
import shlex
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TAGS = ("B-LOC", "B-MISC", "B-ORG", "B-PER", "I-LOC")

# Validation scores of the program used in the experiment notes, on the same files and settings, counted in two ways.
NOTES_MEAN = {"B-LOC": 0.300, "B-MISC": 0.140, "B-ORG": 0.200, "B-PER": 0.240, "I-LOC": 0.043, "weighted": 0.927}
NOTES_SPLIT = {"B-LOC": 0.833, "B-MISC": 0.761, "B-ORG": 0.620, "B-PER": 0.786, "I-LOC": 0.749, "weighted": 0.935}
NOTES_ENTITY = {"valid": 0.687, "test": 0.591}
NOTES_TEST = {"mean": 0.875, "split": 0.909}


def load() -> dict[str, dict[str, Any]]:
    """Read the results of trainings, by name."""
    results = {path.stem: json.loads(path.read_bytes()) for path in (ROOT / "results").glob("*.json")}
    results = {name: result for name, result in results.items() if "command" in result}
    return dict(sorted(results.items(), key=lambda item: (title_of(item[1]), item[1]["seed"])))


def title_of(result: dict[str, Any]) -> str:
    """Return the configuration and the overrides other than data and seed."""
    words = shlex.split(result["command"])
    changed = [
        word
        for word in words
        if "=" in word and not word.startswith(("data.", "seed=", "encoder.vectors=", "training.log_every="))
    ]
    return " ".join([result["config"], *changed])


TABLES = {
    "Entities": (
        "entity",
        {
            "valid F1": "valid.entity.micro.f1",
            "test P": "test.entity.micro.precision",
            "test R": "test.entity.micro.recall",
            "test F1": "test.entity.micro.f1",
            "test weighted tag F1": "test.tag.weighted_f1",
        },
    ),
    "Joint intent and slot filling": (
        "sentence",
        {
            "valid slot F1": "valid.entity.micro.f1",
            "valid intent": "valid.accuracy.accuracy",
            "valid both": "valid.sentence.accuracy",
            "test slot F1": "test.entity.micro.f1",
            "test intent": "test.accuracy.accuracy",
            "test both": "test.sentence.accuracy",
        },
    ),
    "Text classification": (
        "accuracy",
        {
            "valid accuracy": "valid.accuracy.accuracy",
            "test accuracy": "test.accuracy.accuracy",
            "test accuracy, unseen texts": "unseen.accuracy.accuracy",
            "test macro F1": "test.accuracy.macro.f1",
            "test weighted F1": "test.accuracy.weighted.f1",
        },
    ),
    "Question answering": (
        "answer",
        {"valid F1": "valid.answer.f1", "test exact": "test.answer.exact", "test F1": "test.answer.f1"},
    ),
}
"""Heading -> the metric that identifies its results, and column -> path of the score."""

INTRODUCTION = """\
# Results

`make results` generates this page from `results/*.json`; `make figures figures-tasks` repeats all trainings. The epoch
is selected on the validation file, and the test file is evaluated once. Without a validation file, and in the tagging
runs of the experiment notes, the last epoch is evaluated. All scores are percentages. Entity scores are micro averages
and follow the CoNLL evaluation script. Minutes are the processor time of the training with one thread where the
details contain it. For earlier results they cover the whole command on a shared machine of two cores, or with two
threads on an idle one where the details list two threads."""

PUBLISHED = {
    "Entities": """\
Published results for LSTM-CRF taggers without a pretrained encoder are 52.8 on Weibo with characters (Zhang and Yang,
2018; 50.2 as reproduced by eznlp) and 70.0 on CLUENER (macro average on the test file, whose labels are not public;
our score is for the dev file). The dev file of CLUENER is not used in training: the number of epochs is fixed.""",
    "Text classification": """\
Of the 1,200 test texts of ChnSentiCorp, 331 occur in the training file character by character and 333 word by word, so
867 are unseen. Only the accuracy on unseen texts measures generalization.""",
    "Joint intent and slot filling": """\
The published result for ATIS is JointBERT: 96.1 slots, 97.5 intent, 88.2 both (Chen et al., 2019). An intent or slot
that does not occur in the training file counts as an error; `a#b` is a class of its own.""",
}
"""Heading -> published results and their comparability."""

KNOWN_BY = ("answer", "sentence", "accuracy", "entity")
"""The first of these metrics that a result contains determines its table."""


def results_page(results: dict[str, dict[str, Any]]) -> str:
    """Return the page: a table per task, then the details of each result."""
    lines = [INTRODUCTION]
    for title, (metric, columns) in TABLES.items():
        chosen = [result for result in results.values() if kind_of(result) == metric]
        if chosen:
            header = ["configuration", "seed", "epoch", *columns, "minutes"]
            lines += ["", f"## {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
            lines += [*rows_of(chosen, list(columns.values())), *(["", PUBLISHED[title]] if title in PUBLISHED else [])]
    lines += ["", "## Details", ""]
    for name, result in results.items():
        lines += details_of(name, result)
    return "\n".join(lines).rstrip() + "\n"


def kind_of(result: dict[str, Any]) -> str:
    """Return the metric that determines the table of a result."""
    scored = result.get("test") or result["valid"]
    return next(name for name in KNOWN_BY if name in scored)


def rows_of(results: list[dict[str, Any]], paths: list[str]) -> list[str]:
    """Return a row per result, and a row of means for configurations with several seeds."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(title_of(result), []).append(result)
    lines = []
    for title, group in groups.items():
        for result in group:
            cells = [f"`{title}`", result["seed"], result["epoch"], *(percent([at(result, path)]) for path in paths)]
            lines.append(f"| {' | '.join(map(str, cells))} | {minutes_of(result):.1f} |")
        if len(group) > 1:
            means = [mean_and_deviation([at(result, path) for result in group]) for path in paths]
            lines.append(f"| mean ± deviation | | | {' | '.join(means)} | |")
    return lines


def minutes_of(result: dict[str, Any]) -> float:
    """Return the processor time if it was recorded, otherwise the time of the command."""
    seconds: float = result.get("processor_seconds", result["seconds"])
    return seconds / 60


def at(result: dict[str, Any], path: str) -> float | None:
    """Return the value at a dotted path, or None."""
    value: Any = result
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def percent(figures: list[float | None]) -> str:
    """Return the mean as a percentage, or an empty string if a figure is missing."""
    known = [figure for figure in figures if figure is not None]
    return f"{100 * sum(known) / len(known):.2f}" if figures and len(known) == len(figures) else ""


def mean_and_deviation(figures: list[float | None]) -> str:
    """Return the mean and the sample standard deviation as percentages, or an empty string if a figure is missing."""
    known = [figure for figure in figures if figure is not None]
    if len(known) < len(figures):
        return ""
    return f"{100 * statistics.mean(known):.2f} ± {100 * statistics.stdev(known):.2f}"


def details_of(name: str, result: dict[str, Any]) -> list[str]:
    """Return command, machine, checksums, and scores by type or field."""
    versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
    lines = [
        f"### {name}",
        "",
        "```",
        result["command"].replace(" data.", " \\\n    data."),
        "```",
        "",
        f"- seed {result['seed']}, {result['threads']} thread(s) on {result['device']}; {versions}",
    ]
    if "parameters" in result:
        document_context = "yes" if result.get("document_context") else "no"
        lines.append(f"- {result['parameters']:,} parameters; document context: {document_context}")
    if "processor_seconds" in result:
        lines.append(f"- {minutes_of(result):.1f} minutes of processor time")
    if result.get("test_interval"):
        low, high = result["test_interval"]
        lines.append(f"- 95 % interval of the test F1 (bootstrap): {100 * low:.2f} to {100 * high:.2f}")
    lines += [f"- {split}: SHA-256 `{checksum}`" for split, checksum in result["data"].items()]
    scored = result.get("test", {})
    entity = scored.get("entity")
    if entity:
        scores = ", ".join(f"{label} {100 * figures['f1']:.2f}" for label, figures in entity["by_type"].items())
        lines.append(f"- test F1 by type: {scores}; strict {100 * entity['strict']['f1']:.2f}")
    for field, values in scored.get("by", {}).items():
        scores = ", ".join(
            f"{value} {100 * scores['answer']['f1']:.2f} ({scores['answer']['turns']} turns)"
            for value, scores in values.items()
            if "answer" in scores
        )
        if scores:
            lines.append(f"- test F1 by {field}: {scores}")
    return [*lines, ""]


def notes_tables(results: dict[str, dict[str, Any]]) -> str:
    """Return the table of both metrics, in the notes and here (mean over the seeds with the range)."""
    groups = {
        "BiLSTM here": [r for r in results.values() if title_of(r) == "configs/notes/bilstm.yaml"],
        "over pieces here": [r for r in results.values() if title_of(r) == "configs/notes/wordpiece_bilstm.yaml"],
    }
    groups = {title: runs for title, runs in groups.items() if runs}
    titles = ["notes, mean over sentences", "notes, whole split"]
    for title, runs in groups.items():
        count = f" ({len(runs)} seeds)" if len(runs) > 1 else ""
        titles += [f"{title}{count}, {kind}" for kind in ("mean over sentences", "whole split")]
    lines = [f"| valid | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    for tag in (*TAGS, "weighted"):
        cells = [f"{NOTES_MEAN[tag]:.3f}", f"{NOTES_SPLIT[tag]:.3f}"]
        for runs in groups.values():
            for metric in ("notes", "tag"):
                scores = [run["valid"][metric] for run in runs]
                cells.append(_range([s["weighted_f1"] if tag == "weighted" else s["f1"].get(tag, 0.0) for s in scores]))
        lines.append(f"| {'weighted F1' if tag == 'weighted' else 'F1 ' + tag} | {' | '.join(cells)} |")
    for split in ("valid", "test"):
        cells = ["", f"{NOTES_ENTITY[split]:.3f}"]
        for runs in groups.values():
            cells += ["", _range([run[split]["entity"]["micro"]["f1"] for run in runs])]
        lines.append(f"| entity micro F1, {split} | {' | '.join(cells)} |")
    cells = [f"{NOTES_TEST['mean']:.3f}", f"{NOTES_TEST['split']:.3f}"]
    for runs in groups.values():
        cells += [_range([run["test"][metric]["weighted_f1"] for run in runs]) for metric in ("notes", "tag")]
    lines.append(f"| weighted F1, test | {' | '.join(cells)} |")
    return "\n".join(lines)


def _range(figures: list[float]) -> str:
    mean = sum(figures) / len(figures)
    return f"{mean:.3f}" if len(figures) == 1 else f"{mean:.3f} ({min(figures):.3f} to {max(figures):.3f})"


REMOVED = ("PGD", "R-Drop")
"""Methods that were measured and then removed from the code."""


def regularisation(results: dict[str, dict[str, Any]]) -> str:
    """Return the table of regularization methods (mean over the seeds with the range)."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for result in results.values():
        kinds.setdefault(result["name"], []).append(result)
    lines = ["| | train F1 | valid F1 | test F1 | seconds |", "|---|---|---|---|---|"]
    for name, runs in kinds.items():
        title = f"{name} (removed)" if name.startswith(REMOVED) else name
        cells = [_range([run[split] for run in runs]) for split in ("train", "valid", "test")]
        lines.append(f"| {title} | {' | '.join(cells)} | {sum(run['seconds'] for run in runs) / len(runs):.0f} |")
    first = next(iter(results.values()))
    seeds = len(next(iter(kinds.values())))
    lines += ["", f"{seeds} seeds, {first['threads']} thread on {first['device']}, torch {first['versions']['torch']}."]
    return "\n".join(lines)


def crashes(kept: dict[str, Any]) -> str:
    """Return the table of fault-injection runs."""
    lines = ["| command | result | seconds |", "|---|---|---|"]
    lines += [f"| `{row['command']}` | {row['result']} | {row['seconds']} |" for row in kept["experiments"]]
    return "\n".join([*lines, "", f"On {kept['device']}, torch {kept['versions']['torch']}."])


def large(kept: dict[str, Any]) -> str:
    """Return the table of start-up times for a large training file."""
    lines = ["| start | seconds | peak memory, MB |", "|---|---|---|"]
    lines += [f"| {row['start']} | {row['seconds']:.0f} | {row['memory_mb']:,.0f} |" for row in kept["rows"]]
    return "\n".join([*lines, "", kept["note"]])


def notes_training(found: dict[str, Any]) -> str:
    """Return the tables of the section "Training"."""
    names = {
        "ninety": "from the base model at 2e-5, batch 64, 90 epochs",
        "plateau": "same, with plateau and early stopping",
        "continued": "continued from a trained model at 2e-5, 90 epochs",
        "continued_plateau": "same, with plateau and early stopping",
    }
    lines = [
        "| run | epochs | valid loss: first, lowest, last | valid F1: best (epoch), last | test F1, best | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for key, title in names.items():
        run = found[key]
        losses = run["valid_losses"]
        lowest = f"{losses[0]:.3f}, {min(losses):.3f} (epoch {losses.index(min(losses)) + 1}), {losses[-1]:.3f}"
        f1 = f"{run['best_f1']:.4f} ({run['best_epoch']}), {run['last_f1']:.4f}"
        lines.append(f"| {title} | {run['epochs']} | {lowest} | {f1} | {run['test_f1']:.4f} | {run['seconds']:.0f} |")
    whole, doubled = found["amp"]["whole"], found["amp"]["doubled"]
    lines += [
        "",
        "| run | epochs | steps | batch sizes | sentences seen | best valid F1 | test F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, run in (("30 epochs in bf16", whole), ("stopped after 10, resumed with the batch doubled", doubled)):
        sizes = ", then ".join(str(size) for size in dict.fromkeys(run["batch_sizes"]))
        cells = [run["epochs"], run["steps"], sizes, f"{run['sentences'][-1]:,}", f"{run['best_f1']:.4f}"]
        lines.append(f"| {title} | {' | '.join(map(str, cells))} | {run['test_f1']:.4f} |")
    lines += ["", f"Identical rows of `history.csv`: {found['amp']['equal_rows']}."]
    one, two = found["step_log"], found["step_log_accumulated"]
    apart = max(abs(left - right) for left, right in zip(one["valid_losses"], two["valid_losses"], strict=True))
    lines += [
        "",
        "| run | steps | last valid loss | best valid F1 (epoch) | last valid F1 |",
        "|---|---|---|---|---|",
    ]
    for title, run in (("accumulation 1", one), ("accumulation 2, same batch size", two)):
        best = f"{run['best_f1']:.4f} ({run['best_epoch']})"
        cells = [run["steps"], f"{run['valid_losses'][-1]:.4f}", best, f"{run['last_f1']:.4f}"]
        lines.append(f"| {title} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", f"Largest difference in validation loss between the two runs: {apart:.4f}."])


def notes_answers(found: dict[str, Any]) -> str:
    """Return the tables of the context layers: the result line of the notes, and the parameter counts."""
    trained = {name: run for name, run in found.items() if "test" in run}
    domains = list(next(iter(trained.values()))["test"]["by"]["domain"])
    groups = ["in_domain", "out_domain"]
    header = ["context layer", "exact", "F1", *(f"F1 {name}" for name in [*groups, *domains])]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for name, run in trained.items():
        test = run["test"]
        parts = {**test["by"]["group"], **test["by"]["domain"]}
        figures = [test["answer"]["exact"], test["answer"]["f1"]]
        figures += [parts[value]["answer"]["f1"] for value in [*groups, *domains]]
        cells = [MIDDLE[name][0], *(f"{100 * figure:.1f}" for figure in figures)]
        lines.append(f"| {' | '.join(cells)} |")
    first = next(iter(trained.values()))["test"]
    parts = {**first["by"]["group"], **first["by"]["domain"]}
    turns = [f"{parts[value]['answer']['turns']}" for value in [*groups, *domains]]
    lines.append(f"| turns | | {first['answer']['turns']} | {' | '.join(turns)} |")
    lines += ["", "| context layer | parameters with a BERT-base | parameters in the notes |", "|---|---|---|"]
    lines += [
        f"| {title} | {found[name]['base_parameters']:,} | {theirs:,} |" for name, (title, theirs) in MIDDLE.items()
    ]
    return "\n".join(lines)


MIDDLE = {
    "none": ("none", 104_634_630),
    "bilstm": ("BiLSTM", 109_299_207),
    "rtransformer": ("R-Transformer", 125_246_727),
}
"""Context layer -> its title and the parameter count of the whole model in the notes."""


def filled(path: Path, makers: dict[str, Callable[[Any], str]], source: Path) -> str:
    """Return a document with its tables replaced by those of the JSON files in ``source``."""
    text = path.read_text(encoding="utf-8")
    for name, make in makers.items():
        kept = source / f"{name}.json"
        if kept.is_file():
            text = between(text, name, make(json.loads(kept.read_bytes())))
    return text


def glance(results: dict[str, dict[str, Any]], training: dict[str, Any], answers: dict[str, Any]) -> str:
    """Return the overview: each table and log of the notes with its reproduction."""

    def mean(config: str, path: str) -> str:
        titles = (f"configs/{config}.yaml", f"configs/{config}.yaml training.precision=bf16")
        figures = [at(run, path) for run in results.values() if title_of(run) in titles]
        known = [figure for figure in figures if figure is not None]
        return f"{sum(known) / len(known):.3f}" if known else "not measured"

    def answered(name: str) -> str:
        figure = at(answers, f"{name}.test.answer.f1")
        return "not measured" if figure is None else f"{figure:.3f}"

    unseen = at(results.get("chnsenticorp-bilstm", {}), "unseen.accuracy.accuracy")
    rows = [
        (
            "Table: BiLSTM on CoNLL-2003",
            "embedding, BiLSTM, softmax, ten epochs; F1 0.31 for `B-LOC`, 0.14 for `B-MISC`",
            "`notes/bilstm`",
            f"`B-LOC` {mean('notes/bilstm', 'valid.notes.f1.B-LOC')}, `B-MISC` "
            f"{mean('notes/bilstm', 'valid.notes.f1.B-MISC')} averaged as in the notes; entity F1 over the whole split "
            f"{mean('notes/bilstm', 'valid.entity.micro.f1')}",
            "only the seeds; the metric explains the low scores ([Tagging](#tagging))",
        ),
        (
            "Table: the same on the word pieces of BERT",
            "labels on word pieces, mapped back to words",
            "`notes/wordpiece_bilstm`",
            f"entity F1 {mean('notes/wordpiece_bilstm', 'valid.entity.micro.f1')}",
            "tokenizer of the bundled encoder",
        ),
        (
            "Tables per epoch: chinese-bert-wwm-ext and chinese-roberta-wwm-ext as classifiers",
            "90 epochs at 2e-5, batches of 64; validation loss rises from the first epoch",
            "`notes/classification`, `chnsenticorp/bert_wwm`, `chnsenticorp/roberta_wwm`; without hub access "
            "`chnsenticorp/bilstm`",
            f"BiLSTM: accuracy {mean('chnsenticorp/bilstm', 'test.accuracy.accuracy')} on the test file of ChnSentiCorp"
            + (f", {unseen:.3f} on unseen texts" if unseen is not None else ""),
            "original texts are not public; the two encoders need hub access and were not trained here",
        ),
        (
            "Log: 30 epochs in mixed precision, resumed after ten with the batch size doubled",
            "the tool counted the tenth epoch as the twentieth; ten epochs never ran",
            "`notes/amp`",
            f"{training['amp']['doubled']['epochs']} epochs, {training['amp']['doubled']['steps']} steps, first "
            f"{training['amp']['equal_rows']} rows identical",
            "bundled sample and encoder, since the log concerns the training loop",
        ),
        (
            "Step log: 2000 warm-up steps, weight decay 0.01, no gradient clipping, gradient accumulation",
            "learning rate and loss at a fixed step interval",
            "`notes/step_log`",
            f"{training['step_log']['steps']} steps, best valid F1 {training['step_log']['best_f1']:.3f}",
            "bundled sample; a small BiLSTM-CRF",
        ),
        (
            "Logs: last epoch 0.806 although 0.847 was reported; 0.62 rises to 0.94 when continued",
            "best and last checkpoint confused; a continued model evaluated on its training data",
            "`notes/finetuning`, `notes/finetuning_plateau`",
            f"continued: best valid F1 {training['continued']['best_f1']:.3f}, last "
            f"{training['continued']['last_f1']:.3f}, both reported",
            "bundled sample and encoder",
        ),
        (
            "Intent project: 153 utterances, 39 for evaluation",
            "15 epochs, batches of 8, 3e-5 with 10 % warm-up, best epoch reloaded, pushed to the hub",
            "`notes/intent`, `notes/intent_rates`, `ner push`",
            f"with the learning rate of the notes: slots {mean('notes/intent', 'valid.entity.micro.f1')}, intent "
            f"{mean('notes/intent', 'valid.accuracy.accuracy')}; with larger learning rates: "
            f"{mean('notes/intent_rates', 'valid.entity.micro.f1')}, "
            f"{mean('notes/intent_rates', 'valid.accuracy.accuracy')}",
            "original utterances are not public; the same number of our own; English encoder",
        ),
        (
            "Result lines: conversational question answering without context layer, with a BiLSTM or an R-Transformer",
            "sliding windows, F1 and turns by domain, 104,634,630 / 109,299,207 / 125,246,727 parameters",
            "`convqa/minilm`, `results/notes_answers.py`",
            f"F1 {answered('none')} / {answered('bilstm')} / {answered('rtransformer')}",
            "original conversations are not public, ours are used; bundled encoder; parameters of a BERT-base",
        ),
        (
            "Log: UniLM for generated answers",
            "source 512, target 42, accumulation 4, 2e-5, 2236 warm-up steps, 15 epochs",
            "`notes/unilm`, `convqa/generator`",
            f"with the settings of the notes: F1 {mean('notes/unilm', 'test.answer.f1')}, exact "
            f"{mean('notes/unilm', 'test.answer.exact')}; with `convqa/generator`: "
            f"{mean('convqa/generator', 'test.answer.f1')}, {mean('convqa/generator', 'test.answer.exact')}",
            "our conversations and the bundled encoder; 15 epochs have fewer steps than the warm-up; "
            "`convqa/generator` has larger learning rates, no masking and a copy mechanism",
        ),
    ]
    lines = [
        "| in the notes | experiment | configuration here | result here | differences |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def notes_page(path: Path, results: dict[str, dict[str, Any]]) -> str:
    """Return the page of the notes with its tables updated."""
    text = filled(path, {"notes": notes_training}, ROOT / "results" / "training")
    kept = ROOT / "results" / "answers" / "notes.json"
    answers = json.loads(kept.read_bytes()) if kept.is_file() else {}
    if answers:
        text = between(text, "answers", notes_answers(answers))
    training = json.loads((ROOT / "results" / "training" / "notes.json").read_bytes())
    text = between(text, "glance", glance(results, training, answers))
    return between(text, "table", notes_tables(results))


RELIABILITY_RESULTS = ROOT / "results" / "reliability"
RELIABILITY = """\
# Reliability

`make reliability` runs the experiments of this page; `make results` generates it from `results/reliability/*.json`. CI
runs a sample of the cases of each experiment. [SECURITY.md](../SECURITY.md) describes what files from strangers can do.
"""


def reliability_page(kept: dict[str, dict[str, Any]]) -> str:
    """Return the page of the reliability experiments: a table of all, then the kinds of cases of each."""
    lines = [RELIABILITY, "| promise | passed | command | seconds |", "|---|---|---|---|"]
    for found in kept.values():
        passed = f"{found['passed']} of {found['cases']}"
        lines.append(f"| {found['promise']} | {passed} | `{found['command']}` | {found['seconds']} |")
    for name, found in kept.items():
        note = [found["note"], ""] if "note" in found else []
        lines += ["", f"## {name}", "", *note, "| kind | passed |", "|---|---|"]
        lines += [f"| {kind} | {part['passed']} of {part['cases']} |" for kind, part in found["kinds"].items()]
        lines += ["", *(f"- {case}: {figure}" for case, figure in found.get("figures", {}).items())]
        lines += [f"- failed: {failed['case']}: {failed['reason']}" for failed in found["failed"]]
    return "\n".join(lines).rstrip() + "\n"


def service(kept: dict[str, Any]) -> str:
    """Return the figures of the service."""
    rows = [f"| {case} | {figure} |" for case, figure in kept.get("figures", {}).items()]
    rows += [f"| {failed['case']} | **missed**: {failed['reason'].partition(': ')[2]} |" for failed in kept["failed"]]
    count = f"{kept['passed']} of {kept['cases']} cases reach their goal. `{kept['command']}`, {kept['seconds']} s."
    return "\n".join(["| case | figure |", "|---|---|", *rows, "", count])


def calibration(kept: dict[str, Any]) -> str:
    """Return the calibration errors, and what thresholds reach."""
    rows = ["| | before | after |", "|---|---|---|"]
    for split in ("valid", "test"):
        before, after = (kept[split][when]["error"] for when in ("before", "after"))
        rows.append(f"| calibration error, {split} | {before:.4f} | {after:.4f} |")
    rows += ["", "| `--min-precision` | threshold | valid P | valid R | test P | test R |", "|---|---|---|---|---|---|"]
    for row in kept["thresholds"]:
        figures = [row[key] for key in ("calibrated_precision", "calibrated_recall", "precision", "recall")]
        cells = " | ".join(f"{figure:.4f}" for figure in figures)
        rows.append(f"| {row['min_precision']:g} | {row['probability']:.4f} | {cells} |")
    head = (
        f"A BiLSTM-CRF after {kept['epochs']} epochs on CoNLL-2003 ([figures](../results/scores/calibration.json)). "
        f"The temperature is {kept['temperature']:.2f}; fitting it took {kept['seconds']:.0f} s.\n"
    )
    return "\n".join([head, *rows])


def checks(kept: dict[str, Any]) -> str:
    """Return the counts and findings of public data sets."""
    parts = ["| data | sentences | entities |", "|---|---|---|"]
    for title, found in kept.items():
        counts = ([f"{split[key]:,}" for split in found["splits"].values()] for key in ("sentences", "entities"))
        parts.append(f"| {title} | {' | '.join(map(' / '.join, counts))} |")
    for title, found in kept.items():
        warnings = [finding["message"] for finding in found["findings"] if finding["level"] != "info"]
        parts += ["", f"{title}:", "", *(f"- {message}" for message in warnings or ["no warnings"])]
    return "\n".join(parts)


def robustness(kept: dict[str, Any]) -> str:
    """Return the F1 of each perturbation."""
    rows = ["| text | test F1 |", "|---|---|"]
    rows += [f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in kept.items()]
    return "\n".join(rows)


def suspects(kept: dict[str, Any]) -> str:
    """Return how many changed labels the first parts of the ranking contain."""
    shares = [name for name in kept["total"] if name.startswith("within_")]
    rows = [f"| change | entities | {' | '.join(f'first {name[7:-1]} %' for name in shares)} |"]
    rows.append("|---|---" + "|---" * len(shares) + "|")
    for kind, counts in [*kept["kinds"].items(), ("all", kept["total"])]:
        cells = " | ".join(f"{counts[name] / counts['changed']:.1%}" for name in shares)
        rows.append(f"| {kind} | {counts['changed']} | {cells} |")
    return "\n".join(rows)


def between(text: str, name: str, content: str) -> str:
    """Return the text with the content between two marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    head, _, rest = text.partition(begin)
    return f"{head}{begin}{content}\n{end}{rest.partition(end)[2]}"


SHOWN = {
    "answer": ("answer F1", "answer.f1"),
    "sentence": ("intent and slots", "sentence.accuracy"),
    "accuracy": ("accuracy", "accuracy.accuracy"),
    "entity": ("entity F1", "entity.micro.f1"),
}
"""Metric -> name and path of the score that represents a recipe."""


def measured(results: dict[str, dict[str, Any]]) -> str:
    """Return the mean test score and minutes of each recipe that was measured with its own settings, as JSON."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for result in results.values():
        config, *changed = title_of(result).split()
        if all(change.startswith("training.precision=") for change in changed):
            runs.setdefault(config.removeprefix("configs/").removesuffix(".yaml"), []).append(result)
    gates = json.loads((ROOT / "results" / "gate" / "sample.json").read_bytes())["gates"]
    found: dict[str, dict[str, Any]] = {}
    for config, gate in gates.items():
        name = config.removeprefix("configs/").removesuffix(".yaml")
        found[name] = {"score": _shown("test entity F1", gate["test_f1"])}
    for name, own in runs.items():
        split = next((split for split in ("test", "valid") if split in own[0]), None)
        if split is None:
            continue
        kind = next(kind for kind in KNOWN_BY if kind in own[0][split])
        label, path = SHOWN[kind]
        scores = []
        for result in own:
            value = result[split]
            for key in path.split("."):
                value = value[key]
            scores.append(value)
        minutes = sum(map(minutes_of, own)) / len(own)
        found[name] = {"score": _shown(f"{split} {label}", scores), "minutes": round(minutes, 1)}
    return json.dumps(dict(sorted(found.items())), indent=1) + "\n"


def _shown(label: str, scores: list[float]) -> str:
    seeds = f", {len(scores)} seeds" if len(scores) > 1 else ""
    return f"{label} {100 * sum(scores) / len(scores):.1f}{seeds}"


def main() -> int:
    """Write the pages, or compare them with ``--check``."""
    results = load()
    docs, training = ROOT / "docs", ROOT / "results" / "training"
    notes = docs / "notes.md"
    scores = {"calibration": calibration, "robustness": robustness, "suspects": suspects}
    makers = {"regularisation": regularisation, "crashes": crashes, "large": large}
    pages = {
        docs / "results.md": results_page(results),
        ROOT / "configs" / "measured.json": measured(results),
        notes: notes_page(notes, results),
        docs / "training.md": filled(docs / "training.md", makers, training),
        docs / "scores.md": filled(docs / "scores.md", scores, ROOT / "results" / "scores"),
        docs / "data.md": filled(docs / "data.md", {"checks": checks}, ROOT / "results" / "scores"),
        docs / "deploy.md": filled(docs / "deploy.md", {"service": service}, RELIABILITY_RESULTS),
        docs / "reliability.md": reliability_page(
            {path.stem: json.loads(path.read_bytes()) for path in sorted(RELIABILITY_RESULTS.glob("*.json"))}
        ),
    }
    if "--check" in sys.argv:
        return int(any(not path.exists() or path.read_text(encoding="utf-8") != text for path, text in pages.items()))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
