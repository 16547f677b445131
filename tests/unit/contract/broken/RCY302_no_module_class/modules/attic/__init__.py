"""Forgets to say which class is the module."""
