"""Limits of YAML: a small file that stands for much, or nests deeply, is refused while it is read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ner.config.load import MAX_CHARACTERS, read_text, read_yaml
from ner.errors import InputError

BOMB = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10) if n else 'a'}]\n" for n in range(12))
WIDE = f"x0: &x0 {{{', '.join(f'k{n}: 1' for n in range(1000))}}}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{BOMB}seed: *x11\n", "more than 2,000 values"),
        (f"{WIDE}a: {{<<: [{', '.join(['*x0'] * 10_000)}]}}\n", "more than 2,000 values"),
        ("".join(f"k{n}: 1\n" for n in range(10_000)), r"f:1001: .*more than 2,000 values"),
        (f"a: [{'&b 1,' * 10_000}]", "more than 2,000 values"),
        ("[" * 100_000, "more than 50 levels"),
        ("{a: " * 20_000, "more than 50 levels"),
        ("? " * 50_000, "more than 50 levels"),
        ("- " * 50_000, "more than 50 levels"),
        ("a: &a [*a]", "a value contains itself"),
        ("a: &a\n  <<: *a\n", "a value contains itself"),
        ("#" * (MAX_CHARACTERS + 1), "more than 131,072 characters"),
        (f"seed: {'9' * 100_000}", "not YAML"),
        ("a: !!timestamp 2001-99-99", "not YAML"),
        ("a: !!python/object/apply:os.system [x]", "not YAML"),
        ("? [a, {b: 1}]\n: 1", "not YAML"),
    ],
)
def test_hostile_yaml_is_refused_at_once(text: str, message: str) -> None:
    started = time.process_time()
    with pytest.raises(InputError, match=message):
        read_yaml(text, "f")
    assert time.process_time() - started < 3  # it takes a tenth; a machine may be busy


def test_aliases_and_merge_keys_are_read() -> None:
    assert read_yaml("a: &a {b: 1}\nc: {<<: *a, d: 2}\ne: [*a, *a]", "f") == {
        "a": {"b": 1},
        "c": {"b": 1, "d": 2},
        "e": [{"b": 1}, {"b": 1}],
    }


def test_a_large_file_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="more than 131,072 characters"):
        read_text(path)
