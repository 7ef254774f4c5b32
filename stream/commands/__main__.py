"""`python -m stream.commands`: the command line without its console script; `up` starts its workers so."""

from stream.commands import main

main()
