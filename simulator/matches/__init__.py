"""Matches: two agents that play one game against each other."""
