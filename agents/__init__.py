from simulator.core.foreign import own_packages

__getattr__ = own_packages.beyond(__name__)
