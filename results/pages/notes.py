"""``docs/notes.md``: the tables and logs of the experiment notes beside their reproduction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pages.recorded import ROOT, at, between, filled, spread, title_of

TAGS = ("B-LOC", "B-MISC", "B-ORG", "B-PER", "I-LOC")

# Validation scores of the program used in the experiment notes, on the same files and settings, counted in two ways.
NOTES_MEAN = {"B-LOC": 0.300, "B-MISC": 0.140, "B-ORG": 0.200, "B-PER": 0.240, "I-LOC": 0.043, "weighted": 0.927}

NOTES_SPLIT = {"B-LOC": 0.833, "B-MISC": 0.761, "B-ORG": 0.620, "B-PER": 0.786, "I-LOC": 0.749, "weighted": 0.935}

NOTES_ENTITY = {"valid": 0.687, "test": 0.591}

NOTES_TEST = {"mean": 0.875, "split": 0.909}


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
                cells.append(spread([s["weighted_f1"] if tag == "weighted" else s["f1"].get(tag, 0.0) for s in scores]))
        lines.append(f"| {'weighted F1' if tag == 'weighted' else 'F1 ' + tag} | {' | '.join(cells)} |")
    for split in ("valid", "test"):
        cells = ["", f"{NOTES_ENTITY[split]:.3f}"]
        for runs in groups.values():
            cells += ["", spread([run[split]["entity"]["micro"]["f1"] for run in runs])]
        lines.append(f"| entity micro F1, {split} | {' | '.join(cells)} |")
    cells = [f"{NOTES_TEST['mean']:.3f}", f"{NOTES_TEST['split']:.3f}"]
    for runs in groups.values():
        cells += [spread([run["test"][metric]["weighted_f1"] for run in runs]) for metric in ("notes", "tag")]
    lines.append(f"| weighted F1, test | {' | '.join(cells)} |")
    return "\n".join(lines)


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


MIDDLE = {
    "none": ("none", 104_634_630),
    "bilstm": ("BiLSTM", 109_299_207),
    "rtransformer": ("R-Transformer", 125_246_727),
}
"""Context layer -> its title and the parameter count of the whole model in the notes."""


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
