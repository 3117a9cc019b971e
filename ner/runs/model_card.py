"""Model card for the Hugging Face Hub, rendered from the files of a run and the template ``model_card.md.jinja``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ner.data.question_answering import ANSWER_TYPES
from ner.runs.history import BEST_MARK, history_table, markdown_table
from ner.runs.record import Run, read_run, score_at
from ner.runtime import atomic
from ner.runtime.nested import flat
from ner.types import SPLITS

CARD = "README.md"
TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
LIBRARY = "ner-crf"
TASKS = {
    "token-classification": "Token classification",
    "text-classification": "Text classification",
    "question-answering": "Question answering",
}
"""Pipeline tags of the Hub and their names."""
METRICS = {
    "entity.micro.precision": ("precision", "Entity precision"),
    "entity.micro.recall": ("recall", "Entity recall"),
    "entity.micro.f1": ("f1", "Entity F1"),
    "entity.macro.f1": ("f1", "Entity F1 (macro)"),
    "tag.weighted_f1": ("f1", "Tag F1 (weighted)"),
    "tag.accuracy": ("accuracy", "Tag accuracy"),
    "accuracy.accuracy": ("accuracy", "Text accuracy"),
    "accuracy.macro.precision": ("precision", "Class precision (macro)"),
    "accuracy.macro.recall": ("recall", "Class recall (macro)"),
    "accuracy.macro.f1": ("f1", "Class F1 (macro)"),
    "accuracy.weighted.f1": ("f1", "Class F1 (weighted)"),
    "sentence.accuracy": ("accuracy", "Semantic frame accuracy"),
    "answer.exact": ("exact_match", "Answer exact match"),
    "answer.f1": ("f1", "Answer F1"),
}
"""Metric type of the Hub and name of each score that a card shows."""
WORD_RULES = {
    "learned": "Raw text is split into words like the training data; the rules were learned from their words.",
    "space": "Raw text is split into words at white space only; punctuation must be separated as in the training data.",
    "punctuation": "Raw text is split into words at white space and at every punctuation mark.",
    "characters": "Every character that is not white space is a word of its own.",
    "chinese": "Every Chinese character and every punctuation mark is a word of its own; other letters form runs.",
}


def write_card(directory: Path, language: Sequence[str] = (), license: str | None = None) -> Path:
    """Write :func:`model_card` into the run directory and return its path.

    Raises:
        InputError: If the directory is not a run, or the card cannot be written.
    """
    path = directory / CARD
    atomic.write_bytes(path, model_card(directory, language, license).encode())
    return path


def model_card(directory: Path, language: Sequence[str] = (), license: str | None = None) -> str:
    """Return the model card of a run: YAML metadata for the Hub, followed by Markdown.

    Args:
        directory: Run directory.
        language: Language codes such as ``en``; no file of a run contains them.
        license: License of the model as named by the Hub, such as ``mit``; no file of a run contains it.

    Raises:
        InputError: If the directory is not a run.
    """
    from huggingface_hub import ModelCard

    run = read_run(directory)
    card = ModelCard.from_template(
        _metadata(run, language, license),
        template_path=str(TEMPLATE),
        run=run,
        task=_task(run),
        types=run.learned("labels"),
        word_tags=run.learned("tags"),
        classes=run.learned("classes"),
        missing_types=[_code(name) for name in ANSWER_TYPES if name not in (run.labels.get("classes") or {})],
        reads_pieces=any(options.get("model") for _, options in run.encoders),
        ignores_digits=any(options.get("normalize_digits") for _, options in run.encoders if options.get("dimension")),
        word_rule=WORD_RULES.get(
            run.section("data").get("word_split") or ("learned" if run.learned_words else "space")
        ),
        data_table=_data_table(run),
        label_tables=list(_label_tables(run)),
        score_table=_score_table(run),
        detailed_scores=list(_detailed_scores(run)),
        lowest=_lowest(run),
        history=history_table(run.history),
        best_mark=BEST_MARK,
        changes=_table(
            ["step", "epoch", "kind", "change"],
            ([str(event.step), str(event.epoch), event.kind, _code(event.change)] for event in run.events),
        ),
        versions=_table(["", "version"], run.metrics.get("versions", {}).items()),
        environment=list(_environment(run)),
        settings=lambda sections: _table(
            ["key", "value"],
            (
                [_code(key), _setting(value)]
                for key, value in flat({name: run.config.get(name) for name in sections}).items()
                if value is not None
            ),
        ),
        code=_code,
        count=_count,
        number=_number,
    )
    return card.content


def _task(run: Run) -> str:
    """Return one of :data:`TASKS`."""
    if "answers" in run.outputs:
        return "question-answering"
    return "token-classification" if "tags" in run.outputs else "text-classification"


def _metadata(run: Run, language: Sequence[str], license: str | None) -> Any:
    """Return the ``ModelCardData``; scores of a local file are named by the file and its checksum."""
    from huggingface_hub import EvalResult, ModelCardData

    components = [name for name, _ in run.encoders]
    components += [str(run.section(key).get("name")) for key in ("context", "decoder") if run.section(key)]
    results = []
    if run.scored_split is not None:
        file = Path(str(run.section("data").get(run.scored_split) or run.scored_split))
        checksum = run.metrics.get("data", {}).get(run.scored_split)
        results = [
            EvalResult(
                task_type=_task(run),
                task_name=TASKS[_task(run)],
                dataset_type="local-file",
                dataset_name="/".join(file.parts[-2:]),
                dataset_split=run.scored_split,
                dataset_args={"sha256": checksum} if checksum else None,
                metric_type=kind,
                metric_name=name,
                metric_value=round(value, 6),
            )
            for path, (kind, name) in METRICS.items()
            if (value := score_at(run.metrics[run.scored_split], path)) is not None
        ]
    entities = ["named-entity-recognition"] if run.learned("labels") else []
    data = ModelCardData(
        language=list(language) or None,
        license=license,
        library_name=LIBRARY,
        pipeline_tag=_task(run),
        tags=[LIBRARY, *entities, *dict.fromkeys(components)],
        model_name=run.name,
        eval_results=results or None,
    )
    if not results:
        data.model_name = None  # the Hub has this key for results only
    return data


def _data_table(run: Run) -> str:
    checksums = run.metrics.get("data", {})
    rows = []
    for split in SPLITS:
        if path := run.section("data").get(split):
            scored = run.metrics.get(split, {})
            counts = [_number(scored.get("sentences")), _number(scored.get("words"))]
            checksum = _code(checksums[split]) if split in checksums else ""
            rows.append([split, _code("/".join(Path(str(path)).parts[-2:])), *counts, checksum])
    return _table(["split", "file", "sentences", "words", "SHA-256"], rows)


def _label_tables(run: Run) -> Iterator[str]:
    """Yield a table of counts in the training data for each kind of label."""
    headers = {"labels": "entity type", "tags": "tag", "classes": "class"}
    for key, header in {"classes": "answer type"}.items() if "answers" in run.outputs else headers.items():
        if counts := run.learned(key):
            rows = ([_code(name), _number(count)] for name, count in counts.items())
            yield _table([header, "in the training data"], rows)


def _score_table(run: Run) -> str:
    """Return the scores of all splits side by side."""
    splits = [split for split in SPLITS if isinstance(run.metrics.get(split), Mapping)]
    rows = []
    for path, name in {"loss": "Loss", **{path: name for path, (_, name) in METRICS.items()}}.items():
        values = [score_at(run.metrics[split], path) for split in splits]
        if any(value is not None for value in values):
            rows.append([name, *map(_number, values)])
    return _table(["", *splits], rows)


def _detailed_scores(run: Run) -> Iterator[tuple[str, str]]:
    """Yield tables for the types, classes, tags and document groups of the split that represents the model."""
    scores = run.metrics[run.scored_split] if run.scored_split else {}
    for kind, by_label in (
        ("type", scores.get("entity", {}).get("by_type", {})),
        ("class", scores.get("accuracy", {}).get("by_label", {})),
        ("tag", {tag: {"f1": value} for tag, value in scores.get("tag", {}).get("f1", {}).items()}),
    ):
        if by_label:
            columns = list(dict.fromkeys(column for figures in by_label.values() for column in figures))
            rows = (
                [_code(name), *(_number(figures.get(key)) for key in columns)] for name, figures in by_label.items()
            )
            yield kind, _table([kind, *columns], rows)
    for field, groups in scores.get("by", {}).items():
        paths = [path for path in METRICS if any(score_at(group, path) is not None for group in groups.values())]
        rows = (
            [_code(value), _number(group.get("sentences")), *(_number(score_at(group, path)) for path in paths)]
            for value, group in groups.items()
        )
        yield field, _table([field, "count", *(METRICS[path][1] for path in paths)], rows)


def _lowest(run: Run) -> tuple[str, float] | None:
    """Return the type or class with the lowest F1, if there are several."""
    scores = run.metrics[run.scored_split] if run.scored_split else {}
    by_label = scores.get("entity", {}).get("by_type") or scores.get("accuracy", {}).get("by_label") or {}
    values = {name: value for name, figures in by_label.items() if (value := score_at(figures, "f1")) is not None}
    return min(values.items(), key=lambda item: item[1]) if len(values) > 1 else None


def _environment(run: Run) -> Iterator[str]:
    for key in ("device", "threads", "crf_backend"):
        if run.metrics.get(key):
            yield f"{key.replace('crf_', 'CRF ')} {run.metrics[key]}"
    if isinstance(run.metrics.get("seconds"), (int, float)):
        yield f"{run.metrics['seconds']:.0f} seconds in all"


def _setting(value: Any) -> str:
    return _code(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    return markdown_table(header, [dict(zip(header, map(str, row), strict=True)) for row in rows])


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _count(names: Mapping[str, Any], one: str, many: str | None = None) -> str:
    listed = f" ({', '.join(_code(name) for name in sorted(names))})" if len(names) <= 12 else ""
    return f"{len(names)} {one if len(names) == 1 else many or one + 's'}{listed}"


def _code(text: object) -> str:
    """Return text as inline code of Markdown."""
    inner = " ".join(str(text).split())
    return f"`` {inner} ``" if "`" in inner else f"`{inner}`"
