"""How customers are described and grouped: pure functions of (state, input, now). No I/O, no clock, no randomness."""
