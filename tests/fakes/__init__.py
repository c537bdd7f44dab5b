"""Stand-ins for what lies outside the product, at its ports only."""
