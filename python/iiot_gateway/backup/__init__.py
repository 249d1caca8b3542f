"""Copies of all that a gateway keeps, and how they are put back."""
