"""The window: one owner of the display, and the pages that it shows."""
