"""The conversational question-answering set in ``data/sample/convqa`` is what ``data/README.md`` says."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "data" / "sample" / "convqa"
SPLITS = ("train", "valid", "test")
NUMBERS = {"train": 450, "valid": 60, "test": 80}


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """The two scripts; the second imports the first by its bare name."""
    loaded: dict[str, ModuleType] = {}
    before = sys.modules.get("generate")
    for name in ("generate", "baseline"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        loaded[name] = module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look themselves up there
        spec.loader.exec_module(module)
    yield loaded
    del sys.modules["generate"], sys.modules["baseline"]
    if before is not None:
        sys.modules["generate"] = before


@pytest.fixture(scope="module")
def stories() -> dict[str, list[dict[str, Any]]]:
    return {split: json.loads((FOLDER / f"{split}.json").read_text(encoding="utf-8"))["data"] for split in SPLITS}


def answers(entries: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Story, answer and question of each turn."""
    for entry in entries:
        for question, answer in zip(entry["questions"], entry["answers"], strict=True):
            yield entry["story"], answer, question["input_text"]


def kind(answer: dict[str, Any]) -> str:
    text = answer["input_text"]
    return text if text in ("yes", "no", "unknown") else "span"


@pytest.mark.parametrize("split", SPLITS)
def test_evidence_stands_where_its_offsets_say_and_holds_the_answer_once(
    split: str, stories: dict[str, list[dict[str, Any]]], modules: dict[str, ModuleType]
) -> None:
    for story, answer, question in answers(stories[split]):
        start, end, evidence = answer["span_start"], answer["span_end"], answer["span_text"]
        assert question.endswith("?")
        if kind(answer) == "unknown":
            assert (start, end, evidence) == (-1, -1, "unknown")
            continue
        assert story[start:end] == evidence
        assert evidence
        if kind(answer) == "span":
            assert modules["generate"].find(answer["input_text"], evidence) == [answer["input_text"]]
            assert len(answer["input_text"].split()) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_each_span_answer_has_rivals_of_its_type(
    split: str, stories: dict[str, list[dict[str, Any]]], modules: dict[str, ModuleType]
) -> None:
    generate = modules["generate"]
    for story, answer, _ in answers(stories[split]):
        if kind(answer) == "span":
            rivals = generate.candidates(story, generate.type_of(answer["input_text"]))
            assert answer["input_text"].lower() in [rival.lower() for rival in rivals]
            assert len(rivals) >= 3


@pytest.mark.parametrize("split", SPLITS)
def test_sizes_and_kinds_of_answers(split: str, stories: dict[str, list[dict[str, Any]]]) -> None:
    entries = stories[split]
    assert len(entries) == NUMBERS[split]
    assert len({entry["id"] for entry in entries}) == len({entry["story"] for entry in entries}) == len(entries)
    for entry in entries:
        assert 60 <= len(entry["story"].split()) <= 150
        turns = list(range(1, len(entry["questions"]) + 1))
        assert 6 <= len(turns) <= 10
        assert [turn["turn_id"] for turn in entry["questions"]] == turns
        assert [turn["turn_id"] for turn in entry["answers"]] == turns
    counts = Counter(kind(answer) for _, answer, _ in answers(entries))
    shares = {name: count / counts.total() for name, count in counts.items()}
    assert shares == pytest.approx({"span": 0.70, "yes": 0.11, "no": 0.11, "unknown": 0.08}, abs=0.04)


def test_one_domain_is_kept_from_training(
    stories: dict[str, list[dict[str, Any]]], modules: dict[str, ModuleType]
) -> None:
    domains = {split: {entry["source"] for entry in entries} for split, entries in stories.items()}
    assert domains["train"] == set(modules["generate"].TRAINED_DOMAINS)
    assert domains["valid"] == domains["test"] == domains["train"] | set(modules["generate"].OUT_OF_DOMAIN)
    assert len(domains["train"]) == 4
    assert len(domains["test"]) == 5


def test_no_name_of_valid_and_test_occurs_in_training(
    stories: dict[str, list[dict[str, Any]]], modules: dict[str, ModuleType]
) -> None:
    generate = modules["generate"]
    assert not generate.TRAIN_NAMES.all() & generate.HELD_NAMES.all()
    texts = {
        split: " ".join(f"{story} {question}" for story, _, question in answers(entries))
        for split, entries in stories.items()
    }
    for split, foreign in (("train", "HELD_NAMES"), ("valid", "TRAIN_NAMES"), ("test", "TRAIN_NAMES")):
        words = set(texts[split].replace(".", " ").replace(",", " ").replace("?", " ").replace("'", " ").split())
        names = {name for name in getattr(generate, foreign).all() if " " not in name}
        assert not words & names


@pytest.mark.slow
def test_the_wording_does_not_tell_yes_from_no(modules: dict[str, ModuleType]) -> None:
    said: dict[str, Counter[str]] = {}
    for _, turns in modules["generate"].make("test"):
        for turn in turns:
            if turn.kind in ("yes", "no"):
                said.setdefault(turn.pattern, Counter())[turn.kind] += 1
    assert said
    assert all(abs(counts["yes"] - counts["no"]) <= 1 for counts in said.values())


@pytest.mark.slow
def test_a_third_of_the_later_questions_need_the_turns_before(modules: dict[str, ModuleType]) -> None:
    turns = [turn for _, turns in modules["generate"].make("test") for turn in turns[1:]]
    assert sum(turn.style != "full" for turn in turns) >= len(turns) / 3
    assert max(turn.back for turn in turns) <= 2


@pytest.mark.thorough
def test_the_files_come_from_the_generator(tmp_path: Path, modules: dict[str, ModuleType]) -> None:
    modules["generate"].write(tmp_path)
    for split in SPLITS:
        assert (tmp_path / f"{split}.json").read_bytes() == (FOLDER / f"{split}.json").read_bytes()


@pytest.mark.thorough
def test_without_the_question_nobody_gets_far(modules: dict[str, ModuleType]) -> None:
    baseline = modules["baseline"]
    train, test = baseline.read(FOLDER / "train.json"), baseline.read(FOLDER / "test.json")
    guesses = baseline.baselines(train)
    assert len(guesses) == 7
    for name, guess in guesses.items():
        assert baseline.score(test, guess)[1] <= 0.40, name


@pytest.mark.parametrize(
    ("gold", "guess", "f1"),
    [("the red vase", "Red vase.", 1), ("Mrs Lund", "Mrs Falk", 0.5), ("yes", "no", 0), ("a cap", "cap", 1)],
)
def test_answers_are_compared_as_in_coqa(gold: str, guess: str, f1: float, modules: dict[str, ModuleType]) -> None:
    assert modules["baseline"].overlap(gold, guess) == f1
