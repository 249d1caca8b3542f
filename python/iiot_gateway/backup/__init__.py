"""Makes copies of all data of a gateway, and restores them."""
