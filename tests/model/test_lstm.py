from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ner.inference.tagger import quantized
from ner.model import length_groups as grouping
from ner.model import lstm, lstm_inference
from ner.model.kernels.crf_torch import reverse
from ner.model.length_groups import length_groups
from ner.model.lstm import BidirectionalLSTM
from ner.types import DistinctWords


def torch_lstm(ours: BidirectionalLSTM, width: int, hidden: int, layers: int) -> torch.nn.LSTM:
    theirs = torch.nn.LSTM(width, hidden, layers, batch_first=True, bidirectional=True)
    for layer in range(layers):
        for suffix, module in (("", ours.ahead[layer]), ("_reverse", ours.back[layer])):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{name}_l{layer}{suffix}").data.copy_(getattr(module, f"{name}_l0").data)
    return theirs


def test_result_and_gradients_are_those_of_a_packed_bidirectional_lstm() -> None:
    ours = BidirectionalLSTM(5, 3, layers=2).eval()
    theirs = torch_lstm(ours, 5, 3, 2)
    lengths = torch.tensor([4, 1, 6])
    inputs = torch.randn(3, 6, 5, requires_grad=True)
    mask = torch.arange(6) < lengths[:, None]
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    found = ours(inputs, mask)
    assert found.shape == (3, 6, 6)
    torch.testing.assert_close(found * mask[..., None], expected)
    weights = torch.randn_like(expected) * mask[..., None]
    gradients = [torch.autograd.grad((states * weights).sum(), inputs)[0] for states in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_padding_does_not_reach_a_word() -> None:
    model = BidirectionalLSTM(4, 2)
    inputs = torch.randn(1, 3, 4)
    alone = model(inputs, torch.ones(1, 3, dtype=torch.bool))
    padded = model(torch.cat([inputs, torch.full((1, 2, 4), 9.0)], 1), torch.tensor([[True] * 3 + [False] * 2]))
    torch.testing.assert_close(padded[:, :3], alone)


def test_reversal_is_its_own_inverse() -> None:
    mask = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
    positions = torch.arange(3).expand(3, 3)
    assert reverse(positions, mask).tolist() == [[1, 0, 2], [0, 1, 2], [2, 1, 0]]
    assert reverse(reverse(positions, mask), mask).equal(positions)


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
def test_segments_of_a_long_text_change_no_state(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = BidirectionalLSTM(5, 3, layers=2).eval()
    inputs = torch.randn(3, 6, 5)
    mask = torch.arange(6) < torch.tensor([4, 1, 6])[:, None]
    expected = model(inputs, mask)  # gradients are computed, so there are no segments
    calls = []
    monkeypatch.setattr(lstm, "SEGMENT", size)
    model.ahead[0].register_forward_hook(lambda module, given, output: calls.append(given[0].shape[1]))
    with torch.inference_mode():
        found = model(inputs, mask)
    torch.testing.assert_close(found * mask[..., None], expected * mask[..., None])
    assert (max(calls), sum(calls)) == (min(size, 6), 6)


def test_groups_of_similar_length_give_the_same_states_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    lengths = [30, 1, 2, 0, 9, 3, 28, 2, 2, 5, 1, 7]
    network = BidirectionalLSTM(3, 4, layers=2)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    results, counts = [], []
    for cost in (10**6, 0):
        monkeypatch.setattr(grouping, "CALL_COST", cost)
        counts.append(len(length_groups(lengths)))
        inputs = torch.linspace(-1, 1, 12 * 30 * 3).view(12, 30, 3).requires_grad_()
        states = network(inputs, mask) * mask.unsqueeze(-1)
        states.sin().sum().backward()
        results.append((states.detach(), inputs.grad))
    assert counts[0] == 1
    assert counts[1] > 1
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("lengths", [[], [0], [5] * 40, [1, 2, 3] * 30, [60, 1, 1, 1, 30, 30, 2] * 8])
def test_groups_contain_all_sentences(lengths: list[int]) -> None:
    groups = length_groups(lengths)
    assert sum(size for size, _ in groups) == len(lengths)
    widths = [width for size, width in groups for _ in range(size)]
    assert all(width >= length for width, length in zip(widths, sorted(lengths), strict=True))
    assert not lengths or widths[-1] == max(1, *lengths)


@pytest.mark.parametrize("lengths", [[7] * 9, [3, 1, 9, 0, 2, 9, 4, 4, 1, 8, 9, 9], [1] * 8])
@pytest.mark.parametrize("layers", [1, 2])
def test_distinct_vectors_give_the_same_states(
    lengths: list[int], layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lstm_inference, "MIN_SENTENCES", 1)
    network = BidirectionalLSTM(5, 3, layers).eval()
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    words = DistinctWords(torch.randn(4, 5) * 3, torch.randint(4, mask.shape))
    inputs = words.vectors[words.positions] * mask.unsqueeze(-1)
    calls = spy(monkeypatch)
    expected = network(inputs, mask)
    torch.testing.assert_close(network(words, mask), expected)
    assert not calls.called  # they have gradients
    with torch.inference_mode():
        torch.testing.assert_close(network(words, mask), expected)
    assert num_vectors(calls) == [4]


def test_few_sentences_and_many_vectors_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    network = BidirectionalLSTM(2, 3).eval()
    calls = spy(monkeypatch)
    monkeypatch.setattr(lstm_inference, "MAX_VECTORS", 80)
    with torch.inference_mode():
        for sentences, vectors in ((63, 9), (64, 64), (64, 65), (64, 77), (70, 65), (0, 3)):
            positions = torch.zeros(sentences, 2, dtype=torch.long)
            mask = torch.ones(sentences, 2, dtype=torch.bool)
            network(DistinctWords(torch.zeros(vectors, 2), positions), mask)
    assert num_vectors(calls) == [64, 65, 65]


def spy(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Observe the calls without torch's LSTM."""
    observed = Mock(wraps=lstm_inference.bidirectional_states)
    monkeypatch.setattr(lstm_inference, "bidirectional_states", observed)
    return observed


def num_vectors(observed: Mock) -> list[int]:
    return [len(call.args[2].vectors) for call in observed.call_args_list]


def test_small_inputs_keep_their_accuracy() -> None:
    network = BidirectionalLSTM(5, 3).eval()
    mask = torch.ones(64, 4, dtype=torch.bool)
    words = DistinctWords(torch.randn(6, 5) * 1e-4, torch.randint(6, mask.shape))
    exact = network.double()(words.vectors.double()[words.positions], mask)
    with torch.inference_mode():
        found = lstm_inference.bidirectional_states(network.float().ahead[0], network.back[0], words, mask)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=3e-7)


@pytest.mark.parametrize("kind", ["plain", "bf16", "hook", "no bias", "quantized"])
def test_only_plain_layers_are_computed_without_torch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.ModuleList([BidirectionalLSTM(2, 3).eval()])
    calls = spy(monkeypatch)
    vectors = torch.zeros(9, 2)
    if kind == "bf16":
        network, vectors = network.bfloat16(), vectors.bfloat16()
    elif kind == "hook":
        network[0].back[0].register_forward_hook(lambda module, given, output: None)
    elif kind == "no bias":
        network[0].ahead[0] = torch.nn.LSTM(2, 3, batch_first=True, bias=False)
    elif kind == "quantized":
        network = quantized(network, torch.device("cpu"))
    words = DistinctWords(vectors, torch.zeros(64, 2, dtype=torch.long))
    with torch.inference_mode():
        network[0](words, torch.ones(64, 2, dtype=torch.bool))
    assert calls.called == (kind == "plain")


def test_autocast_and_gradients_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    network = BidirectionalLSTM(2, 3).eval()
    calls = spy(monkeypatch)
    words = DistinctWords(torch.zeros(9, 2), torch.zeros(64, 2, dtype=torch.long))
    mask = torch.ones(64, 2, dtype=torch.bool)
    network(words, mask)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        network(words, mask)
    assert not calls.called
