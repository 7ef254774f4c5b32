"""Changes and cart triggers sent on to an HTTP receiver, signed, in order per customer, none lost."""
