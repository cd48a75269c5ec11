"""What ``engram show`` shows, by kind."""
