"""Skip-gram and CBOW beside gensim's, on walks in a ring of states."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.core.embeddings.word2vec import Word2Vec, word2vec

N_STATES = 12


def _ring_walks():
    steps = np.random.default_rng(0).choice([-1, 1], size=(60, 100))
    return np.cumsum(steps, axis=1) % N_STATES


def _likeness(vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (units @ units.T)[np.triu_indices(N_STATES, 1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "objective"), [("skip_gram", "negative"), ("skip_gram", "hierarchical"), ("cbow", "negative")]
)
def test_states_are_alike_as_in_gensim(model, objective):
    models = pytest.importorskip("gensim.models", reason="gensim is no dependency: pip install 'engram-rl[dev]'")
    walks = _ring_walks()
    # a mean's gradient is divided among its vectors here, which gensim does not do
    rate = 0.1 if model == "cbow" else 0.05
    settings = Word2Vec(model=model, size=8, window=2, objective=objective, negatives=5, epochs=10, learning_rate=rate)
    own = word2vec(walks[None], N_STATES, settings, [0]).vectors[0]
    other = models.Word2Vec(
        [[str(state) for state in walk] for walk in walks],
        vector_size=8,
        window=2,
        sg=int(model == "skip_gram"),
        hs=int(objective == "hierarchical"),
        negative=5 if objective == "negative" else 0,
        ns_exponent=0.75,
        sample=0,
        min_count=1,
        alpha=0.05,
        epochs=10,
        shrink_windows=False,
        workers=1,
        seed=1,
    )
    theirs = np.stack([other.wv[str(state)] for state in range(N_STATES)])
    assert np.corrcoef(_likeness(own), _likeness(theirs))[0, 1] > 0.9
