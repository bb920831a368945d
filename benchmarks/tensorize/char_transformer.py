"""A small character transformer on the text of Python's documentation: trained once, then kept in the cache folder."""

import logging
import os
import pydoc_data.topics
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from tnsim.backend import core_count

LOG = logging.getLogger("benchmarks.tensorize")
WIDTH, HEADS, BLOCKS, CONTEXT, BATCH = 128, 4, 6, 96, 24


class Block(nn.Module):
    """Attention and two layers with GELU between them, each added to what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.f1, self.f2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.ln1(x)
        q, k, v = (f(y).unflatten(-1, (HEADS, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).flatten(2))
        return x + self.f2(functional.gelu(self.f1(self.ln2(x))))


class CharTransformer(nn.Module):
    """Logits of the next character."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(characters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, characters)
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, nn.Embedding)):
                nn.init.normal_(layer.weight, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.token(ids) + self.place(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def text() -> tuple[torch.Tensor, int]:
    """All topics as numbers of characters, and how many different ones there are."""
    whole = "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    letters = sorted(set(whole))
    number = {letter: n for n, letter in enumerate(letters)}
    return torch.tensor([number[letter] for letter in whole]), len(letters)


class Corpus(NamedTuple):
    """Text to train on and to calibrate with; to choose sizes by; to judge by, seen by nothing before; and how many
    different characters there are."""

    training: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    characters: int


def corpus() -> Corpus:
    """The first 85%, the next 5%, and the last tenth."""
    ids, count = text()
    first, second = int(0.85 * len(ids)), int(0.9 * len(ids))
    return Corpus(ids[:first], ids[first:second], ids[second:], count)


def windows(ids: torch.Tensor, batches: int, seed: int, size: int = BATCH) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Random windows: (what is read, what comes next)."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(batches):
        starts = torch.randint(0, len(ids) - CONTEXT - 1, (size,), generator=generator)
        rows = torch.stack([ids[s : s + CONTEXT + 1] for s in starts.tolist()])
        found.append((rows[:, :-1], rows[:, 1:]))
    return found


def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Cross entropy in nats a character."""
    return functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def mean_loss(model: nn.Module, batches: list) -> float:
    with torch.no_grad():
        return sum(loss(model, batch).item() for batch in batches) / len(batches)


def train(model: nn.Module, batches: list, rate: float = 1.5e-3) -> None:
    """AdamW, a warm-up of a tenth, then a straight line to zero."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    steps = len(batches)
    for number, batch in enumerate(batches):
        share = min((number + 1) / (0.1 * steps), (steps - number) / (0.9 * steps))
        optimizer.param_groups[0]["lr"] = rate * min(1.0, share)
        value = loss(model, batch)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if number % 100 == 0:
            LOG.info("step %d, loss %.3f", number, value.item())


def trained(steps: int = 1000, seed: int = 0) -> CharTransformer:
    """The model after so many steps: from the cache folder, or trained now (minutes) and kept there."""
    texts = corpus()
    torch.manual_seed(seed)
    model = CharTransformer(texts.characters)
    folder = Path(os.environ.get("TNSIM_CACHE") or Path.home() / ".cache" / "tnsim")
    path = folder / f"char-transformer-85-{steps}-{seed}.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    threads = torch.get_num_threads()
    torch.set_num_threads(core_count())
    train(model, windows(texts.training, steps, seed))
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)
    return model.eval()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    LOG.info("loss on the test text %.4f", mean_loss(trained(), windows(corpus().test, 20, 1)))
