"""`stoflow`, the operators' command line: a caller of the public API like any other."""
