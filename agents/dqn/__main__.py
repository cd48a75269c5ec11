"""``python -m agents.dqn``: train one seed in a corridor and print what it learned."""

from agents.common.demo import show_agent

show_agent("dqn", learning_starts=100, buffer_size=3_000)
