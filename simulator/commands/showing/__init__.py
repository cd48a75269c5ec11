"""Parts of ``engram show``, by kind."""
