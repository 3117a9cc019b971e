"""Section ``data`` of a configuration."""

from __future__ import annotations

from pydantic import Field, field_validator

from ner.config.base import ConfigSection, WordRule
from ner.config.parts import AnyFormat


class DataConfig(ConfigSection):
    """Data files and their format."""

    train: str
    """Training file."""
    valid: str | None = None
    """Validation file, used for model selection."""
    test: str | None = None
    """Test file, evaluated once after training."""
    format: AnyFormat = Field(default="conll", validate_default=True)
    """Format of the files: a file of ner/data/formats."""
    memmap_dir: str | None = "auto"
    """Directory for memory-mapped copies of the training file, which may then exceed main memory. auto uses the user's
    cache for files above 200 MB; null disables it."""
    word_split: WordRule | None = None
    """Splitting of raw text: at white space, also at punctuation, into characters, or into Chinese characters and runs
    of other letters. By default, raw training files are split at white space. If the training files contain words, the
    splitting of other texts is learned from them."""

    @field_validator("train", "valid", "test", "memmap_dir")
    @classmethod
    def _without_nul(cls, name: str | None) -> str | None:
        if name and "\0" in name:
            raise ValueError("expected the name of a file, found a NUL character")
        return name

    @property
    def word_rule(self) -> WordRule:
        """Splitting of raw training files."""
        return self.word_split or "space"
