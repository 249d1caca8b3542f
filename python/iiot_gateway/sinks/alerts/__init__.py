"""The alerts: rules over accepted frames and over the gateway itself, and whom they tell."""
