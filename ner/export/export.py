"""Export of a run to a directory that the runtime reads without torch (see :mod:`ner.portable`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.numpy import save_file

from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.contracts import GenerativeDecoder
from ner.errors import InputError, not_installed, reason
from ner.export.graph import write_graph
from ner.export.quantize import quantize
from ner.export.smoothing import smooth
from ner.inference.tagger import Tagger
from ner.model.context.bilstm import BiLSTM
from ner.model.context.rtransformer import RTransformer
from ner.model.decoders.classifier import ClassifierDecoder
from ner.model.decoders.joint import JointDecoder
from ner.model.decoders.softmax import SoftmaxDecoder
from ner.model.encoders.concat import ConcatEncoder
from ner.model.encoders.embedding import EmbeddingEncoder
from ner.model.encoders.transformer import TransformerEncoder
from ner.model.model import Model
from ner.model.saving import load
from ner.model.tag_decoder import TagDecoder
from ner.model.tokenizer import WordTokenizer
from ner.model.units import PieceUnits
from ner.portable import description as portable
from ner.portable.description import Classes, Description, Parity, PieceEncoder, Pieces, Tags, WordEncoder
from ner.portable.inputs import Arrays, PieceGraphInput, WordGraphInput, context_arrays
from ner.portable.tagger import PortableTagger, parity_record
from ner.runs.directory import CONFIG, WEIGHTS
from ner.runtime import atomic, manifest
from ner.types import Document, Example

Precision = Literal["fp32", "int8"]

MAX_PARITY = 100
"""Sentences of the validation data in ``parity.jsonl``."""
WORD_TABLES = {
    "word_ids": "words",
    "shape_ids": "shapes",
    "characters": "characters",
    "long_characters": "characters",
}
"""Vocabulary of each input of an embedding encoder that is only read with it."""
SMOOTHING_BATCH = 8
"""Sentences of a batch whose activations are observed before int8; several, so that short ones are apart from long."""
TOLERANCE = 1e-4
"""Largest difference of a probability between torch and a graph in float32."""
COPIED = ("LICENSE", "LICENSE.txt", "README.md")
"""Files of a run that are copied: the licence and the model card."""
SENTENCES = (
    "EU rejects German call to boycott British lamb .",
    "Obama 's trip to Paris , France , cost $ 1,000.50 on 1996-08-22 .",
    "我 爱 北 京 天 安 门 。",
    "naïve café – ﬁne e\u0301 \u200b x\u0000y 😀 [SEP] [CLS]",
    "U.S. U.S. U.S.",
    "Supercalifragilisticexpialidocious" * 9,
    "O",
)
"""Sentences of ``parity.jsonl`` that do not depend on the data."""


def export(run: Path, output: Path, precision: Precision = "fp32") -> Description:
    """Write the export of a run and compare it with the model in torch.

    Args:
        run: Run directory.
        output: Directory that does not exist yet, or is empty.
        precision: Precision of the weights; ``int8`` quantizes them per channel, and activations dynamically.

    Raises:
        InputError: If a package is missing, the model cannot be exported, the directory cannot be written, or the graph
            differs from torch.
    """
    for module in ("onnx", "onnxruntime"):
        if find_spec(module) is None:
            raise InputError(not_installed(module, "'onnx>=1.17'", "'onnxruntime>=1.20'"))
    try:
        if output.exists() and any(output.iterdir()):
            raise InputError(f"--output {output}: contains files; choose an empty directory")
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written: {reason(error)}") from None
    model, config = load(run)
    check_exportable(model, config)
    with suppress(OSError):
        output.rmdir()
    with atomic.new_directory(output) as directory:
        return _write(directory, run, model, config, precision)


def check_exportable(model: Model, config: RunConfig) -> None:
    """Check that every part of a model has a counterpart in the runtime.

    Raises:
        InputError: If one has none; the message names it.
    """
    decoders = joined(model)
    supported: list[tuple[str, Any, tuple[type, ...]]] = [
        *(("decoder", decoder, (TagDecoder, ClassifierDecoder)) for decoder in decoders),
        *(("encoder", encoder, (EmbeddingEncoder, TransformerEncoder)) for encoder in members(model).values()),
        ("context", model.context, (torch.nn.Identity, BiLSTM, RTransformer)),
    ]
    for kind, module, types in supported:
        if isinstance(module, GenerativeDecoder) or not isinstance(module, types):
            raise InputError(
                f"config.{kind}: {getattr(config, kind).name} cannot be exported; decoders crf, softmax, classifier "
                "and joint, encoders embedding, transformer and concat, and context layers bilstm and rtransformer can"
            )
    for tokenizer in tokenizers(model):
        if not isinstance(tokenizer, WordTokenizer) or not getattr(tokenizer.tokenizer, "is_fast", False):
            raise InputError("config.encoder: the tokenizer has no tokenizer.json, so the model cannot be exported")


def joined(model: Model) -> list[Any]:
    """Return the decoders of a model, which are two for ``joint``."""
    decoder = model.decoder
    return [decoder.tags, decoder.classes] if isinstance(decoder, JointDecoder) else [decoder]


def members(model: Model) -> dict[str, Any]:
    """Return the encoders by key; the key of a single encoder is empty."""
    return model.encoder.members if isinstance(model.encoder, ConcatEncoder) else {"": model.encoder}


def tokenizers(model: Model) -> list[Any]:
    """Return the tokenizers of a model."""
    encoder_tokenizers = [
        encoder.tokenizer for encoder in members(model).values() if isinstance(encoder, TransformerEncoder)
    ]
    return encoder_tokenizers + ([model.units.tokenizer] if isinstance(model.units, PieceUnits) else [])


def _write(directory: Path, run: Path, model: Model, config: RunConfig, precision: Precision) -> Description:
    decoders = joined(model)
    tags = next((decoder for decoder in decoders if isinstance(decoder, TagDecoder)), None)
    classifier = next((decoder for decoder in decoders if isinstance(decoder, ClassifierDecoder)), None)
    files: dict[str, bytes] = {portable.LABELS: model.vocabs.to_bytes(), CONFIG: (run / CONFIG).read_bytes()}
    files |= {name: (run / name).read_bytes() for name in COPIED if (run / name).is_file()}
    if model.word_splitter:
        files[portable.WORDS] = model.word_splitter.to_bytes()
    encoders: list[WordEncoder | PieceEncoder] = []
    inputs: dict[str, WordGraphInput | PieceGraphInput] = {}
    for key, encoder in members(model).items():
        encoder_description, encoder_files = _describe(key, encoder)
        encoders.append(encoder_description)
        files |= {f"encoder/{key}/{name}" if key else f"encoder/{name}": data for name, data in encoder_files.items()}
        inputs[key] = (
            WordGraphInput(encoder_description, encoder_files)
            if isinstance(encoder_description, WordEncoder)
            else PieceGraphInput(encoder_description, encoder_files)
        )
    unit = None
    if isinstance(model.units, PieceUnits):
        unit, files["unit/tokenizer.json"] = _pieces(model.units.tokenizer)
    if tags is not None:
        save_file(_potentials(tags), directory / portable.POTENTIALS)
    pooled = classifier is not None and classifier.config.pooling == "cls"
    write_graph(model, _sample(model, inputs, pooled), directory / portable.GRAPH)
    tagger = Tagger(model, config, "cpu", "fp32")
    measure, batch_size = tagger.batch_config.inference_batches("cpu", model.inference_pieces)
    description = Description(
        format=portable.VERSION,
        decoder=config.decoder.name,
        precision="fp32",
        encoders=encoders,
        has_context=model.has_context,
        tags=None
        if tags is None
        else Tags(tags.tags.scheme, float(tags.temperature), isinstance(tags, SoftmaxDecoder)),  # type: ignore[arg-type]
        classes=None if classifier is None else Classes(classifier.config.multi_label, classifier.config.threshold),
        unit=unit,
        measure=measure,
        batch_size=batch_size,
        data=config.data.model_dump(mode="json"),
        parity=Parity(1.0, TOLERANCE),
        model_sha256=manifest.sha256(run / WEIGHTS),
    )
    documents = _sentences(model, config)
    records = [parity_record(document.examples[0]) for document in tagger.tag(documents, probabilities=True)]
    files[portable.PARITY] = "".join(f"{json.dumps(record)}\n" for record in records).encode()
    for name, data in files.items():
        atomic.write_bytes(directory / name, data)
    description = _compare(directory, description, files)
    if description.parity.equal < 1 or description.parity.difference > TOLERANCE:
        raise InputError(
            f"{run}: the exported graph differs from torch ({description.parity.equal:.1%} of the sentences are equal, "
            f"probabilities within {description.parity.difference:.1e}), so the model cannot be exported"
        )
    if precision == "int8":
        exported = PortableTagger(directory)
        examples = exported.units.split([document.examples[0] for document in documents])
        groups = [[example] for example in examples]
        batches = [groups[start : start + SMOOTHING_BATCH] for start in range(0, len(groups), SMOOTHING_BATCH)]
        smooth(directory / portable.GRAPH, map(exported.graph_arrays, batches))
        quantize(directory / portable.GRAPH)
        description = _compare(directory, replace(description, precision="int8"), files)
    return description


def _compare(directory: Path, description: Description, files: dict[str, bytes]) -> Description:
    """Write description and manifest, load the export, and return the description with its agreement with torch."""
    for parity in (description.parity, None):
        if parity is None:
            equal, difference, total = PortableTagger(directory).compare()
            description = replace(description, parity=Parity(equal / max(1, total), min(1.0, difference)))
        atomic.write_bytes(directory / portable.DESCRIPTION, json.dumps(asdict(description), indent=2).encode())
        potentials = [portable.POTENTIALS] if description.tags else []
        manifest.write_manifest(directory, [*files, portable.DESCRIPTION, portable.GRAPH, *potentials])
    return description


def _describe(key: str, encoder: Any) -> tuple[WordEncoder | PieceEncoder, dict[str, bytes]]:
    """Return the description of an encoder's input, and its files."""
    if isinstance(encoder, EmbeddingEncoder):
        config = encoder.config
        names: Any = sorted(encoder.tables)
        inputs = encoder.words_to_ids
        word_encoder = WordEncoder(
            kind="words",
            key=key,
            tables=names,
            lowercase=config.lowercase,
            normalize_digits=config.normalize_digits,
            max_length=inputs.max_length,
            num_buckets=inputs.num_buckets,
            uses_segments=inputs.uses_segments,
        )
        return word_encoder, encoder.asset_files()
    input_maker = encoder.input_maker
    pieces, tokenizer = _pieces(encoder.tokenizer)
    overlap = encoder.windows.overlap_of(input_maker.capacity)
    description = PieceEncoder(
        "pieces", key, input_maker.row_length, input_maker.scope, overlap, input_maker.pooling, pieces
    )
    return description, {"tokenizer.json": tokenizer}


