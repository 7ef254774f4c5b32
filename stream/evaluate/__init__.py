"""`livesegment evaluate`: a file through the same code, without a broker, and a report on how good the segments are."""
