"""``python -m agents.dqn``: train one seed in a corridor and print what it learned."""

from agents.common.demo import show_agent
from agents.dqn import Config, make

show_agent("dqn", make, Config(learning_starts=100, buffer_size=3_000))
