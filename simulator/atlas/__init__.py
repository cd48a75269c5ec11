"""The atlas of states: what an agent met, what an environment has, or what a memory codes, drawn in the plane."""
