"""The one model of a shop: seeded from a warm-up, fed by a sample of its customers, published as snapshots."""
