"""Tournaments: plan, workers, scoreboard and summary."""
