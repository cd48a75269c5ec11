"""Settings of an atlas: which states, which maps of them, and what these are made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from simulator.core.field_types import Count, CountOrZero, PartShare, Positive, Share

Method = Literal[
    "pca",
    "lle",
    "laplacian",
    "tsne",
    "umap",
    "kmeans",
    "hac",
    "spectral",
    "ngram",
    "cooccurrence",
    "svd",
    "deepwalk",
    "glove",
    "cbow",
    "skip_gram",
]
_NEURAL = ("skip_gram", "cbow")
SETTINGS_OF: dict[str, tuple[str, ...]] = {  # methods that a setting counts in, where it is not all of them
    "linkage": ("hac",),
    "perplexity": ("tsne",),
    "window": ("cooccurrence", "svd", "deepwalk", "glove", *_NEURAL),
    "ngram": ("ngram",),
    "objective": _NEURAL,
    "negatives": _NEURAL,
    "power": _NEURAL,
    "subsample": _NEURAL,
    "shift": ("svd", "deepwalk"),
    "epochs": ("glove", *_NEURAL),
    "learning_rate": ("glove", *_NEURAL),
}
Color = Literal["auto", "value", "action", "room", "class", "cluster", "step", "visits"]


@dataclass(frozen=True)
class AtlasConfig:
    """Settings of an atlas: which states are drawn, and how."""

    method: Annotated[tuple[Method, ...], Meta(min_length=1)] = ("laplacian",)
    """maps to make: of what states look like pca, lle, laplacian, tsne, umap; clusters kmeans, hac, spectral; of walks
    ngram, cooccurrence, svd, deepwalk, glove, cbow, skip_gram"""
    of: str = "auto"
    """numbers that stand for a state: observations, successor (discounted visits under random play) or place; of a run
    also what its policy carries, such as hidden or features; of a memory codes, patterns or recalled"""
    color: Color = "auto"
    """colour by the exact or learned value, the best action, the room, the pattern's class, the cluster, the time step
    or the visits; auto: class, else room, else value, else step"""
    steps: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """environment steps of random play, or moments of a run's evaluation episodes; 0: 10,000, and 2,000 moments"""
    max_states: Annotated[int, Meta(ge=3, le=4_096)] = 1_000
    """states that are drawn at most, of those met the first; all states of a finite environment count"""
    patterns: Annotated[int, Meta(ge=3, le=4_096)] = 200
    """patterns that a memory stores and codes"""
    dims: CountOrZero = 0
    """numbers of a state in a map; 0: 2, and 16 where walks are embedded"""
    clusters: CountOrZero = 0
    """clusters; 0: as many as there are rooms or classes, else 4, or fewer where there are fewer states"""
    neighbors: Count = 10
    """nearest states that lle, laplacian, umap and trustworthiness look at"""
    linkage: Literal["ward", "average", "complete", "single"] = "ward"
    """distance of two clusters of hac"""
    perplexity: Positive = 30.0
    """of tsne: neighbours that count, about"""
    discount: PartShare = 0.95
    """gamma of the successor representation, and of exact values"""
    window: Count = 5
    """steps to either side that count as near on a walk"""
    ngram: Annotated[int, Meta(ge=2, le=8)] = 2
    """states of an n-gram"""
    objective: Literal["softmax", "hierarchical", "negative"] = "negative"
    """of skip_gram and cbow: softmax over all states, over a Huffman tree, or negative sampling"""
    negatives: Count = 5
    """negative samples of every pair"""
    power: Share = 0.75
    """negative samples are drawn in proportion to count to this power"""
    shift: Positive = 1.0
    """svd and deepwalk subtract its logarithm from mutual information"""
    subsample: Share = 0.0
    """a state of frequency f is left out of a walk with probability 1 - sqrt(subsample / f); 0: never"""
    epochs: CountOrZero = 0
    """passes over walks or pairs; 0: 5, of glove 200"""
    learning_rate: Positive = 0.05
    """learning rate of skip_gram, cbow and glove"""
