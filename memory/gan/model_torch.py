"""Generative adversarial networks of S seeds: model, losses, training, and recall by search for a code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from memory.common.networks.arithmetic_torch import Optimizer, product, softplus
from memory.common.networks.layers_torch import Streams, Weights, init_mlp, mlp, normals, subset, tensor
from memory.common.networks.memory_torch import CueBatch, Iteration, Restoration, cue_evidence, mean_pattern
from memory.common.networks.training_torch import (
    cross_entropy,
    discriminator_loss,
    generator_loss,
    sample_rows,
    train,
    training,
)
from simulator.core.memories import CERTAIN, PatternSpec
from simulator.core.protocols import Array

if TYPE_CHECKING:
    from memory.gan import Config

CUES_PER_SEARCH = 256  # bounds the memory used
MEAN_VALUES = 1 << 22  # values of a seed's posterior means that are added up at a time
ENERGY_EVIDENCE = 4.0  # half log odds that a pattern's units give in the search for its energy


def minibatch_similarity(features: Tensor) -> Tensor:
    """Compute how similar every row is to the others of its batch (Salimans et al. 2016, section 3.2).

    Args:
        features: [S, B, F, C], F features of dimension C.

    Returns:
        [S, B, F]: sum over the other rows of exp(-|difference|_1).
    """
    distances = (features.unsqueeze(2) - features.unsqueeze(1)).abs().sum(-1)  # [S, B, B, F]
    return (-distances).exp().sum(2) - 1.0


def nearest_cross_entropy(logits: Tensor, patterns: Tensor) -> Tensor:
    """Compute the cross entropy of each pattern with the generated one that has the least (Li and Malik 2018).

    Args:
        logits: of the generated patterns, [S, G, N].
        patterns: stored ones, [S, B, N].

    Returns:
        [S, B].
    """
    with torch.no_grad():
        costs = softplus(logits).sum(-1).unsqueeze(1) - product(0.5 * (1.0 + patterns), logits.transpose(1, 2))
        nearest = costs.argmin(-1, keepdim=True)  # [S, B, 1]
    return cross_entropy(logits.gather(1, nearest.expand(-1, -1, logits.shape[-1])), patterns)


class GAN:
    """Adversarial networks; see :class:`memory.common.networks.memory_torch.MemoryNetwork`.

    Args:
        spec: shape and domain of a pattern.
        config: settings.
    """

    def __init__(self, spec: PatternSpec, config: Config) -> None:
        self._config = config
        self._n = spec.n

    def init_weights(self, streams: Streams) -> Weights:
        """Sample ``generator`` layers from the code to logits, and ``discriminator`` layers to the logit of real."""
        config = self._config
        n_features = config.discriminator_hidden[-1]
        weights = init_mlp("generator", (config.latent_dim, *config.generator_hidden, self._n), "relu", streams)
        weights |= init_mlp("discriminator.hidden", (self._n, *config.discriminator_hidden), "relu", streams)
        if config.minibatch_features:
            sizes = (n_features, config.minibatch_features * config.minibatch_feature_dim)
            layer = init_mlp("minibatch", sizes, "linear", streams)
            weights["discriminator.minibatch"] = layer["minibatch.0.weight"]  # differences need no bias
        sizes = (n_features + config.minibatch_features, 1)
        return weights | init_mlp("discriminator.output", sizes, "linear", streams)

    def decode(self, weights: Weights, codes: Tensor) -> Tensor:
        """Compute the logits [S, B, N] of +1 at every unit for codes [S, B, H]."""
        return mlp(weights, "generator", codes)

    @property
    def code_size(self) -> int:
        """Number of values of a code."""
        return self._config.latent_dim

    def decoded(self, weights: Weights, codes: Tensor) -> Tensor:
        """Decode codes [S, B, H] to mean patterns [S, B, N]."""
        return mean_pattern(self.decode(weights, codes))

    def discriminate(self, weights: Weights, x: Tensor) -> Tensor:
        """Compute the logits [S, B] of the rows of one batch [S, B, N] being stored patterns."""
        config = self._config
        features = self.features(weights, x)
        if config.minibatch_features:
            projected = product(features, weights["discriminator.minibatch"])
            projected = torch.unflatten(projected, -1, (config.minibatch_features, config.minibatch_feature_dim))
            similarity = minibatch_similarity(projected) / max(1, x.shape[1] - 1)  # a sum would outweigh the features
            features = torch.cat([features, similarity], -1)
        return mlp(weights, "discriminator.output", features)[..., 0]

    def features(self, weights: Weights, x: Tensor) -> Tensor:
        """Compute the activations [S, B, F] of the discriminator's last hidden layer."""
        return torch.relu(mlp(weights, "discriminator.hidden", x))

    def discriminator_loss(self, weights: Weights, real: Tensor, fake: Tensor) -> Tensor:
        """Compute the discriminator's loss [S] on stored and generated rows [S, B, N]."""
        return discriminator_loss(self.discriminate(weights, real), self.discriminate(weights, fake))

    def generator_loss(self, weights: Weights, real: Tensor, fake: Tensor) -> Tensor:
        """Compute the generator's loss [S] against the discriminator after its unrolled steps (Metz et al. 2017)."""
        discriminator = subset(weights, "discriminator")
        for _ in range(self._config.unrolled_steps):
            loss = self.discriminator_loss(discriminator, real, fake).sum()
            gradients = torch.autograd.grad(loss, list(discriminator.values()), create_graph=True)
            discriminator = {
                name: weight - self._config.unrolled_lr * gradient
                for (name, weight), gradient in zip(discriminator.items(), gradients, strict=True)
            }
        if self._config.feature_matching:
            means = [self.features(discriminator, rows).mean(1) for rows in (real, fake)]
            return (means[0] - means[1]).square().sum(-1)
        return generator_loss(self.discriminate(discriminator, fake))

    def first_weights(self, weights: Weights) -> Tensor:
        """Return the weights [S, N, H] from a pattern to the first hidden layer."""
        return weights["discriminator.hidden.0.weight"]

    def fit(self, weights: Weights, patterns: Array, streams: Streams) -> Iterator[float]:
        """Train both networks on patterns [S, P, N]. Yields the share of the updates that is over."""
        config = self._config
        optimizers = self.make_optimizers(weights)

        def update(step: int, learning_rate: float) -> None:
            self.update(weights, optimizers, patterns, streams, learning_rate, step / config.updates)

        yield from training(weights, update, config.updates, config.learning_rate)

    def make_optimizers(self, weights: Weights) -> dict[str, Optimizer]:
        """Make the optimizers that :meth:`update` steps."""
        return {
            name: Optimizer(subset(weights, name), self._config.optimizer) for name in ("generator", "discriminator")
        }

    def update(
        self,
        weights: Weights,
        optimizers: dict[str, Optimizer],
        patterns: Array,
        streams: Streams,
        learning_rate: float,
        progress: float,
    ) -> Tensor:
        """Take one step of both networks on a batch of patterns [S, P, N]; the discriminator's loss [S] before it."""
        config = self._config
        real = tensor(sample_rows(patterns, config.batch_size, streams))
        logits = self.decode(weights, normals((config.batch_size, config.latent_dim), streams))
        fake = mean_pattern(logits)
        loss = self.discriminator_loss(weights, real, fake.detach())
        optimizers["discriminator"].minimize(loss, learning_rate)
        goal = self.generator_loss(weights, real, fake)
        if config.coverage_weight:
            goal = goal + config.coverage_weight * nearest_cross_entropy(logits, real).mean(-1)
        optimizers["generator"].minimize(goal, learning_rate)
        return loss.detach()

    def generate(self, weights: Weights, n: int, streams: Streams) -> Tensor:
        """Generate mean patterns [S, n, N] from normal codes."""
        return mean_pattern(self.decode(weights, normals((n, self._config.latent_dim), streams)))

    def recall(self, weights: Weights, cues: CueBatch, streams: Streams) -> Restoration:
        """Search the code of each cue; the energies are those of the cue and of the pattern that was found."""
        candidates = self._sample_candidates(streams)
        evidence = cue_evidence(cues, self._config.assumed_flip_prob)
        evidence = torch.where(cues.known, CERTAIN * cues.values, evidence)
        if self._config.estimate == "posterior_mean":
            restored = posterior_mean(self.decode(weights, candidates), evidence, cues.evidence)
        else:
            codes = search_codes(lambda z: self.decode(weights, z), evidence, candidates, self._config)
            restored = mean_pattern(self.decode(weights, codes), cues.evidence)
        restored = torch.where(cues.known, cues.values, restored)
        energies = [self._energy(weights, x, candidates) for x in (cues.values, restored)]
        n_iters = torch.ones(restored.shape[:2], dtype=torch.int64, device=restored.device)
        return Restoration(restored, torch.stack(energies, -1), n_iters)

    def iterations(self, weights: Weights, cues: CueBatch, streams: Streams) -> Iterator[Iteration]:
        """Recall one cue, and yield what the code decodes to at every step of the search that ends as the best."""
        if self._config.estimate == "posterior_mean":
            found = self.recall(weights, cues, streams)
            moves = torch.ones(cues.values.shape[:2], dtype=torch.bool, device=cues.values.device)
            yield Iteration(cues.values, found.energy[..., 0], moves)
            yield Iteration(found.patterns, found.energy[..., 1], moves)
            return
        path: list[Tensor] = []
        evidence = cue_evidence(cues, self._config.assumed_flip_prob)
        evidence = torch.where(cues.known, CERTAIN * cues.values, evidence)
        candidates = self._sample_candidates(streams)
        best = search_codes(lambda z: self.decode(weights, z), evidence, candidates, self._config, path)
        start = int((path[-1] - best).square().sum(-1)[0].argmin())
        unknown = torch.full_like(best[..., 0], torch.nan)
        moves = torch.ones_like(unknown, dtype=torch.bool)
        yield Iteration(cues.values, self._energy(weights, cues.values, candidates), moves)
        for codes in [step[:, start : start + 1] for step in path] + [best]:
            restored = mean_pattern(self.decode(weights, codes), cues.evidence)
            restored = torch.where(cues.known, cues.values, restored)
            energy = self._energy(weights, restored, candidates) if codes is best else unknown
            yield Iteration(restored, energy, moves)

    def energy(self, weights: Weights, patterns: Tensor, streams: Streams) -> Tensor:
        """Compute the minimum over codes z of -log p(x | z) + |z|^2 / 2, as far as the search finds it: [S, Q]."""
        return self._energy(weights, patterns, self._sample_candidates(streams))

    def _energy(self, weights: Weights, patterns: Tensor, candidates: Tensor) -> Tensor:
        evidence = ENERGY_EVIDENCE * patterns
        codes = search_codes(lambda z: self.decode(weights, z), evidence, candidates, self._config)
        return cross_entropy(self.decode(weights, codes), patterns) + 0.5 * codes.square().sum(-1)

    def _sample_candidates(self, streams: Streams) -> Tensor:
        return normals((self._config.n_candidates, self._config.latent_dim), streams)


