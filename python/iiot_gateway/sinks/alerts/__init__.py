"""The alerts: rules for accepted frames and for the gateway itself, and the receivers that are notified."""
