"""Train a small character-level language model on plain text, on the CPU (or a GPU, where PyTorch finds one).

Prints a JSON line of metrics every ``--report-every`` steps, saves ``model.pt`` and a sample of what it writes. With a
checkpoint folder it goes on from its last checkpoint when it is started again.
"""

import argparse
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from corpus import Vocabulary, folder, read_text, split
from torch import Tensor, nn
from torch.nn import functional

CHECKPOINT = "checkpoint.pt"


class CharacterModel(nn.Module):
    """Embedding, GRU and a linear layer back to the characters."""

    def __init__(self, *, characters: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 64)
        self.recurrent = nn.GRU(64, hidden, layers, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.scores = nn.Linear(hidden, characters)

    def forward(self, numbers: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores of the next character at every place of (batch, time), and the memory to go on from."""
        hidden, memory = self.recurrent(self.embedding(numbers), memory)
        return self.scores(self.dropout(hidden)), memory


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--sequence", type=int, default=96, help="characters that a gradient reaches back over")
    parser.add_argument("--batch-size", "--batch_size", type=int, default=32)
    parser.add_argument("--learning-rate", "--learning_rate", type=float, default=0.005)
    parser.add_argument("--report-every", "--report_every", type=int, default=25, help="steps")
    parser.add_argument("--checkpoint-every", "--checkpoint_every", type=int, default=100, help="steps")
    parser.add_argument("--checkpoint-dir", type=Path, default=os.environ.get("SM_CHECKPOINT_DIR") or None)
    parser.add_argument("--sample-length", "--sample_length", type=int, default=600, help="characters")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def batches(numbers: Tensor, chosen: argparse.Namespace, *, first_step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Random windows and the same one character later. Step n's windows depend on the seed and n only."""
    for step in range(first_step, chosen.steps):
        generator = torch.Generator().manual_seed(chosen.seed * 1_000_003 + step)
        starts = torch.randint(len(numbers) - chosen.sequence, (chosen.batch_size, 1), generator=generator)
        windows = numbers[starts + torch.arange(chosen.sequence + 1)]
        yield windows[:, :-1], windows[:, 1:]


def mean_loss(scores: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(scores.flatten(0, 1), targets.flatten())


@torch.no_grad()
def bits_per_character(model: CharacterModel, numbers: Tensor) -> float:
    """Read the validation text once, in 16 parallel strips that start without memory."""
    strips = numbers[: len(numbers) // 16 * 16].view(16, -1)
    model.eval()
    scores, _ = model(strips[:, :-1])
    loss = mean_loss(scores, strips[:, 1:])
    model.train()
    return float(loss) / math.log(2)


@torch.no_grad()
def sample(model: CharacterModel, vocabulary: Vocabulary, *, length: int, seed: int, temperature: float = 0.7) -> str:
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    written = vocabulary.encode("\n") if "\n" in vocabulary.characters else [0]
    memory = None
    for _ in range(length):
        scores, memory = model(torch.tensor([[written[-1]]], device=device), memory)
        chances = functional.softmax(scores[0, -1].cpu() / temperature, dim=0)
        written.append(int(torch.multinomial(chances, 1, generator=generator)))
    return vocabulary.decode(written[1:])


class Trainer:
    """Model, optimiser and how many steps are done: what a checkpoint holds."""

    def __init__(self, chosen: argparse.Namespace, vocabulary: Vocabulary, device: torch.device) -> None:
        self.chosen, self.device, self.steps_done = chosen, device, 0
        self.shape = {"characters": len(vocabulary.characters), "hidden": chosen.hidden, "layers": chosen.layers}
        self.model = CharacterModel(**self.shape).to(device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=chosen.learning_rate)
        self.identity = f"{self.shape} {vocabulary.characters!r} steps={chosen.steps} seed={chosen.seed}"

    def resume(self) -> None:
        path = self.chosen.checkpoint_dir and self.chosen.checkpoint_dir / CHECKPOINT
        if not path or not path.exists():
            return
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        if state["identity"] != self.identity:
            print("the checkpoint found is of another run: starting anew", flush=True)
            return
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps_done = state["steps_done"]
        print(f"resumed after step {self.steps_done}", flush=True)

    def checkpoint(self) -> None:
        """Replaces the last checkpoint in one step, so that a kill at any moment leaves a whole one."""
        folder_of_checkpoints = self.chosen.checkpoint_dir
        if not folder_of_checkpoints:
            return
        folder_of_checkpoints.mkdir(parents=True, exist_ok=True)
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        unfinished = folder_of_checkpoints / "unfinished.pt"
        torch.save(state | {"steps_done": self.steps_done, "identity": self.identity}, unfinished)
        unfinished.replace(folder_of_checkpoints / CHECKPOINT)

    def step(self, inputs: Tensor, targets: Tensor) -> float:
        fraction = self.steps_done / self.chosen.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.chosen.learning_rate * 0.5 * (1 + math.cos(math.pi * fraction))
        loss = mean_loss(self.model(inputs)[0], targets)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.steps_done += 1
        return loss.item()


def train(trainer: Trainer, training: Tensor, validation: Tensor) -> None:
    chosen, losses = trainer.chosen, []
    for inputs, targets in batches(training, chosen, first_step=trainer.steps_done):
        losses.append(trainer.step(inputs, targets))
        done, last = trainer.steps_done, trainer.steps_done == chosen.steps
        if done % chosen.report_every == 0 or last:
            bits = bits_per_character(trainer.model, validation)
            line = {"train_loss": sum(losses) / len(losses), "validation_bits_per_character": bits}
            line = {name: round(value, 5) for name, value in line.items()}
            print(json.dumps({"step": done, "total_steps": chosen.steps, **line}), flush=True)
            losses.clear()
        if done % chosen.checkpoint_every == 0 or last:
            trainer.checkpoint()


def main() -> None:
    chosen = options()
    torch.manual_seed(chosen.seed)
    torch.set_num_threads(int(os.environ.get("SM_NUM_CPUS") or torch.get_num_threads()))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text = read_text(folder("SM_CHANNEL_TRAINING", alone="dataset"))
    vocabulary = Vocabulary.of(text)
    training, validation = (torch.tensor(vocabulary.encode(part), device=device) for part in split(text, validation_share=0.1))
    trainer = Trainer(chosen, vocabulary, device)
    trainer.resume()
    train(trainer, training, validation)
    models, output = folder("SM_MODEL_DIR", alone="out/model"), folder("SM_OUTPUT_DATA_DIR", alone="out/output")
    models.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    weights = {name: value.cpu() for name, value in trainer.model.state_dict().items()}
    torch.save({"shape": trainer.shape, "characters": vocabulary.characters, "weights": weights}, models / "model.pt")
    written = sample(trainer.model, vocabulary, length=chosen.sample_length, seed=chosen.seed)
    (output / "sample.txt").write_text(written, encoding="utf-8")
    print(f"--- sample ---\n{written}", flush=True)


if __name__ == "__main__":
    main()
