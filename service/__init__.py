"""Chainrule's service: runs accepted over HTTP, kept in a database, trained by worker processes."""
