"""``python -m agents.reinforce``: train one seed in a corridor and print what it learned."""

from agents.common.demo import show_agent

show_agent("reinforce")
