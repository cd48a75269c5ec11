"""External contestants: stable-baselines3 models, Python callables, recorded human episodes."""
