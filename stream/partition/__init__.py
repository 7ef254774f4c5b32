"""One partition: its customers' columns, its producer, its epoch and its steps. Nothing else touches them."""
