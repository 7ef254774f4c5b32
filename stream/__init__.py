"""Where it runs: the only package that does I/O."""
