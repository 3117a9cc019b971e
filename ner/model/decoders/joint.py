"""Tags for the words and labels for the whole: slots and intent of an utterance, learned together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, model_validator
from torch import Tensor

from ner.config.base import ComponentConfig, ConfigSection
from ner.config.parts import AnyClassifier, AnyDecoder, ConfigError, component_names, load_component
from ner.data.vocab import Vocabs
from ner.model.decoder import DecoderModule
from ner.types import Annotation, AxisLabels, Encoding, Example, Loss, Scores

gives = frozenset({"tags", "labels"})
KINDS = {"tags": ("scheme", "words"), "classes": ("several", "whole examples")}
"""Part -> the key that every decoder of its kind has, and what such a decoder labels."""


class WeightsConfig(ConfigSection):
    """What the losses are multiplied by: that of the tags is a mean over words, that of the classes over examples."""

    tags: float = Field(1.0, ge=0)
    """Of the tags of words."""
    classes: float = Field(1.0, ge=0)
    """Of the labels of whole examples."""


class Config(ComponentConfig):
    """Tags for the words and labels for whole examples, learned together."""

    name: Literal["joint"] = "joint"
    """File of ner/model/decoders."""
    tags: AnyDecoder = Field(default="crf", validate_default=True)
    """What labels words: a file of ner/model/decoders."""
    classes: AnyClassifier = Field(default="classifier", validate_default=True)
    """What labels whole examples: a file of ner/model/decoders."""
    weights: WeightsConfig = WeightsConfig()
    """How much either counts in the loss."""

    @model_validator(mode="after")
    def _one_of_each_kind(self) -> Config:
        for key, (sign, what) in KINDS.items():
            found = getattr(self, key)
            if sign not in type(found).model_fields:
                known = [
                    name
                    for name in component_names("decoders")
                    if sign in load_component("decoders", name).Config.model_fields
                ]
                fitting = ", ".join(known)
                raise ConfigError((key,), f"expected a decoder that labels {what} ({fitting}), found '{found.name}'")
        return self


def build(config: Config, width: int, vocabs: Vocabs) -> JointDecoder:
    """Both parts for vectors of ``width``."""
    tags, classes = (
        load_component("decoders", part.name).build(part, width, vocabs) for part in (config.tags, config.classes)
    )
    return JointDecoder(tags, classes, config.weights)


class JointDecoder(DecoderModule):
    """Two decoders over the same vectors; names of their tensors and losses differ, so both stand side by side.

    Args:
        tags: Labels words; its ``Scores`` are ``emissions (S, W, K)``.
        classes: Labels examples; its ``Scores`` are ``classes``.
        weights: Of the losses.
    """

    def __init__(self, tags: Any, classes: Any, weights: WeightsConfig) -> None:
        super().__init__()
        self.tags, self.classes = tags, classes
        self.weights = weights.model_dump()

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Of both parts."""
        return {
            f"{key}.{name}": axes
            for key, part in (("tags", self.tags), ("classes", self.classes))
            for name, axes in part.axis_labels().items()
        }

    def distributions(self) -> dict[str, tuple[str, float]]:
        """Of both parts, weighted as their losses are."""
        found = {**self.tags.distributions(), **self.classes.distributions()}
        return {name: (part, self.weights[part] * weight) for name, (part, weight) in found.items()}

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Of both parts: words are counted for ``tags``, examples for ``classes``."""
        (tags, words), (classes, wholes) = self.tags.targets(examples), self.classes.targets(examples)
        return {**tags, **classes}, {**words, **wholes}

    def forward(self, encoding: Encoding) -> Scores:
        """Of both parts."""
        return {**self.tags(encoding), **self.classes(encoding)}

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Of both parts, each multiplied by its weight."""
        losses = {**self.tags.loss(scores, targets, mask), **self.classes.loss(scores, targets, mask)}
        return {name: self.weights[name] * loss for name, loss in losses.items()}

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Of both parts."""
        return {**self.tags.predict(scores, mask), **self.classes.predict(scores, mask, probabilities)}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Tags and spans of the one, labels of the other."""
        return _together(*(part.annotations(predicted, mask, probabilities) for part in (self.tags, self.classes)))

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """The same; each part adds its probabilities in its own way."""
        return _together(*(part.decode(scores, mask, probabilities) for part in (self.tags, self.classes)))


def _together(slots: list[Annotation], intents: list[Annotation]) -> list[Annotation]:
    return [
        replace(words, labels=whole.labels, scores=whole.scores) for words, whole in zip(slots, intents, strict=True)
    ]
