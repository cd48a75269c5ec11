"""``python -m memory.hopfield``: store three pictures, and print their recall from corrupted cues."""

from memory.common.demo import show_memory
from memory.hopfield import Config, make

show_memory("hopfield", make, Config())
