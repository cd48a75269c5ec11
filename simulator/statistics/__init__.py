"""Judging: what scores over seeds say of contestants, and how sure that is."""
