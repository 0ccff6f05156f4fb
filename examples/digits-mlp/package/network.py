"""A multilayer perceptron with its gradients written out, and Adam."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

CLASSES = 10


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood in nats."""
    picked = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(picked, 1e-12)).mean())


@dataclass
class Network:
    """Dense layers with ReLU between them. ``parameters`` is W0, b0, W1, b1, ... and is changed in place by training."""

    parameters: list[np.ndarray]

    @classmethod
    def fresh(cls, sizes: list[int], rng: np.random.Generator) -> Self:
        """He initialisation."""
        parameters: list[np.ndarray] = []
        for fan_in, fan_out in pairwise(sizes):
            parameters.append(rng.normal(0.0, np.sqrt(2.0 / fan_in), (fan_in, fan_out)).astype(np.float32))
            parameters.append(np.zeros(fan_out, dtype=np.float32))
        return cls(parameters)

    def activations(self, X: np.ndarray) -> list[np.ndarray]:
        """The input of every layer, then the class scores."""
        layers = [X.reshape(len(X), -1)]
        last = len(self.parameters) - 2
        for at in range(0, len(self.parameters), 2):
            scores = layers[-1] @ self.parameters[at] + self.parameters[at + 1]
            layers.append(scores if at == last else np.maximum(scores, 0.0))
        return layers

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        return softmax(self.activations(X)[-1])

    def loss_and_gradients(self, X: np.ndarray, labels: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """Mean cross-entropy of the batch and its gradient for each entry of ``parameters``."""
        *inputs, scores = self.activations(X)
        probabilities = softmax(scores)
        error = probabilities.copy()
        error[np.arange(len(labels)), labels] -= 1.0
        error /= len(labels)
        gradients: list[np.ndarray] = []
        for layer in range(len(inputs) - 1, -1, -1):
            gradients[:0] = [inputs[layer].T @ error, error.sum(axis=0)]
            error = (error @ self.parameters[2 * layer].T) * (inputs[layer] > 0)
        return cross_entropy(probabilities, labels), gradients

    def measure(self, X: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Loss in nats and the share of right answers."""
        probabilities = self.probabilities(X)
        return cross_entropy(probabilities, labels), float((probabilities.argmax(axis=1) == labels).mean())

    def save(self, path: Path) -> None:
        named: dict[str, Any] = {f"parameter_{at:02d}": value for at, value in enumerate(self.parameters)}
        np.savez(path, **named)

    @classmethod
    def read(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as archive:
            return cls([archive[name] for name in sorted(archive.files)])


@dataclass
class Adam:
    """Adam with decoupled weight decay on the matrices. ``moments`` holds the first, then the second moments."""

    moments: list[np.ndarray]
    steps: int = 0
    weight_decay: float = 1e-4

    @classmethod
    def fresh(cls, network: Network) -> Self:
        return cls([np.zeros_like(value) for _ in range(2) for value in network.parameters])

    def step(self, network: Network, gradients: list[np.ndarray], *, learning_rate: float) -> None:
        self.steps += 1
        rate = learning_rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        half = len(gradients)
        for at, gradient in enumerate(gradients):
            first, second = self.moments[at], self.moments[half + at]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            if gradient.ndim == 2:
                network.parameters[at] *= 1 - learning_rate * self.weight_decay
            network.parameters[at] -= (rate * first / (np.sqrt(second) + 1e-8)).astype(np.float32)
