"""The words of a command line: options, help, completion."""
