"""Laws that every agent, memory and environment keeps: ours in the tests, a user's own by ``engram check``."""
