from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ner.commands import card, train
from ner.config.load import read_yaml
from ner.errors import InputError
from ner.runs.model_card import is_edited, model_card, write_card
from tests.conftest import ROOT, SAMPLE

CONFIG = """\
data: {train: corpus/train.conll, valid: corpus/valid.conll, test: corpus/test.conll, word_split: space,
       format: {name: conll}}
unit: {name: word, tokenizer: null}
encoder:
  name: concat
  transformer: {name: transformer, model: some/bert, pooling: first}
  embedding: {name: embedding, dimension: 10, lowercase: true, normalize_digits: true}
context: {name: bilstm, hidden_size: 8}
decoder: {name: crf, scheme: bioes}
windows: {scope: document, max_length: 64}
batch: {measure: sentences, size: 32, micro_size: null}
training: {epochs: 2, keep_epoch: best, learning_rate: {encoder: 2.0e-5, decoder: 0.001}}
seed: 7
"""
LABELS = {"scheme": "bio", "labels": {"LOC": 1200, "A|B": 3}, "tags": {}, "classes": {}}
SCORES: dict[str, Any] = {
    "sentences": 14041,
    "words": 203621,
    "loss": 0.125,
    "tag": {"f1": {"O": 0.9, "B-LOC": 0.8}, "weighted_f1": 0.85, "accuracy": 0.875},
    "entity": {
        "micro": {"precision": 0.5, "recall": 0.25, "f1": 0.3333333333},
        "macro": {"precision": 0.5, "recall": 0.25, "f1": 0.375},
        "by_type": {
            "LOC": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "gold": 1000, "predicted": 8, "correct": 4},
            "A|B": {"precision": 0.0, "recall": 0.0, "f1": 0.25, "gold": 1, "predicted": 1, "correct": 0},
        },
    },
}
METRICS = {
    "epoch": 2,
    **{split: {"split": split, **SCORES} for split in ("train", "valid", "test")},
    "seconds": 12.4,
    "command": "python train.py --config configs/tiny.yaml seed=7",
    "seed": 7,
    "data": {split: split[0] * 64 for split in ("train", "valid", "test")},
    "versions": {"python": "3.11.7", "ner-crf": "0.1.0"},
    "device": "A processor",
    "threads": 2,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory without weights."""
    directory = tmp_path / "tiny" / "2026-01-31T12-00-00"
    (directory / "encoder" / "transformer").mkdir(parents=True)
    (directory / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (directory / "labels.json").write_text(json.dumps(LABELS), encoding="utf-8")
    (directory / "metrics.json").write_text(json.dumps(METRICS), encoding="utf-8")
    (directory / "history.csv").write_text(
        "epoch,avg_train_loss,f1,best,learning_rate.all\n1,0.5,,1,0.001\n2,0.25,0.75,1,\n", encoding="utf-8"
    )
    (directory / "events.jsonl").write_text(
        '{"step": 120, "epoch": 2, "kind": "control", "change": "batch.size=64"}\n', encoding="utf-8"
    )
    (directory / "encoder" / "transformer" / "tokenizer.json").write_text(
        json.dumps({"normalizer": {"type": "BertNormalizer", "lowercase": True}}), encoding="utf-8"
    )
    return directory


def change(path: Path, **values: Any) -> None:
    """Set keys of a JSON file; None takes one away."""
    found = {**json.loads(path.read_bytes()), **values}
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not None}), encoding="utf-8")


def front_matter(text: str) -> dict[str, Any]:
    """Read by a parser other than the one that wrote it."""
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found
    matter = read_yaml(found[1], "card")
    assert isinstance(matter, dict)
    return matter


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n\n")[2].partition("\n## ")[0]


def table(text: str) -> list[list[str]]:
    """The rows of the first Markdown table, all as wide as its header."""
    first = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert first
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in first[0].splitlines()]
    assert {len(row) for row in rows} == {len(rows[0])}
    return [[cell.strip() for cell in row] for row in rows]


def test_the_front_matter_is_what_the_hub_reads(run: Path) -> None:
    matter = front_matter(model_card(run))
    assert matter["library_name"] == "ner-crf"
    assert matter["pipeline_tag"] == "token-classification"
    assert matter["tags"] == [
        *("ner-crf", "named-entity-recognition", "transformer", "embedding", "bilstm", "crf"),
    ]
    assert "language" not in matter  # no file of a run knows it
    assert "license" not in matter
    (index,) = matter["model-index"]
    assert index["name"] == "tiny-2026-01-31T12-00-00"
    (result,) = index["results"]
    assert result["task"]["type"] == "token-classification"
    assert result["dataset"] == {
        **{"name": "corpus/test.conll", "type": "local-file", "split": "test"},
        **{"args": {"sha256": "t" * 64}},
    }
    assert [(found["type"], found["value"]) for found in result["metrics"]] == [
        *(("precision", 0.5), ("recall", 0.25), ("f1", 0.333333)),
        *(("f1", 0.375), ("f1", 0.85), ("accuracy", 0.875)),
    ]
    assert len({found["name"] for found in result["metrics"]}) == 6


def test_the_library_of_the_hub_reads_the_same(run: Path) -> None:
    from huggingface_hub import ModelCard

    text = model_card(run, ["no", "en"], "mit")
    found = ModelCard(text)
    assert found.data.library_name == "ner-crf"
    assert found.data.language == ["no", "en"]
    assert found.data.license == "mit"
    assert found.data.model_name == "tiny-2026-01-31T12-00-00"
    assert [result.metric_value for result in found.data.eval_results or []] == [
        *(0.5, 0.25, 0.333333, 0.375, 0.85, 0.875),
    ]
    assert found.text.lstrip().startswith("# tiny-2026-01-31T12-00-00\n")
    assert front_matter(text)["language"] == ["no", "en"]  # a string, not false


def test_every_section_is_there_and_every_table_is_straight(run: Path) -> None:
    text = model_card(run)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        *("Model", "Data", "Labels", "Hyperparameters", "Scores", "Epochs", "Changes during training"),
        *("Limitations", "Versions", "Reproduce", "Use"),
    ]
    for first in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        table(first)


def test_data_are_named_with_their_checksums(run: Path) -> None:
    assert table(section(model_card(run), "Data"))[2:] == [
        [split, f"`corpus/{split}.conll`", "14,041", "203,621", f"`{split[0] * 64}`"]
        for split in ("train", "valid", "test")
    ]


def test_parts_settings_scores_and_changes_are_those_of_the_files(run: Path) -> None:
    text = model_card(run)
    assert "finds entities of 2 types (`A|B`, `LOC`)" in text
    assert "`concat` of `transformer` (initialized from model `some/bert`) and `embedding`" in text
    assert table(section(text, "Labels"))[2:] == [["`LOC`", "1,200"], [r"`A\|B`", "3"]]
    assert "(`training.keep_epoch=best`)" in section(text, "Hyperparameters")
    settings = dict(table(section(text, "Hyperparameters"))[2:])
    assert settings["`training.learning_rate.encoder`"] == "`2e-05`"
    assert settings["`batch.size`"] == "`32`"
    assert "`batch.micro_size`" not in settings
    assert table(section(text, "Scores"))[:3] == [
        ["", "train", "valid", "test"],
        ["---"] * 4,
        ["Loss", *["0.1250"] * 3],
    ]
    assert r"| `A\|B` | 0.0000 | 0.0000 | 0.2500 | 1 | 1 | 0 |" in section(text, "Scores")
    assert table(section(text, "Epochs"))[3][:2] == ["2", "0.2500"]
    assert table(section(text, "Changes during training"))[2] == ["120", "2", "control", "`batch.size=64`"]
    assert "```sh\npython train.py --config configs/tiny.yaml seed=7\n```" in section(text, "Reproduce")
    assert "ner evaluate --run DIR" in section(text, "Use")


def test_limits_follow_from_configuration_and_scores(run: Path) -> None:
    limits = section(model_card(run), "Limitations")
    assert "14,041 sentences" in limits
    assert "nested and overlapping entities cannot be found" in limits
    assert "the word table of `embedding` and the tokenizer in `encoder/transformer`" in limits
    assert "64 word pieces at once" in limits
    assert "Neighboring sentences of a document are encoded together" in limits
    assert "lowest F1 on test is that of `A|B`: 0.2500" in limits


@pytest.mark.slow
def test_what_a_run_does_not_know_its_card_does_not_say(run: Path) -> None:
    (run / "config.yaml").write_text("encoder: {name: embedding}\n", encoding="utf-8")
    (run / "labels.json").write_text('{"tags": {"NN": 2, "VB": 1}}', encoding="utf-8")
    for name in ("metrics.json", "history.csv", "events.jsonl", "encoder/transformer/tokenizer.json"):
        (run / name).unlink()
    text = model_card(run)
    assert front_matter(text) == {
        **{"library_name": "ner-crf", "pipeline_tag": "token-classification", "tags": ["ner-crf", "embedding"]},
    }
    assert "assigns each word one of 2 tags (`NN`, `VB`)" in text
    assert "not been scored" in section(text, "Scores")
    for title in ("Epochs", "Changes during training", "Versions", "Reproduce"):
        assert f"## {title}" not in text
    for word in ("case", "pieces", "seed", "entit", "nan", "None"):
        assert word not in section(text, "Limitations").lower()


def test_without_test_the_validation_scores_stand_and_it_says_so(run: Path) -> None:
    change(run / "metrics.json", test=None)
    text = model_card(run)
    (index,) = front_matter(text)["model-index"]
    assert index["results"][0]["dataset"]["split"] == "valid"
    assert "There was no test file" in section(text, "Limitations")


def test_a_score_that_is_not_finite_is_not_published(run: Path) -> None:
    change(run / "metrics.json", test={**SCORES, "entity": {"micro": {"f1": float("nan")}}})
    (index,) = front_matter(model_card(run))["model-index"]
    assert [found["name"] for found in index["results"][0]["metrics"]] == ["Tag F1 (weighted)", "Tag accuracy"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.yaml", None, "no such file; is .* the directory of a run?"),
        ("config.yaml", "a list", "expected the configuration of a run, with an encoder"),
        ("labels.json", "{", "labels.json: Invalid JSON"),
        ("metrics.json", "[]", "metrics.json: Input should be an object"),
    ],
)
def test_a_broken_run_is_one_sentence(run: Path, name: str, text: str | None, message: str) -> None:
    (run / name).unlink()
    if text is not None:
        (run / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        model_card(run)


def test_the_command_writes_the_card_and_says_where(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert card.main(["--run", str(run), "--language", "en", "--license", "mit"]) == 0
    assert capsys.readouterr().out == f"{run / 'README.md'}\n"
    assert (run / "README.md").read_text(encoding="utf-8") == model_card(run, ["en"], "mit")
    assert write_card(run) == run / "README.md"


def test_a_model_that_answers_questions_is_called_one(run: Path) -> None:
    labels = {"scheme": "bio", "labels": {"answer": 30}, "tags": {}, "classes": {"span": 30, "yes": 2, "unknown": 1}}
    (run / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    answer = {"exact": 0.5, "f1": 0.625, "turns": 40}
    scored = {"sentences": 40, "words": 900, "loss": 0.5, "answer": answer}
    scored["by"] = {"domain": {"sea": {"sentences": 8, "words": 90, "answer": {**answer, "f1": 0.25}}}}
    metrics = {**METRICS, "test": scored, "valid": scored, "train": scored}
    (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    config = (run / "config.yaml").read_text(encoding="utf-8")
    config = config.replace("{name: crf, scheme: bioes}", "{name: extractive_qa, max_answer_length: 9}")
    (run / "config.yaml").write_text(config.replace("64}", "64, max_query_length: 16}"), encoding="utf-8")
    text = model_card(run)
    matter = front_matter(text)
    assert matter["pipeline_tag"] == "question-answering"
    assert "named-entity-recognition" not in matter["tags"]
    assert [(m["type"], m["value"]) for m in matter["model-index"][0]["results"][0]["metrics"]] == [
        ("exact_match", 0.5),
        ("f1", 0.625),
    ]
    assert "answers questions about a passage, with a span of the passage" in text
    assert "entit" not in section(text, "Labels") + section(text, "Limitations") + section(text, "Scores")
    assert ["`sea`", "8", "0.5000", "0.2500"] in table(section(text, "Scores").partition("by domain on test")[2])
    limits = section(text, "Limitations")
    assert "at most 9 words" in limits
    assert "the last 16 word pieces" in limits
    assert "no answer of the type `no`" in limits
    assert "tagger.answer(" in section(text, "Use")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "classes", "task"),
    [
        ("classifier", {"yes": 2, "no": 3}, "text-classification"),
        ("extractive_qa", {}, "question-answering"),
        ("unilm", {}, "question-answering"),
        ("crf", {"yes": 2}, "token-classification"),
        ("of_another_version", {"yes": 2, "no": 3}, "question-answering"),
        ("of_another_version", {"good": 2}, "text-classification"),
    ],
)
def test_the_task_is_that_of_the_decoder(run: Path, decoder: str, classes: dict[str, int], task: str) -> None:
    change(run / "labels.json", labels={}, classes=classes)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace("name: crf, scheme: bioes", f"name: {decoder}"), encoding="utf-8")
    assert front_matter(model_card(run))["pipeline_tag"] == task


def test_a_card_is_edited_as_soon_as_a_byte_differs(run: Path) -> None:
    path = write_card(run)
    assert not is_edited(path)
    generated = path.read_bytes()
    for other in (b"# Mine\n", generated + b"\n", generated.replace(b"##", b"#", 1)):
        path.write_bytes(other)
        assert is_edited(path)


@pytest.mark.slow
def test_a_training_ends_with_a_card_and_keeps_an_edited_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    data = [f"data.{split}={SAMPLE / 'en' / 'valid.conll'}" for split in ("train", "valid", "test")]
    arguments = ["--config", str(ROOT / "configs/tiny.yaml"), "--run", str(run), "device=cpu", *data]
    assert train.main([*arguments, "training.epochs=1"]) == 0
    first = (run / "README.md").read_text()
    assert first.startswith("---\n")
    assert train.main([*arguments, "training.epochs=2", "--resume"]) == 0
    second = (run / "README.md").read_text()
    assert second != first, "the scores have changed"
    (run / "README.md").write_text("# Mine\n")
    assert train.main([*arguments, "training.epochs=3", "--resume"]) == 0
    assert (run / "README.md").read_text() == "# Mine\n"
