"""Pretrained encoders of the BERT family: word pieces in, one vector per word out.

The vector of a word is that of its first piece, of its last piece, or the mean over its pieces. A word without pieces
is encoded as the unknown piece. Long examples are cut into overlapping rows, and each word is read from the row in
which it has the most context; short examples may share a row. A question is repeated in every row of its passage, and
its words are averaged over the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from numpy.random import Generator
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import EncoderConfig
from ner.config.schema import WindowsConfig
from ner.contracts import Encoder
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model import pretrained
from ner.model.last_layer import selected_states, support_selection
from ner.model.pieces import PieceInputs
from ner.model.tokenizer import WordTokenizer
from ner.types import Document, Encoding, Example

PIECES_AT_ONCE = 2048
"""Pieces of one forward pass outside training, for texts of any length; on a GPU, sixteen times as many."""
ACCEPT_4D_MASKS = {"bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"}
"""Models that accept a mask ``(B, 1, 1, T)``. For a mask ``(B, T)`` transformers checks whether it is true everywhere,
which synchronizes with the GPU."""


class Config(EncoderConfig):
    """Pretrained encoder of the BERT family."""

    name: Literal["transformer"] = "transformer"
    """Name of the file in ner/model/encoders."""
    model: str
    """Directory, all-MiniLM-L6-v2 (bundled with the extra minilm), or a name on the Hugging Face Hub."""
    pooling: Literal["first", "last", "mean"] = "first"
    """Word vector: its first piece, its last piece, or the mean of its pieces."""
    num_layers: int | None = Field(None, ge=1)
    """Number of layers that are used, from the bottom; null for all. Fewer layers are faster."""
    freeze: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Number of frozen layers from the bottom, where the embeddings are the first one; all for the whole encoder."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the output."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that training replaces the pieces of a word by the unknown piece."""
    attention_dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout of the attention weights; null for the pretrained model's value. On CPUs, 0 enables the fused kernel and
    saves a quarter of the time."""

    @property
    def pretrained_model(self) -> str:
        """See :class:`EncoderConfig`."""
        return self.model


def build(
    config: Config, vocabs: Vocabs, windows: WindowsConfig, files: Mapping[str, bytes] | None = None
) -> TransformerEncoder:
    """Load pretrained weights by name, or build the architecture of a saved encoder whose weights are loaded later.

    Raises:
        InputError: If the model is not found, or reads fewer pieces than ``windows.max_length``.
    """
    if files is None:
        model = pretrained.load_encoder(config.model, config.attention_dropout, config.num_layers)
        tokenizer = WordTokenizer.load(config.model)
    else:
        with pretrained.unpacked(files, "encoder") as folder:
            model = pretrained.empty_model(folder)
            tokenizer = WordTokenizer.load(folder)
    return TransformerEncoder(config, model, tokenizer, windows)


class TransformerEncoder(Encoder):
    """Pretrained encoder of the BERT family.

    The tensors of :meth:`inputs`:

    - ``pieces (B, T)``, ``piece_mask (B, T)``, and with questions ``segments (B, T)``: 0 question, 1 passage;
    - ``word_pieces (M,)``: positions in the flattened pieces, and ``word_starts (S * W,)``: the first one of each word;
    - ``rows (R,)`` and ``row_starts (S,)``: the rows of each example, as indices and offsets like ``word_pieces``;
    - ``mask (S, W)`` and ``query_lengths (S,)``.

    Attributes:
        model, tokenizer: The pretrained model of transformers, and its tokenizer.
        selects_pieces: True if the last layer can be computed for some pieces only, see :mod:`ner.model.last_layer`.
        positions: Maximum number of pieces that the model can read.
        row_length: Pieces of a row, special ones included.

    Raises:
        InputError: If the model reads fewer pieces than ``windows.max_length``.
    """

    windows: WindowsConfig

    def __init__(self, config: Config, model: Any, tokenizer: WordTokenizer, windows: WindowsConfig) -> None:
        super().__init__()
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self.width: int = model.config.hidden_size
        tokenizer.size = model.get_input_embeddings().num_embeddings
        tokenizer.check_ids([*tokenizer.prefix, *tokenizer.suffix, *tokenizer.pair_separator, tokenizer.unknown])
        self.windows = windows
        self.dropout = nn.Dropout(config.dropout)
        positions = _positions(model, tokenizer)
        default_length = min(positions, getattr(tokenizer.tokenizer, "model_max_length", positions))
        if windows.max_length is not None and windows.max_length > positions:
            raise InputError(
                f"config.windows.max_length: {windows.max_length}, but {config.model} reads at most {positions} pieces"
            )
        self.positions, self.row_length = positions, windows.max_length or default_length
        segments = (getattr(model.config, "type_vocab_size", None) or 0) > 1
        try:
            self.input_maker = PieceInputs(
                tokenizer, self.row_length, windows, config.pooling, segments, config.word_dropout
            )
        except InputError as error:
            raise InputError(f"{config.model}: {error}") from None
        self.accepts_4d_masks = (
            model.config.model_type in ACCEPT_4D_MASKS and getattr(model.config, "_attn_implementation", "") == "sdpa"
        )
        self.selects_pieces = support_selection(model)
        layers = self.layers()
        for layer in layers if config.freeze == "all" else layers[: config.freeze]:
            layer.requires_grad_(False)
        self.frozen = config.freeze == "all"
        pooler = getattr(model, "pooler", None)
        if pooler is not None:
            pooler.requires_grad_(False)  # not used

    def layers(self) -> list[nn.Module]:
        """Return the embeddings and the layers of the encoder, bottom first."""
        layer_list = next((module for module in self.model.modules() if isinstance(module, nn.ModuleList)), None)
        embeddings = getattr(self.model, "embeddings", None)
        bottom = embeddings if embeddings is not None else self.model.get_input_embeddings()
        return [bottom, *(layer_list or [])]

    def asset_files(self) -> dict[str, bytes]:
        """Return the configuration of the model and the files of the tokenizer."""
        return {"config.json": self.model.config.to_json_string().encode(), **self.tokenizer.asset_files()}

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return the number of words without pieces, of shortened words, and of question words that are not read."""
        return self.input_maker.input_warnings(document)

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return sentences one by one or packed into rows; the cost counts pieces, with special ones and overlaps."""
        return self.input_maker.plan(document, limit)

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """Return the tensors of a batch, see the class."""
        arrays = self.input_maker.arrays(groups, generators)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoding:
        """Return an encoding with words ``(S, W, width)``.

        ``pooled`` is the vector of the first piece of a row, averaged over the rows of an example.
        """
        mask, pieces = inputs["mask"], inputs["pieces"]
        max_rows = max(1, PIECES_AT_ONCE * (16 if pieces.is_cuda else 1) // max(1, pieces.shape[1]))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            if self.training or len(pieces) <= max_rows:
                num_pieces = len(inputs["word_pieces"])
                states = self._encode(inputs, slice(None), inputs["word_pieces"])
                indices = torch.arange(num_pieces, device=pieces.device)
                words = F.embedding_bag(indices, states[:num_pieces], inputs["word_starts"], mode="mean")
                first_pieces = states[num_pieces:]
            else:
                words, first_pieces = self._encode_in_parts(inputs, max_rows)
        pooled = None
        if "rows" in inputs:
            pooled = F.embedding_bag(inputs["rows"], first_pieces, inputs["row_starts"], mode="mean")
        question_mask = torch.arange(mask.shape[1], device=mask.device) < inputs["query_lengths"].unsqueeze(1)
        return Encoding(self.dropout(words.view(*mask.shape, self.width)), mask, pooled, question_mask)

    def _encode(self, inputs: Mapping[str, Tensor], rows: slice, positions: Tensor) -> Tensor:
        """Return the vectors of pieces, given by their positions in the flattened rows.

        If pooled vectors are needed, those of the first piece of each row follow: ``(P, H)`` or ``(P + B, H)``.
        """
        pieces, mask, segments = inputs["pieces"][rows], inputs["piece_mask"][rows], inputs.get("segments")
        if "rows" in inputs:
            first = torch.arange(len(pieces), device=pieces.device) * pieces.shape[1]
            positions = torch.cat([positions, first])
        if not len(pieces):
            return torch.zeros((0, self.width), device=pieces.device)
        model_inputs = {"input_ids": pieces}
        model_inputs["attention_mask"] = mask[:, None, None] if self.accepts_4d_masks and mask.is_cuda else mask.long()
        if segments is not None:
            model_inputs["token_type_ids"] = segments[rows].long()
        return selected_states(self.model, positions, self.selects_pieces, model_inputs)

    def _encode_in_parts(self, inputs: Mapping[str, Tensor], size: int) -> tuple[Tensor, Tensor]:
        """Encode ``size`` rows at a time; return vectors of words ``(S * W, H)`` and of first pieces ``(B, H)``.

        The vectors of all pieces would take several times the memory of those of the words.
        """
        pieces, starts = inputs["word_pieces"], inputs["word_starts"].long()
        sizes = torch.diff(starts, append=starts.new_tensor([len(pieces)]))
        word_of_piece = torch.repeat_interleave(torch.arange(len(starts), device=starts.device), sizes)
        words = first_pieces = torch.empty(0)
        for start in range(0, len(inputs["pieces"]), size):
            positions = pieces - start * inputs["pieces"].shape[1]
            (in_chunk,) = torch.where((positions >= 0) & (positions < size * inputs["pieces"].shape[1]))
            states = self._encode(inputs, slice(start, start + size), positions[in_chunk])
            if not start:
                words, first_pieces = (
                    states.new_zeros((len(inputs[name]), self.width)) for name in ("word_starts", "pieces")
                )
            words.index_add_(0, word_of_piece[in_chunk], states[: len(in_chunk)])
            if "rows" in inputs:
                first_pieces[start : start + size] = states[len(in_chunk) :]
        return words.div_(sizes.clamp(min=1).unsqueeze(1)), first_pieces


def _positions(model: Any, tokenizer: WordTokenizer) -> int:
    """Return the number of positions of a model; those of RoBERTa start after the padding id."""
    size = getattr(model.config, "max_position_embeddings", None) or 1_000_000
    position_embeddings = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(position_embeddings, "padding_idx", None)
    return size - (0 if padding is None else padding + 1)
