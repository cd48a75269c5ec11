"""Environments. Importing this package registers ``engram/SixRooms-v0`` and ``engram/Rooms-v0`` with Gymnasium."""

import gymnasium

from simulator.core.foreign import own_packages

for _name, _settings in (("SixRooms", {"layout": "six"}), ("Rooms", {"layout": "four"})):
    if f"engram/{_name}-v0" not in gymnasium.registry:
        gymnasium.register(
            f"engram/{_name}-v0",
            entry_point="envs.common.gymnasium.export:RoomsEnv",
            vector_entry_point="envs.common.gymnasium.export:RoomsVectorEnv",
            kwargs=_settings,
        )

__getattr__ = own_packages.beyond(__name__)
