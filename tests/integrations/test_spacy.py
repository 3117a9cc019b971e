from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

spacy = pytest.importorskip("spacy")

import ner.integrations.spacy  # registers the component; an installed package does so with its entry point
from ner.errors import InputError
from tests.conftest import ROOT

TEXT = "Ann of Rare1 . Bob of Rare2 ."


def pipeline(run: str, **options: Any) -> Any:
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_crf", config={"run": run, **options})
    return nlp


def entities(doc: Any) -> list[tuple[str, str]]:
    return [(entity.text, entity.label_) for entity in doc.ents]


def test_the_entities_of_a_text_are_set(run: str) -> None:
    nlp = pipeline(run)
    doc = nlp("Ann of Rare1 .")
    assert entities(doc) == [("Ann", "PER"), ("Rare1", "LOC")]
    assert entities(nlp("")) == entities(nlp("  ")) == []
    assert nlp.get_pipe_meta("ner_crf").assigns == ["doc.ents", "token.ent_iob", "token.ent_type"]


def test_many_texts_have_the_entities_of_single_ones(run: str) -> None:
    nlp = pipeline(run)
    texts = [TEXT, "", "Eve of Rare5 far far .", *["Bob of Rare2 ."] * 5]
    batched = [entities(doc) for doc in nlp.pipe(texts, batch_size=3)]
    assert batched == [entities(nlp(text)) for text in texts]
    assert batched[3] == [("Bob", "PER"), ("Rare2", "LOC")]


def test_sentence_boundaries_are_respected(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = pipeline(run)
    nlp.add_pipe("sentencizer", first=True)
    seen: list[list[str]] = []
    original = nlp.get_pipe("ner_crf").tagger.tag
    tagger = nlp.get_pipe("ner_crf").tagger

    def tag(documents: list[Any]) -> Any:
        seen.extend([example.text for example in document.examples] for document in documents)
        return original(documents)

    monkeypatch.setattr(tagger, "tag", tag)
    doc = nlp(TEXT)
    assert seen == [["Ann of Rare1 .", "Bob of Rare2 ."]]
    assert entities(doc) == [("Ann", "PER"), ("Rare1", "LOC"), ("Bob", "PER"), ("Rare2", "LOC")]


@pytest.mark.parametrize(
    ("mode", "spans", "expected"),
    [
        ("expand", [(0, 4)], ["Ann-Rare1"]),  # inside of the only token
        ("contract", [(0, 4)], ["Ann-Rare1"]),
        ("expand", [(0, 12)], ["Ann-Rare1 of"]),
        ("contract", [(4, 12)], ["of"]),
        ("expand", [(4, 12)], ["Ann-Rare1 of"]),
    ],
)
def test_entities_inside_tokens_are_aligned_and_never_lost(
    run: str, monkeypatch: pytest.MonkeyPatch, mode: str, spans: list[tuple[int, int]], expected: list[str]
) -> None:
    component = pipeline(run, alignment_mode=mode).get_pipe("ner_crf")
    monkeypatch.setattr(
        "ner.types.Example.entities",
        lambda example: [{"start": start, "end": end, "label": "X", "text": ""} for start, end in spans],
    )
    doc = component(spacy.tokens.Doc(spacy.blank("en").vocab, words=["Ann-Rare1", "of"]))
    assert [entity.text for entity in doc.ents] == expected


def test_entities_of_one_token_are_reported(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    component = pipeline(run).get_pipe("ner_crf")
    doc = spacy.tokens.Doc(spacy.blank("en").vocab, words=["Ann-Rare1", "of"])
    two = [{"start": 0, "end": 3, "label": "PER"}, {"start": 4, "end": 12, "label": "LOC"}]
    monkeypatch.setattr("ner.types.Example.entities", lambda example: two)
    with pytest.warns(UserWarning, match=r"share a token with a longer one: 'Ann-Rare1' \(PER\)"):
        component(doc)
    assert entities(doc) == [("Ann-Rare1 of", "LOC")]


def test_the_package_declares_the_component() -> None:
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert scripts["spacy_factories"] == {"ner_crf": f"{ner.integrations.spacy.__name__}:create"}


def test_a_pipeline_is_saved_and_loaded(run: str, tmp_path: Path) -> None:
    pipeline(run).to_disk(tmp_path / "pipeline")
    assert entities(spacy.load(tmp_path / "pipeline")("Ann of Rare1 .")) == [("Ann", "PER"), ("Rare1", "LOC")]


def test_a_run_that_is_missing_or_an_unknown_mode_is_refused(run: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no manifest\.json"):
        pipeline(str(tmp_path))
    with pytest.raises(Exception, match="alignment_mode"):
        pipeline(run, alignment_mode="shrink")
