"""What does not fit together is refused in one sentence, before anything is learned or written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import ner
from ner.commands import evaluate, predict, train
from ner.config.load import read_yaml
from ner.config.parts import component_names, load_component, parse_component, validate
from ner.config.schema import RunConfig
from ner.data import tasks
from ner.data.question_answering import ANSWER, EVIDENCE
from ner.data.statistics import DocumentStatistics, notable
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.evaluation.evaluation import Evaluation
from ner.evaluation.scorer import Scorer
from ner.training.epoch_record import EpochRecord
from ner.types import Document, Example, Span
from tests.builders import build
from tests.conftest import ROOT, SAMPLE

REVIEWS, INTENT = SAMPLE / "reviews", SAMPLE / "intent" / "valid"
SMALL = ["encoder={name: embedding, dimension: 8}", "context=null", "training.epochs=1", "training.keep_epoch=last"]


def refused(capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], int], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def trained(directory: Path, config: str, folder: Path, *options: str) -> int:
    ending = folder.suffix and f"/train{folder.suffix}"
    path = str(folder.parent) + ending if ending else str(folder)
    files = [f"data.{split}={path}" for split in ("train", "valid", "test")]
    return train.main(["--config", str(ROOT / config), "--run", str(directory), *files, *SMALL, *options])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("fit") / "classifier"
    assert trained(run, "configs/classifier.yaml", REVIEWS / "x.tsv") == 0
    return run


@pytest.mark.parametrize("decoder", component_names("decoders"))
@pytest.mark.parametrize("form", component_names("formats"))
def test_a_form_takes_what_it_has_a_place_for_and_names_others(decoder: str, form: str) -> None:
    if tasks.decoder_outputs(decoder) <= load_component("formats", form).STORES:
        return tasks.check_format(decoder, form)
    with pytest.raises(
        InputError, match=f"^--format: the decoder {decoder} predicts .* but {form} files cannot store"
    ) as e:
        tasks.check_format(decoder, form, "--format")
    assert "jsonl" in str(e.value).partition("choose")[2]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["conll", "squad", "coqa"])
def test_a_classifier_writes_no_files_of_another_task(
    classifier: Path, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_text("a O\n", encoding="utf-8")
    options = ["--run", str(classifier), "--format", form, "--input", str(source), "--output", str(target)]
    error = refused(capsys, predict.main, *options)
    assert f"--format: the decoder classifier predicts labels of texts, but {form} files cannot store labels" in error
    choice = error.partition("choose ")[2]
    assert all(name in choice for name in ("jsonl", "slot_filling", "text", "tsv"))
    assert form not in choice
    assert not target.exists()


@pytest.mark.parametrize("form", ["tsv", "squad"])
def test_a_tagger_writes_no_files_of_another_task(
    tiny_run: Path, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, predict.main, "--run", str(tiny_run), "--format", form, "--output", str(tmp_path / "out"))
    assert "predicts tags of words" in error


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "what"), [("classifier", "labels of texts"), ("tiny_run", "tags of words")])
def test_a_question_is_not_taken_for_a_text(
    kind: str, what: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "Lund"}\n{"question": "Where ?", "text": "Lund"}\n', encoding="utf-8")
    options = ["--run", str(request.getfixturevalue(kind)), "--format", "jsonl", "--input", str(source)]
    error = refused(capsys, predict.main, *options, "--output", str(target))
    assert "in.jsonl:2: expected a text alone, of which the decoder" in error
    assert f"predicts {what}, found a question about a text; remove the question" in error
    assert not target.exists()


def test_models_without_questions_answer_none(classifier: Path, tiny_run: Path) -> None:
    for run in (classifier, tiny_run):
        with pytest.raises(TypeError, match="decoder"):
            ner.load(run).answer("Who?", "Ada")


def test_a_run_whose_files_do_not_fit_is_not_scored(
    classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_component("formats", "tsv"), "STORES", frozenset({"answers"}))
    error = refused(capsys, evaluate.main, "--run", str(classifier), "--predictions", str(tmp_path / "out"))
    assert "config.data.format: the decoder classifier predicts labels of texts, but tsv files cannot store" in error


@pytest.mark.parametrize(
    ("config", "folder", "options", "message"),
    [
        (
            "configs/classifier.yaml",
            REVIEWS / "x.tsv",
            ["decoder=extractive_qa", "metrics=[answer]"],
            "config.data.format: the decoder extractive_qa predicts answers to questions, but tsv files cannot store "
            "answers to questions; choose coqa, jsonl or squad",
        ),
        ("configs/classifier.yaml", REVIEWS / "x.tsv", ["decoder=crf"], "tsv files cannot store tags of words"),
        ("configs/classifier.yaml", REVIEWS / "x.tsv", ["decoder=joint"], "tsv files cannot store tags of words;"),
        (
            "configs/notes/intent.yaml",
            INTENT,
            ["data.format.tags=null"],
            f"{INTENT}: the decoder joint learns tags of words and labels of texts, but no example has tags of words; "
            "choose classifier as decoder, or see data.format",
        ),
        ("configs/notes/intent.yaml", INTENT, ["decoder=crf", "data.format.tags=null"], "config.metrics: accuracy"),
        (
            "configs/convqa/minilm.yaml",
            SAMPLE / "convqa" / "x.json",
            ["decoder=crf", "metrics=[entity]"],
            "coqa files cannot store tags of words; choose ",
        ),
        (
            "configs/classifier.yaml",
            REVIEWS / "x.tsv",
            ["metrics=[accuracy, answer]"],
            "config.metrics: answer requires answers to questions, but the decoder classifier predicts labels of "
            "texts; choose from accuracy and sentence",
        ),
    ],
)
def test_what_cannot_be_learned_or_scored_is_refused_before_training(
    config: str, folder: Path, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["metrics=[entity, accuracy, sentence]", "data.format.tags=seq.out"] if folder == INTENT else []
    more = ["training.monitor=loss"] if not any(option.startswith("training.monitor") for option in options) else []
    assert trained(tmp_path / "run", config, folder, *first, *more, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_answers_that_stand_nowhere_cannot_be_pointed_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "train.jsonl"
    line = {"question": "Who came?", "text": "Maren came.", "answers": ["Tilda"]}
    data.write_text(json.dumps(line) + "\n", encoding="utf-8")
    options = ["data.format=jsonl", "score_by=[]", "training.monitor=loss"]
    assert trained(tmp_path / "run", "configs/convqa/minilm.yaml", data, *options) == 2
    assert (
        f"{data}: no example contains a target of the decoder (1 questions whose answer does not occur in the "
        "passage); see decoder and data.format" in capsys.readouterr().err
    )
    data.write_text(data.read_text() + json.dumps({**line, "answers": ["Maren"]}) + "\n", encoding="utf-8")
    assert trained(tmp_path / "run", "configs/convqa/minilm.yaml", data, *options) == 0


def test_a_test_file_without_gold_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tmp_path / "new.tsv"
    test.write_text("text_a\n房间很干净\n", encoding="utf-8")
    assert trained(tmp_path / "run", "configs/classifier.yaml", REVIEWS / "x.tsv", f"data.test={test}") == 2
    assert (
        f"config.metrics: accuracy has nothing to score in {test}, where no example has labels"
        in capsys.readouterr().err
    )


def test_a_file_without_any_entity_has_something_to_count(tmp_path: Path) -> None:
    plain = [Document([Example(["a"], tags=["O"])])]
    tasks.check_scored("crf", ["entity", "tag"], plain, "file")
    scorer = Scorer(["entity"])
    scorer.add(plain[0].examples, plain[0].examples)
    assert scorer.result().scores["entity"]["micro"]["f1"] == 0.0


@pytest.mark.parametrize(("decoder", "path"), [("classifier", "config.decoder"), ("joint", "config.decoder.classes")])
def test_labels_that_would_be_lost_are_refused_with_their_place(decoder: str, path: str, tmp_path: Path) -> None:
    raw = {"data": {"train": "a", "valid": "a"}, "encoder": "embedding", "decoder": decoder}
    two = Example(["a"], [Span(0, 1, "c")], ["B-c"], labels=["x", "y"], source="a", line=7)
    with pytest.raises(InputError, match=rf"a:7: expected one label, found 2 \(x, y\), as {path}.multi_label is false"):
        build(validate(RunConfig, raw), [Document([two])])
    key = {"classifier": {"multi_label": True}, "joint": {"classes": {"multi_label": True}}}[decoder]
    assert (
        build(validate(RunConfig, {**raw, "decoder": {"name": decoder, **key}}), [Document([two])]).single_label_at
        is None
    )


def test_a_metric_that_has_counted_nothing_has_no_scores() -> None:
    scorer = Scorer(["answer", "accuracy"], by=["kind"])
    question = Example(["who", "Ada"], labels=["good"], metadata={"kind": "b"})
    scorer.add([question], [question])
    result = scorer.result()
    assert result.scores.keys() == {"accuracy"}
    assert "answer" not in result.to_json("test")
    assert not any("answer" in line for line in result.lines("test"))


def test_the_history_has_no_column_of_what_was_not_counted() -> None:
    row = EpochRecord(1, 5, 8, 4, True, {"all": 0.1}, {"train": Evaluation(0.5, 0, 0, {})}).history_row()
    assert row["train.loss"] == row["avg_train_loss"] == 0.5
    assert not {"accuracy", "f1", "train.answer.exact"} & row.keys()


def test_kinds_of_answers_are_never_new() -> None:
    asked = Example(
        ["who", "Ada"], labels=["unknown"], spans=[Span(1, 2, EVIDENCE), Span(1, 2, ANSWER)], query_length=1
    )
    labelled = Example(["who"], labels=["unknown"])
    tally = DocumentStatistics()
    tally.add(Document([asked, asked, labelled]))
    assert notable(vars(tally), Vocabs()) == {"unseen_labels": {"unknown": 1}}


@pytest.mark.slow
def test_texts_whose_label_nobody_knows_are_counted_and_not_scored(
    classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "some.tsv", tmp_path / "scores.json"
    rows = (REVIEWS / "train.tsv").read_text(encoding="utf-8").splitlines()
    cut = [row.split("\t", 1)[1] for row in rows[2:4]]
    source.write_text("\n".join([*rows[:2], *(f"\t{rest}" for rest in cut)]) + "\n", encoding="utf-8")
    options = ["--run", str(classifier), "--data", str(source), "--predictions", str(tmp_path / "out.tsv")]
    assert evaluate.main([*options, "--json", str(target)]) == 0
    assert "some: 2 texts without a label, which are not scored" in capsys.readouterr().out
    found = json.loads(target.read_bytes())["accuracy"]
    assert sum(label["gold"] for label in found["by_label"].values()) == 1
    assert sum(label["predicted"] for label in found["by_label"].values()) == 1
    assert found["accuracy"] in (0, 1)


@pytest.mark.parametrize(("several", "counted"), [(False, 1), (True, 2)])
def test_none_is_an_answer_only_where_several_may_be_given(several: bool, counted: int) -> None:
    raw = {"data": {"train": "a", "valid": "a"}, "encoder": "embedding"}
    config = validate(RunConfig, {**raw, "decoder": {"name": "classifier", "multi_label": several}})
    gold = [Example(["a"], labels=["x"]), Example(["b"])]
    model = build(config, [Document(gold)])
    for metric, key in (("accuracy", "texts"), ("sentence", "sentences")):
        assert load_component("metrics", metric).count(model.mark_unlabelled(gold), gold)[key] == counted
    assert gold[1].labels == []
    assert model.mark_unlabelled(gold)[1].labels == ([] if several else None)


@pytest.mark.slow
def test_nothing_unseen_is_a_count_and_no_score(
    classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "scores.json"
    train_file = read_yaml((classifier / "config.yaml").read_text(encoding="utf-8"), "config")["data"]["train"]
    options = ["--run", str(classifier), "--data", train_file, "--predictions", str(tmp_path / "out.tsv"), "--unseen"]
    assert evaluate.main([*options, "--json", str(target)]) == 0
    out = capsys.readouterr().out
    assert "train: 0 of 300 sentences are unseen" in out
    assert "train unseen" not in out
    assert json.loads(target.read_bytes())["unseen"] == {"sentences": 0, "words": 0}


@pytest.mark.parametrize(
    ("label", "form", "fits"),
    [
        ("a b", "slot_filling", False),
        ("a\nb", "conll", False),
        ("a\tb", "conll", False),
        ("a b", "conll", True),  # in rows with tabs, which the writer checks
        ("a\nb", "jsonl", True),
        ("a-b#c", "slot_filling", True),
    ],
)
def test_labels_with_separators_are_refused_by_formats_of_columns(label: str, form: str, fits: bool) -> None:
    check = partial(tasks.check_labels, Vocabs(labels=Counter([label])), parse_component("formats", form))
    if fits:
        check()
    else:
        with pytest.raises(InputError, match=f"^config.data.format: {form} files cannot store the label"):
            check()


def test_documents_without_anything_to_learn_are_refused() -> None:
    for example, message in (
        (Example(["a"], tags=["O"]), "every word has the tag O"),
        (Example([], tags=[], spans=[Span(0, 0, "x")]), "no example has"),
    ):
        with pytest.raises(InputError, match=message):
            tasks.check_gold("crf", [Document([example])], "file")


def test_a_field_that_no_example_has_is_refused() -> None:
    documents = [Document([Example(["a"], metadata={"domain": 1})])]
    tasks.check_field("domain", documents, "file")
    with pytest.raises(InputError, match=r"config.score_by: no example of file has a field 'x'; there are: domain"):
        tasks.check_field("x", documents, "file")
