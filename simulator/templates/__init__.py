"""Files that ``engram new`` writes: one whole player of each kind, which runs as it is."""
