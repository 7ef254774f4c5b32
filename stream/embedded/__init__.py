"""A broker and a Redis that need no installation: real server processes for the demo, the tests and the benchmarks."""
