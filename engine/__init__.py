"""Chainrule's engine: neural networks trained by backpropagation in NumPy, every number of it readable."""

from importlib.metadata import version

__version__ = version("chainrule")
