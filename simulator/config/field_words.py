"""Field words: what textbooks and other libraries call the settings that have another name here.

A word leads to the settings that it may mean, the likeliest first; whoever has one of them is meant by it. Nothing is
renamed by it: a word is answered with the setting to write, so that what is stored has one name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

_EPSILON = ("explore.epsilon_start",)
_LAST_EPSILON = ("explore.epsilon_end",)
_DECAY = ("explore.decay_steps",)
_RATE = ("step_size", "learning_rate", "optimizer.learning_rate", "learn.learning_rate")
_BUFFER = ("buffer_size",)
_TARGET = ("target_update_interval",)
_HIDDEN = ("network.hidden", "hidden", "n_hidden", "units")
_LAYERS = ("layers",)
_LIMIT = ("max_steps",)
_UPDATES = ("updates", "n_epochs", "learn.updates")

WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("epsilon", "eps", "exploration", "exploration_rate", "exploration_initial_eps"), _EPSILON),
    **dict.fromkeys(("epsilon_min", "min_epsilon", "final_epsilon", "exploration_final_eps"), _LAST_EPSILON),
    **dict.fromkeys(("epsilon_decay", "eps_decay", "epsilon_decay_steps", "exploration_fraction"), _DECAY),
    "temperature": ("explore.temperature_start",),
    **dict.fromkeys(("alpha", "lr", "learning_rate", "step_size", "eta"), _RATE),
    **dict.fromkeys(("discount", "discount_factor"), ("gamma",)),
    **dict.fromkeys(("lambda", "lam", "trace_decay", "gae_lambda"), ("lambda_",)),
    **dict.fromkeys(("q_init", "initial_value", "initial_q", "optimistic"), ("init_value",)),
    **dict.fromkeys(("n_steps", "nstep", "multi_step"), ("n_step",)),
    **dict.fromkeys(("buffer_size", "replay_size", "replay_buffer_size", "memory_size", "capacity"), _BUFFER),
    **dict.fromkeys(("target_update", "target_update_freq", "target_network_frequency"), _TARGET),
    **dict.fromkeys(("tau", "polyak"), ("tau",)),
    **dict.fromkeys(("train_freq", "update_freq", "update_every"), ("train_frequency",)),
    **dict.fromkeys(("warmup", "warmup_steps", "start_steps"), ("learning_starts",)),
    **dict.fromkeys(("hidden_sizes", "hidden_size", "hidden_units", "hidden_layers", "net_arch", "layers"), _HIDDEN),
    **dict.fromkeys(("num_layers", "n_layers"), _LAYERS),
    **dict.fromkeys(("entropy", "entropy_coef", "entropy_bonus", "entropy_coefficient"), ("ent_coef",)),
    **dict.fromkeys(("grad_clip", "clip_grad", "gradient_clip"), ("optimizer.max_grad_norm",)),
    **dict.fromkeys(("double_q", "double_dqn"), ("double",)),
    **dict.fromkeys(("per", "prioritized_replay"), ("prioritized",)),
    **dict.fromkeys(("tilings", "num_tilings"), ("box.n_tilings",)),
    **dict.fromkeys(("bins", "num_bins"), ("box.n_bins",)),
    **dict.fromkeys(("frame_stack", "frames"), ("conv.frames",)),
    **dict.fromkeys(("map", "level"), ("layout", "map_name")),
    **dict.fromkeys(("map_name",), ("layout",)),
    **dict.fromkeys(("is_slippery", "slippery"), ("is_slippery", "slip")),
    **dict.fromkeys(("max_episode_steps", "time_limit", "horizon"), _LIMIT),
    **dict.fromkeys(("frameskip", "frame_skip"), ("atari.frame_skip",)),
    **dict.fromkeys(("epochs", "num_epochs", "iterations", "training_steps"), _UPDATES),
    **dict.fromkeys(("latent", "latent_size", "z_dim", "bottleneck", "code_size"), ("latent_dim",)),
    "momentum": ("optimizer.beta1", "learn.optimizer.beta1"),
    **dict.fromkeys(("cd", "cd_k", "gibbs_steps"), ("learn.k",)),
    **dict.fromkeys(("inverse_temperature",), ("beta",)),
    **dict.fromkeys(("order", "power"), ("degree",)),
    **dict.fromkeys(("steps", "max_iterations", "recall_steps"), ("max_iters",)),
}
_OF_ENVS = {"map", "level", "map_name", "layout", "slip", "is_slippery", "slippery", "max_episode_steps", "time_limit"}
OWNERS = {  # setting -> who has it, where a player has nothing of the kind
    "explore.epsilon_start": "q_learning, td and dqn",
    "explore.epsilon_end": "q_learning, td and dqn",
    "explore.decay_steps": "q_learning, td and dqn",
    "explore.temperature_start": "q_learning, td and dqn",
    "step_size": "q_learning, td and hill_climbing",
    "gamma": "q_learning, td, dqn and reinforce",
    "lambda_": "td",
    "n_step": "dqn",
    "buffer_size": "dqn",
    "target_update_interval": "dqn",
    "tau": "dqn",
    "train_frequency": "dqn",
    "learning_starts": "dqn",
    "ent_coef": "reinforce",
    "double": "q_learning and dqn",
    "prioritized": "dqn",
}
EXPERIMENT = {  # words for options of a run or a benchmark itself
    "seed": "first_seed",
    **dict.fromkeys(("n_seeds", "num_seeds", "repeats", "runs"), "seeds"),
    **dict.fromkeys(("timesteps", "total_timesteps", "total_steps", "num_steps", "max_steps"), "steps"),
    **dict.fromkeys(("episodes", "n_episodes", "n_eval_episodes"), "eval_episodes"),
    **dict.fromkeys(("eval_freq", "eval_interval"), "eval_every"),
    **dict.fromkeys(("render", "display", "live"), "view"),
    **dict.fromkeys(("noise", "flip"), "corruption"),
    **dict.fromkeys(("n_patterns", "num_patterns"), "patterns"),
    **dict.fromkeys(("n_threads", "num_threads", "jobs"), "threads"),
}


def settings_of(word: str, names: Iterable[str]) -> list[str]:
    """Return which of a player's settings a word means; none where it has nothing of the kind.

    Args:
        word: as it was typed, with ``_``.
        names: all settings of the player, those of tables within it dotted: ``explore.epsilon_start``.
    """
    known = list(names)
    last = word.rpartition(".")[2]
    meant = WORDS.get(last, ())
    within = [name.partition(".")[2] for name in meant]  # in a table of its own: explore.epsilon
    alike = [name for name in known if name.rpartition(".")[2] == last]
    return [*(name for name in (*meant, *within) if name in known), *alike][:1]


def owner_of(word: str) -> str:
    """Say which players have the setting a word means, ``dqn has it``; empty where that is not told."""
    owners = next((OWNERS[name] for name in WORDS.get(word, ()) if name in OWNERS), "")
    return owners and f"{owners} {'have' if ' and ' in owners else 'has'} it"


def table_of(word: str, tables: Sequence[str]) -> str:
    """Return the table of players among whose settings a word is looked for: ``agent``; empty where it is no word."""
    last = {setting.rpartition(".")[2] for settings in WORDS.values() for setting in settings}
    if word not in WORDS and word not in last:
        return ""
    table = "env" if word in _OF_ENVS else "agent"
    return table if table in tables else ""


def option_meant(word: str, known: Collection[str]) -> str:
    """Return the option of the experiment itself that a word means; empty where it means none."""
    meant = EXPERIMENT.get(word, "")
    return meant if meant in known else ""
