"""Tournaments: who competes in what, where cells are played, and what they came to."""
