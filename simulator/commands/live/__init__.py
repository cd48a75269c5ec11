"""A command while it runs: signals, keys, playback."""
