"""Importing this module plays what the kill tests play, so that all of it is compiled.

The fork server of these tests does, and no module of tests: every worker would compile it while it looks for tests.
"""

from __future__ import annotations

from tests.system import killed, killed_recall, killed_tournament, killed_tuning

for _module in (killed, killed_recall, killed_tournament, killed_tuning):
    _module.warm_up()
