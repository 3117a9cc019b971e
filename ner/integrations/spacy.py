"""spaCy component that sets ``doc.ents``: ``nlp.add_pipe("ner_crf", config={"run": "runs/mine"})``.

The installed package declares the component, so nothing needs to be imported. Words are split like the training data of
the run, not at the tokens of spaCy. If the pipeline sets sentence boundaries, each sentence is annotated separately.
"""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans, minibatch

from ner.inference.tagger import Precision, Tagger
from ner.integrations import texts


class EntityTagger:
    """Component of a spaCy pipeline.

    Args:
        tagger: Tagger of a run.
        alignment_mode: Tokens of an entity that starts or ends inside a token: ``expand`` includes that token,
            ``contract`` excludes it unless it is the only one.
    """

    def __init__(self, tagger: Tagger, alignment_mode: Literal["expand", "contract"] = "expand") -> None:
        self.tagger = tagger
        self.alignment_mode = alignment_mode

    def __call__(self, doc: Doc) -> Doc:
        """Set the entities of a document; earlier ones are replaced."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Set the entities of documents, ``batch_size`` of them at a time."""
        for docs in minibatch(stream, batch_size):
            sentences = [list(doc.sents) if doc.has_annotation("SENT_START") else [doc[:]] for doc in docs]
            documents = [texts.document([sentence.text for sentence in group], self.tagger) for group in sentences]
            for doc, group, annotated in zip(docs, sentences, self.tagger.tag(documents), strict=True):
                spans = [
                    self._span(doc, sentence.start_char, entity)
                    for sentence, example in zip(group, annotated.examples, strict=True)
                    for entity in example.entities()
                ]
                doc.ents = tuple(_without_overlap(spans))
                yield doc

    def _span(self, doc: Doc, offset: int, entity: dict[str, Any]) -> Span:
        """Return the tokens of an entity, whose characters count from ``offset``."""
        start, end = offset + entity["start"], offset + entity["end"]
        modes = ("contract", "expand") if self.alignment_mode == "contract" else ("expand",)
        candidates = (doc.char_span(start, end, entity["label"], alignment_mode=mode) for mode in modes)
        return next(span for span in candidates if span is not None and len(span))


def _without_overlap(spans: list[Span]) -> list[Span]:
    """Return spans that do not share tokens, the longer ones first; warn about the others."""
    longest = filter_spans(spans)
    if len(longest) < len(spans):
        dropped = [f"{span.text!r} ({span.label_})" for span in spans if span not in longest] or ["a repeated one"]
        warnings.warn(f"entities that share a token with a longer one: {', '.join(dropped)}", stacklevel=3)
    return longest


@Language.factory(
    "ner_crf",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config={"alignment_mode": "expand", "device": "auto", "precision": "run"},
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0},
)
def create(
    nlp: Language,
    name: str,
    run: str,
    alignment_mode: Literal["expand", "contract"],
    device: str,
    precision: Precision,
) -> EntityTagger:
    """Create the component from a run directory.

    Raises:
        ner.errors.InputError: If the directory does not contain a complete model.
    """
    return EntityTagger(Tagger.load(run, device, precision), alignment_mode)
