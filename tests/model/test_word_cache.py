from __future__ import annotations

import copy
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from ner.model.word_cache import WordCache


def lengths(words: list[str]) -> list[int]:
    return list(map(len, words))


def test_values_are_computed_once_per_word() -> None:
    cache, asked = WordCache[int](), []

    def compute(words: list[str]) -> list[int]:
        asked.append(words)
        return lengths(words)

    assert cache.get(["a", "bb", "a"], compute) == [1, 2, 1]
    assert cache.get(["bb", "", "a"], compute) == [2, 0, 1]
    assert cache.get([], compute) == []
    assert asked == [["a", "bb"], [""]]


def test_the_table_is_bounded_by_its_characters() -> None:
    cache = WordCache[int](1000)
    for number in range(500):
        word = str(number) * (number % 90)
        assert cache.get([word, "x"], lengths) == [len(word), 1]
        assert sum(len(word) + cache.OVERHEAD for word in cache._table) == cache._size <= 1000
    assert cache.get(["y" * 5000], lengths) == [5000]
    assert not any(len(word) > 1000 for word in cache._table)


@pytest.mark.slow
def test_threads_lose_no_word_of_a_cache_that_is_always_full() -> None:
    cache = WordCache[int](200)

    def read(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(400):
            words = ["w" * draw.randrange(40) for _ in range(8)]
            assert cache.get(words, lengths) == lengths(words)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(read, range(16)))


def test_copies_are_empty_and_of_the_same_size() -> None:
    cache = WordCache[int](77)
    cache.get(["a"], lengths)
    for other in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert (other._table, other.max_size) == ({}, 77)
