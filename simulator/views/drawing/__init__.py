"""Drawings of scenes and panels as pixels, for the window and for recordings; none needs a display."""
