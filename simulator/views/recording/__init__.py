"""Recordings: frames as a GIF, APNG, PNG or MP4 file, pages of a terminal as an asciicast; none needs a display."""
