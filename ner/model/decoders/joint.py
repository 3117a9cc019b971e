"""Joint decoder of word tags and of labels of whole examples, such as slots and intent of an utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor

from ner.config.base import ConfigSection, DecoderConfig
from ner.config.parts import AnyClassifier, AnyDecoder, ConfigError, component_names, load_component
from ner.contracts import Decoder
from ner.data.vocab import Vocabs
from ner.types import Annotation, AxisLabels, Encoding, Example, Loss, Scores

OUTPUTS = frozenset({"tags", "labels"})
KINDS = {"tags": ("tags", "words"), "classes": ("labels", "whole examples")}
"""Key -> the only output of its decoder, and the units that such a decoder labels."""


class WeightsConfig(ConfigSection):
    """Weights of the two losses: the tag loss is a mean over words, the class loss over examples."""

    tags: float = Field(1.0, ge=0)
    """Weight of the tag loss."""
    classes: float = Field(1.0, ge=0)
    """Weight of the class loss."""


class Config(DecoderConfig):
    """Joint tagging and text classification."""

    name: Literal["joint"] = "joint"
    """Name of the file in ner/model/decoders."""
    tags: AnyDecoder = Field(default="crf", validate_default=True)
    """Decoder of the words: a file of ner/model/decoders."""
    classes: AnyClassifier = Field(default="classifier", validate_default=True)
    """Decoder of whole examples: a file of ner/model/decoders."""
    weights: WeightsConfig = WeightsConfig()
    """Weights of the two losses."""

    @model_validator(mode="after")
    def _one_of_each_kind(self) -> Config:
        for key, (output, units) in KINDS.items():
            suitable = [
                name for name in component_names("decoders") if {output} == load_component("decoders", name).OUTPUTS
            ]
            name = getattr(self, key).name
            if name not in suitable:
                raise ConfigError(
                    (key,), f"expected a decoder that labels {units} ({', '.join(suitable)}), found '{name}'"
                )
        return self


class JointDecoder(Decoder):
    """Two decoders over the same vectors: ``tags`` scores the words, ``classes`` the examples.

    The names of their tensors and losses differ, so the dicts are merged.
    """

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__()
        members = config.tags, config.classes
        self.tags, self.classes = (load_component("decoders", m.name).build(m, width, vocabs) for m in members)
        self.weights = config.weights.model_dump()

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return the labels of both decoders."""
        members = {"tags": self.tags, "classes": self.classes}
        return {f"{key}.{name}": axes for key in members for name, axes in members[key].axis_labels().items()}

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Return the targets of both decoders: words are counted for ``tags``, examples for ``classes``."""
        (tags, tag_counts), (classes, class_counts) = self.tags.targets(examples), self.classes.targets(examples)
        return {**tags, **classes}, {**tag_counts, **class_counts}

    def forward(self, encoding: Encoding) -> Scores:
        """Return the scores of both decoders."""
        return {**self.tags(encoding), **self.classes(encoding)}

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the losses of both decoders, multiplied by their weights."""
        losses = {**self.tags.loss(scores, targets, mask), **self.classes.loss(scores, targets, mask)}
        return {name: self.weights[name] * loss for name, loss in losses.items()}

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Return the predictions of both decoders."""
        return {**self.tags.predict(scores, mask), **self.classes.predict(scores, mask, probabilities)}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Return tags and spans of the first decoder with labels of the second."""
        return _merge(
            self.tags.annotations(predicted, mask, probabilities),
            self.classes.annotations(predicted, mask, probabilities),
        )

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """Return the merged annotations; each decoder computes its own probabilities."""
        return _merge(self.tags.decode(scores, mask, probabilities), self.classes.decode(scores, mask, probabilities))


def _merge(tagged: list[Annotation], labelled: list[Annotation]) -> list[Annotation]:
    return [
        replace(tag_annotation, labels=class_annotation.labels, scores=class_annotation.scores)
        for tag_annotation, class_annotation in zip(tagged, labelled, strict=True)
    ]


build = JointDecoder
