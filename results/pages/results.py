"""``docs/results.md``: a table for each task, then the details of each training."""

from __future__ import annotations

from typing import Any

from pages.recorded import at, kind_of, mean_and_deviation, minutes_of, percent, title_of

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
2018; 50.2 as reproduced by eznlp), 56.8 with further features, bigrams among them (57.2 as reproduced), and 70.0 on
CLUENER (macro average on the test file, whose labels are not public; our score is for the dev file). The dev file of
CLUENER is not used in training: the number of epochs is fixed.""",
    "Text classification": """\
Of the 1,200 test texts of ChnSentiCorp, 331 occur in the training file character by character and 333 word by word, so
867 are unseen. Only the accuracy on unseen texts measures generalization.""",
    "Joint intent and slot filling": """\
The published result for ATIS is JointBERT: 96.1 slots, 97.5 intent, 88.2 both (Chen et al., 2019). An intent or slot
that does not occur in the training file counts as an error; `a#b` is a class of its own.""",
}
"""Heading -> published results and their comparability."""


ONE_RECIPE_TEXT = """\
`configs/conll2003/bilstm_crf.yaml` was trained on other corpora without a change of its settings, one seed each:
only the files, their format and the splitting into characters were given. It has no pretrained vectors and no
pretrained encoder. The other columns are the test entity F1 of the corpus's own recipes, means over their seeds."""


def results_page(results: dict[str, dict[str, Any]], unchanged: dict[str, dict[str, Any]]) -> str:
    """Return the page: a table per task, one recipe on other corpora, then the details of each result."""
    lines = [INTRODUCTION]
    for title, (metric, columns) in TABLES.items():
        chosen = [result for result in results.values() if kind_of(result) == metric]
        if chosen:
            header = ["configuration", "seed", "epoch", *columns, "minutes"]
            lines += ["", f"## {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
            lines += [*rows_of(chosen, list(columns.values())), *(["", PUBLISHED[title]] if title in PUBLISHED else [])]
    lines += one_recipe_section(results, unchanged)
    lines += ["", "## Details", ""]
    for name, result in results.items():
        lines += details_of(name, result)
    return "\n".join(lines).rstrip() + "\n"


def one_recipe_section(results: dict[str, dict[str, Any]], unchanged: dict[str, dict[str, Any]]) -> list[str]:
    """Return the section that compares one recipe on several corpora with the recipes of each corpus.

    Args:
        results: Results of the recipes.
        unchanged: Results of the recipe by corpus, the folder of the corpus's own recipes.
    """
    if not unchanged:
        return []
    path = "test.entity.micro.f1"
    means: dict[str, float] = {}
    for title in {title_of(result) for result in results.values()}:
        scores = [at(result, path) for result in results.values() if title_of(result) == title]
        known = [score for score in scores if score is not None]
        if known:
            means[title] = 100 * sum(known) / len(known)
    lines = ["", "## One recipe on other corpora", "", ONE_RECIPE_TEXT, ""]
    lines += ["| corpus | unchanged | tuned for the corpus | recipe | difference |", "|---|---|---|---|---|"]
    for corpus, result in sorted(unchanged.items()):
        score = at(result, path)
        assert score is not None, f"{corpus} has no {path}"
        tuned = {name: f1 for name, f1 in means.items() if name.startswith(f"configs/{corpus}/")}
        assert tuned, f"no recipe of {corpus} was measured"
        for name, f1 in sorted(tuned.items()):
            lines.append(f"| {corpus} | {100 * score:.2f} | {f1:.2f} | `{name}` | {100 * score - f1:+.2f} |")
    return lines


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
    if "note" in result:
        lines.append(f"- {result['note']}")
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