def _pieces(tokenizer: Any) -> tuple[Pieces, bytes]:
    special = (tokenizer.prefix, tokenizer.suffix, tokenizer.pair_separator, tokenizer.padding, tokenizer.unknown)
    return Pieces(*special, tokenizer.size), tokenizer.tokenizer.backend_tokenizer.to_str().encode()


def _potentials(decoder: TagDecoder) -> dict[str, np.ndarray]:
    """Return the chains of the best path and of probabilities, -inf where forbidden."""
    temperature = decoder.temperature
    tables = {}
    with torch.no_grad():
        chains = {"best": decoder.chain(decoder.constrained), "distribution": decoder.probability_chain()}
        for chain_name, chain in chains.items():
            for name, table in zip(("first", "transitions", "last"), chain.tables(), strict=True):
                scaled = table.float() / (temperature if chain_name == "distribution" else 1)
                tables[f"{chain_name}.{name}"] = np.ascontiguousarray(scaled.numpy())
    return tables


def _sample(model: Model, inputs: dict[str, Any], pooled: bool) -> Arrays:
    """Return arrays to trace the graph with: examples of several words, so that no size is 1."""
    texts = ("Ann of Berlin lives in Rare-1984 .", "Bob went far away .") * 2
    examples = model.units.split([Example(text.split()) for text in texts])
    arrays: Arrays = {}
    for key, graph_input in inputs.items():
        for name, array in graph_input.arrays([[example] for example in examples]).items():
            needed = pooled or not name.startswith("row")
            if isinstance(graph_input, WordGraphInput) and name in WORD_TABLES:
                needed = WORD_TABLES[name] in graph_input.words.tables
            if needed:
                arrays[name if name == "mask" or not key else f"{key}.{name}"] = array
    return {**arrays, **(context_arrays(arrays["mask"], num_short=2) if model.has_context else {})}


def _sentences(model: Model, config: RunConfig) -> list[Document]:
    """Return the sentences of ``parity.jsonl``: of the validation data if they can be read, and fixed ones."""
    texts: list[Sequence[str]] = [sentence.split(" ") for sentence in SENTENCES]
    texts.append([*SENTENCES[0].split()] * 100)
    data = config.data
    with suppress(InputError, OSError):
        format_module = load_component("formats", data.format.name)
        documents = format_module.read(data.valid or data.train, data.format, data.word_rule)
        examples = (example for document in documents for example in document.examples if example.words)
        texts += [example.words for example in islice(examples, MAX_PARITY)]
    return [Document([Example([*words])], scheme=model.vocabs.scheme) for words in texts]
