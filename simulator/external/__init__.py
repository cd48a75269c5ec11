"""Contestants from outside: models of stable-baselines3, Python callables, people's recorded episodes."""
