from __future__ import annotations

from ner.runtime.nested import flat, leaves


def test_leaves_have_paths_in_order_and_empty_mappings_have_none() -> None:
    values = {"b": {"x.y": 1, "z": {}}, "a": None, "c": {"d": {"e": [2]}}}
    assert list(leaves(values)) == [(("b", "x.y"), 1), (("a",), None), (("c", "d", "e"), [2])]
    assert flat(values, "top") == {"top.b.x.y": 1, "top.a": None, "top.c.d.e": [2]}
