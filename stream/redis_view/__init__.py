"""Redis as a view of the partitions' state: wipe it and it is rebuilt."""
