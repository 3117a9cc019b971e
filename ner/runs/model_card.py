"""A model card for the Hugging Face Hub, from the files of a run alone: what no file says, the card does not say."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ner.data.question_answering import ANSWER_TYPES
from ner.runs.history import BEST_MARK, history_table, markdown_table
from ner.runs.record import Run, read_run
from ner.runtime import atomic
from ner.types import SPLITS

CARD = "README.md"
TASKS = {
    "token-classification": "Token classification",
    "text-classification": "Text classification",
    "question-answering": "Question answering",
}
"""What models do as the Hub calls it, and for people."""
LIBRARY = "ner-crf"
METRICS = {
    "entity.micro.precision": ("precision", "Precision of entities"),
    "entity.micro.recall": ("recall", "Recall of entities"),
    "entity.micro.f1": ("f1", "F1 of entities"),
    "entity.macro.f1": ("f1", "F1 of entities, mean of the types"),
    "tag.weighted_f1": ("f1", "F1 of tags, weighted"),
    "tag.accuracy": ("accuracy", "Accuracy of tags"),
    "accuracy.accuracy": ("accuracy", "Accuracy of texts"),
    "accuracy.macro.precision": ("precision", "Precision of classes, mean"),
    "accuracy.macro.recall": ("recall", "Recall of classes, mean"),
    "accuracy.macro.f1": ("f1", "F1 of classes, mean"),
    "accuracy.weighted.f1": ("f1", "F1 of classes, weighted"),
    "sentence.accuracy": ("accuracy", "Sentences with everything right"),
    "answer.exact": ("exact_match", "Exact match of answers"),
    "answer.f1": ("f1", "F1 of answers"),
}
"""Scores that the Hub shows: its type of each, and a name."""
WORDS = {
    "space": "Raw text is split into words at white space alone: punctuation must stand apart as in the data.",
    "punctuation": "Raw text is split into words at white space and at every punctuation mark.",
    "characters": "Every character that is not white space is a word of its own.",
    "chinese": "Every Chinese character and every punctuation mark is a word of its own; other letters form runs.",
}


def write_card(directory: Path, language: Sequence[str] = (), license: str | None = None) -> Path:
    """Write :func:`model_card` into its run directory; gives the path.

    Raises:
        InputError: If the directory is no run, or cannot be written to.
    """
    path = directory / CARD
    atomic.write_bytes(path, model_card(directory, language, license).encode())
    return path


def model_card(directory: Path, language: Sequence[str] = (), license: str | None = None) -> str:
    """The card of a run: YAML that the Hub reads, Markdown for people.

    Args:
        directory: Of the run.
        language: Codes of the languages (``en``), which no file of a run knows.
        license: Of the model, as the Hub names it (``mit``), which no file of a run knows.

    Raises:
        InputError: If the directory is no run.
    """
    run = read_run(directory)
    sections: dict[str, Callable[[Run], str]] = {
        "Model": _model,
        "Data": _data,
        "Labels": _labels,
        "Hyper-parameters": _settings,
        "Scores": _scores,
        "Epochs": _epochs,
        "Changes while it trained": _changes,
        "Limits": _limits,
        "Versions": _versions,
        "Reproduce": _reproduce,
        "Use": _use,
    }
    body = "".join(f"\n## {title}\n\n{text}" for title, section in sections.items() if (text := section(run)))
    return f"---\n{_front_matter(run, language, license)}\n---\n\n# {run.name}\n\n{_purpose(run)}\n{body}"


def _front_matter(run: Run, language: Sequence[str], license: str | None) -> str:
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        language=list(language) or None,
        license=license,
        library_name=LIBRARY,
        pipeline_tag=_task(run),
        tags=[LIBRARY, *(["named-entity-recognition"] if _finds_entities(run) else []), *_parts(run)],
        model_name=run.name,
        eval_results=_eval_results(run) or None,
    )
    if data.eval_results is None:
        data.model_name = None  # belongs to the results; the Hub has no such key
    return data.to_yaml()


def _task(run: Run) -> str:
    """One of :data:`TASKS`."""
    if "answers" in run.gives:
        return "question-answering"
    return "token-classification" if "tags" in run.gives else "text-classification"


def _finds_entities(run: Run) -> bool:
    return bool(run.known("labels"))


def _parts(run: Run) -> list[str]:
    """Names of the parts, without repeats."""
    names = [name for name, _ in run.encoders]
    names += [str(part["name"]) for key in ("context", "decoder") if (part := run.section(key))]
    return list(dict.fromkeys(names))


def _eval_results(run: Run) -> list[Any]:
    from huggingface_hub import EvalResult

    if run.scored is None:
        return []
    file = Path(str(run.section("data").get(run.scored) or run.scored))
    checksum = run.metrics.get("data", {}).get(run.scored)
    return [
        EvalResult(
            task_type=_task(run),
            task_name=TASKS[_task(run)],
            dataset_type="local-file",  # the run knows a file and its checksum, not whether the Hub has it too
            dataset_name="/".join(file.parts[-2:]),
            dataset_split=run.scored,
            dataset_args={"sha256": checksum} if checksum else None,
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 6),
        )
        for path, (kind, name) in METRICS.items()
        if (value := _at(run.metrics[run.scored], path)) is not None
    ]


def _at(scores: Mapping[str, Any], path: str) -> float | None:
    """The finite figure at a path, if there is one."""
    found: Any = scores
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, (int, float)) and math.isfinite(found) else None


def _purpose(run: Run) -> str:
    """One sentence for those who read no further."""
    if _task(run) == "question-answering":
        own = "in words of its own" if run.section("decoder").get("name") == "generator" else "with a stretch of it"
        return f"This model answers questions about a passage, {own}, or with yes, no or unknown."
    kinds = {key: run.known(key) for key in ("labels", "tags", "classes")}
    does = []
    if kinds["labels"]:
        does.append(f"finds entities of {_count(kinds['labels'], 'type')} in text")
    if kinds["tags"]:
        does.append(f"gives each word one of {_count(kinds['tags'], 'tag')}")
    if kinds["classes"]:
        which = "those that apply" if run.section("decoder").get("several") else "one"
        does.append(f"gives each text {which} of {_count(kinds['classes'], 'class', 'classes')}")
    return f"This model {' and '.join(does) or 'labels text'}."


def _count(names: Mapping[str, Any], one: str, many: str | None = None) -> str:
    listed = f" ({', '.join(_code(name) for name in sorted(names))})" if len(names) <= 12 else ""
    return f"{len(names)} {one if len(names) == 1 else many or one + 's'}{listed}"


def _code(text: object) -> str:
    """Text that Markdown leaves as it is."""
    inner = " ".join(str(text).split())
    return f"`` {inner} ``" if "`" in inner else f"`{inner}`"


def _model(run: Run) -> str:
    encoder = run.section("encoder")
    members = [f"`{name}`{_pretrained(part)}" for name, part in run.encoders]
    joined = f"`{encoder['name']}` of " if len(members) > 1 else ""
    lines = [f"- Encoder, from words to vectors: {joined}{' and '.join(members)}"]
    context, decoder = run.section("context"), run.section("decoder")
    lines.append(f"- Context, a layer over them: {_code(context['name']) if context else 'none'}")
    if decoder:
        scheme = f", tags in the scheme {_code(decoder['scheme'])}" if decoder.get("scheme") else ""
        lines.append(f"- Decoder, from vectors to labels: {_code(decoder['name'])}{scheme}")
    keys = ("unit", "encoder", "context", "decoder", "windows")
    return "\n".join(lines) + "\n\n" + _table_of_settings(run, keys)


def _pretrained(part: Mapping[str, Any]) -> str:
    """From which weights an encoder started."""
    found = [f"{key} {_code(part[key])}" for key in ("model", "vectors") if part.get(key)]
    return f" (started from {', '.join(found)})" if found else ""


def _settings(run: Run) -> str:
    monitor = run.section("training").get("select")
    kept = run.metrics.get("epoch")
    note = f"Kept: epoch {kept}" + (f" (`training.select={monitor}`)" if monitor else "") + ".\n\n" if kept else ""
    return note + _table_of_settings(run, ("batch", "training", "processes"))


def _table_of_settings(run: Run, sections: Sequence[str]) -> str:
    pairs = [pair for section in sections for pair in _leaves(section, run.config.get(section))]
    return markdown_table(["key", "value"], [{"key": _code(key), "value": _code(value)} for key, value in pairs])


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Keys that are set, by their path."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _leaves(f"{path}.{key}", below)
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _data(run: Run) -> str:
    data = run.section("data")
    sums = run.metrics.get("data", {})
    rows = []
    for split in SPLITS:
        if not data.get(split):
            continue
        scored = run.metrics.get(split, {})
        rows.append(
            {
                "split": split,
                "file": _code("/".join(Path(str(data[split])).parts[-2:])),
                "sentences": _number(scored.get("sentences")),
                "words": _number(scored.get("words")),
                "SHA-256": _code(sums[split]) if split in sums else "",
            }
        )
    form = data.get("format")
    known = f"Read as {_code(form['name'])} files.\n\n" if isinstance(form, Mapping) and form.get("name") else ""
    return known + markdown_table(["split", "file", "sentences", "words", "SHA-256"], rows)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,}"


def _labels(run: Run) -> str:
    tables = []
    columns = {"labels": "entity type", "tags": "tag", "classes": "class"}
    if _task(run) == "question-answering":
        columns = {"classes": "kind of answer"}
    for key, column in columns.items():
        counts = run.known(key)
        if counts:
            header = [column, "in the training data"]
            rows = [dict(zip(header, (_code(name), _number(count)), strict=True)) for name, count in counts.items()]
            tables.append(markdown_table(header, rows))
    return "\n".join(tables)


def _scores(run: Run) -> str:
    """All splits side by side, then each type, class and tag of the split that speaks for the model."""
    splits = [split for split in SPLITS if isinstance(run.metrics.get(split), Mapping)]
    if run.scored is None:
        return "This run has not been scored on held-out data.\n"
    rows = []
    for path, name in {"loss": "Loss", **{path: name for path, (_, name) in METRICS.items()}}.items():
        values = {split: _at(run.metrics[split], path) for split in splits}
        if any(value is not None for value in values.values()):
            rows.append({"": name, **{split: _share(value) for split, value in values.items()}})
    text = markdown_table(["", *splits], rows)
    scores = run.metrics[run.scored]
    for kind, figures in (
        ("type", scores.get("entity", {}).get("by_type", {})),
        ("class", scores.get("accuracy", {}).get("by_label", {})),
    ):
        if figures:
            columns = list(dict.fromkeys(key for found in figures.values() for key in found))
            table = [
                {kind: _code(name), **{key: _share(value) for key, value in found.items()}}
                for name, found in figures.items()
            ]
            text += f"\nEach {kind} on {run.scored}:\n\n{markdown_table([kind, *columns], table)}"
    tags = scores.get("tag", {}).get("f1", {})
    if tags:
        by_tag = [{"tag": _code(tag), "f1": _share(value)} for tag, value in tags.items()]
        text += f"\nEach tag on {run.scored}:\n\n{markdown_table(['tag', 'f1'], by_tag)}"
    for field, values in scores.get("by", {}).items():
        paths = [path for path in METRICS if any(_at(found, path) is not None for found in values.values())]
        by_value = [
            {field: _code(value), "count": _number(found.get("sentences"))}
            | {METRICS[path][1]: _share(_at(found, path)) for path in paths}
            for value, found in values.items()
        ]
        header = [field, "count", *(METRICS[path][1] for path in paths)]
        text += f"\nEach {field} on {run.scored}:\n\n{markdown_table(header, by_value)}"
    return text


def _share(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _epochs(run: Run) -> str:
    if not run.history:
        return ""
    note = f"Scores are those of the validation split; {BEST_MARK} marks an epoch better than all before."
    return f"{note}\n\n{history_table(run.history)}"


def _changes(run: Run) -> str:
    header = ["step", "epoch", "kind", "change"]
    rows = [
        dict(zip(header, (str(event.step), str(event.epoch), event.kind, _code(event.change)), strict=True))
        for event in run.events
    ]
    return markdown_table(header, rows) if rows else ""


def _limits(run: Run) -> str:
    """What follows from the configuration and the scores, and nothing else."""
    return "".join(f"- {text}\n" for text in _statements(run))


def _statements(run: Run) -> Iterator[str]:
    sentences = run.metrics.get("train", {}).get("sentences")
    asks = _task(run) == "question-answering"
    kind = {"question-answering": "questions", "text-classification": "texts"}.get(_task(run), "sentences")
    learned = f"It has learned from {sentences:,} {kind} of one file" if sentences else "It has learned from one file"
    yield f"{learned}; of text of another kind, time or language the scores above say nothing."
    if asks:
        yield from _statements_on_answers(run)
    elif run.known("labels"):
        yield f"It knows {_count(run.known('labels'), 'entity type')}; anything else is missed or called one of them."
        if run.section("decoder").get("name") in ("crf", "softmax"):
            yield "A word belongs to one entity at most: nested and overlapping entities cannot be found."
    elif run.known("tags"):
        yield f"It knows {_count(run.known('tags'), 'tag')}, those of the training data, and no others."
    if run.known("classes") and not asks:
        other = "may get any or none" if run.section("decoder").get("several") else "gets one"
        known = _count(run.known("classes"), "class", "classes")
        yield f"It knows {known}; a text that belongs to none of them {other} of them all the same."
    rule = WORDS.get(str(run.section("data").get("words")))
    if rule:
        yield rule
    if run.lowercase:
        yield f"Small and capital letters are the same for {' and '.join(run.lowercase)}."
    if any(part.get("digits") for name, part in run.encoders if part.get("dimension")):
        yield "Its table of words does not tell one digit from another."
    yield from _statements_on_windows(run)
    yield from _statements_on_scores(run)


def _statements_on_answers(run: Run) -> Iterator[str]:
    decoder, windows = run.section("decoder"), run.section("windows")
    if decoder.get("max_answer_length"):
        longest = decoder["max_answer_length"]
        yield f"An answer from the passage has {longest} words at most, and is taken from it as it stands."
    if windows.get("max_query_length") and any(part.get("model") for _, part in run.encoders):
        yield f"Of a question with the turns before it, the last {windows['max_query_length']} word pieces are read."
    missing = [kind for kind in ANSWER_TYPES if kind not in (run.labels.get("classes") or {})]
    if missing:
        yield f"It has never been shown an answer of the kind {' or '.join(map(_code, missing))}."


def _statements_on_windows(run: Run) -> Iterator[str]:
    windows = run.section("windows")
    if not any(part.get("model") for _, part in run.encoders):
        return  # only encoders of word pieces have a limit
    length = windows.get("max_length")
    limit = f"{length} word pieces" if length else "as many word pieces as its encoder was made for"
    yield f"It reads {limit} at once; a longer sentence is read in overlapping parts."
    if windows.get("unit") == "document":
        yield (
            "Neighbouring sentences of a document are read together, so the answer for a sentence depends on those "
            "around it; sentences given one by one may get other answers."
        )


def _statements_on_scores(run: Run) -> Iterator[str]:
    if run.scored is None:
        return
    if "seed" in run.metrics:
        yield f"The scores are those of one training (seed {run.metrics['seed']}); how much they vary is not known."
    if run.scored == "valid":
        yield "There was no test file; the validation scores may have chosen the epoch and are then too high."
    scores = run.metrics[run.scored]
    types = scores.get("entity", {}).get("by_type") or scores.get("accuracy", {}).get("by_label") or {}
    found = {name: value for name, scores in types.items() if (value := _at(scores, "f1")) is not None}
    if len(found) > 1:
        worst = min(found, key=lambda name: found[name])
        yield f"It is weakest at {_code(worst)}: F1 {found[worst]:.4f} on {run.scored}."


def _versions(run: Run) -> str:
    versions = run.metrics.get("versions", {})
    rows = [{"": name, "version": str(version)} for name, version in versions.items()]
    where = [f"{key} {run.metrics[key]}" for key in ("device", "threads", "kernel") if run.metrics.get(key)]
    if isinstance(run.metrics.get("seconds"), (int, float)):
        where.append(f"{run.metrics['seconds']:.0f} seconds in all")
    text = markdown_table(["", "version"], rows) if rows else ""
    return text + (f"\nTrained on: {', '.join(where)}.\n" if where else "")


def _reproduce(run: Run) -> str:
    command = run.metrics.get("command")
    if not command:
        return ""
    text = f"With the data and versions above:\n\n```sh\n{command}\n```\n"
    if any(event.kind == "control" for event in run.events):
        text += "\nWith the changes that were made while it trained, each at its step:\n\n"
        text += "```sh\nner replay --run DIR\n```\n"
    return text


def _use(run: Run) -> str:
    text, form = "Some text .", "text"
    answered = f'document = tagger.tag("{text}")\nfor example in document.examples:\n    print('
    if _task(run) == "question-answering":
        text, form = '{"question": "Who came?", "text": "Somebody came."}', "jsonl"
        answered = 'example = tagger.answer("Who came?", "Somebody came.")\nprint('
        shown = "example.answers, example.scores"
    elif _task(run) == "text-classification":
        shown = "example.text, example.labels"
    else:
        shown = "example.words, example.tags, example.entities()"
    return f"""\
`DIR` is the directory of this card, which holds the whole model.

```sh
python evaluate.py --run DIR
echo '{text}' | ner predict --run DIR --format {form}
```

```python
import ner

tagger = ner.load("DIR")
{answered}{shown})
```
"""
