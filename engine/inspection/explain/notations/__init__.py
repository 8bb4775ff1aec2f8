"""Notations: one derivation in several ways to write mathematics."""