def cue_loss(logits: Tensor, evidence: Tensor) -> Tensor:
    """Compute -log p(cue | code), up to a constant of the cue, summed over units.

    Args:
        logits: [..., N], of +1 at every unit given the code.
        evidence: [..., N], half the log odds of +1 given the cue's unit alone.
    """
    return (logsigmoid(logits + 2.0 * evidence) - logsigmoid(logits) - evidence).sum(-1)


def posterior_mean(logits: Tensor, evidence: Tensor, own_evidence: Tensor | None) -> Tensor:
    """Compute the mean of the pattern behind each cue, given the cue, if patterns come from sampled codes.

    Args:
        logits: of +1 at every unit, for each code, [S, C, N].
        evidence: half the log odds of +1 given each unit of the cues, [S, Q, N]; weighs the codes by p(cue | code).
        own_evidence: likewise, of units given their own value and the code; None: the code alone.

    Returns:
        [S, Q, N].
    """
    by_code = logits.unsqueeze(1)  # [S, 1, C, N]
    n_rows = max(1, MEAN_VALUES // (logits.shape[1] * logits.shape[2]))
    means = []
    for first in range(0, evidence.shape[1], n_rows):
        rows = slice(first, first + n_rows)
        losses = cue_loss(by_code, evidence[:, rows].unsqueeze(2))  # [S, Q, C]
        shares = (losses.amin(-1, keepdim=True) - losses).exp()
        shares = shares / shares.sum(-1, keepdim=True)
        of_units = None if own_evidence is None else own_evidence[:, rows].unsqueeze(2)
        means.append((shares.unsqueeze(-1) * mean_pattern(by_code, of_units)).sum(2))
    return torch.cat(means, 1)


def search_codes(
    decode: Callable[[Tensor], Tensor],
    evidence: Tensor,
    candidates: Tensor,
    config: Config,
    path: list[Tensor] | None = None,
) -> Tensor:
    """Search codes z [S, Q, H] with a low cue_loss + |z|^2 / 2.

    Args:
        decode: codes [S, B, H] -> logits [S, B, N].
        evidence: of the cues, [S, Q, N].
        candidates: sampled codes [S, C, H].
        config: n_starts, latent_steps and latent_lr.
        path: the codes of every start [S, Q * R, H] are added to it, at first and after every step.
    """
    with torch.no_grad():
        means = mean_pattern(decode(candidates))
    parts = torch.split(evidence, CUES_PER_SEARCH, 1)
    return torch.cat([_search_codes(decode, part, candidates, means, config, path) for part in parts], 1)


def _search_codes(
    decode: Callable[[Tensor], Tensor],
    evidence: Tensor,
    candidates: Tensor,
    means: Tensor,
    config: Config,
    path: list[Tensor] | None,
) -> Tensor:
    """Search codes for a few cues; ``means`` are the patterns [S, C, N] of the candidates."""
    scores = product(evidence, means.transpose(1, 2))  # [S, Q, C]
    starts = scores.topk(config.n_starts, -1).indices.flatten(1)  # [S, Q * R]
    codes = candidates.gather(1, starts.unsqueeze(-1).expand(-1, -1, candidates.shape[-1])).clone()
    repeated_evidence = evidence.repeat_interleave(config.n_starts, 1)  # [S, Q * R, N]

    def cost() -> Tensor:
        return cue_loss(decode(codes), repeated_evidence) + 0.5 * codes.square().sum(-1)

    def update(_: int, learning_rate: float) -> None:
        if path is not None:
            path.append(codes.detach().clone())
        optimizer.minimize(cost().sum(-1), learning_rate)

    with torch.enable_grad():
        optimizer = Optimizer({"codes": codes})
        train({"codes": codes}, update, config.latent_steps, config.latent_lr)
    shape = (evidence.shape[1], config.n_starts)
    best = torch.unflatten(cost(), 1, shape).argmin(-1)[..., None, None]  # [S, Q, 1, 1]
    by_start = torch.unflatten(codes, 1, shape)  # [S, Q, R, H]
    return by_start.gather(2, best.expand(-1, -1, -1, by_start.shape[-1]))[:, :, 0]
