"""Statistics over seeds: interval estimates, paired tests and rankings of contestants."""
