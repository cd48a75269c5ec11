"""``python -m memory.boltzmann``: store three pictures, and print their recall from corrupted cues."""

from memory.common.demo import show_memory
from memory.boltzmann import Config, make

show_memory("boltzmann", make, Config())
