"""A plain training loop: embedding, packed BiLSTM, linear layer, pytorch-crf; shuffled batches with padding."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import worker
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torchcrf import CRF

torch.set_num_threads(1)
warnings.simplefilter("ignore")


class Tagger(nn.Module):
    """BiLSTM-CRF over words."""

    def __init__(self, num_words: int, num_tags: int, width: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_words, width, padding_idx=0)
        self.dropout = nn.Dropout(0.5)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.emissions = nn.Linear(2 * hidden, num_tags)
        self.crf = CRF(num_tags, batch_first=True)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        """Return the loss per word."""
        embedded = self.dropout(self.embedding(words))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        mask = (torch.arange(words.shape[1]) < lengths[:, None]).to(words.device)  # lengths are on the CPU
        return -self.crf(self.emissions(self.dropout(states)), tags, mask=mask, reduction="token_mean")


def prepare(train: str, steps: int, batch: int = 32, width: int = 100, hidden: int = 200, device: str = "cpu") -> Any:
    """Run ``steps`` steps of forward, backward, clip and AdamW."""
    torch.manual_seed(1)
    sentences = worker.read_columns(train)
    words = {word: number for number, word in enumerate(sorted({w.lower() for ws, _ in sentences for w in ws}), 1)}
    tags = {tag: number for number, tag in enumerate(sorted({t for _, ts in sentences for t in ts}))}
    rows = [
        (torch.tensor([words[word.lower()] for word in ws]), torch.tensor([tags[tag] for tag in ts]))
        for ws, ts in sentences
    ]
    model = Tagger(len(words) + 1, len(tags), width, hidden).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, fused=True)

    def repeat() -> dict[str, Any]:
        count = 0
        for positions in torch.randperm(len(rows))[: steps * batch].view(-1, batch).tolist():
            chosen = [rows[position] for position in positions]
            lengths = torch.tensor([len(row) for row, _ in chosen])
            padded = [pad_sequence([pair[side] for pair in chosen], batch_first=True) for side in (0, 1)]
            loss = model(padded[0].to(device), lengths, padded[1].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            count += int(lengths.sum())
        if device != "cpu":
            torch.cuda.synchronize()
        return {"words": count}

    return repeat


if __name__ == "__main__":
    worker.serve(prepare, ["torch", "pytorch-crf"])
