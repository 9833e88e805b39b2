"""One action a file: which steps it has, and which service does them."""
