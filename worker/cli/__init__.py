"""The command line: parses arguments, calls one step, prints the answer."""
