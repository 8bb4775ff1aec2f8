"""The routes, one module per resource: signatures that say everything, and few lines of body."""
