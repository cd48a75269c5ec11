"""``python -m memory.boltzmann``: store three pictures, and print their recall from corrupted cues."""

from memory.boltzmann import Config, make
from memory.common.demo import show_memory

show_memory("boltzmann", make, Config())
