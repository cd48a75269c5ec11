"""Play by people: episodes of an environment or a game, stored in the lab, compared and cloned."""
