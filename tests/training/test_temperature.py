from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from ner.commands import calibrate as command
from ner.commands import train
from ner.inference.tagger import Tagger
from ner.runs import calibration
from ner.runtime.manifest import verify
from ner.training.temperature import calibrate, evenly, maximum
from ner.types import Document, TagQuery
from tests.builders import build, documents, settings
from tests.conftest import ROOT, SAMPLE

VALID = SAMPLE / "en" / "valid.conll"


def tagger(scale: float, decoder: str = "crf") -> Tagger:
    """A tagger with random weights whose scores are multiplied."""
    torch.manual_seed(1)
    config = settings(decoder={"name": decoder, "scheme": "bioes"})
    model = build(config, documents()).eval()
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(scale)
    return Tagger(model, config, "cpu")


def predictions(tagger: Tagger, query: TagQuery | None = None) -> list[Document]:
    chunks = tagger.annotate(documents(), probabilities=True, query=query)
    return [document for chunk in chunks for document in chunk.predicted]


def spans(found: Sequence[Document]) -> list[object]:
    return [(span, example.tags) for document in found for example in document.examples for span in example.spans]


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["crf", "softmax"])
def test_a_temperature_undoes_a_factor_and_keeps_the_predictions(decoder: str) -> None:
    plain, sharp = tagger(1.0, decoder), tagger(3.0, decoder)
    before = predictions(sharp)
    one, three = (calibrate(t, documents(), "valid").temperature for t in (plain, sharp))
    assert three == pytest.approx(3 * one, rel=0.02) or three == pytest.approx(10, rel=0.01)
    after = predictions(sharp)
    assert spans(after) == spans(before)  # scores are not compared
    old, new = ([s.score for d in found for e in d.examples for s in e.spans] for found in (before, after))
    assert old != new
    sharp.model.tag_decoder.temperature = 3.0 * plain.model.tag_decoder.temperature
    same = [s.score for d in predictions(sharp) for e in d.examples for s in e.spans]
    assert same == pytest.approx([s.score for d in predictions(plain) for e in d.examples for s in e.spans], rel=1e-3)


@pytest.mark.slow
def test_the_likelihood_of_the_gold_tags_rises() -> None:
    found = calibrate(tagger(5.0), documents(), "valid")
    assert found.log_likelihood[1] > found.log_likelihood[0]
    assert 1 < found.temperature <= 10
    assert (found.sentences, found.gold) == (64, 128)


def test_golden_section_finds_a_peak() -> None:
    assert maximum(lambda x: -((x - 0.7) ** 2), -2, 2) == pytest.approx(0.7, abs=1e-3)


def test_a_part_of_many_documents_is_spread_over_them() -> None:
    assert evenly(documents(10), 20) == documents(10)
    assert [d.examples[0].line for d in evenly(documents(10), 5)] == [0, 2, 4, 6, 8]


@pytest.mark.slow
def test_probabilities_of_sequences_words_and_gold_spans_agree() -> None:
    model = tagger(2.0)
    model.model.tag_decoder.temperature = 1.7
    query = TagQuery(n_best=4, tokens=True, uncertainty=True, gold=True)
    for gold, document in zip(documents(), predictions(model, query), strict=True):
        (example,), found = document.examples, document.examples[0].probabilities
        assert found is not None
        best = found.n_best[0]
        assert (best.tags, best.spans) == (example.tags, example.spans)
        assert math.exp(found.log_probability) == pytest.approx(best.probability, rel=1e-5)
        assert found.margin == pytest.approx(best.probability - found.n_best[1].probability, abs=1e-6)
        assert len({tuple(alternative.tags) for alternative in found.n_best}) == 4
        assert sum(alternative.probability for alternative in found.n_best) <= 1 + 1e-6
        assert len(found.tokens) == len(example.words)
        assert all(best.probability <= value + 1e-6 for value in found.tokens)
        assert found.entropy > 0
        scores = {span: span.score for span in example.spans}
        for span, value in zip(gold.examples[0].spans, found.gold, strict=True):
            assert 0 <= value <= 1
            if span in scores:
                assert value == pytest.approx(scores[span])


def test_softmax_multiplies_the_probabilities_of_the_tags() -> None:
    model = tagger(2.0, "softmax")
    for document in predictions(model, TagQuery(tokens=True)):
        example = document.examples[0]
        assert example.probabilities is not None
        values = example.probabilities.tokens
        assert example.probabilities.log_probability == pytest.approx(sum(map(math.log, values)), abs=1e-4)
        for span in example.spans:
            assert span.score == pytest.approx(math.prod(values[span.start : span.end]), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [True, False])
def test_a_run_is_calibrated_unless_the_configuration_forbids_it(wanted: bool, tmp_path: Path) -> None:
    files = [f"data.{split}={VALID}" for split in ("train", "valid")]
    options = ["--config", str(ROOT / "configs/tiny.yaml"), "--run", str(tmp_path / "run"), "training.epochs=1", *files]
    assert train.main([*options, "data.test=null", f"training.calibrate={str(wanted).lower()}"]) == 0
    assert (calibration.FILE in verify(tmp_path / "run")) == wanted
    loaded = Tagger.load(tmp_path / "run")
    assert (loaded.model.calibration is not None) == wanted
    assert command.main(["--run", str(tmp_path / "run"), "--data", str(VALID)]) == 0
    again = Tagger.load(tmp_path / "run").model
    found = json.loads((tmp_path / "run" / calibration.FILE).read_bytes())
    assert again.tag_decoder is not None
    assert again.tag_decoder.temperature == found["temperature"] != 1
    if wanted:
        assert loaded.model.calibration is not None
        assert loaded.model.calibration.temperature == found["temperature"]


@pytest.mark.slow
def test_documents_without_mistakes_leave_the_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ner.training.temperature.RANGE", (5.0, 10.0))  # the best temperature lies below
    assert calibrate(tagger(1.0), documents(), "valid").temperature == 1.0
