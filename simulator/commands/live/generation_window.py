"""Samples of memories in the window while they learn, and then the plane of codes and the walk."""

from __future__ import annotations

from collections.abc import Sequence

from simulator import console
from simulator.commands.live.window import typed
from simulator.recall.generation import GenerationStudy
from simulator.reporting import generation
from simulator.views.window.scenes_page import SceneMoment, SceneProgress, ScenesPage, ScenesWindow, SceneTab, tab_of


class GenerationWindow:
    """Samples of memories while they learn, as their :class:`~simulator.recall.generation.Watcher`.

    Args:
        title: over them.
        scale: pixels of a unit of length: auto or a number.

    Raises:
        ValueError: there is no display.
    """

    def __init__(self, title: str, scale: str) -> None:
        self._window = ScenesWindow(ScenesPage(title, typed()), scale)
        self._tabs: Sequence[SceneTab] = ()

    def moment(self, study: GenerationStudy) -> None:
        """Draw what there is so far."""
        self._tabs = generation_tabs(study)
        self._window.show(self._tabs)

    def pause(self, label: str, share: float) -> None:
        """Say how far a memory's learning has come."""
        self._window.show(self._tabs, SceneProgress(f"{label} learns, {share:.0%}", share))

    def stay(self) -> None:
        """Show the result until the window is closed."""
        if self._window.is_open:
            console.print_status("the window stays open until it is closed (q)")
            self._window.show(self._tabs)
            self._window.stay()

    def close(self) -> None:
        """Close the window."""
        self._window.shut()


def generation_tabs(study: GenerationStudy) -> list[SceneTab]:
    """Make a tab of the samples and one of the codes for every memory, and tabs of measures and stored patterns."""
    tabs = []
    for memory in study.memories:
        if memory.moments:
            followed = [generation.followed_panel(memory, study)] if len(memory.moments) > 1 else []
            moments = [
                SceneMoment(
                    f"{moment.share:.0%} of the training", [generation.sample_panel(memory, moment, study), *followed]
                )
                for moment in memory.moments
            ]
            tabs.append(SceneTab(memory.label, moments))
        if codes := generation.code_panels(memory, study):
            tabs.append(tab_of(f"{memory.label}: codes", codes))
    curves = generation.curve_panels(study)
    return [
        *tabs,
        *([tab_of("Measures", curves)] if curves else []),
        tab_of("Stored", [generation.stored_panel(study)]),
    ]
