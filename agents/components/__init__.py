"""Components of agents: recurrences, encoders, models and bonuses, one file each."""
